//! The JSON document.

use serde_json::json;

use super::{Report, dtype, meaning};

pub(super) fn render(report: &Report) -> String {
    let (c, s) = (report.converted, report.scores);
    let labelled = |n: usize| (s.labelled > 0).then_some(n);
    let layers: Vec<_> = c
        .layers
        .iter()
        .zip(&c.plan.graph.nodes)
        .map(|(l, n)| {
            let tensor = &c.plan.graph.tensors[n.output];
            json!({
                "name": l.name,
                "operator": l.operator,
                "shape": tensor.shape,
                // JSON has no infinity: null where nothing is lost.
                "snr_db": l.snr_db.is_finite().then_some(l.snr_db),
                "scale": tensor.scale.scale,
                "zero_point": tensor.scale.zero_point,
                "dtype": tensor.dtype.name(),
            })
        })
        .collect();
    let outputs: Vec<_> = s
        .outputs
        .iter()
        .enumerate()
        .map(|(at, o)| {
            let output = &c.plan.graph.outputs[at];
            let tensor = &c.plan.graph.tensors[output.tensor];
            json!({
                "name": o.name,
                "shape": o.shape,
                "snr_db": o.snr_db.is_finite().then_some(o.snr_db),
                "mean_error": o.mean,
                "largest_error": o.most,
                "meaning": meaning(output.meaning),
                "scale": tensor.scale.scale,
                "zero_point": tensor.scale.zero_point,
                "dtype": dtype(tensor.dtype),
                // How ONNX's tensor is made of the values as they lie: null where it lies so.
                "numpy": c.graph.outputs[at].view.numpy(),
            })
        })
        .collect();
    let named = |at: &usize| c.graph.origins[*at].name.as_str();
    let changes: Vec<_> = c
        .graph
        .changes
        .iter()
        .map(|change| {
            json!({
                "what": change.kind.name(),
                "nodes": change.nodes.iter().map(named).collect::<Vec<_>>(),
                "into": change.into.as_ref().map(named),
                "detail": change.detail,
            })
        })
        .collect();
    let parts = report.parts();
    let document = json!({
        "model": c.about.name,
        "float_correct": labelled(s.float_correct),
        "int8_correct": labelled(s.int8_correct),
        "agree": c.graph.decides().then_some(s.agree),
        "total": s.total,
        "labelled": s.labelled,
        "tested": report.tested,
        "isa": report.isa.name(),
        "calibration_samples": c.picks.len(),
        "float_bytes": report.float_bytes,
        "file_bytes": c.file.len(),
        "file_parts": {
            "weights": parts.weights,
            "filling": parts.filling,
            "params": parts.params,
            "rest": parts.rest,
        },
        "arena_bytes": c.plan.arena_len,
        "scratch_bytes": c.plan.totals.scratch,
        "state_bytes": c.plan.state_len,
        "activation_lower_bound_bytes": c.plan.lower_bound,
        "macs": c.plan.graph.macs,
        "macs_per_decision": report.macs(),
        "steps_per_decision": c.graph.steps,
        "labels": c.about.metadata.labels,
        "nodes": c.graph.origins.len(),
        "changes": changes,
        "notes": c.notes,
        "warnings": c.warnings,
        "layers": layers,
        "outputs": outputs,
    });
    format!("{document:#}\n")
}
