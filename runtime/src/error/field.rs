//! What a message is about.

use core::fmt;

/// A field of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the name of a field in format.md; Display spells it")]
pub enum Field {
    Tensors,
    Ports,
    Steps,
    Constants,
    Names,
    Metadata,
    Arena,
    Scratch,
    WorkerScratch,
    State,
    Macs,
    Work,
    Sequence,
    Inputs,
    Outputs,
    Input,
    Output,
    Weights,
    Parameters,
    StateWeights,
    StateParameters,
    Kernel,
    Stride,
    Dilation,
    Padding,
    Maximum,
    Multiplier,
    Shift,
    Hidden,
    Table,
    Factor,
    Loops,
    Count,
    Factors,
    Rows,
    Columns,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Tensors => "tensors",
            Field::Ports => "inputs and outputs",
            Field::Steps => "steps",
            Field::Constants => "constants",
            Field::Names => "names",
            Field::Metadata => "metadata",
            Field::Arena => "arena",
            Field::Scratch => "scratch",
            Field::WorkerScratch => "scratch of a further worker",
            Field::State => "state",
            Field::Macs => "multiply-accumulates",
            Field::Work => "work",
            Field::Sequence => "sequence",
            Field::Inputs => "inputs",
            Field::Outputs => "outputs",
            Field::Input => "input",
            Field::Output => "output",
            Field::Weights => "weights",
            Field::Parameters => "parameters",
            Field::StateWeights => "state weights",
            Field::StateParameters => "state parameters",
            Field::Kernel => "kernel",
            Field::Stride => "stride",
            Field::Dilation => "dilation",
            Field::Padding => "padding",
            Field::Maximum => "upper clamp",
            Field::Multiplier => "multiplier",
            Field::Shift => "shift",
            Field::Hidden => "hidden size",
            Field::Table => "table",
            Field::Factor => "scale factor",
            Field::Loops => "loops",
            Field::Count => "count",
            Field::Factors => "factors",
            Field::Rows => "rows",
            Field::Columns => "columns",
        })
    }
}
