//! What tensors are made of.

use crate::bytes::Views;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// Activations.
    I8,
    /// Recurrent states (Q0.15), and activations that need more than 8 bits.
    I16,
    /// Sums.
    I32,
}

impl Dtype {
    /// Bytes of an element.
    pub const fn size(self) -> u64 {
        match self {
            Dtype::I8 => 1,
            Dtype::I16 => 2,
            Dtype::I32 => 4,
        }
    }

    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Dtype::I8 => "int8",
            Dtype::I16 => "int16",
            Dtype::I32 => "int32",
        }
    }
}

/// A tensor's element in Rust: `i8`, `i16` or `i32`.
pub trait Element: Copy + From<i8> + Views {
    /// Its type in the file.
    const DTYPE: Dtype;
}

impl Element for i8 {
    const DTYPE: Dtype = Dtype::I8;
}

impl Element for i16 {
    const DTYPE: Dtype = Dtype::I16;
}

impl Element for i32 {
    const DTYPE: Dtype = Dtype::I32;
}

/// What activations are made of: `i8` or `i16`.
pub trait Value: Element + Into<i32> + Ord {
    /// The number, or the nearest one that the type holds.
    fn saturated(y: i32) -> Self;

    /// The number, if the type holds it; else its low bits.
    fn wrapped(y: i32) -> Self;
}

#[expect(clippy::cast_possible_truncation, reason = "compared just before, or what is asked for")]
impl Value for i8 {
    #[inline(always)]
    fn saturated(y: i32) -> i8 {
        y.max(i8::MIN.into()).min(i8::MAX.into()) as i8
    }

    #[inline(always)]
    fn wrapped(y: i32) -> i8 {
        y as i8
    }
}

#[expect(clippy::cast_possible_truncation, reason = "compared just before, or what is asked for")]
impl Value for i16 {
    #[inline(always)]
    fn saturated(y: i32) -> i16 {
        y.max(i16::MIN.into()).min(i16::MAX.into()) as i16
    }

    #[inline(always)]
    fn wrapped(y: i32) -> i16 {
        y as i16
    }
}
