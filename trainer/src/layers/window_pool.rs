//! Pools over windows of maps: the largest number or the mean, channel by channel.
//!
//! ```text
//! max      y[p, c] = max_t x[s p + t - pad, c]           dx[q, c] = sum of dy[p, c] where q is the first place of the max
//! average  y[p, c] = sum_t x[s p + t - pad, c] / n(p)    dx[q, c] = sum_p dy[p, c] / n(p) over the windows that see q
//! ```
//!
//! The padding counts as minus infinity to the max and as nothing to the sum. `n(p)` is the number of pixels that window
//! `p` sees, or with `include_padding` all of the window's places: ONNX's `count_include_pad`, off by default there and in
//! Keras, on in PyTorch. Sizes round down, as ONNX's without `ceil_mode`. A NaN in a window is its max.

use ndarray::ArrayD;
use rayon::prelude::*;

use super::{InputGradient, Layer, Pass, numbers, numbers_mut, only, reshape};
use crate::{
    engine::scalar::Scalar,
    layers::onnx::{Graph, Value, int, ints},
};

/// What is made of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The largest number.
    Max,
    /// The mean.
    Average {
        /// Whether the padding counts.
        include_padding: bool,
    },
}

/// `[batch, height, width, channels]` to `[batch, ., ., channels]`.
#[derive(Clone, Debug)]
pub struct WindowPool {
    /// What is made of a window.
    pub over: Over,
    /// Edge of the square window.
    pub kernel: usize,
    /// Distance between neighbouring windows.
    pub stride: usize,
    /// Pixels around the image, on every side; less than the window.
    pub padding: usize,
    /// Where in its sample each max lies.
    places: Vec<u32>,
}

impl WindowPool {
    /// A pool that has seen nothing.
    pub fn new(over: Over, kernel: usize, stride: usize, padding: usize) -> Self {
        Self { over, kernel, stride, padding, places: Vec::new() }
    }

    /// Windows along an edge of `n` pixels.
    pub fn size(&self, n: usize) -> usize {
        (n + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// The pixels of an edge of `n` that window `p` sees.
    fn seen(&self, p: usize, n: usize) -> std::ops::Range<usize> {
        let start = p * self.stride;
        start.saturating_sub(self.padding)..(start + self.kernel).saturating_sub(self.padding).min(n)
    }

    /// Calls `visit(window, rows seen, columns seen)` for every window of maps of `h` x `w`.
    fn windows(
        &self,
        [h, w]: [usize; 2],
        mut visit: impl FnMut(usize, std::ops::Range<usize>, std::ops::Range<usize>),
    ) {
        let columns = self.size(w);
        for y in 0..self.size(h) {
            for x in 0..columns {
                visit(y * columns + x, self.seen(y, h), self.seen(x, w));
            }
        }
    }

    /// One over the number of places that count in a window that sees `pixels`.
    fn share<T: Scalar>(&self, pixels: usize, include_padding: bool) -> T {
        T::of(1.0 / if include_padding { self.kernel * self.kernel } else { pixels } as f64)
    }
}

impl<T: Scalar> Layer<T> for WindowPool {
    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, _: &mut Pass<'_, T>) {
        let x = only(inputs);
        let &[batch, h, w, channels] = x.shape() else { unreachable!("four axes, checked when the net was built") };
        let (out_h, out_w) = (self.size(h), self.size(w));
        reshape(y, &[batch, out_h, out_w, channels]);
        let (image, map) = (h * w * channels, out_h * out_w * channels);
        let mut places = std::mem::take(&mut self.places);
        places.resize(batch * map, 0);
        let pool = &*self;
        let parts = (numbers(x).par_chunks(image), numbers_mut(y).par_chunks_mut(map), places.par_chunks_mut(map));
        parts.into_par_iter().for_each(|(x, y, places)| {
            pool.windows([h, w], |window, rows, columns| {
                let y = &mut y[window * channels..][..channels];
                let places = &mut places[window * channels..][..channels];
                let pixels = rows.len() * columns.len();
                y.fill(if pool.over == Over::Max { T::neg_infinity() } else { T::zero() });
                for (row, column) in rows.flat_map(|row| columns.clone().map(move |column| (row, column))) {
                    let at = (row * w + column) * channels;
                    let pixel = &x[at..at + channels];
                    match pool.over {
                        Over::Max => {
                            for (c, ((y, place), &x)) in y.iter_mut().zip(&mut *places).zip(pixel).enumerate() {
                                // Also where all are minus infinity a place must be named: the first.
                                if x > *y || x.is_nan() || (x == *y && x == T::neg_infinity()) {
                                    (*y, *place) = (x, (at + c) as u32);
                                }
                            }
                        }
                        Over::Average { .. } => y.iter_mut().zip(pixel).for_each(|(y, &x)| *y += x),
                    }
                }
                if let Over::Average { include_padding } = pool.over {
                    let share = pool.share::<T>(pixels, include_padding);
                    y.iter_mut().for_each(|y| *y *= share);
                }
            });
        });
        self.places = places;
    }

    fn backward(
        &mut self,
        inputs: &[&ArrayD<T>],
        _: &ArrayD<T>,
        dy: &mut ArrayD<T>,
        dx: &mut [InputGradient<'_, T>],
        _: &mut Pass<'_, T>,
    ) {
        let x = only(inputs);
        let &[_, h, w, channels] = x.shape() else { unreachable!("four axes, checked when the net was built") };
        let (image, map) = (h * w * channels, self.size(h) * self.size(w) * channels);
        let mut all = ArrayD::zeros(x.raw_dim());
        let pool = &*self;
        let parts =
            (numbers_mut(&mut all).par_chunks_mut(image), numbers(dy).par_chunks(map), pool.places.par_chunks(map));
        parts.into_par_iter().for_each(|(dx, dy, places)| match pool.over {
            Over::Max => places.iter().zip(dy).for_each(|(&place, &d)| dx[place as usize] += d),
            Over::Average { include_padding } => pool.windows([h, w], |window, rows, columns| {
                let share = pool.share::<T>(rows.len() * columns.len(), include_padding);
                let dy = &dy[window * channels..][..channels];
                for (row, column) in rows.flat_map(|row| columns.clone().map(move |column| (row, column))) {
                    let dx = &mut dx[(row * w + column) * channels..][..channels];
                    dx.iter_mut().zip(dy).for_each(|(dx, &d)| *dx += d * share);
                }
            }),
        });
        dx[0].give(&mut all);
    }

    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        let mut attributes = vec![
            ints("kernel_shape", &[self.kernel; 2]),
            ints("strides", &[self.stride; 2]),
            ints("pads", &[self.padding; 4]),
        ];
        match self.over {
            Over::Max => graph.node("MaxPool", name, inputs, attributes),
            Over::Average { include_padding } => {
                attributes.push(int("count_include_pad", include_padding.into()));
                graph.node("AveragePool", name, inputs, attributes)
            }
        }
    }
}
