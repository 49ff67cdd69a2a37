//! The picture of the memory plan: time to the right, addresses upwards.

use maud::{Markup, html};

use crate::{
    page::{
        self,
        chart::{Frame, Tenths},
        thousands, wide,
    },
    plan::Plan,
    report::short,
};

const FRAME: Frame = Frame { width: 960.0, height: 320.0, left: 70.0, right: 0.0, top: 0.0, bottom: 24.0 };
/// Steps with a number, at most.
const NUMBERED: usize = 24;
/// Colours of buffers, `c0` to `c5` in the style sheet.
const COLOURS: usize = 6;

pub(super) fn section(plan: &Plan) -> Markup {
    let contents = html! {
        p {
            "Each block is a place in the arena for as long as something lives there; steps run to the right. The dashed line \
             is the graph's lower bound, " (thousands(plan.lower_bound)) " bytes: the most that is alive at once. The arena has "
            (thousands(plan.arena_len)) " bytes."
        }
        (wide(FRAME.svg("plan", picture(plan))))
    };
    page::section("Memory plan", contents)
}

fn picture(plan: &Plan) -> Markup {
    let every = plan.steps.len().div_ceil(NUMBERED).max(1);
    html! {
        @for bytes in [0, 1, 2, 3, 4].map(|part| plan.arena_len * part / 4) { (FRAME.row(y(plan, bytes), thousands(bytes))) }
        @for block in blocks(plan) { (block.draw(plan)) }
        (FRAME.level("floor", y(plan, plan.state_len + plan.lower_bound)))
        @for step in (0..plan.steps.len()).step_by(every) {
            (FRAME.column((x(plan, step) + x(plan, step + 1)) / 2.0, step))
        }
    }
}

/// Where a step begins.
fn x(plan: &Plan, step: usize) -> f64 {
    FRAME.x(step as f64 / (plan.steps.len() as f64 + 1.0))
}

/// Where an address is.
fn y(plan: &Plan, bytes: u64) -> f64 {
    FRAME.y(bytes as f64 / plan.arena_len.max(1) as f64)
}

/// A place in the arena.
struct Block {
    class: String,
    /// First step and the one after the last.
    steps: [usize; 2],
    start: u64,
    len: u64,
    /// In it, if there is room.
    label: String,
    /// What lives there.
    title: String,
}

/// States, then buffers, then scratch.
fn blocks(plan: &Plan) -> Vec<Block> {
    // From the first step to the last.
    let whole = |class: &str, name: &str, start, len| {
        let block = Block {
            class: class.into(),
            steps: [0, plan.steps.len() + 1],
            start,
            len,
            label: name.into(),
            title: name.into(),
        };
        (len > 0).then_some(block)
    };
    let buffers = plan.buffers.iter().enumerate().map(|(i, b)| {
        let names: Vec<String> = b.tensors.iter().map(|&t| short(&plan.graph.tensors[t].name)).collect();
        let bytes = thousands(b.len);
        Block {
            class: format!("buffer c{}", i % COLOURS),
            steps: [b.first, b.last + 1],
            start: plan.state_len + b.offset,
            len: b.len,
            label: if names.len() > 1 { format!("{bytes} (in place x{})", names.len()) } else { bytes },
            title: names.join(", then in place "),
        }
    });
    let states = whole("state", "states", 0, plan.state_len);
    let scratch = whole("scratch", "scratch", plan.arena_len - plan.totals.scratch, plan.totals.scratch);
    states.into_iter().chain(buffers).chain(scratch).collect()
}

impl Block {
    fn draw(&self, plan: &Plan) -> Markup {
        let [from, to] = self.steps.map(|step| x(plan, step));
        let (top, floor) = (y(plan, self.start + self.len), y(plan, self.start));
        let (width, height) = (to - from, (floor - top).max(1.0));
        html! {
            g class=(self.class) {
                title { (self.title) ", " (thousands(self.len)) " bytes" }
                rect x=(Tenths(from)) y=(Tenths(top)) width=(Tenths(width)) height=(Tenths(height)) rx="2" {}
                @if height > 13.0 && width > 7.0 * self.label.chars().count() as f64 {
                    text x=(Tenths((from + to) / 2.0)) y=(Tenths(top + height / 2.0 + 4.0)) { (self.label) }
                }
            }
        }
    }
}
