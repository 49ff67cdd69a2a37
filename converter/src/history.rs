//! What became of the nodes of the file, and why: noted where it happens, for the report.

/// A node of the file as it was read.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The ONNX name.
    pub name: String,
    /// The ONNX operator.
    pub operator: String,
    /// Its attributes in words; long ones end in dots.
    pub attributes: String,
    /// Names of what it reads, constants too; empty where it leaves one out.
    pub inputs: Vec<String>,
    /// Names of what it makes.
    pub outputs: Vec<String>,
    /// ONNX's dimensions of the first of these.
    pub lengths: Vec<usize>,
}

/// Something that was done to nodes.
#[derive(Clone, Debug)]
pub struct Change {
    /// What.
    pub kind: Kind,
    /// To which: places in the list of [`Origin`]s.
    pub nodes: Vec<usize>,
    /// Which node, or the step that began with it, does their work now; `None` if none does.
    pub into: Option<usize>,
    /// What is to be said of this one beyond [`Kind::reason`]; may be empty.
    pub detail: String,
}

/// What can be done to nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The request ends or begins inside the graph.
    Cut,
    /// Taken off the end.
    Ended,
    /// Nobody reads the result.
    Unread,
    /// Its result is the same for every sample.
    Constant,
    /// It passes its input on.
    Same,
    /// Only the way that values are seen changes.
    View,
    /// The order of values went into weights.
    Order,
    /// A scale and shift went into weights.
    Weights,
    /// Limits of the step before.
    Limits,
    /// A scale that the file gives a tensor.
    Grid,
    /// A sum by the step that makes an operand.
    Sum,
    /// A table of 256 results.
    Table,
    /// A node of several steps.
    Several,
    /// Values that are moved.
    Copied,
}

impl Kind {
    /// All of them, in the order of a report.
    pub const ALL: [Kind; 14] = [
        Kind::Cut,
        Kind::Ended,
        Kind::Unread,
        Kind::Constant,
        Kind::Same,
        Kind::View,
        Kind::Order,
        Kind::Weights,
        Kind::Limits,
        Kind::Grid,
        Kind::Sum,
        Kind::Table,
        Kind::Several,
        Kind::Copied,
    ];

    /// What was done, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Kind::Cut => "cut off",
            Kind::Ended => "taken off the end",
            Kind::Unread => "dropped: nothing reads the result",
            Kind::Constant => "computed while reading",
            Kind::Same => "left out: input and output are the same",
            Kind::View => "no work: the same values, seen otherwise",
            Kind::Order => "order of values put into weights",
            Kind::Weights => "scale and shift put into weights",
            Kind::Limits => "limits taken over by the step before",
            Kind::Grid => "scales of the file kept",
            Kind::Sum => "sum written in place",
            Kind::Table => "functions put together into tables",
            Kind::Several => "done in several steps",
            Kind::Copied => "values that have to be moved",
        }
    }

    /// Why that may be done, or had to be.
    pub fn reason(self) -> &'static str {
        match self {
            Kind::Cut => "What lies outside the inputs and outputs that were asked for is not read.",
            Kind::Ended => {
                "It does not change the order of the scores; who needs its values applies it to the outputs."
            }
            Kind::Unread => "No output depends on it.",
            Kind::Constant => "It depends on no input, so its result is the same for every sample.",
            Kind::Same => "In inference it changes no value.",
            Kind::View => {
                "Every reader is told where each value lies, so nothing is moved: row-major order of other dimensions, other \
                 orders of dimensions, parts, repetitions."
            }
            Kind::Order => {
                "A product does not care in which order its terms are added: the rows of the weights follow the values as they lie, \
                 which are not moved."
            }
            Kind::Weights => {
                "s (w x + b) + t = (s w) x + (s b + t), for each channel: the product before has other weights."
            }
            Kind::Limits => "Every step limits its results to what int8 holds; narrower limits cost nothing.",
            Kind::Grid => "The file gives the tensor a scale, and its numbers are kept to it.",
            Kind::Sum => {
                "The step that makes one operand adds the other one and writes over it, which nothing needs any more: no step and \
                 no memory of its own."
            }
            Kind::Table => {
                "They make a function of one value, and int8 has 256 values: one result for each, rounded once instead of after \
                 each node."
            }
            Kind::Several => "The runtime has no single step that does this.",
            Kind::Copied => {
                "What reads them needs them in an order that is no view of how they lie: they are copied, which takes time and \
                 memory, and no precision."
            }
        }
    }

    /// As JSON names it.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}
