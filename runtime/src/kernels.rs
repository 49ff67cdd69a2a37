//! The hot loops. A kernel is one file, with its arguments, what they must fulfil, and the definition that its fast forms
//! equal bit for bit; the fast forms stand in the folders of their instruction sets.
//!
//! Sums wrap modulo 2^32 like the vector units'. The converter proves that they never do in a model it writes.

#![expect(unsafe_code, reason = "kernels trust lengths that the safe entry points below have checked")]

mod add;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod conv;
mod depthwise;
mod epilogue;
mod gemv;
mod layout;
mod lookup;
mod mul;
#[cfg(target_arch = "aarch64")]
mod neon;
mod runs;
mod typed;
mod wide;

pub use add::{Add, Combine};
pub use conv::{Conv, PADDING};
pub use depthwise::Depthwise;
pub use epilogue::{Epilogue, Residual};
pub use layout::{MULTIPLIERS_AT, PARAM_BLOCK, SHIFTS_AT, WEIGHT_STEP};
pub use lookup::Table;
pub use mul::Mul;
pub use runs::{Groups, Runs};
pub use typed::{Activation, Readers, Windows};
pub use wide::{AddWide, MulWide, WIDE_BITS};

use crate::{
    cpu::{Cpu, Isa},
    error::Error,
};

/// The kernels of one instruction set, in the order of instructions that one kind of core likes best.
#[derive(Clone, Copy)]
pub struct Kernels {
    int8: Readers<i8>,
    int16: Readers<i16>,
    add: add::Function,
    mul: mul::Function,
    add_wide: wide::AddFunction,
    mul_wide: wide::MulFunction,
    lookup: lookup::Function,
}

// A table names what it speeds up, and takes the rest from the one below: `Kernels { lookup: sve::lookup, ..NEON }`.
const PORTABLE: Kernels = Kernels {
    int8: Readers::PORTABLE,
    int16: Readers::PORTABLE,
    add: add::portable,
    mul: mul::portable,
    add_wide: wide::add,
    mul_wide: wide::mul,
    lookup: lookup::portable,
};
#[cfg(target_arch = "aarch64")]
const NEON: Kernels = Kernels {
    int8: Readers {
        gemv: neon::gemv::gemv,
        to_int8: Windows { conv: neon::conv::conv, depthwise: neon::depthwise::depthwise },
        to_int16: Windows { conv: neon::conv::conv, depthwise: neon::depthwise::depthwise },
    },
    int16: Readers {
        gemv: neon::gemv::gemv_wide,
        to_int8: Windows { conv: neon::conv::conv, depthwise: neon::depthwise::depthwise },
        to_int16: Windows { conv: neon::conv::conv, depthwise: neon::depthwise::depthwise },
    },
    add: neon::add::add,
    mul: neon::mul::mul,
    add_wide: neon::wide::add,
    mul_wide: neon::wide::mul,
    lookup: neon::lookup::lookup,
};
#[cfg(target_arch = "x86_64")]
const AVX2: Kernels = Kernels {
    int8: Readers {
        gemv: avx2::gemv::gemv,
        to_int8: Windows { conv: avx2::conv::conv, depthwise: avx2::depthwise::depthwise },
        to_int16: Windows { conv: avx2::conv::conv, depthwise: avx2::depthwise::depthwise },
    },
    int16: Readers {
        gemv: avx2::gemv::gemv,
        to_int8: Windows { conv: avx2::conv::conv, depthwise: avx2::depthwise::depthwise },
        to_int16: Windows { conv: avx2::conv::conv, depthwise: avx2::depthwise::depthwise },
    },
    add: avx2::add::add,
    mul: avx2::mul::mul,
    add_wide: avx2::wide::add,
    mul_wide: avx2::wide::mul,
    lookup: avx2::lookup::lookup,
};

impl Kernels {
    /// The fastest table that `cpu` proves, for the kind of core that it names.
    pub const fn for_cpu(cpu: Cpu) -> &'static Kernels {
        match (cpu.isa(), cpu.core()) {
            #[cfg(target_arch = "aarch64")]
            (Isa::Neon, _) => &NEON,
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, _) => &AVX2,
            // The portable kernels, also for an instruction set of another architecture: no `Cpu` of this one claims it.
            _ => &PORTABLE,
        }
    }

    /// Convolves a strip; `out` is `[pixels][8 * blocks]`.
    ///
    /// # Errors
    /// [`Error::Kernel`] if the slices do not fit together; nothing is written then.
    #[inline(always)]
    pub fn conv<X: Activation, Y: Activation>(&self, conv: &Conv<X>, out: &mut [Y]) -> Result<(), Error> {
        conv::check(conv, out.len())?;
        // SAFETY: `check` has seen what a kernel asks of its arguments, and `for_cpu` gave this table to a proven CPU only.
        unsafe { (Y::made_by(X::read_by(self)).conv)(conv, out) };
        Ok(())
    }

    /// Convolves a strip channel by channel; `out` is `[pixels][8 * blocks]`.
    ///
    /// # Errors
    /// [`Error::Kernel`] if the slices do not fit together; nothing is written then.
    pub fn depthwise<X: Activation, Y: Activation>(
        &self,
        depthwise: &Depthwise<X>,
        out: &mut [Y],
    ) -> Result<(), Error> {
        depthwise::check(depthwise, out.len())?;
        // SAFETY: `check` has seen what a kernel asks of its arguments, and `for_cpu` gave this table to a proven CPU only.
        unsafe { (Y::made_by(X::read_by(self)).depthwise)(depthwise, out) };
        Ok(())
    }

    /// Matrix times vector, sums only: `x` is `[8 * k8]`, `weights` `[n8][k8][8][8]`, `acc` `[8 * n8]` and overwritten.
    ///
    /// # Errors
    /// [`Error::Kernel`] if the slices do not fit together; nothing is written then.
    pub fn gemv<X: Activation>(&self, x: &[X], weights: &[i8], acc: &mut [i32]) -> Result<(), Error> {
        gemv::check(x, weights, acc)?;
        // SAFETY: `check` has seen what a kernel asks of its arguments, and `for_cpu` gave this table to a proven CPU only.
        unsafe { (X::read_by(self).gemv)(x, weights, acc) };
        Ok(())
    }

    /// `out = out + b`, or their maximum or minimum, element by element and in place, `b` as often as it fits.
    ///
    /// # Errors
    /// [`Error::Kernel`] if it does not fit a whole number of times; nothing is written then.
    pub fn add(&self, add: &Add, out: &mut [i8], b: &[i8]) -> Result<(), Error> {
        add::check(out, b)?;
        // SAFETY: `check` has seen what a kernel asks of its arguments, and `for_cpu` gave this table to a proven CPU only.
        unsafe { (self.add)(add, out, b) };
        Ok(())
    }

    /// `out = out * b`, element by element and in place, `b` as often as it fits.
    ///
    /// # Errors
    /// [`Error::Kernel`] if it does not fit a whole number of times; nothing is written then.
    pub fn mul(&self, mul: &Mul, out: &mut [i8], b: &[i8]) -> Result<(), Error> {
        mul::check(out, b)?;
        // SAFETY: `check` has seen what a kernel asks of its arguments, and `for_cpu` gave this table to a proven CPU only.
        unsafe { (self.mul)(mul, out, b) };
        Ok(())
    }

    /// [`Kernels::add`] where a tensor is int16: `out` and `b` have as many values, without their zero points.
    ///
    /// # Errors
    /// [`Error::Kernel`] if they have not; nothing is written then.
    pub fn add_wide(&self, add: &AddWide, out: &mut [i16], b: &[i16]) -> Result<(), Error> {
        wide::check(out, b)?;
        // SAFETY: `check` has seen what a kernel asks of its arguments, and `for_cpu` gave this table to a proven CPU only.
        unsafe { (self.add_wide)(add, out, b) };
        Ok(())
    }

    /// [`Kernels::mul`] likewise.
    ///
    /// # Errors
    /// As [`Kernels::add_wide`].
    pub fn mul_wide(&self, mul: &MulWide, out: &mut [i16], b: &[i16]) -> Result<(), Error> {
        wide::check(out, b)?;
        // SAFETY: `check` has seen what a kernel asks of its arguments, and `for_cpu` gave this table to a proven CPU only.
        unsafe { (self.mul_wide)(mul, out, b) };
        Ok(())
    }

    /// Puts each value's entry of the table in its place.
    pub fn lookup(&self, table: &Table, values: &mut [i8]) {
        // SAFETY: a table has an entry for every value, and `for_cpu` gave this table to a proven CPU only.
        unsafe { (self.lookup)(table, values) };
    }
}
