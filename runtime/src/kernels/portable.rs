//! The definition of every kernel: what the others must equal, bit for bit.
//!
//! Sums wrap modulo 2^32 like the vector units'. The converter proves that they never do in a model it writes.

use super::{Add, Conv, PARAM_BLOCK, WEIGHT_STEP};
use crate::quant::requantize;

/// Sums of products of 8 inputs with 8 channels: `acc[c] += sum over k of x[k] * w[c][k]`.
#[inline(always)]
fn dot(x: &[i8; 8], w: &[i8; WEIGHT_STEP], acc: &mut [i32; 8]) {
    let (rows, _) = w.as_chunks::<8>();
    for (sum, row) in acc.iter_mut().zip(rows) {
        // 8 products of at most 2^14 each cannot overflow; the running sum may wrap.
        *sum = sum.wrapping_add(row.iter().zip(x).map(|(&w, &x)| w as i32 * x as i32).sum());
    }
}

/// `out[p][c] = epilogue(sum over taps and inputs of x * w)`, see [`Conv`] and [`super::Epilogue`].
pub fn conv(conv: &Conv, out: &mut [i8]) {
    // `max(1)`: what `Kernels::conv` has checked, in a form that leaves the compiler no panic to emit.
    let blocks = (conv.params.len() / PARAM_BLOCK).max(1);
    let (taps, groups) = (conv.taps.max(1), conv.groups.max(1));
    let (weights, _) = conv.weights.as_chunks::<WEIGHT_STEP>();
    let (params, _) = conv.params.as_chunks::<PARAM_BLOCK>();
    for (pixel, offsets) in out.chunks_exact_mut(8 * blocks).zip(conv.offsets.chunks_exact(taps)) {
        let (pixel, _) = pixel.as_chunks_mut::<8>();
        for ((out, params), weights) in
            pixel.iter_mut().zip(params).zip(weights.chunks_exact(taps.saturating_mul(groups).max(1)))
        {
            let mut acc = [0; 8];
            for (&offset, weights) in offsets.iter().zip(weights.chunks_exact(groups)) {
                for (x, w) in conv.run(offset).iter().zip(weights) {
                    dot(x, w, &mut acc);
                }
            }
            conv.epilogue.apply(&acc, params, out);
        }
    }
}

/// `acc[n] = sum over k of x[k] * w[n][k]`, no bias; weights `[n8][k8][8 n][8 k]`.
pub fn gemv(x: &[i8], weights: &[i8], acc: &mut [i32]) {
    let (x, _) = x.as_chunks::<8>();
    let (weights, _) = weights.as_chunks::<WEIGHT_STEP>();
    let (acc, _) = acc.as_chunks_mut::<8>();
    for (acc, weights) in acc.iter_mut().zip(weights.chunks_exact(x.len().max(1))) {
        *acc = [0; 8];
        for (x, w) in x.iter().zip(weights) {
            dot(x, w, acc);
        }
    }
}

/// `out = ((out - z0) * m0 + (b - z1) * m1 + 2^11) >> 12`, plus the zero point, clamped.
///
/// At most `2 * 255 * 2^21 + 2^11 < 2^31`: no overflow.
#[expect(clippy::cast_possible_truncation, reason = "clamped to int8 limits")]
pub fn add(add: &Add, out: &mut [i8], b: &[i8]) {
    let ([z0, z1], [m0, m1]) = (add.zero_points, add.multipliers);
    for (a, &b) in out.iter_mut().zip(b) {
        let a_q12 = (*a as i32 - z0 as i32).wrapping_mul(m0);
        let b_q12 = (b as i32 - z1 as i32).wrapping_mul(m1);
        let y = (a_q12.wrapping_add(b_q12).wrapping_add(1 << 11) >> 12) + add.zero_point as i32;
        *a = y.max(add.min as i32).min(add.max as i32) as i8;
    }
}

impl super::Epilogue {
    /// Turns the sums of one channel block into 8 outputs; `params` as [`PARAM_BLOCK`] lays them out.
    ///
    /// With a residual, `|t| <= 2^30`, `|(r - zero_point) * multiplier| < 2^29` and the rounding add stay below 2^31.
    #[expect(clippy::cast_possible_truncation, reason = "clamped to int8 limits")]
    #[inline(always)]
    pub(crate) fn apply(&self, acc: &[i32; 8], params: &[u8; PARAM_BLOCK], out: &mut [i8; 8]) {
        let (words, shifts) = params.split_at(64);
        let (words, _) = words.as_chunks::<4>();
        let (bias, multiplier) = words.split_at(8);
        for ((((out, &acc), bias), multiplier), &shift) in out.iter_mut().zip(acc).zip(bias).zip(multiplier).zip(shifts)
        {
            let acc = acc.wrapping_add(i32::from_le_bytes(*bias));
            let t = requantize(acc, i32::from_le_bytes(*multiplier), shift);
            let y = match self.residual {
                None => t,
                Some(residual) => {
                    let r = (*out as i32 - residual.zero_point as i32).wrapping_mul(residual.multiplier);
                    t.clamp(-(1 << 30), 1 << 30).wrapping_add(r).wrapping_add(1 << 11) >> 12
                }
            };
            // `max` then `min`, not `clamp`: that one panics on an empty range.
            *out = y.saturating_add(self.zero_point as i32).max(self.min as i32).min(self.max as i32) as i8;
        }
    }
}
