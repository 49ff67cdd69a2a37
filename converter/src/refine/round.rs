//! Rounding that looks at what the weights meet.
//!
//! Rounding each weight to the nearest gives the least error of the weights. What counts is the error of the sums, `e' H e` for a
//! row's error `e` and the covariance `H` of its inputs (their mean is the bias's affair): errors at inputs that go together can
//! cancel. With `H = R' R`, `R` upper triangular, `e' H e` is the squared length of `R e`; from the last place to the first, each
//! weight is rounded to where its own line of `R e` is least, given those behind it. That is Babai's nearest plane; Frantar et al.,
//! "GPTQ", 2022, do the same with the inverse of `H`.
//!
//! Every sum has one order, whatever the number of threads, and products and sums are of f64 alone: the same bits everywhere.

use rayon::prelude::*;

use crate::scale::nearest_i8;

/// Part of the mean variance that is added to each input's own: what a few thousand columns do not show.
const DAMPING: f64 = 0.03;

/// Rows of the triangle that a thread makes at a time.
const TILE: usize = 16;

/// Columns at a time: as many products of two differences of int8, at most 255 each, fit i32, and a tile's fit the cache.
const PANEL: usize = 2048;

/// Covariances of inputs, `[input][input]`, from `[input][column]`; the lower triangle. Exact sums but for the last steps.
pub fn covariance(values: &[i16], depth: usize) -> Vec<f64> {
    let count = values.len() / depth;
    let row = |i: usize| &values[i * count..][..count];
    let sums: Vec<f64> = (0..depth).map(|i| row(i).iter().map(|&v| i64::from(v)).sum::<i64>() as f64).collect();
    let small = values.iter().all(|v| v.unsigned_abs() <= 255);
    let mut all = vec![0.0; depth * depth];
    all.par_chunks_mut(depth * TILE).enumerate().for_each(|(tile, lines)| {
        let first = tile * TILE;
        let last = (first + TILE).min(depth);
        let mut products = vec![0i64; TILE * depth];
        for from in (0..count).step_by(PANEL) {
            let panel = from..(from + PANEL).min(count);
            for j in 0..last {
                let b = &row(j)[panel.clone()];
                for i in first.max(j)..last {
                    let a = &row(i)[panel.clone()];
                    let pairs = a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b));
                    products[(i - first) * depth + j] +=
                        if small { i64::from(pairs.sum::<i32>()) } else { pairs.map(i64::from).sum() };
                }
            }
        }
        let n = count as f64;
        for (i, (line, products)) in lines.chunks_exact_mut(depth).zip(products.chunks_exact(depth)).enumerate() {
            for j in 0..=first + i {
                line[j] = products[j] as f64 / n - sums[first + i] / n * (sums[j] / n);
            }
        }
    });
    all
}

/// `a . b`, in an order that eight lanes can take.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f64>() + rest
}

/// How to round rows that meet the same inputs.
pub struct Rounder {
    /// The input at each place: what varies most is rounded first, at the last place, and the others make up for it.
    order: Vec<usize>,
    /// `R`, each line over its diagonal: `[place][place]`
    lines: Vec<f64>,
}

impl Rounder {
    /// For inputs of those covariances; `None` if nothing varies.
    pub fn new(covariance: &[f64], depth: usize) -> Option<Rounder> {
        let of = |i: usize, j: usize| covariance[i.max(j) * depth + i.min(j)];
        let mean = (0..depth).map(|i| of(i, i)).sum::<f64>() / depth as f64;
        if mean.is_nan() || mean <= 0.0 {
            return None;
        }
        let mut order: Vec<usize> = (0..depth).collect();
        order.sort_by(|&a, &b| of(a, a).total_cmp(&of(b, b)).then(a.cmp(&b)));
        // H = L L', L lower triangular, column by column: R = L'.
        let mut lower = vec![0.0; depth * depth];
        for i in 0..depth {
            let (line, below) = lower[i * depth..].split_at_mut(depth);
            let own = of(order[i], order[i]) + DAMPING * mean - dot(&line[..i], &line[..i]);
            let root = own.max(1e-9 * mean).sqrt();
            line[i] = root;
            let line = &line[..i];
            below.par_chunks_mut(depth).enumerate().with_min_len(64).for_each(|(k, other)| {
                other[i] = (of(order[i + 1 + k], order[i]) - dot(&other[..i], line)) / root;
            });
        }
        let mut lines = vec![0.0; depth * depth];
        lines.par_chunks_mut(depth).enumerate().for_each(|(i, line)| {
            for (j, r) in line.iter_mut().enumerate().skip(i) {
                *r = lower[j * depth + i] / lower[i * depth + i];
            }
        });
        Some(Rounder { order, lines })
    }

    /// A row in units of its weights, rounded.
    pub fn round(&self, row: &[f64]) -> Vec<i8> {
        let depth = self.order.len();
        let (mut error, mut ints) = (vec![0.0; depth], vec![0; depth]);
        for (place, &input) in self.order.iter().enumerate().rev() {
            let behind = place + 1;
            let target = row[input] + dot(&self.lines[place * depth..][behind..depth], &error[behind..]);
            let int = nearest_i8(target.clamp(-127.0, 127.0));
            error[place] = row[input] - f64::from(int);
            ints[input] = int;
        }
        ints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs that go together, with some noise of their own.
    fn inputs(depth: usize, count: usize) -> Vec<i16> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as i16
        };
        let mut values = vec![0; depth * count];
        for column in 0..count {
            let common = next();
            (0..depth).for_each(|i| values[i * count + column] = common / 2 + next() / 4);
        }
        values
    }

    fn cost(covariance: &[f64], depth: usize, error: &[f64]) -> f64 {
        let of = |i: usize, j: usize| covariance[i.max(j) * depth + i.min(j)];
        (0..depth).flat_map(|i| (0..depth).map(move |j| (i, j))).map(|(i, j)| error[i] * of(i, j) * error[j]).sum()
    }

    #[test]
    fn the_sums_err_less_than_with_the_nearest() {
        let (depth, count) = (37, 5000);
        let covariance = covariance(&inputs(depth, count), depth);
        let rounder = Rounder::new(&covariance, depth).unwrap();
        // A row by itself may be lucky.
        let (mut near, mut best) = (0.0, 0.0);
        for turn in 0..20 {
            let row: Vec<f64> = (0..depth).map(|i| (i as f64 * 0.73 + f64::from(turn)).sin() * 90.0).collect();
            let error = |ints: &[i8]| -> Vec<f64> { row.iter().zip(ints).map(|(w, &q)| w - f64::from(q)).collect() };
            let nearest: Vec<i8> = row.iter().map(|&w| nearest_i8(w)).collect();
            let rounded = rounder.round(&row);
            near += cost(&covariance, depth, &error(&nearest));
            best += cost(&covariance, depth, &error(&rounded));
            assert!(error(&rounded).iter().all(|e| e.abs() < 4.0));
        }
        assert!(best < near / 2.0, "{best} {near}");
    }

    #[test]
    fn what_never_varies_is_left() {
        assert!(Rounder::new(&covariance(&[7; 300], 3), 3).is_none());
        assert_eq!(covariance(&[1, 3, 2, 2], 2), [1.0, 0.0, 0.0, 0.0]);
    }
}
