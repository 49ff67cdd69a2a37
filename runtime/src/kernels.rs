//! One table of kernels per instruction set. A table names only what it speeds up; the rest is portable.

#![expect(unsafe_code, reason = "kernels trust lengths that the safe entry points below have checked")]

use crate::{Cpu, Error, Isa};

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

impl<'a> Conv<'a> {
    /// A tap's channel run, `[groups]` x 8 bytes. [`PADDING`] lies beyond every input: it gives the row of zero points.
    #[inline(always)]
    fn run(&self, offset: u32) -> &'a [[i8; 8]] {
        let run = self.input.get(offset as usize..).and_then(|input| input.get(..8 * self.groups));
        run.unwrap_or(self.zeros).as_chunks().0
    }
}

/// The last place that `offsets` name in the input. One past each, where PADDING wraps to 0, compares without a branch.
fn farthest(offsets: &[u32]) -> usize {
    let end = offsets.iter().fold(0, |end, offset| offset.wrapping_add(1).max(end));
    end.saturating_sub(1) as usize
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
            // The portable kernels, also for an instruction set of another architecture: no `Cpu` of this one claims it.
            _ => &PORTABLE,
        }
    }

    /// Convolves a strip; `out` is `[pixels][8 * blocks]`.
    ///
    /// Every length and every offset is checked here, once per strip, so that the kernels may trust them.
    ///
    /// # Errors
    /// [`Error::Kernel`] if the slices do not fit together; nothing is written then.
    pub fn conv(&self, conv: &Conv, out: &mut [i8]) -> Result<(), Error> {
        let run = conv.groups.checked_mul(8).ok_or(Error::Kernel)?;
        let blocks = conv.params.len() / PARAM_BLOCK;
        let pixels = conv.offsets.len().checked_div(conv.taps).ok_or(Error::Kernel)?;
        let steps = blocks.checked_mul(conv.taps).and_then(|n| n.checked_mul(conv.groups)).ok_or(Error::Kernel)?;
        let last = conv.input.len().checked_sub(run).ok_or(Error::Kernel)?;
        let fits = conv.groups != 0
            && blocks != 0
            && conv.params.len() == blocks * PARAM_BLOCK
            && conv.offsets.len() == pixels * conv.taps
            && Some(conv.weights.len()) == steps.checked_mul(WEIGHT_STEP)
            && Some(out.len()) == pixels.checked_mul(8 * blocks)
            && conv.zeros.len() >= run
            && farthest(conv.offsets) <= last;
        if !fits {
            return Err(Error::Kernel);
        }
        // SAFETY: `fits` is what a kernel asks of its arguments, and `for_cpu` gave this table to a proven CPU only.
        unsafe { (self.conv)(conv, out) };
        Ok(())
    }

    /// Matrix times vector, sums only: `x` is `[8 * k8]`, `weights` `[n8][k8][8][8]`, `acc` `[8 * n8]` and overwritten.
    ///
    /// # Errors
    /// [`Error::Kernel`] if the slices do not fit together; nothing is written then.
    pub fn gemv(&self, x: &[i8], weights: &[i8], acc: &mut [i32]) -> Result<(), Error> {
        let fits = !x.is_empty()
            && x.len().is_multiple_of(8)
            && acc.len().is_multiple_of(8)
            && Some(weights.len()) == x.len().checked_mul(acc.len());
        if !fits {
            return Err(Error::Kernel);
        }
        // SAFETY: `fits` is what a kernel asks of its arguments, and `for_cpu` gave this table to a proven CPU only.
        unsafe { (self.gemv)(x, weights, acc) };
        Ok(())
    }

    /// `out = out + b`, element by element and in place.
    ///
    /// # Errors
    /// [`Error::Kernel`] if the lengths differ; nothing is written then.
    pub fn add(&self, add: &Add, out: &mut [i8], b: &[i8]) -> Result<(), Error> {
        if out.len() != b.len() {
            return Err(Error::Kernel);
        }
        // SAFETY: the lengths agree, and `for_cpu` gave this table to a proven CPU only.
        unsafe { (self.add)(add, out, b) };
        Ok(())
    }
}
