//! GRU, forward, gates in ONNX's order z, r, h:
//!
//! ```text
//! z  = sigmoid(Wz x + Uz h + bz)          r = sigmoid(Wr x + Ur h + br)
//! n  = tanh(Wn x + bWn + r * (Un h + bUn))      linear_before_reset = 1
//! h' = (1 - z) * n + z * h
//! ```
//!
//! <https://onnx.ai/onnx/operators/onnx__GRU.html>

use escarp_runtime::{
    Dtype,
    ops::{GruStep, Step},
    quant::SHIFT_MIN_WIDE,
};

use super::written::{dims, reshaped, weights};
use crate::{
    blocks::Block,
    constant::Constant,
    epilogue::Epilogue,
    error::Error,
    exporter::{Exported, Exporter},
    graph::{Channels, Cost, Map, Op, Pointwise, Products, ScaleRule, Widths},
    importer::{Hint, Import, Importer},
    onnx::Node,
    proto::int,
    qgraph::{InPlace, Placed, QOp, State},
    rows::{FloatRows, Rows},
    scale::{Q12, Scale, Width},
    shape::Shape,
    site::Site,
    view::{Axis, View},
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[("GRU", Import::new(import).hint(hint))];

/// The int8 copy of the state, which is the output: h in [-1, 1) in steps of 1/128.
const COPY: Scale = Scale::int8(GruStep::OUTPUT_SCALE, 0);

/// The state itself: Q0.15.
const STATE: Scale = Scale { scale: GruStep::STATE_SCALE, zero_point: 0, width: Width::Int16(i16::MAX) };

/// A GRU with its weights.
#[derive(Debug)]
struct Gru {
    /// Features of the input.
    inputs: usize,
    /// Features of the state.
    hidden: usize,
    /// `linear_before_reset`: the reset gate acts on `U h + b`, not on `h`.
    reset_after: bool,
    /// W: `[3 * hidden][inputs]`
    input_weight: Vec<f32>,
    /// U: `[3 * hidden][hidden]`
    state_weight: Vec<f32>,
    /// `[3 * hidden]`
    input_bias: Vec<f32>,
    /// `[3 * hidden]`
    state_bias: Vec<f32>,
}

impl Gru {
    /// f32, one step: `state` becomes the new state.
    fn step(&self, x: &[f32], state: &mut [f32]) {
        let h = self.hidden;
        let wx = |row: usize| dot(&self.input_weight[row * self.inputs..][..self.inputs], x) + self.input_bias[row];
        let u = |row: usize, state: &[f32]| dot(&self.state_weight[row * h..][..h], state) + self.state_bias[row];
        let gate = |g: usize| (0..h).map(|i| sigmoid(wx(g * h + i) + u(g * h + i, state))).collect::<Vec<_>>();
        let (z, r) = (gate(0), gate(1));
        let n: Vec<f32> = if self.reset_after {
            (0..h).map(|i| wx(2 * h + i) + r[i] * u(2 * h + i, state)).map(libm::tanhf).collect()
        } else {
            let reset: Vec<f32> = state.iter().zip(&r).map(|(h, r)| h * r).collect();
            (0..h).map(|i| wx(2 * h + i) + u(2 * h + i, &reset)).map(libm::tanhf).collect()
        };
        for i in 0..h {
            state[i] = (1.0 - z[i]) * n[i] + z[i] * state[i];
        }
    }
}

impl Op for Gru {
    fn detail(&self) -> String {
        format!("hidden {} reset_after {}", self.hidden, self.reset_after)
    }

    fn weights(&self) -> Vec<(&'static str, &[f32])> {
        vec![("W", &self.input_weight), ("U", &self.state_weight)]
    }

    fn cost(&self, _: Shape) -> Cost {
        let eights = |n: usize| n.next_multiple_of(8);
        let weights = self.input_weight.len() + self.state_weight.len();
        Cost {
            parameters: weights + self.input_bias.len() + self.state_bias.len(),
            macs: (3 * self.hidden * (self.inputs + self.hidden)) as u64,
            packed: (3 * eights(self.hidden)).saturating_mul(eights(self.inputs) + eights(self.hidden)),
            gathered: 0,
        }
    }

    fn state_len(&self) -> usize {
        self.hidden
    }

    fn eval(&self, inputs: &[Map], state: &mut [f32], out: &mut [f32], _: Shape) {
        self.step(inputs[0].values, state);
        out.copy_from_slice(state);
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::Fixed(COPY)
    }

    fn least_unit(&self, _: &[Scale], _: bool) -> f64 {
        0.0
    }

    fn widths(&self) -> Widths {
        Widths::Int8
    }

    fn room(&self, _: f64) -> f64 {
        i16::MAX.into()
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        let rows = |weight, bias, input| FloatRows { weight, bias, input }.quantize(site, 1.0 / Q12, SHIFT_MIN_WIDE);
        Ok(Box::new(QGru {
            inputs: self.inputs,
            hidden: self.hidden,
            reset_after: self.reset_after,
            input: rows(&self.input_weight, &self.input_bias, site.inputs[0])?,
            state: rows(&self.state_weight, &self.state_bias, COPY)?,
        }))
    }

    fn products(&self, _: Shape, _: Shape) -> Option<Products<'_>> {
        None
    }

    fn channels(&self) -> Channels {
        Channels::FIXED
    }

    fn scale_channels(&mut self, _: &[f32], _: &[f32]) {}

    fn alone(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn follows(&self) -> Option<Epilogue<'_>> {
        None
    }

    fn absorb(&mut self, _: &Epilogue) -> bool {
        false
    }

    fn pointwise(&self) -> Option<Pointwise> {
        None
    }

    /// In float, with its int8 weights.
    fn export(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        let (x, name, hidden) = (site.input(0)?, site.node, self.hidden);
        let mut weight = |at: usize, what: &str, float: &[f32], columns: usize| {
            let (name, dims) = (format!("{name}.{what}"), [1, 3 * hidden, columns]);
            match site.rows.get(at) {
                Some((_, rows)) => weights(to, &name, &dims, 1, &rows.weight, &rows.scale),
                None => to.floats(&name, &dims, float),
            }
        };
        let w = weight(0, "weight", &self.input_weight, self.inputs);
        let r = weight(1, "recurrent", &self.state_weight, hidden);
        let bias =
            to.floats(&format!("{name}.bias"), &[1, 6 * hidden], &[&self.input_bias[..], &self.state_bias].concat());
        let steps = site.steps;
        let sequence = reshaped(to, name, x.value, &dims(x.shape, steps), &[steps, 1, self.inputs]);
        let attributes = vec![int("hidden_size", hidden), int("linear_before_reset", usize::from(self.reset_after))];
        // The second output is the state after the last step.
        let index = usize::from(!site.every_step);
        let states = to.output("GRU", name, &[&sequence, &w, &r, &bias], attributes, index);
        to.note(format!("`{name}` computes in float, with int8 weights: ONNX has no integers for its state"));
        let (made, from): (_, &[usize]) =
            if site.every_step { (steps, &[steps, 1, 1, hidden]) } else { (1, &[1, 1, hidden]) };
        Ok(reshaped(to, name, &states, from, &dims([1, 1, hidden], made)))
    }
}

/// A step of a GRU in integers.
#[derive(Debug)]
struct QGru {
    inputs: usize,
    hidden: usize,
    reset_after: bool,
    /// W x + b to Q3.12: rows z, r, h.
    input: Rows,
    /// U h + b to Q3.12: rows z, r, h.
    state: Rows,
}

impl QOp for QGru {
    fn detail(&self) -> String {
        format!("hidden {} reset_after {}", self.hidden, self.reset_after)
    }

    fn rows(&self) -> Vec<(&'static str, &Rows)> {
        vec![("weight", &self.input), ("recurrent", &self.state)]
    }

    fn refined(&mut self) -> Option<&mut Rows> {
        None
    }

    fn in_place(&self) -> InPlace {
        InPlace::No
    }

    fn states(&self) -> Vec<State> {
        vec![State { what: "state", shape: [1, 1, self.hidden], scale: STATE, dtype: Dtype::I16 }]
    }

    /// The rows of three gates, each gate padded to whole blocks.
    fn constants(&self) -> Result<Vec<Block>, Error> {
        let gate = |g: usize| {
            let padded = self.hidden.next_multiple_of(8);
            (0..padded).map(move |i| (i < self.hidden).then_some(g * self.hidden + i))
        };
        let order: Vec<Option<usize>> = (0..3).flat_map(gate).collect();
        Ok([self.input.blocks(&order, 1, self.inputs), self.state.blocks(&order, 1, self.hidden)].concat())
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let [input_weights, input_params, state_weights, state_params] = placed.constants()?;
        let [state] = placed.states()?;
        let [hidden, _] = placed.pair("state", [self.hidden; 2])?;
        let step = GruStep {
            input: placed.input(0)?.id,
            output: placed.output.id,
            state,
            hidden,
            reset_after: self.reset_after,
            input_weights,
            input_params,
            state_weights,
            state_params,
        };
        Ok(vec![step.into()])
    }
}

/// A sequence; with layout 0 its time comes first.
fn hint(node: &Node) -> Hint {
    Hint::Sequence { time_first: node.int("layout").ok().flatten().unwrap_or(0) == 0 }
}

/// Reads a GRU over `[time, 1, features]`, or `[1, time, features]` with layout 1.
fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["activations", "clip", "direction", "hidden_size", "layout", "linear_before_reset"])?;
    let direction = node.text("direction")?.unwrap_or_else(|| "forward".into());
    if direction != "forward" {
        return Err(node.unsupported("direction", direction, "forward"));
    }
    if let Some(activations) = node.texts("activations")?.filter(|a| a != &["Sigmoid", "Tanh"]) {
        return Err(node.unsupported("activations", format!("{activations:?}"), "[Sigmoid, Tanh]"));
    }
    if let Some(clip) = node.float("clip")? {
        return Err(node.unsupported("clip", clip, "none"));
    }
    if node.input(4).is_some() {
        return Err(node.unsupported("sequence_lens", "(present)", "none: every sequence has the same length"));
    }
    let x = importer.view(node, 0)?;
    let batch_first = node.int("layout")?.unwrap_or(0) != 0;
    let (time, none, channel) = (Some(Axis::Time), None, Some(Axis::Channel));
    let wanted = if batch_first { [none, time, channel] } else { [time, none, channel] };
    if !x.is(&wanted) {
        let form = if batch_first { "[1, time, features]" } else { "[time, 1, features]" };
        return Err(node.unsupported("X", format!("{:?}", x.lengths()), form));
    }
    let inputs = x.shape[2];
    let (w, r) = (importer.weights(node, 1)?, importer.weights(node, 2)?);
    let &[1, rows, columns] = w.shape() else {
        return Err(node.unsupported("W", format!("{:?}", w.shape()), "[1, 3 * hidden, features]"));
    };
    let hidden = rows / 3;
    if hidden == 0 || rows != 3 * hidden || columns != inputs || r.shape() != [1, rows, hidden] {
        return Err(node.wrong(format!("W {:?} and R {:?} do not fit {inputs} features", w.shape(), r.shape())));
    }
    if node.int("hidden_size")?.is_some_and(|s| usize::try_from(s) != Ok(hidden)) {
        return Err(node.wrong(format!("hidden_size contradicts W {:?}", w.shape())));
    }
    let zeros = |c: &Constant| c.floats().is_some_and(|a| a.len() == hidden && a.iter().all(|&v| v == 0.0));
    if node.input(5).is_some() && !importer.constant(node, 5)?.is_some_and(zeros) {
        return Err(node.unsupported("initial_h", "(not zero)", "none, or constant zeros, one for each of the state"));
    }
    let bias = match node.input(3) {
        None => vec![0.0; 2 * rows],
        Some(_) => importer.vector(node, 3, 2 * rows)?,
    };
    let gru = Gru {
        inputs,
        hidden,
        reset_after: node.int("linear_before_reset")?.unwrap_or(0) != 0,
        input_weight: w.iter().copied().collect(),
        state_weight: r.iter().copied().collect(),
        input_bias: bias[..rows].to_vec(),
        state_bias: bias[rows..].to_vec(),
    };
    let shape = [1, 1, hidden];
    let id = importer.emit(node, gru, vec![x.tensor], shape)?;
    // Y is [time, direction, batch, hidden] or [batch, time, direction, hidden]; Y_h drops the time.
    let y = if batch_first { [none, time, none, channel] } else { [time, none, none, channel] };
    importer.define(node, 0, View::new(id, shape, x.steps, &y))?;
    importer.define(node, 1, View::new(id, shape, x.steps, &[none, none, channel]))
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}
