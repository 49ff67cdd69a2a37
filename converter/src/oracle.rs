//! The float outputs that count: the original ONNX, untouched, run by tract.

use std::{collections::HashSet, sync::Arc};

use escarp_media::fence;
use tract_onnx::{pb, prelude::*};

use crate::{
    budget::Budget,
    error::Error,
    graph::{Graph, InputLayout, Meaning},
    onnx,
};

/// Most nodes (of tract's, constants among them) of a model that is optimized: tract's optimizer looks at all of them again and
/// again, 3,000 matrix products take minutes. A larger model runs as it is, which is slower for each sample.
const OPTIMIZED: usize = 2048;

/// The original model, ready to run.
pub struct FloatRunner {
    plan: Arc<TypedRunnableModel>,
    layout: InputLayout,
    shape: [usize; 3],
    steps: usize,
    half: f32,
}

/// Prepares the original model; `graph` is what [`crate::read`] read from the same bytes, and tells how samples
/// are arranged.
///
/// # Errors
/// [`Error::Oracle`] if tract refuses the model.
pub fn float_runner(bytes: &[u8], graph: &Graph) -> Result<FloatRunner, Error> {
    let shape = graph.shape(graph.input);
    let input = graph.input_layout.onnx_shape(shape, graph.steps);
    let mut model = onnx::parse(bytes, &Budget::new(bytes.len()))?;
    model.graph.iter_mut().for_each(tell_apart);
    let plan = fenced(|| {
        tract_onnx::onnx()
            // Exporters leave value_info with a symbolic batch, which would contradict the batch of one.
            .with_ignore_value_info(true)
            .model_for_proto_model(&model)
            .and_then(|model| model.with_input_fact(0, f32::fact(&input).into()))
            .and_then(|model| if model.nodes().len() > OPTIMIZED { model.into_typed() } else { model.into_optimized() })
            .and_then(|model| model.into_runnable())
    })?;
    Ok(FloatRunner {
        plan,
        layout: graph.input_layout,
        shape,
        steps: graph.steps,
        half: if matches!(graph.meaning, Meaning::Sigmoid | Meaning::Probabilities) { 0.5 } else { 0.0 },
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

    /// Outputs of one sample, given as `[steps][height][width][channel]`.
    ///
    /// # Errors
    /// [`Error::Oracle`] if tract fails, [`Error::Samples`] if the sample has another length.
    pub fn run(&self, sample: &[f32]) -> Result<Vec<f32>, Error> {
        let [h, w, c] = self.shape;
        let needed = self.steps * h * w * c;
        if sample.len() != needed {
            return Err(Error::Samples(format!("a sample of {} values; needed: {needed}", sample.len())));
        }
        let planes = match self.layout {
            InputLayout::Nchw => &(0..h * w * c).map(|i| sample[i % (h * w) * c + i / (h * w)]).collect::<Vec<_>>(),
            _ => sample,
        };
        let shape = self.layout.onnx_shape(self.shape, self.steps);
        fenced(|| {
            let outputs = self.plan.run(tvec!(Tensor::from_shape(&shape, planes)?.into()))?;
            let output = outputs[0].to_plain_array_view::<f32>()?;
            Ok(output.iter().copied().collect())
        })
    }
}

/// Calls tract, whose panics on models that it does not expect are errors like its others.
fn fenced<T>(call: impl FnOnce() -> TractResult<T>) -> Result<T, Error> {
    fence(call)
        .map_err(|panic| Error::Oracle(format!("tract panicked: {panic}")))?
        .map_err(|e| Error::Oracle(format!("{e:#}")))
}
