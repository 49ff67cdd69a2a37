//! Kernels by the types of the values that they read and make.

use super::{Kernels, conv, depthwise, gemv};
use crate::element::Value;

/// What kernels read and make: `i8` or `i16`, each from each.
pub trait Activation: Value {
    /// Those that read it.
    fn read_by(kernels: &Kernels) -> &Readers<Self>;

    /// Those of them that make it.
    fn made_by<X: Activation>(readers: &Readers<X>) -> &Windows<X, Self>;
}

impl Activation for i8 {
    fn read_by(kernels: &Kernels) -> &Readers<i8> {
        &kernels.int8
    }

    fn made_by<X: Activation>(readers: &Readers<X>) -> &Windows<X, i8> {
        &readers.to_int8
    }
}

impl Activation for i16 {
    fn read_by(kernels: &Kernels) -> &Readers<i16> {
        &kernels.int16
    }

    fn made_by<X: Activation>(readers: &Readers<X>) -> &Windows<X, i16> {
        &readers.to_int16
    }
}

/// Kernels that read values `X`.
#[derive(Clone, Copy)]
pub struct Readers<X> {
    pub(super) gemv: gemv::Function<X>,
    pub(super) to_int8: Windows<X, i8>,
    pub(super) to_int16: Windows<X, i16>,
}

/// Kernels that read windows of `X` and make `Y` of them.
#[derive(Clone, Copy)]
pub struct Windows<X, Y> {
    pub(super) conv: conv::Function<X, Y>,
    pub(super) depthwise: depthwise::Function<X, Y>,
}

impl<X: Activation> Readers<X> {
    /// The definitions.
    pub(super) const PORTABLE: Readers<X> =
        Readers { gemv: gemv::portable, to_int8: Windows::PORTABLE, to_int16: Windows::PORTABLE };
}

impl<X: Activation, Y: Activation> Windows<X, Y> {
    const PORTABLE: Windows<X, Y> = Windows { conv: conv::portable, depthwise: depthwise::portable };
}
