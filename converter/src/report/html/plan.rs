//! The picture of the memory plan: time to the right, addresses upwards.

use std::fmt::Write;

use super::{escape, short, thousands};
use crate::plan::Plan;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 24.0;

pub(super) fn section(plan: &Plan) -> String {
    let columns = plan.steps.len() as f64 + 1.0;
    let x = |step: usize| LEFT + (WIDTH - LEFT) * step as f64 / columns;
    let y = |bytes: u64| (HEIGHT - BOTTOM) * (1.0 - bytes as f64 / plan.arena_len.max(1) as f64);
    let mut svg = format!("<svg class=\"plan\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    for part in 0..=4 {
        let bytes = plan.arena_len * part / 4;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>\
             <text class=\"axis\" x=\"{1}\" y=\"{2:.1}\">{3}</text>",
            y(bytes),
            LEFT - 6.0,
            y(bytes).max(10.0) + 3.0,
            thousands(bytes)
        );
    }
    let mut block = |class: &str, from: f64, to: f64, start: u64, len: u64, label: &str, title: &str| {
        let (top, height) = (y(start + len), (y(start) - y(start + len)).max(1.0));
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            "<g class=\"{class}\"><title>{title}</title><rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" \
             height=\"{height:.1}\" rx=\"2\"/>",
            to - from
        );
        if height > 13.0 && (to - from) > 7.0 * label.chars().count() as f64 {
            let (cx, cy) = ((from + to) / 2.0, top + height / 2.0 + 4.0);
            let _ = write!(svg, "<text x=\"{cx:.1}\" y=\"{cy:.1}\">{label}</text>");
        }
        svg.push_str("</g>");
    };
    let end = x(plan.steps.len() + 1);
    if plan.state_len > 0 {
        let title = format!("states, {} bytes", thousands(plan.state_len));
        block("state", LEFT, end, 0, plan.state_len, "states", &title);
    }
    for (i, b) in plan.buffers.iter().enumerate() {
        let names: Vec<String> = b.tensors.iter().map(|&t| escape(&short(&plan.graph.tensors[t].name))).collect();
        let title = format!("{}, {} bytes", names.join(", then in place "), thousands(b.len));
        let label = if b.tensors.len() > 1 {
            format!("{} (in place x{})", thousands(b.len), b.tensors.len())
        } else {
            thousands(b.len)
        };
        let class = format!("buffer c{}", i % 6);
        block(&class, x(b.first), x(b.last + 1), plan.state_len + b.offset, b.len, &label, &title);
    }
    if plan.totals.scratch > 0 {
        let title = format!("scratch, {} bytes", thousands(plan.totals.scratch));
        block("scratch", LEFT, end, plan.arena_len - plan.totals.scratch, plan.totals.scratch, "scratch", &title);
    }
    let floor = y(plan.state_len + plan.lower_bound);
    let _ = write!(svg, "<line class=\"floor\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{floor:.1}\" y2=\"{floor:.1}\"/>");
    let every = plan.steps.len().div_ceil(24).max(1);
    for step in (0..plan.steps.len()).step_by(every) {
        let middle = (x(step) + x(step + 1)) / 2.0;
        let _ = write!(svg, "<text class=\"step\" x=\"{middle:.1}\" y=\"{:.1}\">{step}</text>", HEIGHT - 8.0);
    }
    format!(
        "<section><h2>Memory plan</h2><p>Each block is a place in the arena for as long as something lives there; steps run \
         to the right. The dashed line is the graph's lower bound, {} bytes: the most that is alive at once. The arena \
         has {} bytes.</p><div class=\"scroll\">{svg}</svg></div></section>\n",
        thousands(plan.lower_bound),
        thousands(plan.arena_len)
    )
}
