//! GRU, forward, gates in ONNX's order z, r, h:
//!
//! ```text
//! z  = sigmoid(Wz x + Uz h + bz)          r = sigmoid(Wr x + Ur h + br)
//! n  = tanh(Wn x + bWn + r * (Un h + bUn))      linear_before_reset = 1
//! h' = (1 - z) * n + z * h
//! ```
//!
//! <https://onnx.ai/onnx/operators/onnx__GRU.html>

use crate::{
    constant::Constant,
    error::Error,
    import::Importer,
    onnx::Node,
    ops::Op,
    view::{Axis, View},
};

/// A GRU with its weights.
#[derive(Clone, Debug)]
pub struct Gru {
    /// Features of the input.
    pub inputs: usize,
    /// Features of the state.
    pub hidden: usize,
    /// `linear_before_reset`: the reset gate acts on `U h + b`, not on `h`.
    pub reset_after: bool,
    /// W: `[3 * hidden][inputs]`
    pub input_weight: Vec<f32>,
    /// U: `[3 * hidden][hidden]`
    pub state_weight: Vec<f32>,
    /// `[3 * hidden]`
    pub input_bias: Vec<f32>,
    /// `[3 * hidden]`
    pub state_bias: Vec<f32>,
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

impl Gru {
    /// f32, one step: `state` becomes the new state.
    pub fn eval(&self, x: &[f32], state: &mut [f32]) {
        let h = self.hidden;
        let wx = |row: usize| dot(&self.input_weight[row * self.inputs..][..self.inputs], x) + self.input_bias[row];
        let u = |row: usize, state: &[f32]| dot(&self.state_weight[row * h..][..h], state) + self.state_bias[row];
        let gate = |g: usize| (0..h).map(|i| sigmoid(wx(g * h + i) + u(g * h + i, state))).collect::<Vec<_>>();
        let (z, r) = (gate(0), gate(1));
        let n: Vec<f32> = if self.reset_after {
            (0..h).map(|i| (wx(2 * h + i) + r[i] * u(2 * h + i, state)).tanh()).collect()
        } else {
            let reset: Vec<f32> = state.iter().zip(&r).map(|(h, r)| h * r).collect();
            (0..h).map(|i| (wx(2 * h + i) + u(2 * h + i, &reset)).tanh()).collect()
        };
        for i in 0..h {
            state[i] = (1.0 - z[i]) * n[i] + z[i] * state[i];
        }
    }
}

/// Reads a GRU over `[time, 1, features]`, or `[1, time, features]` with layout 1.
pub fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
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
    let id = importer.emit(node, Op::Gru(gru), vec![x.tensor], shape)?;
    // Y is [time, direction, batch, hidden] or [batch, time, direction, hidden]; Y_h drops the time.
    let y = if batch_first { [none, time, none, channel] } else { [time, none, none, channel] };
    importer.define(node, 0, View::new(id, shape, x.steps, &y))?;
    importer.define(node, 1, View::new(id, shape, x.steps, &[none, none, channel]))
}
