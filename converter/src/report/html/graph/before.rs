//! The nodes of the file, each in the colour of what became of it.

use std::collections::HashMap;

use maud::{Markup, html};

use super::{Item, Picture, lengths};
use crate::{
    graph::Graph,
    history::{Change, Kind},
    report::{Report, short},
};

const LEGEND: &[(&str, &str)] = &[
    ("step", "a step"),
    ("joined", "done by another node's step"),
    ("view", "no work"),
    ("moved", "moves values"),
    ("gone", "left out"),
];

pub(super) fn picture(report: &Report) -> Picture {
    let graph = &report.converted.graph;
    let mut told: Vec<Vec<&Change>> = vec![vec![]; graph.origins.len()];
    for change in &graph.changes {
        for &node in &change.nodes {
            if let Some(told) = told.get_mut(node) {
                told.push(change);
            }
        }
    }
    // The step that does a node's work, and whether the node is the first that it stands for.
    let mut step: Vec<Option<(usize, bool)>> = vec![None; graph.origins.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        for (place, &origin) in node.origins.iter().enumerate() {
            // Of several steps the last one makes the node's result.
            let first = place == 0 || step[origin].is_some_and(|(_, first)| first);
            step[origin] = Some((at, first));
        }
    }
    let mut items: Vec<Item> = graph.inputs.iter().enumerate().map(|(at, _)| input(graph, at)).collect();
    let mut maker: HashMap<&str, usize> = HashMap::new();
    graph.inputs.iter().enumerate().for_each(|(at, i)| _ = maker.insert(&graph.tensors[i.tensor].name, at));
    let (mut edges, mut constants) = (vec![], 0);
    for (at, origin) in graph.origins.iter().enumerate() {
        if told[at].iter().any(|change| change.kind == Kind::Constant) {
            constants += 1;
            continue;
        }
        edges.extend(origin.inputs.iter().filter_map(|name| Some((*maker.get(name.as_str())?, items.len()))));
        origin.outputs.iter().filter(|name| !name.is_empty()).for_each(|name| _ = maker.insert(name, items.len()));
        items.push(node(report, at, &told[at], step[at]));
    }
    for (at, output) in graph.outputs.iter().enumerate() {
        edges.extend(maker.get(output.name.as_str()).map(|&made| (made, items.len())));
        items.push(self::output(graph, at));
    }
    let computed = if constants > 0 { format!(", {constants} of constants not drawn") } else { String::new() };
    Picture {
        heading: format!("Before: {} nodes{computed}", graph.origins.len()),
        legend: LEGEND,
        items,
        edges,
        panels: super::panels(report),
    }
}

fn input(graph: &Graph, at: usize) -> Item {
    let input = &graph.inputs[at];
    let (name, shape) = (&graph.tensors[input.tensor].name, lengths(&input.view.lengths()));
    let facts = vec![("input", html! { (name) }), ("dimensions", html! { (shape) })];
    Item {
        id: format!("bi{at}"),
        class: "port",
        long: false,
        title: format!("input {name}: {shape}"),
        lines: vec![short(name), shape],
        facts,
    }
}

fn output(graph: &Graph, at: usize) -> Item {
    let output = &graph.outputs[at];
    let (name, shape) = (&output.name, lengths(&output.view.lengths()));
    let facts = vec![("output", html! { (name) }), ("dimensions", html! { (shape) })];
    Item {
        id: format!("bo{at}"),
        class: "port",
        long: false,
        title: format!("output {name}: {shape}"),
        lines: vec![short(name), shape],
        facts,
    }
}

fn node(report: &Report, at: usize, told: &[&Change], step: Option<(usize, bool)>) -> Item {
    let origin = &report.converted.graph.origins[at];
    let is = |kinds: &[Kind]| told.iter().any(|change| kinds.contains(&change.kind));
    let class = match step {
        _ if is(&[Kind::Copied]) => "moved",
        Some((_, true)) => "step",
        Some((_, false)) => "joined",
        None if is(&[Kind::View]) => "view",
        None => "gone",
    };
    let mut facts = vec![("node", html! { (origin.name) }), ("operator", html! { (origin.operator) })];
    if !origin.attributes.is_empty() {
        facts.push(("attributes", html! { (origin.attributes) }));
    }
    let names = |names: &[String]| -> Markup {
        html! { (names.join(", ")) }
    };
    facts.push(("reads", names(&origin.inputs)));
    facts.push(("makes", names(&origin.outputs)));
    facts.push(("dimensions", html! { (lengths(&origin.lengths)) }));
    for change in told {
        let detail = if change.detail.is_empty() { String::new() } else { format!(" ({})", change.detail) };
        facts.push(("became", html! { (change.kind.title()) (detail) ". " (change.kind.reason()) }));
    }
    if let Some((step, _)) = step {
        facts.push(("done by", super::link(report, &format!("s{step}"), format!("step {step}"))));
    }
    let became =
        told.iter().map(|change| change.kind.title()).chain(step.map(|_| "a step").filter(|_| told.is_empty()));
    let title = format!("{} {}: {}", origin.operator, short(&origin.name), became.collect::<Vec<_>>().join("; "));
    let lines = vec![origin.operator.clone(), lengths(&origin.lengths)];
    Item { id: format!("b{at}"), class, long: false, lines, title, facts }
}
