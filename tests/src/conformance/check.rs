//! One case.

use escarp_converter::{
    Constant, Error, Options, calibrate::Method, convert, eval::Evaluator, graph::Graph, measure::answer, read,
    samples::InMemory,
};
use escarp_media::fence;
use escarp_runtime::{Cpu, Model, frontend::quantize};
use prost::Message;
use tract_onnx::pb::{self, tensor_proto::DataType};

use super::{Case, Outcome, STEPS, Verdict};

/// ONNX's own tolerance.
const RELATIVE: f64 = 1e-3;
const ABSOLUTE: f64 = 1e-7;

/// What 8 bits cannot hold, and why: cases by the beginning of their name.
const BEYOND: [(&str, &str); 2] = [
    ("test_reduce_log_sum_exp_", "exponentials of 1 to 20 in one tensor, which 8 bits cannot tell apart"),
    (
        "test_layer_normalization_",
        "variances of two to five values, whose inverse roots 8 bits of the variance do not tell well enough",
    ),
];

/// What onnxruntime gives as we do, and ONNX's reference otherwise.
const DISPUTED: [(&str, &str); 1] = [(
    "test_resize_downsample_scales_cubic_align_corners",
    "corners are aligned by the lengths that there are, as onnxruntime does, not by those that scales would give if they were whole",
)];

/// Runs a case.
#[must_use]
pub fn check(case: &Case) -> Outcome {
    let run = || -> [Verdict; 2] {
        let (bytes, graph) = match understood(case) {
            Ok(found) => found,
            Err(reason) => {
                return [Verdict::Unsupported(reason), Verdict::Unsupported("not supported in float".into())];
            }
        };
        match sample(case, &graph) {
            Ok(sample) => [float(case, &graph, &sample), int8(&bytes, &graph, sample)],
            Err(reason) => [Verdict::Failed(reason.clone()), Verdict::Unsupported(reason)],
        }
    };
    let [float, int8] = fence(run).unwrap_or_else(|panic| {
        let failed = Verdict::Failed(format!("panicked: {panic}"));
        [failed.clone(), failed]
    });
    let int8 = match (&int8, BEYOND.iter().find(|(name, _)| case.name.starts_with(name))) {
        (Verdict::Failed(_), Some((_, why))) => Verdict::Unsupported((*why).into()),
        _ => int8,
    };
    let float = match (&float, DISPUTED.iter().find(|(name, _)| case.name == *name)) {
        (Verdict::Failed(_), Some((_, why))) => Verdict::Unsupported((*why).into()),
        _ => float,
    };
    Outcome { case: case.name.clone(), operator: case.operator.clone(), group: case.group.clone(), float, int8 }
}

fn options() -> Options {
    Options { any_batch: true, method: Method::MinMax, name: "case".into(), ..Options::default() }
}

/// What can be given to a network: values, and floats.
fn is_float(t: &pb::TensorProto) -> bool {
    let floats = [DataType::Float, DataType::Float16, DataType::Bfloat16, DataType::Double];
    DataType::try_from(t.data_type).is_ok_and(|kind| floats.contains(&kind)) && !t.dims.contains(&0)
}

/// Numbers of int8 or uint8 can be given too.
fn is_number(t: &pb::TensorProto) -> bool {
    DataType::try_from(t.data_type).is_ok_and(|kind| matches!(kind, DataType::Int8 | DataType::Uint8))
}

/// The model as we read it, and its graph: every float input given if that is understood, else one of them and the others as
/// constants of these values. What is no float is a constant, but for the first input where nothing else is understood.
fn understood(case: &Case) -> Result<(Vec<u8>, Graph), String> {
    let floats: Vec<usize> = (0..case.inputs.len()).filter(|&i| is_float(&case.inputs[i])).collect();
    let mut ways = vec![floats.clone()];
    ways.extend(floats.iter().filter(|_| floats.len() > 1).map(|&i| vec![i]));
    // Where none of these is, the first input may be numbers.
    ways.extend(case.inputs.first().filter(|t| is_number(t)).map(|_| vec![0]));
    let mut reasons = vec![];
    for (way, given) in ways.into_iter().enumerate() {
        let bytes = with_constants(case, &given)?;
        match read(&bytes, &options()) {
            // What is left of an operator whose own input is a constant is nothing.
            Ok(graph) if way == 0 || !graph.outputs.is_empty() => return Ok((bytes, graph)),
            Ok(_) => {}
            Err(error) => reasons.push(reason(&error)),
        }
    }
    // The first input is what an operator is about, the others its weights.
    Err(reasons.get(1).or(reasons.first()).cloned().unwrap_or_default())
}

/// An error without the node, of which there is one.
fn reason(error: &Error) -> String {
    match error {
        Error::Operator { operator, .. } => format!("operator {operator}"),
        Error::Attribute { operator, attribute, value, supported, .. } => {
            format!("{operator}: {attribute} = {value}; supported: {supported}")
        }
        Error::Node { operator, reason, .. } => format!("{operator}: {reason}"),
        Error::Several(all) => all.all.first().map_or_else(String::new, |finding| reason(&finding.error)),
        other => other.to_string(),
    }
}

/// The model with all inputs but these as constants.
fn with_constants(case: &Case, given: &[usize]) -> Result<Vec<u8>, String> {
    let mut model = case.model.clone();
    let graph = model.graph.as_mut().ok_or("the model holds no graph")?;
    if graph.input.len() < case.inputs.len() {
        return Err(format!("{} values for {} inputs", case.inputs.len(), graph.input.len()));
    }
    for (index, (info, value)) in graph.input.iter().zip(&case.inputs).enumerate() {
        if !given.contains(&index) {
            graph.initializer.push(pb::TensorProto { name: info.name.clone(), ..value.clone() });
        }
    }
    Ok(model.encode_to_vec())
}

/// A tensor's values, integers and truths among them, in ONNX's order.
fn values(t: &pb::TensorProto) -> Result<(Vec<usize>, Vec<f64>), String> {
    let constant = Constant::of_tensor(t)?;
    let values = match &constant {
        Constant::Float(a) => a.iter().map(|&v| v.into()).collect(),
        Constant::Int(a) => a.iter().map(|&v| v as f64).collect(),
    };
    Ok((constant.shape().to_vec(), values))
}

/// The inputs as the graph takes them: all of the first step, and so on.
fn sample(case: &Case, graph: &Graph) -> Result<Vec<f32>, String> {
    let names: Vec<&str> = case.model.graph.iter().flat_map(|g| &g.input).map(|i| i.name.as_str()).collect();
    let mut parts = vec![];
    for input in &graph.inputs {
        let name = &graph.tensors[input.tensor].name;
        let at = names.iter().position(|n| n == name).ok_or_else(|| format!("input `{name}` has no value"))?;
        let (shape, given) = values(&case.inputs[at])?;
        if shape != input.view.lengths() {
            return Err(format!("input `{name}` is read as {:?}, its value is {shape:?}", input.view.lengths()));
        }
        let order = input.view.order();
        let mut ours = vec![0.0; given.len()];
        for (given, ours) in given.chunks(order.len()).zip(ours.chunks_mut(order.len())) {
            order.iter().zip(given).for_each(|(&place, &value)| ours[place] = narrow(value));
        }
        parts.push((ours, order.len()));
    }
    let steps = (0..graph.steps).flat_map(|step| parts.iter().map(move |(all, len)| &all[step * len..][..*len]));
    Ok(steps.flatten().copied().collect())
}

#[expect(clippy::cast_possible_truncation, reason = "inputs of tests are f32 or less, or become f32 here")]
fn narrow(v: f64) -> f32 {
    v as f32
}

/// Our network's outputs in ONNX's order, with shapes, by name.
fn evaluated(graph: &Graph, sample: &[f32]) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let mut evaluator = Evaluator::new(graph);
    if !graph.outputs.is_empty() {
        evaluator.run(sample, |_, _| {});
    }
    let outputs = graph.outputs.iter().map(|output| {
        let ours = evaluator.value(output.tensor);
        (output.name.clone(), output.view.lengths(), output.view.order().iter().map(|&place| ours[place]).collect())
    });
    outputs.collect()
}

/// The type of an output as the model declares it.
fn declared(case: &Case, name: &str) -> Option<DataType> {
    let outputs = case.model.graph.iter().flat_map(|g| &g.output);
    let kind = outputs.into_iter().find(|o| o.name == name)?.r#type.as_ref()?.value.as_ref()?;
    let pb::type_proto::Value::TensorType(tensor) = kind;
    DataType::try_from(tensor.elem_type).ok()
}

fn float(case: &Case, graph: &Graph, sample: &[f32]) -> Verdict {
    let outputs: Vec<(String, Vec<usize>, Vec<f64>)> = evaluated(graph, sample)
        .into_iter()
        .map(|(name, shape, values)| (name, shape, values.into_iter().map(f64::from).collect()))
        .chain(graph.constants.iter().map(|(name, constant)| {
            let values = match constant {
                Constant::Float(a) => a.iter().map(|&v| v.into()).collect(),
                Constant::Int(a) => a.iter().map(|&v| v as f64).collect(),
            };
            (name.clone(), constant.shape().to_vec(), values)
        }))
        .collect();
    let names = case.model.graph.iter().flat_map(|g| &g.output).map(|o| &o.name);
    for (name, expected) in names.zip(&case.outputs) {
        // As ONNX's runner has it in numpy, which lacks that type.
        if declared(case, name) == Some(DataType::Bfloat16) {
            return Verdict::Unsupported("an output of type bfloat16; values are f32 here".into());
        }
        let (shape, expected) = match values(expected) {
            Ok(found) => found,
            Err(reason) => return Verdict::Unsupported(format!("expected values: {reason}")),
        };
        let Some((_, ours_shape, ours)) = outputs.iter().find(|(other, ..)| other == name) else {
            return Verdict::Failed(format!("there is no output `{name}`"));
        };
        if *ours_shape != shape {
            return Verdict::Failed(format!("output `{name}` is {ours_shape:?}; expected: {shape:?}"));
        }
        let near =
            |a: f64, b: f64| a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= ABSOLUTE + RELATIVE * b.abs();
        if let Some(at) = (0..ours.len()).find(|&i| !near(ours[i], expected[i])) {
            let (ours, expected) = (ours[at], expected[at]);
            return Verdict::Failed(format!("output `{name}`, value {at}: {ours}; expected: {expected}"));
        }
    }
    Verdict::Passed
}

/// A sample as the int8 file takes it.
fn rounded(file: &[u8], graph: &Graph, sample: &[f32]) -> Result<Vec<f32>, String> {
    let model = Model::parse(file).map_err(|e| format!("the runtime refuses the file: {e}"))?;
    let mut given = sample.to_vec();
    for step in given.chunks_mut(graph.step_len()) {
        let mut rest = step;
        for (input, port) in graph.inputs.iter().zip(model.inputs()) {
            let (values, others) = rest.split_at_mut(graph.len(input.tensor));
            let (scale, zero) = (port.tensor.scale, port.tensor.zero_point);
            values.iter_mut().for_each(|v| *v = scale * (f32::from(quantize(*v, scale, zero)) - f32::from(zero)));
            rest = others;
        }
    }
    Ok(given)
}

fn int8(bytes: &[u8], graph: &Graph, sample: Vec<f32>) -> Verdict {
    if graph.outputs.is_empty() || graph.inputs.is_empty() {
        return Verdict::Unsupported("constant".into());
    }
    let sample_len = sample.len();
    let of = |values: Vec<f32>| {
        convert(bytes, &InMemory { values, sample_len, labels: vec![], source: "case".into() }, &options())
    };
    // Once to know what the int8 network is given in truth, once more calibrated on that too.
    let first = match of(sample.clone()) {
        Ok(converted) => converted,
        Err(error) => return Verdict::Unsupported(reason(&error)),
    };
    let given = match rounded(&first.file, graph, &sample) {
        Ok(given) => given,
        Err(reason) => return Verdict::Failed(reason),
    };
    let converted = match of([sample, given.clone()].concat()) {
        Ok(converted) => converted,
        Err(error) => return Verdict::Failed(reason(&error)),
    };
    let model = match Model::parse(&converted.file) {
        Ok(model) => model,
        Err(error) => return Verdict::Failed(format!("the runtime refuses the file: {error}")),
    };
    let answers = match answer(&converted.file, &given, Cpu::PORTABLE) {
        Ok(answers) => answers,
        Err(error) => return Verdict::Failed(error.to_string()),
    };
    let mut evaluator = Evaluator::new(&converted.graph);
    evaluator.run(&given, |_, _| {});
    for ((output, ours), port) in converted.graph.outputs.iter().zip(&answers).zip(model.outputs()) {
        let float = evaluator.value(output.tensor);
        let step = port.tensor.scale;
        let off = |i: usize| (float[i] - ours[i]).abs() / step;
        // Beyond the range that calibration saw, int8 ends.
        if let Some(at) = (0..float.len().min(ours.len())).find(|&i| off(i).is_nan() || off(i) > STEPS) {
            let (float, ours, off) = (float[at], ours[at], off(at));
            return Verdict::Failed(format!(
                "output `{}`, value {at}: {ours}, float {float}, {off:.1} steps",
                output.name
            ));
        }
    }
    Verdict::Passed
}
