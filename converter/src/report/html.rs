//! The HTML page.

use std::fmt::Write;

use escarp_media::visible_lines;

use super::{Report, decibels, percent, probabilities, short, thousands};
use crate::{calibrate::Histogram, graph::Op};

mod plan;
mod samples;

/// The look of our pages, light and dark; other reports share it.
pub const STYLE: &str = include_str!("html/style.css");

/// Text as HTML; what would turn the direction of writing shows itself.
pub fn escape(text: &str) -> String {
    visible_lines(text)
        .to_string()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

pub(super) fn render(report: &Report) -> String {
    let c = report.converted;
    let name = escape(if c.about.name.is_empty() { "model" } else { &c.about.name });
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{name} · escarp</title><style>{STYLE}</style></head><body><main>\n\
         <header><p class=\"brand\">escarp · conversion report</p><h1>{name}</h1></header>\n"
    );
    page += &cards(report);
    page += &remarks(report);
    page += &plan::section(&c.plan);
    page += &layers(report);
    page += &samples::confusion(report);
    page += &samples::examples(report);
    page += &facts(report);
    page += "</main></body></html>\n";
    page
}

fn cards(report: &Report) -> String {
    let (c, s) = (report.converted, report.scores);
    let mut out = String::from("<section class=\"cards\">");
    let mut card = |title: &str, value: &str, detail: &str| {
        // Writing to a String cannot fail.
        let _ = write!(out, "<div class=\"card\"><h2>{title}</h2><b>{value}</b><p>{detail}</p></div>");
    };
    if s.labelled > 0 {
        let of = |n: usize| format!("{n} of {} right", s.labelled);
        card("int8 accuracy", &percent(s.int8_correct, s.labelled), &of(s.int8_correct));
        card("float accuracy", &percent(s.float_correct, s.labelled), &of(s.float_correct));
    }
    card("same top-1", &percent(s.agree, s.total), &format!("{} of {} {}", s.agree, s.total, report.basis()));
    let ratio = report.float_bytes as f64 / c.file.len() as f64;
    let file = format!("{} in float, {ratio:.1} times as much", thousands(report.float_bytes as u64));
    card("file, bytes", &thousands(c.file.len() as u64), &file);
    let arena =
        format!("scratch {} and states {} included", thousands(c.plan.totals.scratch), thousands(c.plan.state_len));
    card("RAM, bytes", &thousands(c.plan.arena_len), &arena);
    let mac = match c.graph.steps {
        1 => "for an inference".to_owned(),
        steps => format!("for a decision of {steps} steps; {} a step", thousands(c.plan.graph.macs)),
    };
    card("multiply-accumulates", &thousands(report.macs()), &mac);
    out + "</section>\n"
}

fn remarks(report: &Report) -> String {
    let lines: Vec<String> = report.remarks().iter().map(|l| format!("<li>{}</li>", escape(l))).collect();
    if lines.is_empty() { String::new() } else { format!("<ul class=\"remarks\">{}</ul>\n", lines.concat()) }
}

/// One row a layer: signal-to-noise as a bar, ranges of weights and activations, the histogram they were chosen from.
fn layers(report: &Report) -> String {
    let c = report.converted;
    let mut out = String::from(
        "<section><h2>Layers</h2><p>Signal-to-noise of each int8 output against the float network, all errors before it \
         included: 20 dB is a tenth of the signal, 40 dB a hundredth. The curve shows how often each float value occurred \
         (square root of the count), the line under it the range that 256 steps cover.</p>\
         <div class=\"scroll\"><table class=\"layers\"><thead><tr><th>layer</th><th>output</th><th>signal-to-noise</th><th>activations</th>\
         <th></th><th>weights</th></tr></thead><tbody>",
    );
    for (layer, node) in c.layers.iter().zip(&c.graph.nodes) {
        let tensor = &c.plan.graph.tensors[node.output];
        let (low, high) = (tensor.scale.dequantize(-128), tensor.scale.dequantize(127));
        let width = if layer.snr_db.is_finite() { (layer.snr_db / 60.0 * 100.0).clamp(1.0, 100.0) } else { 100.0 };
        let class = if layer.snr_db < 15.0 {
            "bad"
        } else if layer.snr_db < 25.0 {
            "fair"
        } else {
            "good"
        };
        let weights = weights(&*node.op);
        let _ = write!(
            out,
            "<tr><td title=\"{full}\"><b>{operator}</b><small>{name}</small></td><td>{shape}</td>\
             <td class=\"bar\"><div><i class=\"{class}\" style=\"width:{width:.1}%\"></i></div><span>{snr}</span></td>\
             <td class=\"num\">{low:.3} … {high:.3}</td><td>{curve}</td><td class=\"num\">{weights}</td></tr>",
            full = escape(&layer.name),
            operator = escape(&layer.operator),
            name = escape(&short(&layer.name)),
            shape = layer.shape,
            snr = decibels(layer.snr_db),
            curve = histogram(&c.seen[node.output], (low, high)),
        );
    }
    out + "</tbody></table></div></section>\n"
}

/// The extremes of each set of weights, a line for each.
fn weights(op: &dyn Op) -> String {
    let sets = op.weights();
    let lines: Vec<String> =
        sets.iter().map(|(name, values)| format!("{name} {}", extremes(values)).trim_start().to_owned()).collect();
    if lines.is_empty() { "–".into() } else { lines.join("<br>") }
}

fn extremes(values: &[f32]) -> String {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    format!("{low:.3} … {high:.3}")
}

fn histogram(h: &Histogram, (low, high): (f32, f32)) -> String {
    const COLUMNS: usize = 64;
    if h.bins.is_empty() || h.max <= h.min {
        return String::new();
    }
    let counts: Vec<f64> =
        h.bins.chunks(h.bins.len().div_ceil(COLUMNS)).map(|c| (c.iter().sum::<u64>() as f64).sqrt()).collect();
    let largest = counts.iter().copied().fold(1.0, f64::max);
    let points: Vec<String> = counts
        .iter()
        .enumerate()
        .map(|(i, n)| format!("{:.1},{:.1}", 2.0 * i as f64 + 1.0, 24.0 - 22.0 * n / largest))
        .collect();
    let place = |v: f32| f64::from((v - h.min) / (h.max - h.min)).clamp(0.0, 1.0) * 128.0;
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 128 28\"><polygon points=\"0,24 {} 128,24\"/>\
         <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"26.5\" y2=\"26.5\"/></svg>",
        points.join(" "),
        place(low),
        place(high)
    )
}

fn facts(report: &Report) -> String {
    let c = report.converted;
    let mut out = String::from("<section><h2>Where it comes from</h2><dl>");
    let mut fact = |name: &str, value: &str| {
        let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    };
    fact("calibration", &format!("{} samples, spread evenly over classes and files", c.picks.len()));
    fact("measured with", &format!("{} kernels", report.isa.name()));
    fact("int8 file", &format!("{} bytes: {}", thousands(c.file.len() as u64), report.packing()));
    fact("front end", &format!("{:?}", c.about.metadata.front_end));
    for (name, value) in &c.about.metadata.provenance {
        fact(name, value);
    }
    out + "</dl></section>\n"
}

/// The row of probabilities or scores that a reader sees.
fn shown_scores(report: &Report, logits: &[f32]) -> Vec<f32> {
    probabilities(report.converted.graph.meaning, logits)
}

#[cfg(test)]
mod tests {
    use super::STYLE;

    /// On a phone only these boxes are moved sideways, never the page; a name without a space breaks anywhere.
    #[test]
    fn wide_things_move_inside_their_own_box() {
        for rule in
            ["\n.scroll{overflow-x:auto;", "\nbody{margin:0;overflow-wrap:anywhere;", "minmax(min(225px,100%),1fr)"]
        {
            assert!(STYLE.contains(rule), "{rule}");
        }
        for source in [include_str!("html.rs"), include_str!("html/plan.rs"), include_str!("html/samples.rs")] {
            let page = source.split("#[cfg(test)]").next().unwrap();
            for wide in ["<table", "{svg}</svg>"] {
                for (at, _) in page.match_indices(wide) {
                    assert!(page[..at].ends_with("<div class=\\\"scroll\\\">"), "{}", &page[at..][..40]);
                }
            }
        }
    }
}
