//! ONNX's own tests of its operators, run on the network that the converter reads: float, and int8 where it converts.
//!
//! A case is a model of usually one node, inputs, and the outputs that ONNX's reference gives. Its float result is right if every
//! output has the expected shape and every value is within ONNX's own tolerance. Its int8 result is right if every output is
//! within [`STEPS`] steps of its scale of what the float network gives for the same int8 input: the input's own rounding is no matter
//! of an operator's, and the case's input is the only sample there is for calibration.

mod cases;
mod check;
mod table;

pub use cases::{Case, cases};
pub use check::check;
pub use table::{document, passes, terminal, tsv};

/// Steps of an output's scale that int8 may be off.
pub const STEPS: f32 = 2.0;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Passed,
    /// With other values than it should; what and where.
    Failed(String),
    /// Not at all; why.
    Unsupported(String),
}

impl Verdict {
    /// As a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed(_) => "FAILED",
            Verdict::Unsupported(_) => "not supported",
        }
    }

    /// Why, but for what passed.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Verdict::Passed => "",
            Verdict::Failed(reason) | Verdict::Unsupported(reason) => reason,
        }
    }
}

/// A case and how it ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Name of the case.
    pub case: String,
    /// The operator it is about.
    pub operator: String,
    /// Where an index beside the cases puts it; else empty.
    pub group: String,
    /// Our f32 network beside ONNX's values.
    pub float: Verdict,
    /// The int8 file beside our f32 network.
    pub int8: Verdict,
}

impl Outcome {
    /// Did anything come out wrong?
    #[must_use]
    pub fn failed(&self) -> bool {
        [&self.float, &self.int8].iter().any(|v| matches!(v, Verdict::Failed(_)))
    }
}
