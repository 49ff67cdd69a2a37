//! Convolution without bias (batch normalization follows and would cancel it), NHWC, square kernels.
//!
//! ```text
//! forward   y[p, o]       = sum_{u,v,c} x[s p + (u,v) - pad, c] w[u, v, c, o]
//! backward  dw[u,v,c,o]   = sum_p x[s p + (u,v) - pad, c] dy[p, o]
//!           dx[q, c]      = sum_{u,v,o : s p + (u,v) - pad = q} dy[p, o] w[u, v, c, o]
//! ```
//!
//! No im2col. An image is copied once into a frame of zeros, its rows sorted by `row mod s`. Then for one kernel row
//! `u` the windows of *all* output pixels are the rows of one strided matrix: window `p` starts `s * channels` numbers
//! after window `p - 1`, and is `kernel * channels` long, so the windows overlap in memory and cost no copy. Each frame
//! row ends in the zeros that are the left margin of the next; the few windows that straddle two rows
//! (`frame row / s - output width` of them) are computed and thrown away.

use ndarray::ArrayD;
use rayon::prelude::*;

use super::{InputGradient, numbers, numbers_mut, reshape};
use crate::engine::{
    interrupt,
    matmul::{Matrix, MatrixMut, matmul},
    parameter::Weights,
    pieces::{samples_per_piece, sum_in_order},
    scalar::Scalar,
};

/// What the threads write while a convolution runs; shared by all convolutions of a net.
#[derive(Clone, Debug, Default)]
pub struct ConvBuffers<T> {
    pieces: Vec<Piece<T>>,
    turned: Vec<T>,
}

#[derive(Clone, Debug, Default)]
struct Piece<T> {
    frame: Vec<T>,
    wide: Vec<T>,
    gradient: Vec<T>,
}

/// One convolution's kernel, shape `[kernel, kernel, inputs, outputs]`.
#[derive(Clone, Debug)]
pub struct Conv<T> {
    /// The kernel.
    pub weight: Weights<T>,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Edge of the square kernel.
    pub kernel: usize,
    /// Distance between neighbouring windows.
    pub stride: usize,
    /// Zeros around the image, on every side.
    pub padding: usize,
}

/// How one image lies in its frame (module comment).
#[derive(Clone, Copy, Debug)]
struct Geometry {
    height: usize,
    width: usize,
    channels: usize,
    out_height: usize,
    out_width: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    /// Pixels in a frame row.
    row: usize,
    /// Frame rows of one residue modulo the stride.
    rows: usize,
}

impl Geometry {
    fn new(size: [usize; 2], channels: usize, kernel: usize, stride: usize, padding: usize) -> Self {
        let out = |n: usize| (n + 2 * padding - kernel) / stride + 1;
        let [height, width] = size;
        Self {
            height,
            width,
            channels,
            out_height: out(height),
            out_width: out(width),
            kernel,
            stride,
            padding,
            row: (width + padding).next_multiple_of(stride),
            rows: (height + 2 * padding).div_ceil(stride),
        }
    }

    /// Numbers in the frame: the windows past the last row read up to a kernel's width beyond it.
    fn frame_len(&self) -> usize {
        (self.stride * self.rows * self.row + self.kernel) * self.channels
    }

    /// Windows computed in an output row, straddling ones included.
    fn wide_row(&self) -> usize {
        self.row / self.stride
    }

    /// Windows computed in all.
    fn windows(&self) -> usize {
        (self.out_height - 1) * self.wide_row() + self.out_width
    }

    /// Where the frame row that shows image row `y` (padding included) starts.
    fn frame_row(&self, y: usize) -> usize {
        ((y % self.stride) * self.rows + y / self.stride) * self.row * self.channels
    }

    /// Where the image row `y` lies in the frame.
    fn image_row(&self, y: usize) -> std::ops::Range<usize> {
        let start = self.frame_row(y + self.padding) + self.padding * self.channels;
        start..start + self.width * self.channels
    }

    fn fill_frame<T: Scalar>(&self, image: &[T], frame: &mut [T]) {
        for (y, row) in image.chunks_exact(self.width * self.channels).enumerate() {
            frame[self.image_row(y)].copy_from_slice(row);
        }
    }

    /// The windows of kernel row `u` as a matrix, `windows x (kernel channels)`.
    fn view<'a, T>(&self, frame: &'a [T], u: usize) -> Matrix<'a, T> {
        let start = self.frame_row(u);
        Matrix::strided(&frame[start..], self.windows(), self.kernel * self.channels, self.stride * self.channels)
    }

    /// `out = sum_u view(u) weight[u]`, weights `[kernel][kernel channels][outputs]`; straddling windows dropped.
    fn correlate<T: Scalar>(
        &self,
        frame: &[T],
        weight: &[T],
        outputs: usize,
        wide: &mut Vec<T>,
        mut out: impl FnMut(usize, &[T]),
    ) {
        let depth = self.kernel * self.channels;
        wide.resize(self.windows() * outputs, T::zero());
        for u in 0..self.kernel {
            let kernel_row = Matrix::new(&weight[u * depth * outputs..][..depth * outputs], depth, outputs);
            matmul(MatrixMut::new(wide, self.windows(), outputs), self.view(frame, u), kernel_row, u > 0);
        }
        for y in 0..self.out_height {
            out(y, &wide[y * self.wide_row() * outputs..][..self.out_width * outputs]);
        }
    }
}

fn zeroed<T: Scalar>(buffer: &mut Vec<T>, len: usize) {
    buffer.clear();
    buffer.resize(len, T::zero());
}

impl<T: Scalar> Conv<T> {
    /// Wraps a kernel `[kernel, kernel, inputs, outputs]`; padded by half the kernel, so that stride 1 keeps the size.
    pub fn new(weight: Vec<T>, inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Self {
        debug_assert_eq!(weight.len(), kernel * kernel * inputs * outputs);
        Self { weight: Weights::matrix(weight, outputs), inputs, outputs, kernel, stride, padding: kernel / 2 }
    }

    fn geometry(&self, x: &ArrayD<T>) -> Geometry {
        let [_, height, width, channels] = *x.shape() else {
            unreachable!("four axes, checked when the net was built")
        };
        debug_assert_eq!(channels, self.inputs);
        Geometry::new([height, width], channels, self.kernel, self.stride, self.padding)
    }

    /// `y = x * w`: `[batch, height, width, inputs]` to `[batch, ., ., outputs]`.
    pub fn forward(&self, x: &ArrayD<T>, y: &mut ArrayD<T>, buffers: &mut ConvBuffers<T>) {
        let g = self.geometry(x);
        let batch = x.shape()[0];
        reshape(y, &[batch, g.out_height, g.out_width, self.outputs]);
        let piece = samples_per_piece(batch, 1);
        let (image, map) = (g.height * g.width * self.inputs, g.out_height * g.out_width * self.outputs);
        buffers.pieces.resize_with(batch.div_ceil(piece).max(buffers.pieces.len()), Default::default);
        (numbers(x).par_chunks(image * piece), numbers_mut(y).par_chunks_mut(map * piece), &mut buffers.pieces)
            .into_par_iter()
            .for_each(|(xs, ys, buffer)| {
                if interrupt::asked() {
                    return;
                }
                zeroed(&mut buffer.frame, g.frame_len());
                for (x, y) in xs.chunks_exact(image).zip(ys.chunks_exact_mut(map)) {
                    g.fill_frame(x, &mut buffer.frame);
                    g.correlate(&buffer.frame, &self.weight.value, self.outputs, &mut buffer.wide, |row, out| {
                        y[row * out.len()..][..out.len()].copy_from_slice(out);
                    });
                }
            });
    }

    /// `w` with inputs and outputs exchanged, `[u, v, o, c]`; `u` and `v` reversed if `flip`.
    fn turned(&self, flip: bool, turned: &mut Vec<T>) {
        let (taps, i, o) = (self.kernel * self.kernel, self.inputs, self.outputs);
        turned.resize(taps * i * o, T::zero());
        for (tap, to) in turned.chunks_exact_mut(i * o).enumerate() {
            let from = &self.weight.value[if flip { taps - 1 - tap } else { tap } * i * o..][..i * o];
            for (out, row) in to.chunks_exact_mut(i).enumerate() {
                for (input, v) in row.iter_mut().enumerate() {
                    *v = from[input * o + out];
                }
            }
        }
    }

    /// From `dy` the kernel's gradient (replacing the last one) and, if wanted, the input's.
    pub fn backward(
        &mut self,
        x: &ArrayD<T>,
        dy: &ArrayD<T>,
        dx: &mut InputGradient<'_, T>,
        buffers: &mut ConvBuffers<T>,
    ) {
        let g = self.geometry(x);
        let batch = x.shape()[0];
        let piece = samples_per_piece(batch, 1);
        let pieces = batch.div_ceil(piece);
        let (image, map) = (g.height * g.width * self.inputs, g.out_height * g.out_width * self.outputs);
        buffers.pieces.resize_with(pieces.max(buffers.pieces.len()), Default::default);

        let outputs = self.outputs;
        (numbers(x).par_chunks(image * piece), numbers(dy).par_chunks(map * piece), &mut buffers.pieces)
            .into_par_iter()
            .for_each(|(xs, dys, buffer)| {
                if interrupt::asked() {
                    return;
                }
                zeroed(&mut buffer.frame, g.frame_len());
                zeroed(&mut buffer.wide, g.windows() * outputs);
                zeroed(&mut buffer.gradient, self.weight.value.len());
                for (x, dy) in xs.chunks_exact(image).zip(dys.chunks_exact(map)) {
                    g.fill_frame(x, &mut buffer.frame);
                    spread(&g, dy, outputs, &mut buffer.wide);
                    let depth = self.kernel * self.inputs;
                    for (u, gradient) in buffer.gradient.chunks_exact_mut(depth * outputs).enumerate() {
                        let dy = Matrix::new(&buffer.wide, g.windows(), outputs);
                        matmul(MatrixMut::new(gradient, depth, outputs), g.view(&buffer.frame, u).t(), dy, true);
                    }
                }
            });
        sum_in_order(&mut self.weight.gradient, buffers.pieces[..pieces].iter().map(|p| &p.gradient[..]));

        let (dx, add) = match dx {
            InputGradient::Unused => return,
            InputGradient::Write(dx) => {
                reshape(dx, &[batch, g.height, g.width, self.inputs]);
                (dx, false)
            }
            InputGradient::Add(dx) => (dx, true),
        };
        self.turned(self.stride == 1, &mut buffers.turned);
        let turned = &buffers.turned[..];
        let put = |to: &mut [T], from: &[T]| {
            if add {
                to.iter_mut().zip(from).for_each(|(t, &f)| *t += f);
            } else {
                to.copy_from_slice(from);
            }
        };
        (numbers_mut(dx).par_chunks_mut(image * piece), numbers(dy).par_chunks(map * piece), &mut buffers.pieces)
            .into_par_iter()
            .for_each(|(dxs, dys, buffer)| {
                if interrupt::asked() {
                    return;
                }
                for (dx, dy) in dxs.chunks_exact_mut(image).zip(dys.chunks_exact(map)) {
                    if self.stride == 1 {
                        self.input_gradient_dense(&g, turned, dy, buffer, |row, values| {
                            put(&mut dx[row * values.len()..][..values.len()], values);
                        });
                    } else {
                        self.input_gradient_strided(&g, turned, dy, buffer);
                        for (y, to) in dx.chunks_exact_mut(g.width * g.channels).enumerate() {
                            put(to, &buffer.frame[g.image_row(y)]);
                        }
                    }
                }
            });
    }

    /// Stride 1: `dx` is the correlation of `dy`, padded by `kernel - 1 - padding`, with the flipped kernel.
    fn input_gradient_dense(
        &self,
        g: &Geometry,
        turned: &[T],
        dy: &[T],
        buffer: &mut Piece<T>,
        out: impl FnMut(usize, &[T]),
    ) {
        let back =
            Geometry::new([g.out_height, g.out_width], self.outputs, self.kernel, 1, self.kernel - 1 - self.padding);
        zeroed(&mut buffer.frame, back.frame_len());
        back.fill_frame(dy, &mut buffer.frame);
        back.correlate(&buffer.frame, turned, self.inputs, &mut buffer.wide, out);
    }

    /// Any stride: each kernel tap adds `dy w[u, v]^T` to the frame pixels that it saw.
    fn input_gradient_strided(&self, g: &Geometry, turned: &[T], dy: &[T], buffer: &mut Piece<T>) {
        zeroed(&mut buffer.frame, g.frame_len());
        zeroed(&mut buffer.wide, g.windows() * self.outputs);
        spread(g, dy, self.outputs, &mut buffer.wide);
        for (tap, weight) in turned.chunks_exact(self.inputs * self.outputs).enumerate() {
            let start = g.frame_row(tap / self.kernel) + tap % self.kernel * g.channels;
            let seen = MatrixMut::strided(&mut buffer.frame[start..], g.windows(), g.channels, g.stride * g.channels);
            let dy = Matrix::new(&buffer.wide, g.windows(), self.outputs);
            matmul(seen, dy, Matrix::new(weight, self.outputs, self.inputs), true);
        }
    }
}

/// Copies `dy` to the windows' places; the straddling windows keep the zeros that were there.
fn spread<T: Scalar>(g: &Geometry, dy: &[T], outputs: usize, wide: &mut [T]) {
    let row = g.out_width * outputs;
    for (y, from) in dy.chunks_exact(row).enumerate() {
        wide[y * g.wide_row() * outputs..][..row].copy_from_slice(from);
    }
}
