//! What may follow an operation in the same step: how folding hands the work of one node to another.

use std::fmt;

use crate::scale::Scale;

/// Limits of a value; infinite for none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Lower (ReLU: 0).
    pub min: f32,
    /// Upper (ReLU6: 6).
    pub max: f32,
}

impl Limits {
    /// No limits.
    pub const NONE: Limits = Limits { min: f32::NEG_INFINITY, max: f32::INFINITY };

    /// The nearest value within.
    pub fn clamp(self, v: f32) -> f32 {
        v.clamp(self.min, self.max)
    }

    /// These, then others: `clamp(clamp(x, a, b), c, d)` is one clamp whose limits went through the second.
    #[must_use]
    pub fn then(self, next: Limits) -> Limits {
        Limits { min: next.clamp(self.min), max: next.clamp(self.max) }
    }
}

impl Limits {
    /// The clamp of a step whose output has that scale.
    pub fn quantized(self, scale: Scale) -> (i16, i16) {
        let Limits { min, max } = self;
        let (least, most) = scale.ends();
        let low = if min == f32::NEG_INFINITY { least } else { scale.number(min) };
        let high = if max == f32::INFINITY { most } else { scale.number(max) };
        (low, high)
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.min, self.max)
    }
}

/// What a node does to the output of another, told to that one.
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<'a> {
    /// `scale[c] * y + shift[c]`
    Scale {
        /// `[channel]`
        scale: &'a [f32],
        /// `[channel]`
        shift: &'a [f32],
    },
    /// `clamp(y)`
    Limits(Limits),
    /// `y` rounded to a scale that the file gives it.
    Grid(Scale),
    /// `clamp(y + z)`: a second tensor of the same shape is added. Whoever takes it up reads `z` as one input more, its last,
    /// and writes over it.
    Sum(Limits),
}
