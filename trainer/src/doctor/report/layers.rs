//! The layers at the last observation, figure by figure.

use escarp_converter::page::{
    self,
    chart::{Tenths, heights},
    percent, wide,
};
use maud::{Markup, Render, html};

use super::{left_out, shown};
use crate::doctor::{
    diagnose::number,
    record::{Histogram, LayerHealth, Observation},
};

/// A column: its title, and what it shows of a layer.
type Column = (&'static str, fn(&LayerHealth) -> Option<Markup>);

const COLUMNS: [Column; 10] = [
    ("gradient norm", |l| l.gradient_norm.map(figure)),
    ("gradients by size", |l| l.gradient_histogram.as_ref().map(histogram)),
    ("zero gradients", |l| l.zero_gradients.map(share)),
    ("weight norm", |l| l.weight_norm.map(figure)),
    ("gain", |l| l.weight_gain.map(figure)),
    ("largest weight", |l| l.largest_weight.map(figure)),
    ("update ratio", |l| l.update_ratio.map(figure)),
    ("output, mean ± deviation", |l| Some(html! { (number(l.activation_mean?)) " ± " (number(l.activation_std?)) })),
    ("dead units", |l| l.dead_units.map(share)),
    ("saturated", |l| l.activation_saturated.map(share)),
];

/// Columns that no layer has a value for are left out.
pub(super) fn section(seen: &[Observation]) -> Markup {
    let Some(last) = seen.iter().rev().find(|o| !o.layers.is_empty()) else { return html! {} };
    let columns: Vec<&Column> = COLUMNS.iter().filter(|(_, of)| last.layers.iter().any(|l| of(l).is_some())).collect();
    let table = html! {
        table.layers {
            thead { tr { th { "layer" } @for (title, _) in &columns { th { (title) } } } }
            tbody { @for layer in shown(&last.layers) { (row(layer, &columns)) } }
        }
    };
    let contents = html! {
        p {
            "From the input to the output" (left_out(last.layers.len())) "."
            @if last.layers.iter().any(|l| l.gradient_histogram.is_some()) {
                " The bars count gradients by magnitude, from 10" sup { "-12" } " on the left to 10" sup { "2" }
                " on the right; their heights are square roots."
            }
        }
        (wide(table))
    };
    page::section(format!("Layers at step {}", last.step), contents)
}

fn row(layer: &LayerHealth, columns: &[&Column]) -> Markup {
    let kind = serde_json::to_value(layer.kind).ok().and_then(|k| k.as_str().map(str::to_owned)).unwrap_or_default();
    html! {
        tr {
            td title=(layer.name) {
                b { (layer.name) }
                small { (kind) @if let Some(activation) = layer.activation { " · " (activation.name()) } }
                @if let Some(what) = layer.non_finite { em.wrong { (what.name()) " not finite" } }
            }
            @for (_, of) in columns { td.num { (of(layer).unwrap_or_else(|| "–".render())) } }
        }
    }
}

fn figure(value: f64) -> Markup {
    number(value).render()
}

fn share(share: f64) -> Markup {
    percent(100.0 * share, 0).render()
}

fn histogram(histogram: &Histogram) -> Markup {
    let bars = heights(histogram.counts().iter().map(|&n| f64::from(n)));
    html! {
        svg.bars viewBox="0 0 120 26" {
            @for (i, height) in bars.iter().map(|height| 24.0 * height).enumerate() {
                rect x=(5 * i) y=(Tenths(25.0 - height)) width="4" height=(Tenths(height)) {}
            }
            path d="M0 25.5h120" {}
        }
    }
}
