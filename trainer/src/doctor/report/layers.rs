//! The layers at the last observation, figure by figure.

use std::fmt::Write;

use escarp_converter::report::escape;

use super::{left_out, shown};
use crate::doctor::diagnose::number;
use crate::doctor::record::{Histogram, LayerHealth, Observation};

/// A column: its title, and what it shows of a layer.
type Column = (&'static str, fn(&LayerHealth) -> Option<String>);

const COLUMNS: [Column; 10] = [
    ("gradient norm", |l| l.gradient_norm.map(number)),
    ("gradients by size", |l| l.gradient_histogram.as_ref().map(histogram)),
    ("zero gradients", |l| l.zero_gradients.map(percent)),
    ("weight norm", |l| l.weight_norm.map(number)),
    ("gain", |l| l.weight_gain.map(number)),
    ("largest weight", |l| l.largest_weight.map(number)),
    ("update ratio", |l| l.update_ratio.map(number)),
    ("output, mean ± deviation", |l| Some(format!("{} ± {}", number(l.activation_mean?), number(l.activation_std?)))),
    ("dead units", |l| l.dead_units.map(percent)),
    ("saturated", |l| l.activation_saturated.map(percent)),
];

/// Columns that no layer has a value for are left out.
pub(super) fn section(seen: &[Observation]) -> String {
    let Some(last) = seen.iter().rev().find(|o| !o.layers.is_empty()) else { return String::new() };
    let columns: Vec<&Column> = COLUMNS.iter().filter(|(_, of)| last.layers.iter().any(|l| of(l).is_some())).collect();
    let bars = match last.layers.iter().any(|l| l.gradient_histogram.is_some()) {
        true => {
            " The bars count gradients by magnitude, from 10<sup>-12</sup> on the left to 10<sup>2</sup> on the right; \
             their heights are square roots."
        }
        false => "",
    };
    let left_out = left_out(last.layers.len());
    let mut out = format!(
        "<section><h2>Layers at step {}</h2><p>From the input to the output{left_out}.{bars}</p><div class=\"scroll\">\
         <table class=\"layers\"><thead><tr><th>layer</th>",
        last.step
    );
    for (title, _) in &columns {
        // Writing to a String cannot fail.
        let _ = write!(out, "<th>{title}</th>");
    }
    out += "</tr></thead><tbody>";
    for layer in shown(&last.layers) {
        let kind =
            serde_json::to_value(layer.kind).ok().and_then(|k| k.as_str().map(str::to_owned)).unwrap_or_default();
        let activation = layer.activation.map_or(String::new(), |a| format!(" · {}", a.name()));
        let lost =
            layer.non_finite.map_or(String::new(), |n| format!("<em class=\"wrong\">{} not finite</em>", n.name()));
        let name = escape(&layer.name);
        let _ = write!(out, "<tr><td title=\"{name}\"><b>{name}</b><small>{kind}{activation}</small>{lost}</td>");
        for (_, of) in &columns {
            let _ = write!(out, "<td class=\"num\">{}</td>", of(layer).unwrap_or_else(|| "–".into()));
        }
        out += "</tr>";
    }
    out + "</tbody></table></div></section>\n"
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn histogram(histogram: &Histogram) -> String {
    let roots: Vec<f64> = histogram.counts().iter().map(|&n| f64::from(n).sqrt()).collect();
    let most = roots.iter().copied().fold(1.0, f64::max);
    let bar = |(i, root): (usize, &f64)| {
        let height = 24.0 * root / most;
        format!("<rect x=\"{}\" y=\"{:.1}\" width=\"4\" height=\"{height:.1}\"/>", 5 * i, 25.0 - height)
    };
    let bars: String = roots.iter().enumerate().map(bar).collect();
    format!("<svg class=\"bars\" viewBox=\"0 0 120 26\">{bars}<path d=\"M0 25.5h120\"/></svg>")
}
