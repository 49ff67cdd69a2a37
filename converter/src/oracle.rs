//! The float outputs that count: the original ONNX, untouched, run by tract.

use std::{collections::HashSet, sync::Arc};

use escarp_media::fence;
use tract_onnx::{pb, prelude::*};

use crate::{
    budget::Budget,
    error::Error,
    graph::{Graph, Meaning},
    onnx,
    view::View,
};

/// Most nodes (of tract's, constants among them) of a model that is optimized: tract's optimizer looks at all of them again and
/// again, 3,000 matrix products take minutes. A larger model runs as it is, which is slower for each sample.
const OPTIMIZED: usize = 2048;

/// The original model, ready to run.
pub struct FloatRunner {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<Arrangement>,
    outputs: Vec<Arrangement>,
    steps: usize,
    half: f32,
}

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
/// # Errors
/// [`Error::Oracle`] if tract refuses the model.
pub fn float_runner(bytes: &[u8], graph: &Graph) -> Result<FloatRunner, Error> {
    let mut model = onnx::parse(bytes, &Budget::new(bytes.len()))?;
    if let Some(proto) = &mut model.graph {
        graph.substitutes.iter().for_each(|s| s.apply(&mut proto.node, &mut proto.initializer));
        tell_apart(proto);
    }
    let plan = fenced(|| {
        tract_onnx::onnx()
            // Exporters leave value_info with a symbolic batch, which would contradict the batch of one.
            .with_ignore_value_info(true)
            .model_for_proto_model(&model)
            .and_then(|model| {
                let inputs = graph.inputs.iter().enumerate();
                inputs.into_iter().try_fold(model, |model, (at, input)| {
                    model.with_input_fact(at, f32::fact(input.view.lengths()).into())
                })
            })
            .and_then(|model| if model.nodes().len() > OPTIMIZED { model.into_typed() } else { model.into_optimized() })
            .and_then(|model| model.into_runnable())
    })?;
    Ok(FloatRunner {
        plan,
        inputs: graph.inputs.iter().map(|i| Arrangement::from(&i.view)).collect(),
        outputs: graph.outputs.iter().map(|o| Arrangement::from(&o.view)).collect(),
        steps: graph.steps,
        half: if matches!(graph.outputs[0].meaning, Meaning::Sigmoid | Meaning::Probabilities) { 0.5 } else { 0.0 },
    })
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

impl FloatRunner {
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
        let mut first = 0;
        let inputs = self.inputs.iter().map(|Arrangement { lengths, order }| {
            let steps = sample.chunks_exact(step_len).map(|step| &step[first..first + order.len()]);
            let values: Vec<f32> = steps.flat_map(|step| order.iter().map(|&place| step[place])).collect();
            first += order.len();
            (lengths, values)
        });
        let inputs: Vec<(&Vec<usize>, Vec<f32>)> = inputs.collect();
        fenced(|| {
            let tensors = inputs.iter().map(|(lengths, values)| Ok(Tensor::from_shape(lengths, values)?.into()));
            let made = self.plan.run(tensors.collect::<TractResult<_>>()?)?;
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
