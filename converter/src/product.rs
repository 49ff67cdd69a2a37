//! Matrix products of f32 that give the same bits on every machine: each sum has one order, each step of it is one fused multiply-add,
//! and a machine's vectors only take more outputs at a time.

use pulp::{Simd, WithSimd};

/// Outputs of a row that are made at a time: two vectors of AVX2, four of NEON.
const LANES: usize = 16;

/// Rows that are made at a time, such that all their sums stay in registers.
const ROWS: usize = 6;

/// Terms of a sum at a time: the weights of so many, for one tile of outputs, fit the first cache.
const TERMS: usize = 256;

/// Fewer rows than this are not worth bringing the weights into another order.
const FEW: usize = 4;

/// Where in rows of `stride` values the results are added: `count` columns from `first` on.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// The first.
    pub first: usize,
    /// How many.
    pub count: usize,
    /// From one row to the next.
    pub stride: usize,
}

/// `y[p][n] += sum over k of a[p][k] * w[n][k]`, for all rows of `a`, which are `depth` long as those of `w` are.
///
/// # Panics
/// If `w` has not `count` rows, or `y` fewer rows than `a`.
pub fn add(a: &[f32], w: &Weights, y: &mut [f32], columns: Columns) {
    pulp::Arch::new().dispatch(Sums { a, w, y, columns });
}

/// What [`add`] is to do.
struct Sums<'a, 'w> {
    a: &'a [f32],
    w: &'a Weights<'w>,
    y: &'a mut [f32],
    columns: Columns,
}

impl WithSimd for Sums<'_, '_> {
    type Output = ();

    /// A tile's sums are one to sixteen vectors: their number has to be known for them to stay in registers.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match LANES / S::F32_LANES {
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            4 => self.run::<S, 4>(simd),
            _ => self.run::<pulp::Scalar, LANES>(pulp::Scalar::new()),
        }
    }
}

/// `[column][term]` weights of a product, as it wants them.
#[derive(Debug)]
pub struct Weights<'a> {
    rows: &'a [f32],
    depth: usize,
    /// `[terms][columns / 16][term][16]`, zeros beyond the last column; empty for few rows.
    packed: Vec<f32>,
}

impl<'a> Weights<'a> {
    /// Of rows of `depth` terms, for products of `count` rows in all.
    pub fn new(rows: &'a [f32], depth: usize, count: usize) -> Weights<'a> {
        let mut packed = vec![];
        if count >= FEW && depth > 0 {
            let columns = rows.len() / depth;
            packed = vec![0.0; columns.next_multiple_of(LANES) * depth];
            let mut at = 0;
            for from in (0..depth).step_by(TERMS) {
                let terms = TERMS.min(depth - from);
                for first in (0..columns).step_by(LANES) {
                    let panel = &mut packed[at..][..terms * LANES];
                    for (lane, row) in rows[first * depth..].chunks_exact(depth).take(LANES).enumerate() {
                        for (to, w) in panel.iter_mut().skip(lane).step_by(LANES).zip(&row[from..][..terms]) {
                            *to = *w;
                        }
                    }
                    at += terms * LANES;
                }
            }
        }
        Weights { rows, depth, packed }
    }
}

impl Sums<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Sums { a, w, y, columns } = self;
        if w.packed.is_empty() {
            return few(a, w, y, columns);
        }
        let (depth, rows) = (w.depth, a.len() / w.depth);
        let mut at = 0;
        for from in (0..depth).step_by(TERMS) {
            let terms = TERMS.min(depth - from);
            for first in (0..columns.count).step_by(LANES) {
                let panel = S::as_simd_f32s(&w.packed[at..][..terms * LANES]).0;
                at += terms * LANES;
                let lanes = LANES.min(columns.count - first);
                let mut row = 0;
                while row < rows {
                    let (a, y) = (&a[row * depth + from..], &mut y[row * columns.stride + columns.first + first..]);
                    row += if row + ROWS <= rows {
                        tile::<S, ROWS, V>(simd, (a, panel), [depth, columns.stride, lanes], y)
                    } else {
                        tile::<S, 1, V>(simd, (a, panel), [depth, columns.stride, lanes], y)
                    };
                }
            }
        }
    }
}

/// So many rows of so many outputs, some terms of their sums; gives how many rows. `depth` and `stride` lead from one row of `a` and of
/// `y` to the next.
#[inline(always)]
fn tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    (a, panel): (&[f32], &[S::f32s]),
    [depth, stride, lanes]: [usize; 3],
    y: &mut [f32],
) -> usize {
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for (row, sums) in sums.iter_mut().enumerate() {
        let mut whole = [0.0; LANES];
        whole[..lanes].copy_from_slice(&y[row * stride..][..lanes]);
        sums.copy_from_slice(S::as_simd_f32s(&whole).0);
    }
    let (weights, _) = panel.as_chunks::<V>();
    let a: [&[f32]; R] = std::array::from_fn(|row| &a[row * depth..][..weights.len()]);
    for (k, w) in weights.iter().enumerate() {
        for (sums, a) in sums.iter_mut().zip(&a) {
            let a = simd.splat_f32s(a[k]);
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = simd.mul_add_f32s(a, *w, *sum);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        let mut whole = [0.0; LANES];
        S::as_mut_simd_f32s(&mut whole).0.copy_from_slice(sums);
        y[row * stride..][..lanes].copy_from_slice(&whole[..lanes]);
    }
    R
}

/// Of few rows: sixteen sums of every sixteenth term each, added up in their order.
#[inline(always)]
fn few(a: &[f32], w: &Weights, y: &mut [f32], columns: Columns) {
    for (a, y) in a.chunks_exact(w.depth.max(1)).zip(y.chunks_mut(columns.stride.max(1))) {
        for (y, w) in y[columns.first..][..columns.count].iter_mut().zip(w.rows.chunks_exact(w.depth.max(1))) {
            *y += dot(a, w);
        }
    }
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = a.mul_add(*b, *sum);
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum = a.mul_add(*b, *sum);
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// Rows, columns, terms: tiles and what is left of them, one and several blocks of terms, few rows.
    const SIZES: [[usize; 3]; 8] =
        [[1, 1, 1], [3, 40, 300], [4, 16, 7], [6, 17, 256], [13, 33, 257], [7, 5, 600], [12, 16, 16], [2, 3, 33]];

    fn made(sizes: [usize; 3], product: fn(&[f32], &Weights, &mut [f32], Columns)) -> Vec<f32> {
        let [rows, count, depth] = sizes;
        let (a, w) = (numbers(rows * depth, 1), numbers(count * depth, 2));
        let columns = Columns { first: 2, count, stride: count + 5 };
        let mut y = numbers(rows * columns.stride, 3);
        product(&a, &Weights::new(&w, depth, rows), &mut y, columns);
        y
    }

    #[test]
    fn products_are_products_and_nothing_else_is_touched() {
        for sizes in SIZES {
            let [rows, count, depth] = sizes;
            let (a, w, before) = (numbers(rows * depth, 1), numbers(count * depth, 2), numbers(rows * (count + 5), 3));
            for (at, (y, before)) in made(sizes, add).into_iter().zip(before).enumerate() {
                let (row, column) = (at / (count + 5), at % (count + 5));
                let sum: f64 = match column.checked_sub(2).filter(|&n| n < count) {
                    Some(n) => (0..depth).map(|k| f64::from(a[row * depth + k]) * f64::from(w[n * depth + k])).sum(),
                    None => 0.0,
                };
                assert!((f64::from(y) - f64::from(before) - sum).abs() < 1e-4, "{sizes:?}: {row} {column}");
            }
        }
    }

    /// The oldest processor, without vectors or fused instructions, and this one.
    #[test]
    fn the_bits_are_those_of_every_other_machine() {
        for sizes in SIZES {
            let portable =
                made(sizes, |a, w, y, columns| Sums { a, w, y, columns }.run::<_, LANES>(pulp::Scalar::new()));
            let here = made(sizes, add);
            assert!(here.iter().zip(&portable).all(|(a, b)| a.to_bits() == b.to_bits()), "{sizes:?}");
        }
        let sums: u32 =
            SIZES.iter().flat_map(|&sizes| made(sizes, add)).fold(0, |sum, y| sum.rotate_left(5) ^ y.to_bits());
        assert_eq!(sums, 3_641_060_469, "as on the machine where this was written");
    }
}
