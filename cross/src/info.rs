//! What is in a model file, for people and for machines.

use escarp_media::visible;
use escarp_runtime::{
    Model, Port, Tensor,
    frontend::FrontEnd,
    ops::{Cost, Step},
};
use serde_json::{Value, json};

use crate::{Error, limits, runner::front_end};

/// Everything as JSON; the text of [`text`] is made from it.
///
/// # Errors
/// [`Error::FrontEnd`].
pub fn json(model: &Model) -> Result<Value, Error> {
    let steps = model.steps().map(|step| {
        let output = model.tensor(step.output()).map(|t| shape(&t));
        json!({ "kind": step.name(), "output": output, "macs": cost(model, &step).macs, "scratch_bytes": cost(model, &step).scratch })
    });
    let accuracy = model.accuracy().map(|a| {
        json!({ "total": a.total, "float_correct": a.float_correct, "int8_correct": a.int8_correct, "agree": a.agree })
    });
    Ok(json!({
        "name": model.name(),
        "id": format!("{:08x}", model.id()),
        "file_bytes": model.header().file_len,
        "constant_bytes": model.header().consts_len,
        "arena_bytes": model.arena_len(),
        "scratch_bytes": model.scratch_len(),
        "state_bytes": model.state_len(),
        "macs": model.macs(),
        "work": model.work(),
        "decision_work": limits::work(model),
        "decision_memory_bytes": limits::memory(model),
        "sequence": model.sequence(),
        "worker_scratch_bytes": model.header().worker_len,
        "inputs": model.inputs().map(|p| port(&p)).collect::<Vec<_>>(),
        "outputs": model.outputs().map(|p| port(&p)).collect::<Vec<_>>(),
        "front_end": front_end_text(front_end(model)?),
        "columns": model.columns().collect::<Vec<_>>(),
        "labels": model.labels().collect::<Vec<_>>(),
        "accuracy": accuracy,
        "provenance": model.provenance(),
        "tensors": model.tensors().map(|t| tensor(&t)).collect::<Vec<_>>(),
        "steps": steps.collect::<Vec<_>>(),
    }))
}

/// The same in lines.
///
/// # Errors
/// [`Error::FrontEnd`].
pub fn text(model: &Model) -> Result<String, Error> {
    let mut lines = vec![
        format!("model       {} (id {:08x})", visible(model.name().unwrap_or("without a name")), model.id()),
        format!(
            "file        {} bytes, {} of them weights and tables",
            model.header().file_len,
            model.header().consts_len
        ),
        format!(
            "memory      arena {} bytes: {} state, {} scratch, the rest activations",
            model.arena_len(),
            model.state_len(),
            model.scratch_len()
        ),
        format!("work        {} multiply-accumulates a run, {} run(s) a decision", model.macs(), model.sequence()),
        format!(
            "            {} values read to make others a decision (--max-work), {} bytes with its input (--max-memory)",
            limits::work(model),
            limits::memory(model)
        ),
    ];
    lines.extend(model.inputs().map(|p| format!("input       {}", port_text(&p))));
    lines.extend(model.outputs().map(|p| format!("output      {}", port_text(&p))));
    lines.push(format!("front end   {}", front_end_text(front_end(model)?)));
    // Names stand within their line; the whole text is filtered once more where it is printed.
    let columns: Vec<_> = model.columns().map(|column| visible(column).to_string()).collect();
    if !columns.is_empty() {
        lines.push(format!("columns     {}", columns.join(", ")));
    }
    let labels: Vec<_> = model.labels().map(|label| visible(label).to_string()).collect();
    lines.push(format!("labels      {}", if labels.is_empty() { "none".into() } else { labels.join(", ") }));
    if let Some(a) = model.accuracy() {
        let (float, int8, agree, total) = (a.float_correct, a.int8_correct, a.agree, a.total);
        lines.push(format!("accuracy    float {float}, int8 {int8}, the same answer {agree}, of {total}"));
    }
    if let Some(text) = model.provenance() {
        lines.push(format!("made by     {}", text.trim().replace('\n', "\n            ")));
    }
    lines.push(String::new());
    lines.push(format!("{:>4}  {:<7} {:<16} {:>12} {:>9}", "step", "kind", "output", "macs", "scratch"));
    for (index, step) in model.steps().enumerate() {
        let output = model.tensor(step.output()).map_or_else(String::new, |t| shape_text(&t));
        let Cost { macs, scratch, .. } = cost(model, &step);
        lines.push(format!("{index:>4}  {:<7} {output:<16} {macs:>12} {scratch:>9}", step.name()));
    }
    Ok(lines.join("\n"))
}

fn shape(tensor: &Tensor) -> [u16; 3] {
    [tensor.height, tensor.width, tensor.channels]
}

fn shape_text(tensor: &Tensor) -> String {
    shape(tensor).map(|n| n.to_string()).join(" x ")
}

fn cost(model: &Model, step: &Step) -> Cost {
    step.cost(model).unwrap_or_default()
}

fn port(port: &Port) -> Value {
    let mut value = tensor(&port.tensor);
    value["name"] = port.name.into();
    value["meaning"] = port.meaning.name().into();
    value["tensor"] = port.id.into();
    value
}

fn tensor(tensor: &Tensor) -> Value {
    json!({
        "shape": shape(tensor), "scale": tensor.scale, "zero_point": tensor.zero_point,
        "offset": tensor.offset, "dtype": tensor.dtype.name(), "state": tensor.state,
    })
}

fn port_text(port: &Port) -> String {
    let Tensor { zero_point, scale, dtype, .. } = port.tensor;
    let (name, shape) = (visible(port.name), shape_text(&port.tensor));
    format!("{name}: {shape}, {}, {}, value = (q - {zero_point}) * {scale}", dtype.name(), port.meaning.name())
}

fn front_end_text(front_end: FrontEnd) -> String {
    match front_end {
        FrontEnd::Raw => "none: numbers as they are".into(),
        FrontEnd::Pixels(s) => format!("images of {} channel(s), normalized", s.norm.len()),
        FrontEnd::LogMel(s) => format!(
            "sound at {} Hz: {} frames of {} samples every {}, {} mel bands from {} to {} Hz",
            s.sample_rate,
            s.frames,
            s.frame,
            s.hop,
            s.norm.len(),
            s.low_hz,
            s.high_hz
        ),
        FrontEnd::Sensor(s) => {
            format!("sensor windows: {} samples of {} channels at {} Hz", s.frames, s.norm.len(), s.rate)
        }
    }
}
