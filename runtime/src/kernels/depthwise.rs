//! Indirect depthwise convolution: arguments, what they must fulfil, and the definition.

use super::{
    conv::{PADDING, farthest},
    epilogue::Epilogue,
    layout::PARAM_BLOCK,
};
use crate::{element::Value, error::Error};

/// An indirect depthwise convolution over a strip of output pixels. Input and output have as many channels, in blocks of 8.
#[derive(Clone, Copy, Debug)]
pub struct Depthwise<'a, X = i8> {
    /// The input map, NHWC, channels padded to 8.
    pub input: &'a [X],
    /// `[pixels][taps]`: where in `input` a tap's channels start, or [`PADDING`].
    pub offsets: &'a [u32],
    /// `8 * blocks` zero points of the input.
    pub zeros: &'a [X],
    /// Kernel height times width.
    pub taps: usize,
    /// `[blocks][taps][8]`.
    pub weights: &'a [i8],
    /// `[blocks]` x [`PARAM_BLOCK`] bytes.
    pub params: &'a [u8],
    /// Zero point of the output.
    pub zero_point: i8,
    /// Lower clamp.
    pub min: i16,
    /// Upper clamp.
    pub max: i16,
}

impl<'a, X> Depthwise<'a, X> {
    /// A tap's channels from `offset` on, in blocks.
    #[inline(always)]
    pub(super) fn run(&self, offset: u32) -> &'a [[X; 8]] {
        let run = if offset == PADDING { self.zeros } else { self.input.get(offset as usize..).unwrap_or_default() };
        run.as_chunks().0
    }

    /// What becomes of the sums.
    #[inline(always)]
    pub(super) fn epilogue(&self) -> Epilogue {
        let &Depthwise { zero_point, min, max, .. } = self;
        Epilogue { zero_point, min, max, residual: None }
    }
}

/// A fast form of [`portable`], which it equals bit for bit.
pub(super) type Function<X, Y> = unsafe fn(depthwise: &Depthwise<X>, out: &mut [Y]);

/// Every length and every offset, once per strip, so that the kernels may trust them; `out` is the length of
/// `[pixels][8 * blocks]`.
pub(super) fn check<X>(depthwise: &Depthwise<X>, out: usize) -> Result<(), Error> {
    let &Depthwise { input, offsets, zeros, taps, weights, params, .. } = depthwise;
    let blocks = params.len() / PARAM_BLOCK;
    let run = 8 * blocks;
    let pixels = offsets.len().checked_div(taps).ok_or(Error::Kernel)?;
    let last = input.len().checked_sub(run).ok_or(Error::Kernel)?;
    let fits = blocks != 0
        && params.len() == blocks * PARAM_BLOCK
        && offsets.len() == pixels * taps
        && Some(weights.len()) == run.checked_mul(taps)
        && Some(out) == run.checked_mul(pixels)
        && zeros.len() >= run
        && farthest(offsets) <= last;
    if fits { Ok(()) } else { Err(Error::Kernel) }
}

/// `out[p][c] = requantize(sum over taps of x[c] * w[c] + bias, m, s)`, plus the zero point, clamped, see [`Depthwise`].
pub(super) fn portable<X: Value, Y: Value>(depthwise: &Depthwise<X>, out: &mut [Y]) {
    // `max(1)`: what `check` has seen, in a form that leaves the compiler no panic to emit.
    let blocks = (depthwise.params.len() / PARAM_BLOCK).max(1);
    let taps = depthwise.taps.max(1);
    let epilogue = depthwise.epilogue();
    let (weights, _) = depthwise.weights.as_chunks::<8>();
    let (params, _) = depthwise.params.as_chunks::<PARAM_BLOCK>();
    for (pixel, offsets) in out.chunks_exact_mut(8 * blocks).zip(depthwise.offsets.chunks_exact(taps)) {
        let (pixel, _) = pixel.as_chunks_mut::<8>();
        for (block, ((out, params), weights)) in
            pixel.iter_mut().zip(params).zip(weights.chunks_exact(taps)).enumerate()
        {
            let mut acc = [0i32; 8];
            for (&offset, w) in offsets.iter().zip(weights) {
                if let Some(x) = depthwise.run(offset).get(block) {
                    for ((acc, &x), &w) in acc.iter_mut().zip(x).zip(w) {
                        let x: i32 = x.into();
                        *acc = acc.wrapping_add(x * w as i32);
                    }
                }
            }
            epilogue.apply(&acc, params, out);
        }
    }
}
