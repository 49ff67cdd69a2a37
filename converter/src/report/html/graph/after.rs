//! The steps, each in the colour of what it lost.

use escarp_runtime::Dtype;
use maud::{Markup, html};

use super::{Item, Picture};
use crate::{
    graph::Cost,
    page::thousands,
    qgraph::QTensor,
    report::{Report, decibels, dtype, graded, short},
    scale::Width,
    shape::show_shape,
};

const LEGEND: &[(&str, &str)] = &[
    ("good", "25 dB and more"),
    ("fair", "15 to 25 dB"),
    ("bad", "less than 15 dB"),
    ("port", "inputs and outputs"),
    ("long", "more than 8 bits"),
];

pub(super) fn picture(report: &Report) -> Picture {
    let plan = &report.converted.plan;
    let graph = &plan.graph;
    let mut maker: Vec<Option<usize>> = vec![None; graph.tensors.len()];
    let mut items = vec![];
    for (at, &id) in graph.inputs.iter().enumerate() {
        maker[id] = Some(items.len());
        items.push(port(format!("si{at}"), "input", &graph.tensors[id].name, &graph.tensors[id]));
    }
    let mut edges = vec![];
    for (at, node) in graph.nodes.iter().enumerate() {
        edges.extend(node.inputs.iter().filter_map(|&id| Some((maker[id]?, items.len()))));
        maker[node.output] = Some(items.len());
        items.push(step(report, at));
    }
    for (at, output) in graph.outputs.iter().enumerate() {
        edges.extend(maker[output.tensor].map(|made| (made, items.len())));
        items.push(port(format!("so{at}"), "output", &output.name, &graph.tensors[output.tensor]));
    }
    let (steps, nodes) = (plan.steps.len(), graph.nodes.len());
    let more = if steps > nodes { format!(" ({steps} records of the file)") } else { String::new() };
    Picture {
        heading: format!("After: {nodes} steps{more}"),
        legend: LEGEND,
        items,
        edges,
        panels: super::panels(report),
    }
}

/// `int8: 0.0235 × (number + 128)`
fn scaled(t: &QTensor) -> Markup {
    let (sign, zero) =
        if t.scale.zero_point < 0 { ("+", -i32::from(t.scale.zero_point)) } else { ("−", t.scale.zero_point.into()) };
    html! { (dtype(t.dtype)) ": " (t.scale.scale) " × (number " (sign) " " (zero) ")" }
}

fn lines(name: String, t: &QTensor) -> Vec<String> {
    let scale = format!("{:.4}, zero {}", t.scale.scale, t.scale.zero_point);
    vec![name, format!("{} {}", show_shape(t.shape), dtype(t.dtype)), scale]
}

fn port(id: String, what: &'static str, name: &str, t: &QTensor) -> Item {
    let facts = vec![
        (what, html! { (name) }),
        ("height, width, channels", html! { (show_shape(t.shape)) }),
        ("values", scaled(t)),
    ];
    let title = format!("{what} {name}: {}", show_shape(t.shape));
    Item { id, class: "port", long: t.dtype != Dtype::I8, lines: lines(short(name), t), title, facts }
}

fn step(report: &Report, at: usize) -> Item {
    let c = report.converted;
    let node = &c.plan.graph.nodes[at];
    // What the float network has no node for costs nothing there.
    let before = c.graph.nodes.get(at).filter(|before| before.output == node.output);
    let tensor = &c.plan.graph.tensors[node.output];
    let snr = c.layers.get(at).map_or(f64::INFINITY, |layer| layer.snr_db);
    let cost = before.map_or(Cost::NONE, |before| before.op.cost(tensor.shape));
    let share = 100.0 * cost.macs as f64 / c.plan.graph.macs.max(1) as f64;
    let records: Vec<&str> =
        c.plan.steps.iter().zip(&c.plan.nodes).filter(|(_, node)| **node == at).map(|(step, _)| step.name()).collect();
    let origins = html! {
        @for (i, &origin) in before.iter().flat_map(|before| &before.origins).enumerate() {
            @if i > 0 { ", " }
            (super::origin(report, origin, true))
        }
    };
    let (holds, numbers) = match tensor.scale.width {
        Width::Int8 => ("int8 holds", [-128, 127]),
        Width::Int16(most) => ("int16 holds", [-most, most]),
    };
    let range = numbers.map(|q: i16| tensor.scale.dequantize(q));
    let mut facts = vec![
        ("step", html! { (at) " (" (records.join(", ")) ") " (node.op.detail()) }),
        ("stands for", origins),
        ("height, width, channels", html! { (show_shape(tensor.shape)) }),
        ("values", scaled(tensor)),
        (holds, html! { (format!("{:.4} … {:.4}", range[0], range[1])) }),
        ("signal to noise", html! { (decibels(snr)) }),
    ];
    if cost.macs > 0 {
        facts.push(("multiply-accumulates", html! { (thousands(cost.macs)) (format!(", {share:.1} % of all")) }));
    }
    if cost.parameters > 0 {
        facts.push(("parameters", html! { (thousands(cost.parameters as u64)) }));
    }
    let title = format!(
        "step {at}: {} {}, {}, {} multiply-accumulates",
        node.operator,
        short(&node.name),
        decibels(snr),
        thousands(cost.macs)
    );
    let mut lines = lines(format!("{at} {}", node.operator), tensor);
    lines[1] = format!("{} · {}", lines[1], decibels(snr));
    Item { id: format!("s{at}"), class: graded(snr), long: tensor.dtype != Dtype::I8, lines, title, facts }
}
