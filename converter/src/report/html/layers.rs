//! One row a layer: signal-to-noise as a bar, ranges of weights and activations, the histogram they were chosen from.

use maud::{Markup, html};

use crate::{
    calibrate::Histogram,
    convert::Converted,
    graph::Op,
    page::{
        self,
        chart::{Points, Scale, Tenths, heights},
        wide,
    },
    report::{decibels, graded, short},
};

pub(super) fn section(converted: &Converted) -> Markup {
    let table = html! {
        table.layers {
            thead {
                tr {
                    @for title in ["layer", "output", "signal-to-noise", "activations", "", "weights"] { th { (title) } }
                }
            }
            tbody { @for place in 0..converted.layers.len() { (row(converted, place)) } }
        }
    };
    let contents = html! {
        p {
            "Signal-to-noise of each int8 output against the float network, all errors before it included: 20 dB is a tenth of \
             the signal, 40 dB a hundredth. The curve shows how often each float value occurred (square root of the count), \
             the line under it the range that its numbers cover: 256 steps, or the more of int16."
        }
        (wide(table))
    };
    page::section("Layers", contents)
}

fn row(converted: &Converted, place: usize) -> Markup {
    let (layer, node) = (&converted.layers[place], &converted.graph.nodes[place]);
    let scale = converted.plan.graph.tensors[node.output].scale;
    let (least, most) = scale.ends();
    let (low, high) = (scale.dequantize(least), scale.dequantize(most));
    let width = if layer.snr_db.is_finite() { (layer.snr_db / 60.0 * 100.0).clamp(1.0, 100.0) } else { 100.0 };
    let class = graded(layer.snr_db);
    html! {
        tr {
            td title=(layer.name) { b { (layer.operator) } small { (short(&layer.name)) } }
            td { (layer.shape) }
            td.bar { div { i class=(class) style={ "width:" (Tenths(width)) "%" } {} } span { (decibels(layer.snr_db)) } }
            td.num { (range(low, high)) @if scale.is_wide() { br; small { "int16" } } }
            td { (histogram(&converted.seen[node.output], (low, high))) }
            td.num { (weights(&*node.op)) }
        }
    }
}

/// The range of each of its matrices, with the matrix's letter where there are several.
fn weights(op: &dyn Op) -> Markup {
    let sets = op.weights();
    html! {
        @if sets.is_empty() { "–" }
        @for (place, (name, values)) in sets.iter().enumerate() {
            @if place > 0 { br; }
            @if !name.is_empty() { (name) " " }
            (extremes(values))
        }
    }
}

fn extremes(values: &[f32]) -> String {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    range(low, high)
}

fn range(low: f32, high: f32) -> String {
    format!("{low:.3} … {high:.3}")
}

fn histogram(h: &Histogram, (low, high): (f32, f32)) -> Markup {
    const COLUMNS: usize = 64;
    if h.bins.is_empty() || h.max <= h.min {
        return html! {};
    }
    let counts = h.bins.chunks(h.bins.len().div_ceil(COLUMNS)).map(|c| c.iter().sum::<u64>() as f64);
    let tops = heights(counts).into_iter().enumerate().map(|(i, height)| (2.0 * i as f64 + 1.0, 24.0 - 22.0 * height));
    let outline: Vec<(f64, f64)> = [(0.0, 24.0)].into_iter().chain(tops).chain([(128.0, 24.0)]).collect();
    let seen = Scale { low: h.min.into(), high: h.max.into() };
    let place = |v: f32| Tenths(128.0 * seen.share(v.into()).clamp(0.0, 1.0));
    html! {
        svg.spark viewBox="0 0 128 28" {
            polygon points=(Points(&outline)) {}
            line x1=(place(low)) x2=(place(high)) y1="26.5" y2="26.5" {}
        }
    }
}
