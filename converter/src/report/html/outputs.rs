//! What each output is, how its numbers lie, and what it lost.

use maud::{Markup, html};

use super::{Report, section};
use crate::{
    page::wide,
    report::{decibels, meaning},
    shape::show_shape,
};

pub(super) fn outputs(report: &Report) -> Markup {
    let c = report.converted;
    let moved = c.graph.outputs.iter().any(|o| o.view.numpy().is_some());
    let table = html! {
        table {
            thead {
                tr {
                    @for title in ["output", "lies as", "values", "scale", "signal to noise", "mean error", "largest"] {
                        th { (title) }
                    }
                }
            }
            tbody { @for at in 0..report.scores.outputs.len() { (row(report, at)) } }
        }
    };
    let contents = html! {
        p {
            "Every output lies as height, width, channels, whatever ONNX's order is; the file does not hold that order. Errors are those of \
             int8 against float, in units of the values."
        }
        (wide(table))
        @if moved {
            p { "ONNX's tensors of the values " code { "y" } " of an output, in numpy:" }
            ul {
                @for output in &c.graph.outputs {
                    @if let Some(line) = output.view.numpy() {
                        li { (output.name) " = " code { (line) } ", which is " (output.view.words()) }
                    }
                }
            }
        }
    };
    section("Outputs", contents)
}

fn row(report: &Report, at: usize) -> Markup {
    let c = report.converted;
    let (lost, output) = (&report.scores.outputs[at], &c.plan.graph.outputs[at]);
    let tensor = &c.plan.graph.tensors[output.tensor];
    html! {
        tr {
            td { (lost.name) }
            td.num { (show_shape(tensor.shape)) }
            td { (meaning(output.meaning)) }
            td.num { (format!("{:.6}, zero {}", tensor.scale.scale, tensor.scale.zero_point)) }
            td.num { (decibels(lost.snr_db)) }
            td.num { (format!("{:.4}", lost.mean)) }
            td.num { (format!("{:.4}", lost.most)) }
        }
    }
}
