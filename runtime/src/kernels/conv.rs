//! Indirect convolution: arguments, what they must fulfil, and the definition.

use super::{
    epilogue::Epilogue,
    layout::{PARAM_BLOCK, WEIGHT_STEP, dot},
    runs::Runs,
};
use crate::{element::Value, error::Error};

/// An entry of [`Conv::offsets`] that means "outside the image: read the row of zero points".
pub const PADDING: u32 = u32::MAX;

/// An indirect convolution over a strip of output pixels.
#[derive(Clone, Copy, Debug)]
pub struct Conv<'a, X = i8> {
    /// The input map, NHWC, channels padded to 8.
    pub input: &'a [X],
    /// `[pixels][taps]`: where in `input` a tap's channels start, or [`PADDING`].
    pub offsets: &'a [u32],
    /// As many zero points of the input as a run has channels.
    pub zeros: &'a [X],
    /// Kernel height times width.
    pub taps: usize,
    /// Which of the input's channels a block of outputs reads.
    pub runs: Runs,
    /// `[blocks][taps][channels of a run / 8][8 ch][8 k]`.
    pub weights: &'a [i8],
    /// `[blocks]` x [`PARAM_BLOCK`] bytes.
    pub params: &'a [u8],
    /// What becomes of the sums.
    pub epilogue: Epilogue,
}

impl<'a, X> Conv<'a, X> {
    /// A tap's run of channels, `start` behind its offset.
    #[inline(always)]
    pub(super) fn run(&self, offset: u32, start: usize) -> &'a [[X; 8]] {
        let inside = self.input.get((offset as usize).wrapping_add(start)..).filter(|_| offset != PADDING);
        inside.unwrap_or(self.zeros).get(..self.runs.span()).unwrap_or_default().as_chunks().0
    }
}

/// The last place that `offsets` name in the input. One past each, where PADDING wraps to 0, compares without a branch.
pub(super) fn farthest(offsets: &[u32]) -> usize {
    let end = offsets.iter().fold(0, |end, offset| offset.wrapping_add(1).max(end));
    end.saturating_sub(1) as usize
}

/// A fast form of [`portable`], which it equals bit for bit.
pub(super) type Function<X, Y> = unsafe fn(conv: &Conv<X>, out: &mut [Y]);

/// Every length and every offset, once per strip, so that the kernels may trust them; `out` is the length of
/// `[pixels][8 * blocks]`.
pub(super) fn check<X>(conv: &Conv<X>, out: usize) -> Result<(), Error> {
    let blocks = conv.params.len() / PARAM_BLOCK;
    let pixels = conv.offsets.len().checked_div(conv.taps).ok_or(Error::Kernel)?;
    let steps = blocks.checked_mul(conv.taps).and_then(|n| n.checked_mul(conv.runs.span() / 8)).ok_or(Error::Kernel)?;
    let last = conv.input.len().checked_sub(conv.runs.padded()).ok_or(Error::Kernel)?;
    let fits = blocks != 0
        && conv.params.len() == blocks * PARAM_BLOCK
        && conv.offsets.len() == pixels * conv.taps
        && Some(conv.weights.len()) == steps.checked_mul(WEIGHT_STEP)
        && Some(out) == pixels.checked_mul(8 * blocks)
        && conv.zeros.len() >= conv.runs.span()
        && farthest(conv.offsets) <= last;
    if fits { Ok(()) } else { Err(Error::Kernel) }
}

/// `out[p][c] = epilogue(sum over taps and inputs of x * w)`, see [`Conv`] and [`Epilogue`].
pub(super) fn portable<X: Value, Y: Value>(conv: &Conv<X>, out: &mut [Y]) {
    // `max(1)`: what `check` has seen, in a form that leaves the compiler no panic to emit.
    let blocks = (conv.params.len() / PARAM_BLOCK).max(1);
    let (taps, steps) = (conv.taps.max(1), (conv.runs.span() / 8).max(1));
    let (weights, _) = conv.weights.as_chunks::<WEIGHT_STEP>();
    let (params, _) = conv.params.as_chunks::<PARAM_BLOCK>();
    for (pixel, offsets) in out.chunks_exact_mut(8 * blocks).zip(conv.offsets.chunks_exact(taps)) {
        let (pixel, _) = pixel.as_chunks_mut::<8>();
        let weights = weights.chunks_exact(taps.saturating_mul(steps).max(1));
        for (block, ((out, params), weights)) in pixel.iter_mut().zip(params).zip(weights).enumerate() {
            let start = conv.runs.start(block);
            let mut acc = [0; 8];
            for (&offset, weights) in offsets.iter().zip(weights.chunks_exact(steps)) {
                for (x, w) in conv.run(offset, start).iter().zip(weights) {
                    dot(x, w, &mut acc);
                }
            }
            conv.epilogue.apply(&acc, params, out);
        }
    }
}
