//! A packed file beside the network that it is said to be of, step by step: where do they part?
//!
//! Each layer is looked at twice. The error so far is what the file has where the float network has something else. The error of its own
//! is what is left when the float operation gets what the file's step got: rounding, and weights in int8. A layer whose own error is as
//! large as its values computes something else than the network says.

mod magnified;

use escarp_runtime::{
    Cpu, Dtype, Model, Session, Tensor,
    frontend::{quantize, quantize_wide},
    ops::Step,
};
use rayon::prelude::*;

use crate::{
    equalize::sets,
    error::Error,
    eval::{Evaluator, share},
    graph::{Graph, Map, Node},
    measure::{Sums, failed, give, open, reals},
    samples::Samples,
    shape::{Shape, show_shape},
};
use magnified::{Factors, Reach, magnified, reaches};

/// An own error below so many decibels parts a layer from its float form...
const OWN_DB: f64 = 12.0;

/// ... if it is more than so many units of the layer's output, root mean square: with values of a few units rounding alone is that loud.
const OWN_STEPS: f64 = 1.5;

/// An output below so many decibels is another output, though no layer by itself is to blame.
const SUM_DB: f64 = 6.0;

/// So many of a thousand values beyond the ends of a tensor's numbers are worth a word.
const CLIPPED: f64 = 10.0;

/// A layer of the file and of the network.
#[derive(Clone, Debug)]
pub struct Layer {
    /// ONNX name of the node.
    pub name: String,
    /// ONNX operators it stands for.
    pub operator: String,
    /// `HxWxC` of its output.
    pub shape: String,
    /// Signal to noise of its output, errors so far included, dB; infinite where nothing is lost.
    pub snr_db: f64,
    /// The same if it gets what the file's step got.
    pub own_db: f64,
    /// That error in units of its output, root mean square; infinite where something is not finite.
    pub own_steps: f64,
    /// Float values of 1,000 that its numbers do not reach.
    pub clipped: f64,
    /// Whole numbers, such as those of classes: no error has a meaning.
    whole: bool,
}

impl Layer {
    fn parts(&self) -> bool {
        // What is not a number is not below either.
        let apart = self.own_db.is_nan() || self.own_db < OWN_DB;
        !self.whole && apart && (self.own_steps.is_nan() || self.own_steps > OWN_STEPS)
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The file computes the network.
    Fine,
    /// They are not built alike: what each has there.
    Built(String),
    /// The layer of that number is the first that computes something else.
    Layer(usize),
    /// No layer does, but the errors of all add up to another output, that of this number.
    Sum(usize),
}

/// A file and a network side by side.
#[derive(Clone, Debug)]
pub struct Checked {
    /// In execution order; none if they are not built alike.
    pub layers: Vec<Layer>,
    /// The first layer where they part.
    pub verdict: Verdict,
    /// What differs besides, or explains it.
    pub remarks: Vec<String>,
}

/// Runs a file and a network on samples; `graph` is what [`crate::read`] read.
///
/// # Errors
/// [`Error::Pack`] if the bytes are no model file, [`Error::Samples`] for a sample that cannot be read.
pub fn check(file: &[u8], graph: &Graph, samples: &dyn Samples, picks: &[usize], cpu: Cpu) -> Result<Checked, Error> {
    let (model, _) = open(file)?;
    let mut remarks = others(&model, graph);
    let last = match matched(&model, graph) {
        Ok(last) => last,
        Err(why) => return Ok(Checked { layers: vec![], verdict: Verdict::Built(why), remarks }),
    };
    let count = graph.nodes.len();
    let beside = |factors: &Factors| {
        let part = |picks: &[usize]| {
            let (model, mut arena) = open(file)?;
            let session = Session::new(&model, &mut arena, cpu).map_err(failed)?;
            let mut beside = Beside::new(graph, &model, &last, factors);
            beside.run(session, samples, picks)?;
            Ok((beside.seen, beside.reach))
        };
        picks.par_chunks(share(graph, picks.len(), 2)).map(part).collect::<Result<Vec<_>, Error>>()
    };
    let sets = sets(graph);
    let mut factors = vec![None; graph.tensors.len()];
    if sets.iter().any(Option::is_some) {
        let reach: Vec<Reach> = beside(&factors)?.into_iter().map(|(_, reach)| reach).collect();
        factors = magnified(&sets, &reach);
        let tensors = factors.iter().flatten().count();
        if tensors > 0 {
            remarks.push(format!(
                "the file has channels of {tensors} tensors magnified, as --refine does to bring them together; that is taken into account"
            ));
        }
    }
    let mut total = vec![Seen::default(); count + graph.inputs.len()];
    for (part, _) in beside(&factors)? {
        total.iter_mut().zip(&part).for_each(|(total, part)| total.join(part));
    }
    let (inputs, nodes) = total.split_at(graph.inputs.len());
    for (input, seen) in graph.inputs.iter().zip(inputs).filter(|(_, seen)| seen.thousandths() > CLIPPED) {
        remarks.push(format!(
            "input `{}`: {:.1} % of its values lie beyond what the file can hold: it was made for other values (--pixels)",
            graph.tensors[input.tensor].name,
            seen.thousandths() / 10.0
        ));
    }
    let layers: Vec<Layer> = graph
        .nodes
        .iter()
        .zip(nodes)
        .zip(&last)
        .map(|((node, seen), &(_, record))| seen.layer(node, graph.shape(node.output), model.tensor(record)))
        .collect();
    let verdict = verdict(&layers, graph);
    Ok(Checked { layers, verdict, remarks })
}

fn verdict(layers: &[Layer], graph: &Graph) -> Verdict {
    if let Some(at) = layers.iter().position(Layer::parts) {
        return Verdict::Layer(at);
    }
    let maker = |id| graph.nodes.iter().position(|n| n.output == id);
    let lost = |id| maker(id).is_some_and(|at| !layers[at].whole && layers[at].snr_db < SUM_DB);
    graph.outputs.iter().position(|o| lost(o.tensor)).map_or(Verdict::Fine, Verdict::Sum)
}

/// What the file says otherwise than the network, besides what it computes.
fn others(model: &Model, graph: &Graph) -> Vec<String> {
    let mut remarks = vec![];
    let mut differ = |what: &str, file: Vec<String>, network: Vec<String>| {
        if file != network {
            remarks.push(format!("{what}: the file has {}, the network {}", list(&file), list(&network)));
        }
    };
    let ports = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>();
    differ(
        "inputs",
        ports(&mut model.inputs().map(|p| p.name.to_owned())),
        ports(&mut graph.inputs.iter().map(|i| graph.tensors[i.tensor].name.clone())),
    );
    differ(
        "outputs",
        ports(&mut model.outputs().map(|p| p.name.to_owned())),
        ports(&mut graph.outputs.iter().map(|o| o.name.clone())),
    );
    let labels = graph.metadata.as_ref().map_or(&[][..], |m| &m.labels);
    if !labels.is_empty() {
        differ("names of the outputs", model.labels().map(str::to_owned).collect(), labels.to_vec());
    }
    remarks
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if names.len() > SHOWN {
        shown.push(format!("{} more", names.len() - SHOWN));
    }
    if shown.is_empty() { "none".into() } else { shown.join(", ") }
}

fn shape_of(tensor: &Tensor) -> Shape {
    [tensor.height, tensor.width, tensor.channels].map(usize::from)
}

/// For each node the last step that writes its output, and that output's record.
///
/// # Errors
/// What is there in the file, and what the network has.
fn matched(model: &Model, graph: &Graph) -> Result<Vec<(usize, u16)>, String> {
    let ports = |what: &str, tensors: Vec<Shape>, ours: Vec<Shape>| {
        let show = |shapes: &[Shape]| shapes.iter().map(|&s| show_shape(s)).collect::<Vec<_>>().join(", ");
        (tensors == ours)
            .then_some(())
            .ok_or_else(|| format!("the file has {what} of {}, the network of {}", show(&tensors), show(&ours)))
    };
    let shapes = |all: Vec<Tensor>| all.iter().map(shape_of).collect::<Vec<_>>();
    ports(
        "inputs",
        shapes(model.inputs().map(|p| p.tensor).collect()),
        graph.inputs.iter().map(|i| graph.shape(i.tensor)).collect(),
    )?;
    let steps: Vec<Step> = model.steps().collect();
    // Several steps may make one output together.
    let mut made: Vec<(usize, u16)> = vec![];
    for (at, step) in steps.iter().enumerate() {
        match made.last_mut() {
            Some(last) if last.1 == step.output() => last.0 = at,
            _ => made.push((at, step.output())),
        }
    }
    for (place, (node, &(at, record))) in graph.nodes.iter().zip(&made).enumerate() {
        let (ours, theirs) = (graph.shape(node.output), model.tensor(record).map_or([0; 3], |t| shape_of(&t)));
        if ours != theirs {
            return Err(format!(
                "layer {place}: the file makes {} by {}, the network {} by `{}` ({})",
                show_shape(theirs),
                steps[at].name(),
                show_shape(ours),
                node.name,
                node.operator
            ));
        }
    }
    if made.len() != graph.nodes.len() {
        return Err(format!("the file has {} layers, the network {}", made.len(), graph.nodes.len()));
    }
    ports(
        "outputs",
        shapes(model.outputs().map(|p| p.tensor).collect()),
        graph.outputs.iter().map(|o| graph.shape(o.tensor)).collect(),
    )?;
    let steps = usize::from(model.header().sequence);
    if steps != graph.steps {
        return Err(format!("the file decides after {steps} steps, the network after {} (--frames)", graph.steps));
    }
    Ok(made)
}

/// What was seen of a layer or an input.
#[derive(Clone, Copy, Default)]
struct Seen {
    so_far: Sums,
    own: Sums,
    clipped: u64,
}

impl Seen {
    fn join(&mut self, other: &Seen) {
        self.so_far.join(&other.so_far);
        self.own.join(&other.own);
        self.clipped += other.clipped;
    }

    fn thousandths(&self) -> f64 {
        1000.0 * self.clipped as f64 / (self.so_far.count as f64).max(1.0)
    }

    fn layer(&self, node: &Node, shape: Shape, tensor: Option<Tensor>) -> Layer {
        let unit = tensor.map_or(1.0, |t| f64::from(t.scale));
        Layer {
            name: node.name.clone(),
            operator: node.operator.clone(),
            shape: show_shape(shape),
            snr_db: self.so_far.snr_db(),
            own_db: self.own.snr_db(),
            own_steps: (self.own.noise / (self.own.count as f64).max(1.0)).sqrt() / unit,
            clipped: self.thousandths(),
            whole: tensor.is_some_and(|t| t.dtype == Dtype::I32),
        }
    }
}

/// The smallest and the largest value of a tensor's numbers.
fn ends(tensor: &Tensor) -> [f32; 2] {
    let numbers = match tensor.dtype {
        Dtype::I8 => [f32::from(i8::MIN), f32::from(i8::MAX)],
        Dtype::I16 => [f32::from(i16::MIN), f32::from(i16::MAX)],
        Dtype::I32 => [f32::NEG_INFINITY, f32::INFINITY],
    };
    numbers.map(|q| tensor.scale * (q - f32::from(tensor.zero_point)))
}

/// Both, while they run.
struct Beside<'g> {
    graph: &'g Graph,
    /// By how much the file has channels magnified.
    factors: &'g Factors,
    /// What tells it.
    reach: Reach,
    /// Numbers of each tensor.
    ends: Vec<[f32; 2]>,
    /// Half a unit of each.
    halves: Vec<f32>,
    tensors: Vec<Option<Tensor>>,
    /// Which node a step is the last of.
    nodes: Vec<Option<usize>>,
    seen: Vec<Seen>,
}

impl<'g> Beside<'g> {
    fn new(graph: &'g Graph, model: &Model, last: &[(usize, u16)], factors: &'g Factors) -> Self {
        let mut tensors: Vec<Option<Tensor>> = vec![None; graph.tensors.len()];
        for (input, port) in graph.inputs.iter().zip(model.inputs()) {
            tensors[input.tensor] = Some(port.tensor);
        }
        let mut nodes = vec![None; last.last().map_or(0, |l| l.0 + 1)];
        for (at, (node, &(step, record))) in graph.nodes.iter().zip(last).enumerate() {
            tensors[node.output] = model.tensor(record);
            nodes[step] = Some(at);
        }
        Beside {
            graph,
            factors,
            reach: graph.tensors.iter().map(|t| vec![[0.0; 3]; t.shape[2]]).collect(),
            ends: tensors.iter().map(|t| t.as_ref().map_or([0.0; 2], ends)).collect(),
            halves: tensors.iter().map(|t| t.map_or(0.0, |t| t.scale / 2.0)).collect(),
            tensors,
            nodes,
            seen: vec![Seen::default(); graph.inputs.len() + graph.nodes.len()],
        }
    }

    /// Counts a value that the file has as `ours`.
    fn count(&mut self, place: usize, id: usize, float: &[f32], ours: &[f32]) {
        let ([low, high], half) = (self.ends[id], self.halves[id]);
        for (&f, &q) in float.iter().zip(ours) {
            self.seen[place].so_far.add(f, q.into());
            self.seen[place].clipped += u64::from(!(f >= low - half && f <= high + half));
        }
    }

    fn run(&mut self, mut session: Session, samples: &dyn Samples, picks: &[usize]) -> Result<(), Error> {
        let graph = self.graph;
        let mut evaluator = Evaluator::new(graph);
        for &index in picks {
            let sample = samples.get(index)?;
            let mut floats: Vec<Vec<f32>> = vec![];
            evaluator.run(&sample, |id, values| {
                if !graph.is_input(id) {
                    floats.push(values.to_vec());
                }
            });
            session.reset();
            let mut states: Vec<Vec<f32>> = graph.nodes.iter().map(|n| vec![0.0; n.op.state_len()]).collect();
            for (step, floats) in sample.chunks_exact(graph.step_len()).zip(floats.chunks(graph.nodes.len())) {
                give(&mut session, step)?;
                let mut values = self.given(step);
                let mut see = |at: usize, _: &Step, stored: &[i8]| {
                    if let Some(node) = self.nodes.get(at).copied().flatten() {
                        self.node(node, stored, &floats[node], &mut values, &mut states[node]);
                    }
                };
                session.infer_traced(&mut see).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// What the file makes of one step's inputs.
    fn given(&mut self, mut step: &[f32]) -> Vec<Vec<f32>> {
        let mut values = vec![vec![]; self.graph.tensors.len()];
        for (place, input) in self.graph.inputs.iter().enumerate() {
            let id = input.tensor;
            let (float, rest) = step.split_at(self.graph.len(id));
            if let Some(t) = self.tensors[id] {
                let real = |&v: &f32| {
                    let q: i16 = match t.dtype {
                        Dtype::I8 => quantize(v, t.scale, t.zero_point).into(),
                        _ => quantize_wide(v, t.scale),
                    };
                    t.scale * (f32::from(q) - f32::from(t.zero_point))
                };
                values[id] = float.iter().map(real).collect();
            }
            self.count(place, id, float, &values[id]);
            step = rest;
        }
        values
    }

    /// A node's output, as the file has stored it.
    fn node(&mut self, at: usize, stored: &[i8], float: &[f32], values: &mut [Vec<f32>], state: &mut [f32]) {
        let node = &self.graph.nodes[at];
        let (id, place, graph, factors) = (node.output, self.graph.inputs.len() + at, self.graph, self.factors);
        let Some(tensor) = self.tensors[id] else { return };
        let ours = reals(stored, &tensor);
        reaches(&mut self.reach[id], float, &ours);
        let magnify = |values: &mut [f32], back: bool| {
            let factors = factors[id].iter().flat_map(|factors| factors.iter().cycle());
            values.iter_mut().zip(factors).for_each(|(v, f)| *v *= if back { 1.0 / f } else { *f });
        };
        let mut float = float.to_vec();
        magnify(&mut float, false);
        self.count(place, id, &float, &ours);
        let input = |&id: &usize| Map { values: &values[id], shape: graph.shape(id) };
        let inputs: Vec<Map> = node.inputs.iter().map(input).collect();
        let (mut own, [low, high]) = (vec![0.0; ours.len()], self.ends[id]);
        node.op.eval(&inputs, state, &mut own, graph.shape(id));
        graph.tensors[id].round(&mut own);
        magnify(&mut own, false);
        // Where a function has no value, a table takes that of the nearest with one.
        for (own, &ours) in own.iter().zip(&ours).filter(|(own, _)| !own.is_nan()) {
            self.seen[place].own.add(own.clamp(low, high), ours.into());
        }
        values[id] = ours;
        magnify(&mut values[id], true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_few_units_are_not_blamed_for_rounding() {
        let layer = |own_db, own_steps, whole| Layer {
            name: String::new(),
            operator: String::new(),
            shape: String::new(),
            snr_db: 0.0,
            own_db,
            own_steps,
            clipped: 0.0,
            whole,
        };
        assert!(!layer(3.0, 0.4, false).parts() && !layer(30.0, 5.0, false).parts());
        assert!(layer(3.0, 5.0, false).parts() && layer(f64::NAN, f64::NAN, false).parts());
        assert!(!layer(3.0, 5.0, true).parts() && !layer(f64::INFINITY, 0.0, false).parts());
    }
}
