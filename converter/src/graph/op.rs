//! What an operator is. No method has a default: an operator that forgets one does not compile.

use std::{fmt, sync::Arc};

use crate::{
    epilogue::{Epilogue, Limits},
    error::Error,
    exporter::{Exported, Exporter},
    qgraph::QOp,
    scale::Scale,
    shape::Shape,
    site::Site,
};

/// An operation of a [`super::Graph`] with its weights.
pub trait Op: fmt::Debug + Send + Sync {
    /// What a dump shows behind the operator's name.
    fn detail(&self) -> String;

    /// Its weights without biases, each set with what a report calls it: nothing where there is only one.
    fn weights(&self) -> Vec<(&'static str, &[f32])>;

    /// What it takes for an output of that shape.
    fn cost(&self, output: Shape) -> Cost;

    /// Values that [`Op::eval`] keeps from step to step; 0 where every step stands for itself.
    fn state_len(&self) -> usize;

    /// f32, one step: `inputs` to `output` of `shape`. `state` has [`Op::state_len`] values, zeros when a sample begins.
    fn eval(&self, inputs: &[Map], state: &mut [f32], output: &mut [f32], shape: Shape);

    /// What gives the output its scale.
    fn scale_rule(&self) -> ScaleRule;

    /// The smallest unit that the output may have, `wide` for an int16 one, for inputs of those scales; asked for with
    /// [`ScaleRule::OfValues`] only.
    fn least_unit(&self, inputs: &[Scale], wide: bool) -> f64;

    /// Which of its tensors may be int16.
    fn widths(&self) -> Widths;

    /// The largest int16 numbers that its sums have room for: those of an input whose values are up to `reach` in size.
    fn room(&self, reach: f64) -> f64;

    /// The operation in integers.
    ///
    /// # Errors
    /// [`Error::Overflow`] if a channel's sums cannot be proved to stay inside i32, [`Error::Node`] for a factor without a
    /// fixed-point form.
    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error>;

    /// Its products, from an input to an output of those shapes, if each output is one row of weights times what lies under a
    /// window, and [`QOp::refined`] gives those rows: what refining looks at.
    fn products(&self, input: Shape, output: Shape) -> Option<Products<'_>>;

    /// What becomes of a factor for each channel of an input or of the output.
    fn channels(&self) -> Channels;

    /// Divides by the factors of input 0 and multiplies by those of the output, in its weights; called only where
    /// [`Op::channels`] says [`Factors::Weights`] of that end, with 1 for each channel of the other.
    fn scale_channels(&mut self, input: &[f32], output: &[f32]);

    /// Whether it can be a step of its own.
    ///
    /// # Errors
    /// Where it has to stand so that another step does its work.
    fn alone(&self) -> Result<(), &'static str>;

    /// Its work as the step that makes its input could do it; `None` if none could.
    fn follows(&self) -> Option<Epilogue<'_>>;

    /// Takes up what follows, and says so; `false`, unchanged, if it cannot.
    fn absorb(&mut self, next: &Epilogue) -> bool;

    /// What it makes of one value of each input, if that is all it does where inputs and output have one shape: the same for all
    /// places, and in every step.
    fn pointwise(&self) -> Option<Pointwise>;

    /// Writes it as ONNX's float operators, with its int8 weights where the site has them; gives the name of what they make.
    ///
    /// # Errors
    /// [`Error::Node`] if it has no such form.
    fn export(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error>;
}

/// A function of values that meet, one of each input.
pub type Pointwise = Arc<dyn Fn(&[f32]) -> f32 + Send + Sync>;

/// What an operation takes.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Float parameters, biases included.
    pub parameters: usize,
    /// Multiply-accumulates of one step.
    pub macs: u64,
    /// Bytes that the weights will take in the file, their channels filled up to eights; of what is always folded away, bytes
    /// of its numbers.
    pub packed: usize,
    /// Values that [`Op::eval`] holds at the same time besides its tensors.
    pub gathered: u64,
}

impl Cost {
    /// Of what has no weights and multiplies nothing.
    pub const NONE: Cost = Cost { parameters: 0, macs: 0, packed: 0, gathered: 0 };
}

/// Outputs that are rows of weights times what lies under a window: of input 0, plus a bias, plus input 1 where there is one.
#[derive(Clone, Debug)]
pub struct Products<'a> {
    /// `[output channel][tap][input channel of the group]`
    pub weight: &'a [f32],
    /// `[output channel]`
    pub bias: &'a [f32],
    /// Groups of channels, as many outputs as inputs in each.
    pub groups: usize,
    /// The input's pixel under each tap, `None` outside: `[output pixel][tap]`
    pub taps: Vec<Option<usize>>,
    /// After everything else.
    pub limits: Limits,
}

/// What becomes of positive factors for each channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channels {
    /// Of each input.
    pub inputs: &'static [Factors],
    /// Of the output.
    pub output: Factors,
    /// Limits of the output, which are one for all channels.
    pub limits: Limits,
}

impl Channels {
    /// None can be had anywhere.
    pub const FIXED: Channels = Channels { inputs: &[], output: Factors::None, limits: Limits::NONE };
}

/// Where a factor for each channel may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Factors {
    /// Nowhere: the channels must be what they are.
    None,
    /// Into weights.
    Weights,
    /// Through: channel `c` of the output has the factor of channel `c` of these inputs.
    Through,
}

/// A tensor's values while a graph is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    /// `[height][width][channel]`
    pub values: &'a [f32],
    /// `[height, width, channels]`
    pub shape: Shape,
}

/// Which of an operation's tensors may be int16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Widths {
    /// None.
    Int8,
    /// Each for itself.
    Each,
    /// Each for itself, but this input as the output, which is written over it.
    Over(usize),
    /// All or none, and then in one scale: values are passed on.
    Together,
}

/// What gives an output its scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScaleRule {
    /// The range of its values.
    OfValues,
    /// The first input has it.
    OfInput,
    /// It is this one, whatever the values.
    Fixed(Scale),
    /// The values are whole numbers, and stored as such: int32.
    Number,
}
