//! Loops over numbers, compiled for the vector instructions that this machine has.
//!
//! The program itself is compiled for the oldest processor of its architecture (on x86-64 that means SSE2, four numbers
//! at a time). Products ask the machine through the `gemm` crate; the loops between them do so here. Vectors are wider
//! then, but every number goes through the same operations: nothing is fused or summed in another order, so no result
//! depends on the machine's instructions.

use crate::engine::scalar::Scalar;

/// Runs `work` compiled for this machine's vector instructions. Only what is inlined into `work` is: closures and
/// functions on the way say `#[inline(always)]`. Not for single numbers: asking the machine costs some nanoseconds.
#[inline(always)]
pub fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// Numbers that [`each`] takes at a time: two of the widest vectors of `f32`.
const BLOCK: usize = 32;

/// At every place of the slices, which are of one length: numbers of `read` and `write` in, those of `write` out.
///
/// A loop over so many slices is not vectorized as it stands, because the compiler would have to show that none
/// overlaps another. So a block at a time is copied into arrays of its own, which nothing else can point to.
///
/// # Panics
/// If a slice is shorter than the first of `write`.
#[inline(always)]
pub fn each<T: Scalar, const R: usize, const W: usize>(
    read: [&[T]; R],
    mut write: [&mut [T]; W],
    f: impl Fn([T; R], [T; W]) -> [T; W],
) {
    let len = write[0].len();
    let mut room = ([[T::zero(); BLOCK]; R], [[T::zero(); BLOCK]; W]);
    let whole = len - len % BLOCK;
    for start in (0..whole).step_by(BLOCK) {
        // A length that the compiler knows: no call to copy.
        block(&read, &mut write, start, BLOCK, &mut room, &f);
    }
    if whole < len {
        block(&read, &mut write, whole, len - whole, &mut room, &f);
    }
}

/// [`each`] from `start` on, `count` places. Computes on to the end of `room`, on what is left there, and drops that.
#[inline(always)]
fn block<T: Scalar, const R: usize, const W: usize>(
    read: &[&[T]; R],
    write: &mut [&mut [T]; W],
    start: usize,
    count: usize,
    (from, to): &mut ([[T; BLOCK]; R], [[T; BLOCK]; W]),
    f: &impl Fn([T; R], [T; W]) -> [T; W],
) {
    for k in 0..R {
        from[k][..count].copy_from_slice(&read[k][start..][..count]);
    }
    for k in 0..W {
        to[k][..count].copy_from_slice(&write[k][start..][..count]);
    }
    for i in 0..BLOCK {
        let new = f(std::array::from_fn(|k| from[k][i]), std::array::from_fn(|k| to[k][i]));
        for k in 0..W {
            to[k][i] = new[k];
        }
    }
    for k in 0..W {
        write[k][start..][..count].copy_from_slice(&to[k][..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::{each, vectorized};
    use crate::engine::scalar::Scalar;

    /// A length that leaves a rest for every width; all signs and sizes, a NaN, infinities.
    fn numbers() -> Vec<f32> {
        let mut x: Vec<f32> = (0..1003u32).map(|i| (i as f32 - 500.0) * 0.037 * (1.0 + (i % 7) as f32)).collect();
        x.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-40]);
        x
    }

    fn bits(y: &[f32]) -> Vec<u32> {
        y.iter().map(|v| v.to_bits()).collect()
    }

    fn squash(x: f32) -> f32 {
        (x * 1.7 + 0.3).sigmoid() * (x - 0.1).fast_tanh() + x * 1e-3
    }

    #[test]
    fn wider_vectors_and_blocks_give_the_same_bits() {
        let x = numbers();
        let one_by_one: Vec<f32> = x.iter().map(|&x| squash(x)).collect();
        let mut wide = vec![0.0; x.len()];
        vectorized(
            #[inline(always)]
            || wide.iter_mut().zip(&x).for_each(|(y, &x)| *y = squash(x)),
        );
        assert_eq!(bits(&wide), bits(&one_by_one));
        let mut blocks = vec![7.0; x.len()];
        vectorized(
            #[inline(always)]
            || {
                each(
                    [&x],
                    [&mut blocks],
                    #[inline(always)]
                    |[x], _| [squash(x)],
                )
            },
        );
        assert_eq!(bits(&blocks), bits(&one_by_one));
    }

    #[test]
    fn what_is_written_is_read_before() {
        for len in [0, 1, 31, 32, 33, 100] {
            let a: Vec<f64> = (0..len).map(f64::from).collect();
            let (mut sum, mut product) = (vec![1.0; len as usize], vec![2.0; len as usize]);
            each([&a], [&mut sum, &mut product], |[a], [sum, product]| [sum + a, product * (sum + a)]);
            assert_eq!(sum, a.iter().map(|a| 1.0 + a).collect::<Vec<_>>());
            assert_eq!(product, a.iter().map(|a| 2.0 * (1.0 + a)).collect::<Vec<_>>());
        }
    }
}
