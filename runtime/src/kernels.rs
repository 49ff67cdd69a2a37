//! One table of kernels per instruction set. A table names only what it speeds up; the rest is portable.

use crate::cpu::{Cpu, Isa};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

/// Bytes of one channel block's parameters: 8 x i32 bias, 8 x i32 multiplier, 8 x u8 shift, little endian.
pub const PARAM_BLOCK: usize = 72;
/// Bytes of one weight step: 8 output channels x 8 inputs, `[8 ch][8 k]` (layout N8C8).
pub const WEIGHT_STEP: usize = 64;
/// An entry of [`Conv::offsets`] that means "outside the image: read the row of zero points".
pub const PADDING: u32 = u32::MAX;

/// What happens to an accumulator: `y = requantize(acc + bias, m, s)`, then [`Epilogue::residual`], zero point, clamp.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue {
    /// Zero point of the output.
    pub zero_point: i8,
    /// Lower clamp (ReLU: the zero point).
    pub min: i8,
    /// Upper clamp (ReLU6).
    pub max: i8,
    /// If set, `out` holds the other operand of a residual add when the kernel starts and the sum when it ends.
    pub residual: Option<Residual>,
}

/// The fused residual add, in place: with `t = requantize(acc + bias, m, s)` in Q12 of the output scale, limited to +-2^30,
/// `y = (t + (r - zero_point) * multiplier + 2^11) >> 12`. Shifts may then be as small as 16.
#[derive(Clone, Copy, Debug)]
pub struct Residual {
    /// Zero point of the operand that lies in `out`.
    pub zero_point: i8,
    /// Its scale over the output's scale, Q12, at most 2^21.
    pub multiplier: i32,
}

/// An indirect convolution over a strip of output pixels.
#[derive(Clone, Copy, Debug)]
pub struct Conv<'a> {
    /// The input map, NHWC, channels padded to 8.
    pub input: &'a [i8],
    /// `[pixels][taps]`: where in `input` a tap's channel run starts, or [`PADDING`].
    pub offsets: &'a [u32],
    /// `8 * groups` zero points of the input.
    pub zeros: &'a [i8],
    /// Kernel height times width.
    pub taps: usize,
    /// Input channels / 8, padded.
    pub groups: usize,
    /// `[blocks][taps][groups][8 ch][8 k]`.
    pub weights: &'a [i8],
    /// `[blocks]` x [`PARAM_BLOCK`] bytes.
    pub params: &'a [u8],
    /// What becomes of the sums.
    pub epilogue: Epilogue,
}

/// An element-wise sum: both operands rescaled to Q12 of the output scale, added, one rounding shift.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// Zero points of the operands.
    pub zero_points: [i8; 2],
    /// Operand scales over the output scale, Q12, at most 2^21.
    pub multipliers: [i32; 2],
    /// Zero point of the output.
    pub zero_point: i8,
    /// Lower clamp.
    pub min: i8,
    /// Upper clamp.
    pub max: i8,
}

type ConvFn = unsafe fn(conv: &Conv, out: &mut [i8]);
type GemvFn = unsafe fn(x: &[i8], weights: &[i8], acc: &mut [i32]);
type AddFn = unsafe fn(add: &Add, out: &mut [i8], b: &[i8]);

/// The kernels of one instruction set.
#[derive(Clone, Copy)]
pub struct Kernels {
    conv: ConvFn,
    gemv: GemvFn,
    add: AddFn,
}

const PORTABLE: Kernels = Kernels { conv: portable::conv, gemv: portable::gemv, add: portable::add };
#[cfg(target_arch = "aarch64")]
const NEON: Kernels = Kernels { conv: neon::conv, gemv: neon::gemv, add: neon::add };
#[cfg(target_arch = "x86_64")]
const AVX2: Kernels = Kernels { conv: avx2::conv, gemv: avx2::gemv, add: avx2::add };

impl Kernels {
    /// The fastest table that `cpu` proves.
    pub const fn for_cpu(cpu: Cpu) -> &'static Kernels {
        match cpu.isa() {
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => &NEON,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &AVX2,
            _ => &PORTABLE,
        }
    }

    // Safe entry points: check the lengths that the kernels rely on (once per strip, so it costs nothing), then call.
    // pub fn conv(&self, conv: &Conv, out: &mut [i8])    out: [pixels][8 * blocks]
    // pub fn gemv(&self, x: &[i8], weights: &[i8], acc: &mut [i32])   x: [8 * k8], weights [n8][k8][8][8], acc: [8 * n8], overwritten; no bias
    // pub fn add(&self, add: &Add, out: &mut [i8], b: &[i8])   out = out + b, in place
}
