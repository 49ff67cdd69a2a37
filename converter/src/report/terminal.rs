//! The table on the terminal.

use std::fmt::Write;

use escarp_media::visible;

use super::{Report, decibels, right, short};
use crate::page::thousands;

/// Layers shown.
const WORST: usize = 5;

pub(super) fn render(report: &Report) -> String {
    let (c, s) = (report.converted, report.scores);
    let plan = &c.plan;
    let mut rows: Vec<(&str, String)> = vec![
        ("model", visible(&c.about.name).to_string()),
        (
            "float file",
            format!(
                "{} bytes, {} parameters",
                thousands(report.float_bytes as u64),
                thousands(c.graph.parameters() as u64)
            ),
        ),
        ("int8 file", format!("{} bytes: {}", thousands(c.file.len() as u64), report.packing())),
        (
            "arena",
            format!(
                "{} bytes: states {}, activations {} (lower bound {}), scratch {}",
                thousands(plan.arena_len),
                thousands(plan.state_len),
                thousands(plan.arena_len - plan.state_len - plan.totals.scratch),
                thousands(plan.lower_bound),
                thousands(plan.totals.scratch)
            ),
        ),
        (
            "MAC",
            match c.graph.steps {
                1 => format!("{} an inference", thousands(report.macs())),
                steps => {
                    format!("{} a step, {} for {steps} steps", thousands(plan.graph.macs), thousands(report.macs()))
                }
            },
        ),
        ("calibrated on", format!("{} samples, spread evenly over classes and files", c.picks.len())),
    ];
    if s.labelled > 0 {
        let counted = |n: usize| format!("{n} of {} right, {}", s.labelled, right(n, s.labelled));
        rows.push(("float accuracy", counted(s.float_correct)));
        rows.push(("int8 accuracy", counted(s.int8_correct)));
    } else if c.graph.decides() {
        rows.push(("accuracy", "unknown: the samples have no labels".into()));
    }
    if c.graph.decides() {
        rows.push(("same top-1", format!("{} of {}, {}", s.agree, s.total, right(s.agree, s.total))));
    } else {
        let lost = s.outputs.iter().map(|o| {
            let (name, snr) = (visible(&o.name).to_string(), decibels(o.snr_db));
            ("output", format!("{name} {}: {snr}, mean error {:.4}, largest {:.4}", o.shape, o.mean, o.most))
        });
        rows.extend(lost);
    }
    let outputs = &c.graph.outputs;
    if outputs.iter().any(|o| o.view.numpy().is_some()) {
        let all: Vec<String> = outputs.iter().map(|o| o.view.words()).collect();
        let alike = all.iter().all(|words| *words == all[0]);
        let of = if alike { format!("ONNX's {}", all[0]) } else { "ONNX's order is in the report".into() };
        rows.push(("outputs lie", format!("as height, width, channels; {of}")));
    }
    rows.push(("measured on", format!("{} {}", s.total, report.basis())));
    rows.push(("measured with", format!("{} kernels", report.isa.name())));
    let mut out = String::new();
    for (name, value) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:>15}  {value}");
    }
    let _ = writeln!(out, "\n   worst layers by signal-to-noise (int8 against float, errors so far included)");
    for &i in report.worst_first().iter().take(WORST) {
        let l = &c.layers[i];
        let operator = visible(&l.operator).to_string();
        let _ =
            writeln!(out, "  {:>9}  {:<20} {:>10}  {}", decibels(l.snr_db), operator, l.shape, visible(short(&l.name)));
    }
    let _ = writeln!(out, "\n   {}", report.became());
    for (kind, count) in report.changes() {
        let _ = writeln!(out, "  {count:>9}  {}", kind.title());
    }
    if let Some(choice) = c.choice.as_ref().filter(|choice| !choice.ranking.is_empty()) {
        let _ = writeln!(
            out,
            "\n   activations by what int8 costs for what 16 bits take (these alone in int8, all else float)"
        );
        for set in choice.ranking.iter().take(WORST) {
            let (bits, name) = (if set.wide { 16 } else { 8 }, visible(short(&set.layer)).to_string());
            let _ = writeln!(out, "  {:>9}  {bits:>2} bits  {:>3} tensors  {name}", decibels(set.snr_db), set.tensors);
        }
    }
    let remarks = report.remarks();
    if !remarks.is_empty() {
        let _ = writeln!(out);
    }
    for line in remarks {
        let _ = writeln!(out, "  {}", visible(line));
    }
    out
}
