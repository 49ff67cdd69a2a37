//! What is in a model file, for people and for machines.

use escarp_media::visible;
use escarp_runtime::frontend::FrontEnd;
use escarp_runtime::meta::OutputKind;
use escarp_runtime::{Model, Tensor};
use serde_json::{Value, json};

use crate::runner::front_end;
use crate::{Error, limits};

/// Everything as JSON; the text of [`text`] is made from it.
///
/// # Errors
/// [`Error::FrontEnd`].
pub fn json(model: &Model) -> Result<Value, Error> {
    let steps = model.steps().map(|step| {
        let output = model.tensor(step.output()).map(|t| shape(&t));
        json!({ "kind": step.name(), "output": output, "macs": step.macs(model), "scratch_bytes": step.scratch_len(model) })
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
        "input": port(&model.input()),
        "output": port(&model.output()),
        "output_kind": match model.output_kind() {
            OutputKind::Plain => "plain",
            OutputKind::Softmax => "softmax",
            OutputKind::Sigmoid => "sigmoid",
        },
        "front_end": front_end_text(front_end(model)?),
        "columns": model.columns().collect::<Vec<_>>(),
        "labels": model.labels().collect::<Vec<_>>(),
        "accuracy": accuracy,
        "provenance": model.provenance(),
        "tensors": model.tensors().map(|t| port(&t)).collect::<Vec<_>>(),
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
        format!("input       {}", port_text(&model.input())),
        format!("output      {}", port_text(&model.output())),
        format!("front end   {}", front_end_text(front_end(model)?)),
    ];
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
        let (macs, scratch) = (step.macs(model).unwrap_or(0), step.scratch_len(model).unwrap_or(0));
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

fn port(tensor: &Tensor) -> Value {
    json!({
        "shape": shape(tensor), "scale": tensor.scale, "zero_point": tensor.zero_point,
        "offset": tensor.offset, "dtype": format!("{:?}", tensor.dtype).to_lowercase(), "state": tensor.state,
    })
}

fn port_text(tensor: &Tensor) -> String {
    format!("{}, int8, value = (q - {}) * {}", shape_text(tensor), tensor.zero_point, tensor.scale)
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
