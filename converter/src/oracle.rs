//! The float outputs that count: the original ONNX, untouched, run by tract.

use std::{collections::HashSet, sync::Arc};

use tract_onnx::{pb, prelude::*};

use crate::{
    error::Error,
    graph::{Graph, InputLayout, OutputKind},
};

/// The original model, ready to run.
pub struct FloatRunner {
    plan: Arc<TypedRunnableModel>,
    layout: InputLayout,
    shape: [usize; 3],
    steps: usize,
    sigmoid: bool,
}

/// Prepares the original model; `graph` is what [`crate::import::import`] read from the same bytes, and tells how samples
/// are arranged.
///
/// # Errors
/// [`Error::Oracle`] if tract refuses the model.
pub fn float_runner(onnx: &[u8], graph: &Graph) -> Result<FloatRunner, Error> {
    let shape = graph.shape(graph.input);
    let input = graph.input_layout.onnx_shape(shape, graph.steps);
    let wrong = |e: TractError| Error::Oracle(format!("{e:#}"));
    let reader = tract_onnx::onnx();
    let mut model = reader.proto_model_for_read(&mut &onnx[..]).map_err(wrong)?;
    model.graph.iter_mut().for_each(tell_apart);
    let plan = reader
        // Exporters leave value_info with a symbolic batch, which would contradict the batch of one.
        .with_ignore_value_info(true)
        .model_for_proto_model(&model)
        .and_then(|model| model.with_input_fact(0, f32::fact(&input).into()))
        .and_then(|model| model.into_optimized())
        .and_then(|model| model.into_runnable())
        .map_err(wrong)?;
    Ok(FloatRunner {
        plan,
        layout: graph.input_layout,
        shape,
        steps: graph.steps,
        sigmoid: graph.output_kind == OutputKind::Sigmoid,
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
    /// Are the outputs probabilities of a sigmoid, so that one half decides?
    pub fn ends_in_sigmoid(&self) -> bool {
        self.sigmoid
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
        let wrong = |e: TractError| Error::Oracle(format!("{e:#}"));
        let shape = self.layout.onnx_shape(self.shape, self.steps);
        let input = Tensor::from_shape(&shape, planes).map_err(wrong)?;
        let outputs = self.plan.run(tvec!(input.into())).map_err(wrong)?;
        let output = outputs[0].to_plain_array_view::<f32>().map_err(wrong)?;
        Ok(output.iter().copied().collect())
    }
}
