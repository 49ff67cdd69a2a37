//! Dropout (Srivastava et al., JMLR 2014), inverted: in training `y = x m / (1 - p)` with `m` 0 with probability `p`, else
//! 1, and `dx = dy m / (1 - p)`; in evaluation `y = x`.
//!
//! The mask of a number follows from the run's seed, the step, the layer and the number's place alone, so that neither
//! threads nor an interruption change it.

use ndarray::ArrayD;
use rand::Rng;
use rayon::prelude::*;

use super::{InputGradient, Layer, Mode, Pass, numbers, numbers_mut, only, reshape};
use crate::{
    engine::{
        random::{Purpose, stream},
        scalar::Scalar,
    },
    layers::onnx::{Graph, Value},
};

/// Any shape to the same.
#[derive(Clone, Debug)]
pub struct Dropout {
    /// Probability of being dropped, 0 to below 1.
    pub rate: f64,
    /// Place of the layer in its net: which stream it draws from.
    pub place: u32,
    kept: Vec<bool>,
}

/// Numbers masked by one thread at a time, each by 32 random bits.
const PIECE: usize = 1 << 14;

impl Dropout {
    /// A layer that has dropped nothing yet.
    pub fn new(rate: f64, place: u32) -> Self {
        Self { rate, place, kept: Vec::new() }
    }

    fn scale<T: Scalar>(&self) -> T {
        T::of(1.0 / (1.0 - self.rate))
    }
}

impl<T: Scalar> Layer<T> for Dropout {
    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, pass: &mut Pass<'_, T>) {
        let x = only(inputs);
        reshape(y, x.shape());
        if pass.mode == Mode::Evaluate {
            return numbers_mut(y).copy_from_slice(numbers(x));
        }
        self.kept.resize(x.len(), true);
        let scale = self.scale::<T>();
        let dropped = (self.rate * 2f64.powi(32)) as u32;
        let drawn = stream(pass.noise.seed, Purpose::Dropout, pass.noise.step as u32, self.place);
        let parts =
            (numbers(x).par_chunks(PIECE), numbers_mut(y).par_chunks_mut(PIECE), self.kept.par_chunks_mut(PIECE));
        parts.into_par_iter().enumerate().for_each(|(piece, (x, y, kept))| {
            let mut rng = drawn.clone();
            rng.set_word_pos((piece * PIECE) as u128);
            for ((y, &x), kept) in y.iter_mut().zip(x).zip(kept) {
                *kept = rng.next_u32() >= dropped;
                *y = if *kept { x * scale } else { T::zero() };
            }
        });
    }

    fn backward(
        &mut self,
        _: &[&ArrayD<T>],
        _: &ArrayD<T>,
        dy: &mut ArrayD<T>,
        dx: &mut [InputGradient<'_, T>],
        pass: &mut Pass<'_, T>,
    ) {
        if pass.mode == Mode::Evaluate {
            return dx[0].give(dy);
        }
        let scale = self.scale::<T>();
        (numbers_mut(dy).par_chunks_mut(PIECE), self.kept.par_chunks(PIECE)).into_par_iter().for_each(|(d, kept)| {
            d.iter_mut().zip(kept).for_each(|(d, &kept)| *d = if kept { *d * scale } else { T::zero() });
        });
        dx[0].give(dy);
    }

    /// In evaluation it is not there.
    fn export(&self, _: &str, inputs: &[Value], _: &mut Graph) -> Value {
        inputs[0].clone()
    }
}
