//! How much of a state is left of an earlier one: singular values of `d state_T / d state_t`.
//!
//! The state is `h`, of an LSTM `h` and `c` side by side, `n` numbers. `n` copies of one sequence run as a batch, and
//! copy `i` is sent back the gradient that is 1 at number `i` of the last state and 0 elsewhere. What copy `i` has at
//! step `t` is row `i` of the Jacobian: one pass back gives all of them.

use nalgebra::DMatrix;

use super::{
    cell::Cell,
    layout::{Columns, Layout},
    unroll::{self, Passing, Trace},
};
use crate::engine::scalar::Scalar;

/// Singular values, the largest first, of the Jacobian of the last state by each state after the first frame, the
/// second and so on; the last has the identity's. `x` is one sequence, `[frames, inputs]`.
pub(super) fn singular_values<T: Scalar, C: Cell<T>>(
    cell: &C,
    x: &[T],
    frames: usize,
    reversed: bool,
) -> Vec<Vec<f64>> {
    jacobians(cell, x, frames, reversed)
        .into_iter()
        .map(|jacobian| {
            // The decomposition of nalgebra does not end on numbers that are not finite.
            if jacobian.iter().all(|v| v.is_finite()) {
                jacobian.singular_values().iter().copied().collect()
            } else {
                vec![f64::NAN; jacobian.nrows()]
            }
        })
        .collect()
}

/// The Jacobians themselves.
fn jacobians<T: Scalar, C: Cell<T>>(cell: &C, x: &[T], frames: usize, reversed: bool) -> Vec<DMatrix<f64>> {
    let hidden = cell.weights().hidden;
    let n = if C::MEMORY { 2 * hidden } else { hidden };
    let copies = x.repeat(n);
    let layout = Layout::new(std::iter::repeat_n(frames, n), frames);
    let (mut input, mut trace) = (Vec::new(), Trace::default());
    layout.gather(&copies, &mut input, Columns::all(cell.weights().inputs), reversed);
    unroll::forward(cell, &input, n, &layout.active, &mut trace);

    let mut d = vec![T::zero(); frames * n * hidden];
    let mut d_memory = vec![T::zero(); n * hidden];
    let last = &mut d[(frames - 1) * n * hidden..];
    for i in 0..n {
        let to = if i < hidden { &mut *last } else { &mut d_memory };
        to[i * hidden + i % hidden] = T::one();
    }
    let mut all = vec![DMatrix::zeros(0, 0); frames];
    let turned = cell.weights().turned();
    let keep = |at: Passing<'_, T>| {
        all[at.step] = DMatrix::from_fn(n, n, |i, j| {
            let of = if j < hidden { at.d } else { at.d_memory };
            of[i * hidden + j % hidden].wide()
        });
    };
    unroll::backward(cell, &turned, n, &layout.active, &mut trace, &mut d, Some(&d_memory), keep, |_, _| ());
    all
}

#[cfg(test)]
mod tests {
    use super::jacobians;
    use crate::layers::{
        gru::Gru,
        gru_reset_before::GruResetBefore,
        init::bias::GateBias,
        lstm::Lstm,
        recurrent::{Cell, Step},
        rnn::Rnn,
    };
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// The last state from `state`, that after frame `from`: `h`, and behind it `c` if the cell has a memory.
    fn run_on<C: Cell<f64>>(cell: &C, x: &[f64], from: usize, state: &[f64]) -> Vec<f64> {
        let weights = cell.weights();
        let (n, width) = (weights.hidden, weights.gates);
        let mut h = state[..n].to_vec();
        let mut kept = if C::MEMORY { state[n..].to_vec() } else { vec![0.0; n] };
        for frame in x.chunks_exact(weights.inputs).skip(from + 1) {
            let (mut gates, mut next, mut kept_next) = (vec![0.0; width], vec![0.0; n], vec![0.0; n]);
            weights.project(frame, 1, &mut gates);
            cell.step(Step {
                rows: 1,
                gates: &mut gates,
                h: &h,
                next: &mut next,
                kept_before: &kept,
                kept: &mut kept_next,
                product: &mut vec![0.0; width],
            });
            (h, kept) = (next, kept_next);
        }
        if C::MEMORY {
            h.extend(kept);
        }
        h
    }

    fn check<C: Cell<f64>>(cell: &C) {
        let n = if C::MEMORY { 2 } else { 1 } * cell.weights().hidden;
        let (frames, step) = (5, 1e-6);
        let mut rng = ChaCha8Rng::seed_from_u64(41);
        let x: Vec<f64> = (0..frames * cell.weights().inputs).map(|_| rng.random_range(-1.0..1.0)).collect();
        let inputs = cell.weights().inputs;
        for (t, jacobian) in jacobians(cell, &x, frames, false).into_iter().enumerate() {
            // The state after frame t is the last state of the sequence that ends there.
            let zeros = vec![0.0; n];
            let mut before = vec![0.0; inputs]; // Skipped: `run_on` starts behind frame 0.
            before.extend_from_slice(&x[..(t + 1) * inputs]);
            let state = run_on(cell, &before, 0, &zeros);
            for j in 0..n {
                let side = |h: f64| {
                    let mut moved = state.clone();
                    moved[j] += h;
                    run_on(cell, &x, t, &moved)
                };
                for (i, (up, down)) in side(step).into_iter().zip(side(-step)).enumerate() {
                    let slope = (up - down) / (2.0 * step);
                    assert!((slope - jacobian[(i, j)]).abs() < 1e-8, "{}: step {t}, {i} by {j}", C::OPERATOR);
                }
            }
        }
    }

    #[test]
    fn jacobians_are_slopes() {
        let mut rng = ChaCha8Rng::seed_from_u64(40);
        check(&Rnn::new(2, 3, &mut rng));
        check(&Lstm::new(2, 3, GateBias::One, &mut rng));
        check(&Gru::new(2, 3, GateBias::Zeros, &mut rng));
        check(&GruResetBefore::new(2, 3, GateBias::Zeros, &mut rng));
    }
}
