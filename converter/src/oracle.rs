//! The float outputs that count: the original ONNX, untouched, run by tract; where tract cannot run it, what we read of it.

use std::{collections::HashSet, sync::Arc};

use escarp_media::fence;
use tract_onnx::{
    pb::{self, tensor_proto::DataType},
    prelude::*,
};

use crate::{
    budget::Budget,
    constant::Constant,
    error::Error,
    eval::{Evaluator, read_off},
    graph::{self, Graph, Meaning},
    onnx,
    part::{self, Part},
    scale::narrow,
    view::View,
};

/// Most nodes (of tract's, constants among them) of a model that is optimized: tract's optimizer looks at all of them again and
/// again, 3,000 matrix products take minutes. A larger model runs as it is, which is slower for each sample.
const OPTIMIZED: usize = 2048;

/// The original model, ready to run.
pub struct FloatRunner<'g> {
    engine: Engine,
    graph: &'g Graph,
    inputs: Vec<Arrangement>,
    /// Element types of the inputs, where the file has others than f32.
    kinds: Vec<DatumType>,
    outputs: Vec<Arrangement>,
    steps: usize,
    half: f32,
    doubt: Option<String>,
}

/// Who computes.
enum Engine {
    Tract(Arc<TypedRunnableModel>),
    Ours,
}

/// How far two f32 evaluations of a network may be apart, as a part of the largest output.
const ALIKE: f32 = 1e-2;

/// How ONNX arranges an input or output of ours.
struct Arrangement {
    /// Its dimensions.
    lengths: Vec<usize>,
    /// Where each element of one step lies in ours.
    order: Vec<usize>,
}

impl From<&View> for Arrangement {
    fn from(view: &View) -> Arrangement {
        Arrangement { lengths: view.lengths(), order: view.order() }
    }
}

/// Prepares the original model; `graph` is what [`crate::read`] read from the same bytes, and tells how samples
/// are arranged.
///
/// Two readings of one file must compute the same. Where tract's and ours do not, tract runs the model as it is: its optimizer turns
/// some differences round. If that does not agree either, [`FloatRunner::doubt`] says so.
///
/// A model that tract does not run is evaluated by us, which [`FloatRunner::doubt`] says.
///
/// # Errors
/// [`Error::Onnx`] if the bytes are no model.
pub fn float_runner<'g>(bytes: &[u8], graph: &'g Graph) -> Result<FloatRunner<'g>, Error> {
    let budget = Budget::new(bytes.len());
    let mut model = onnx::parse(bytes, graph.folder.as_deref(), &budget)?;
    if let Some(proto) = &mut model.graph {
        same_part(proto, graph)?;
        as_floats(proto, &budget)?;
        graph.substitutes.iter().for_each(|s| s.apply(&mut proto.node, &mut proto.initializer));
        tell_apart(proto);
    }
    let tried = |optimized| {
        let kinds = kinds(&model, graph);
        let engine = Engine::Tract(prepared(&model, graph, &kinds, optimized)?);
        let float = FloatRunner { kinds, ..runner(graph, engine) };
        let doubt = differ(&float)?;
        Ok(FloatRunner { doubt, ..float })
    };
    match tried(true) {
        Ok(float) if float.doubt.is_none() => Ok(float),
        _ => tried(false).or_else(|e: Error| {
            let doubt = Some(format!(
                "{e}; float answers are this program's own, of what it read: compare with the framework that the model comes from"
            ));
            Ok(FloatRunner { doubt, ..runner(graph, Engine::Ours) })
        }),
    }
}

fn runner(graph: &Graph, engine: Engine) -> FloatRunner<'_> {
    FloatRunner {
        engine,
        graph,
        inputs: graph.inputs.iter().map(|i| Arrangement::from(&i.view)).collect(),
        kinds: vec![f32::datum_type(); graph.inputs.len()],
        outputs: graph.outputs.iter().map(|o| Arrangement::from(&o.view)).collect(),
        steps: graph.steps,
        half: if matches!(graph.outputs[0].meaning, Meaning::Sigmoid | Meaning::Probabilities) { 0.5 } else { 0.0 },
        doubt: None,
    }
}

/// Element types of the inputs.
fn kinds(model: &pb::ModelProto, graph: &Graph) -> Vec<DatumType> {
    let declared = |input: &graph::Input| {
        let name = &graph.tensors[input.tensor].name;
        let found = model.graph.iter().flat_map(|g| &g.input).find(|i| i.name == *name);
        match found.and_then(onnx::declared_type) {
            Some(DataType::Int8) => i8::datum_type(),
            Some(DataType::Uint8) => u8::datum_type(),
            _ => f32::datum_type(),
        }
    };
    graph.inputs.iter().map(declared).collect()
}

fn prepared(
    model: &pb::ModelProto,
    graph: &Graph,
    kinds: &[DatumType],
    optimized: bool,
) -> Result<Arc<TypedRunnableModel>, Error> {
    fenced(|| {
        tract_onnx::onnx()
            // Exporters leave value_info with a symbolic batch, which would contradict the batch of one.
            .with_ignore_value_info(true)
            .model_for_proto_model(model)
            .and_then(|model| {
                let mut inputs = graph.inputs.iter().zip(kinds).enumerate();
                inputs.try_fold(model, |model, (at, (i, kind))| {
                    model.with_input_fact(at, kind.fact(i.view.lengths()).into())
                })
            })
            .and_then(|model| match optimized && model.nodes().len() <= OPTIMIZED {
                true => model.into_optimized(),
                false => model.into_typed(),
            })
            .and_then(|model| model.into_runnable())
    })
}

/// Cuts the model where the graph was cut.
fn same_part(proto: &mut pb::GraphProto, graph: &Graph) -> Result<(), Error> {
    let constants: HashSet<&str> = proto.initializer.iter().map(|t| t.name.as_str()).collect();
    let given = proto.input.iter().map(|i| i.name.as_str()).filter(|name| !constants.contains(name));
    let same = given.eq(graph.inputs.iter().map(|i| graph.tensors[i.tensor].name.as_str()))
        && proto.output.iter().map(|o| &o.name).eq(graph.outputs.iter().map(|o| &o.name));
    if same {
        return Ok(());
    }
    let named = |i: &graph::Input| (graph.tensors[i.tensor].name.clone(), Some(i.view.lengths()));
    let outputs = graph.outputs.iter().map(|o| o.name.clone()).collect();
    part::select(proto, &Part { outputs, inputs: graph.inputs.iter().map(named).collect() })
}

/// Halves and doubles are f32, as in the graph: tract does not mix them.
fn as_floats(proto: &mut pb::GraphProto, budget: &Budget) -> Result<(), Error> {
    let other =
        |kind: i32| matches!(DataType::try_from(kind), Ok(DataType::Float16 | DataType::Bfloat16 | DataType::Double));
    // A cast's target.
    for attribute in proto.node.iter_mut().flat_map(|node| &mut node.attribute).filter(|a| a.name == "to") {
        if i32::try_from(attribute.i).is_ok_and(other) {
            attribute.i = DataType::Float as i64;
        }
    }
    let constants = proto.node.iter_mut().flat_map(|node| &mut node.attribute).filter_map(|a| a.t.as_mut());
    for t in proto.initializer.iter_mut().chain(constants).filter(|t| other(t.data_type)) {
        if let Constant::Float(values) = Constant::from_proto(t, budget).map_err(Error::Onnx)? {
            let (name, dims) = (std::mem::take(&mut t.name), std::mem::take(&mut t.dims));
            let (data_type, float_data) = (DataType::Float as i32, values.iter().copied().collect());
            *t = pb::TensorProto { name, dims, data_type, float_data, ..Default::default() };
        }
    }
    Ok(())
}

/// How far tract is from our own evaluation, in words, on a sample of numbers between 0 and 1; `None` if not far.
fn differ(float: &FloatRunner) -> Result<Option<String>, Error> {
    let graph = float.graph;
    // The fractional parts of multiples of the golden ratio: spread, and the same everywhere.
    let sample: Vec<f32> =
        (0..graph.sample_len()).map(|i| narrow((i as f64 * 0.618_033_988_749_895).fract())).collect();
    let theirs = float.run_all(&sample)?;
    for (output, (theirs, ours)) in graph.outputs.iter().zip(theirs.iter().zip(ours(graph, &sample))) {
        let largest = theirs.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Sums in another order; what is not finite is told where samples are read.
        if apart > ALIKE * largest.max(1e-3) {
            let name = &output.name;
            return Ok(Some(format!(
                "output `{name}`: tract's reading of the model and this program's differ by {apart} of {largest}; the file may mean \
                 something else than one of them reads: compare with the framework it comes from"
            )));
        }
    }
    Ok(None)
}

/// What we compute, as the original gives it.
fn ours(graph: &Graph, sample: &[f32]) -> Vec<Vec<f32>> {
    let mut evaluator = Evaluator::new(graph);
    evaluator.run(sample, |_, _| {});
    graph.outputs.iter().map(|o| read_off(o.taken, evaluator.value(o.tensor))).collect()
}

/// ONNX lets nodes share names, which are for people; tract wants every input, weight and node to have its own.
fn tell_apart(graph: &mut pb::GraphProto) {
    let inputs = graph.input.iter().map(|i| i.name.clone());
    let mut taken: HashSet<String> = inputs.chain(graph.initializer.iter().map(|t| t.name.clone())).collect();
    for (i, node) in graph.node.iter_mut().enumerate() {
        if node.name.is_empty() {
            node.name = node.output.first().cloned().unwrap_or_default();
        }
        while !taken.insert(node.name.clone()) {
            node.name = format!("{} (node {i})", node.name);
        }
    }
}

impl FloatRunner<'_> {
    /// What is doubtful about its answers, in a line.
    pub fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    /// Values of output `index` of our graph as the original gives them: through what was taken off its end.
    pub fn as_original(&self, index: usize, values: &[f32]) -> Vec<f32> {
        self.graph.outputs.get(index).map_or_else(|| values.to_vec(), |output| read_off(output.taken, values))
    }

    /// Where a single output decides: at one half if it is a probability, else at 0.
    pub fn half(&self) -> f32 {
        self.half
    }

    /// The first output of one sample, given as `[steps][input][height][width][channel]`, as `[height][width][channel]`.
    ///
    /// # Errors
    /// [`Error::Oracle`] if tract fails, [`Error::Samples`] if the sample has another length.
    pub fn run(&self, sample: &[f32]) -> Result<Vec<f32>, Error> {
        Ok(self.run_all(sample)?.swap_remove(0))
    }

    /// [`FloatRunner::run`] with all outputs.
    ///
    /// # Errors
    /// As there.
    pub fn run_all(&self, sample: &[f32]) -> Result<Vec<Vec<f32>>, Error> {
        let step_len: usize = self.inputs.iter().map(|i| i.order.len()).sum();
        if sample.len() != self.steps * step_len {
            let needed = self.steps * step_len;
            return Err(Error::Samples(format!("a sample of {} values; needed: {needed}", sample.len())));
        }
        let Engine::Tract(plan) = &self.engine else { return Ok(ours(self.graph, sample)) };
        let mut first = 0;
        let inputs = self.inputs.iter().map(|Arrangement { lengths, order }| {
            let steps = sample.chunks_exact(step_len).map(|step| &step[first..first + order.len()]);
            let values: Vec<f32> = steps.flat_map(|step| order.iter().map(|&place| step[place])).collect();
            first += order.len();
            (lengths, values)
        });
        let inputs: Vec<(&Vec<usize>, Vec<f32>)> = inputs.collect();
        fenced(|| {
            let tensors = inputs.iter().zip(&self.kinds).map(|((lengths, values), &kind)| {
                if kind == f32::datum_type() {
                    return Ok(Tensor::from_shape(lengths, values)?.into());
                }
                let whole: Vec<f32> = values.iter().map(|v| v.round()).collect();
                Ok(Tensor::from_shape(lengths, &whole)?.cast_to_dt(kind)?.into_owned().into())
            });
            let made = plan.run(tensors.collect::<TractResult<_>>()?)?;
            let ours = |(made, Arrangement { order, .. }): (&TValue, &Arrangement)| {
                let made = made.cast_to::<f32>()?;
                let made = made.to_plain_array_view::<f32>()?;
                let mut values = vec![0.0; order.len()];
                order.iter().zip(made.iter()).for_each(|(&place, &value)| values[place] = value);
                Ok((values, made.len()))
            };
            made.iter().zip(&self.outputs).map(ours).collect::<TractResult<Vec<_>>>()
        })?
        .into_iter()
        .map(|(values, made)| match made == values.len() {
            true => Ok(values),
            false => Err(Error::Oracle(format!("tract gives {made} values for an output of {}", values.len()))),
        })
        .collect()
    }
}

/// Calls tract, whose panics on models that it does not expect are errors like its others.
fn fenced<T>(call: impl FnOnce() -> TractResult<T>) -> Result<T, Error> {
    fence(call)
        .map_err(|panic| Error::Oracle(format!("tract panicked: {panic}")))?
        .map_err(|e| Error::Oracle(format!("{e:#}")))
}
