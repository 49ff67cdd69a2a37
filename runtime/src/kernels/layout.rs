//! The packed form of weights and parameters, N8C8: what every kernel reads.

use crate::element::Value;

/// Bytes of one channel block's parameters: 8 x i32 bias, 8 x i32 multiplier, 8 x u8 shift, little endian.
pub const PARAM_BLOCK: usize = 72;
/// Where the multipliers stand in a block of parameters, behind the biases.
pub const MULTIPLIERS_AT: usize = 32;
/// Where the shifts stand.
pub const SHIFTS_AT: usize = 64;
/// Bytes of one weight step: 8 output channels x 8 inputs, `[8 ch][8 k]` (layout N8C8).
pub const WEIGHT_STEP: usize = 64;

/// Sums of products of 8 inputs with 8 channels: `acc[c] += sum over k of x[k] * w[c][k]`.
#[inline(always)]
pub(super) fn dot<X: Value>(x: &[X; 8], w: &[i8; WEIGHT_STEP], acc: &mut [i32; 8]) {
    let (rows, _) = w.as_chunks::<8>();
    for (sum, row) in acc.iter_mut().zip(rows) {
        // 8 products of at most 2^22 each cannot overflow; the running sum may wrap.
        *sum = sum.wrapping_add(row.iter().zip(x).map(|(&w, &x)| w as i32 * Into::<i32>::into(x)).sum());
    }
}
