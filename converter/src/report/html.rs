//! The HTML page.

use maud::{Markup, Render, html};

use super::{Report, decibels, right};
use crate::{
    eval::read_off,
    page::{Page, card, section, thousands},
};

mod changes;
mod choice;
mod graph;
mod layers;
mod outputs;
mod plan;
mod samples;

const STYLE: &str = include_str!("html/report.css");

pub(super) fn render(report: &Report) -> String {
    let c = report.converted;
    let title = if c.about.name.is_empty() { "model" } else { &c.about.name };
    let page = Page { title, tab: "escarp", brand: "conversion report", styles: &[STYLE] };
    page.around(&html! {
        (cards(report))
        (remarks(report))
        (outputs::outputs(report))
        (changes::changes(report))
        (graph::pictures(report))
        (layers::section(c))
        (choice::section(c))
        (plan::section(&c.plan))
        (samples::confusion(report))
        (samples::examples(report))
        (facts(report))
    })
}

fn cards(report: &Report) -> Markup {
    let (c, s) = (report.converted, report.scores);
    let of = |n: usize| format!("{n} of {} right", s.labelled);
    let ratio = report.float_bytes as f64 / c.file.len() as f64;
    let file = format!("{} in float, {ratio:.1} times as much", thousands(report.float_bytes as u64));
    let arena =
        format!("scratch {} and states {} included", thousands(c.plan.totals.scratch), thousands(c.plan.state_len));
    let mac = match c.graph.steps {
        1 => "for an inference".to_owned(),
        steps => format!("for a decision of {steps} steps; {} a step", thousands(c.plan.graph.macs)),
    };
    html! {
        section.cards {
            @if s.labelled > 0 {
                (card("int8 accuracy", right(s.int8_correct, s.labelled), of(s.int8_correct)))
                (card("float accuracy", right(s.float_correct, s.labelled), of(s.float_correct)))
            }
            @if report.converted.graph.decides() {
                (card("same top-1", right(s.agree, s.total), format!("{} of {} {}", s.agree, s.total, report.basis())))
            } @else {
                @let worst = s.outputs.iter().map(|o| o.snr_db).fold(f64::INFINITY, f64::min);
                (card("worst output", decibels(worst), format!("int8 against float, {} {}", s.total, report.basis())))
            }
            (card("file, bytes", thousands(c.file.len() as u64), file))
            (card("RAM, bytes", thousands(c.plan.arena_len), arena))
            (card("multiply-accumulates", thousands(report.macs()), mac))
        }
    }
}

/// What a reader must know before trusting the numbers.
fn remarks(report: &Report) -> Markup {
    let warnings = &report.converted.warnings;
    html! {
        @if !warnings.is_empty() {
            ul.remarks { @for line in warnings { li { "warning: " (line) } } }
        }
    }
}

fn facts(report: &Report) -> Markup {
    let c = report.converted;
    let fact = |name: &str, value: &dyn Render| html! { dt { (name) } dd { (value) } };
    let list = html! {
        dl {
            (fact("calibration", &format!("{} samples, spread evenly over classes and files", c.picks.len())))
            (fact("measured with", &format!("{} kernels", report.isa.name())))
            (fact("int8 file", &format!("{} bytes: {}", thousands(c.file.len() as u64), report.packing())))
            (fact("front end", &format!("{:?}", c.about.metadata.front_end)))
            @for (name, value) in &c.about.metadata.provenance { (fact(name, value)) }
        }
    };
    section("Where it comes from", list)
}

/// The row of probabilities or scores that a reader sees.
fn shown_scores(report: &Report, logits: &[f32]) -> Vec<f32> {
    read_off(report.converted.graph.outputs[0].meaning, logits)
}
