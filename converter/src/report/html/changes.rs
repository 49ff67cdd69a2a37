//! What became of the file's nodes, and why: alike together.

use maud::{Markup, html};

use super::{Report, graph, section};
use crate::{
    history::{Change, Kind},
    report::short,
};

/// Most of one kind that are listed.
const SHOWN: usize = 400;

pub(super) fn changes(report: &Report) -> Markup {
    let c = report.converted;
    let groups = report.changes();
    let in_place: usize = c.plan.buffers.iter().map(|b| b.tensors.len() - 1).sum();
    let contents = html! {
        p { (report.became()) " Each line opens." }
        @for (kind, count) in &groups {
            details {
                summary { b { (count) } " " (kind.title()) }
                p { (kind.reason()) }
                (list(report, *kind))
            }
        }
        @if in_place > 0 {
            details {
                summary { b { (in_place) } " results written over an operand" }
                p { "The operand is needed no more, and the step reads each place before it writes it: no memory of its own." }
                ul {
                    @for buffer in c.plan.buffers.iter().filter(|b| b.tensors.len() > 1).take(SHOWN) {
                        li { (buffer.tensors.iter().map(|&t| short(&c.plan.graph.tensors[t].name)).collect::<Vec<_>>().join(", then ")) }
                    }
                }
            }
        }
        @if !c.notes.is_empty() { ul { @for note in &c.notes { li { (note) } } } }
    };
    section("What was done, and why", contents)
}

fn list(report: &Report, kind: Kind) -> Markup {
    let named = |&at: &usize| graph::origin(report, at, kind != Kind::Constant);
    let entry = |change: &Change| {
        html! {
            li {
                @for (i, node) in change.nodes.iter().enumerate() { @if i > 0 { ", " } (named(node)) }
                @if let Some(into) = &change.into { " → " (named(into)) }
                @if !change.detail.is_empty() { @if !change.nodes.is_empty() { ": " } (change.detail) }
            }
        }
    };
    let all = report.converted.graph.changes.iter().filter(|change| change.kind == kind);
    let more = all.clone().count().saturating_sub(SHOWN);
    html! {
        ul {
            @for change in all.take(SHOWN) { (entry(change)) }
            @if more > 0 { li { "and " (more) " more" } }
        }
    }
}
