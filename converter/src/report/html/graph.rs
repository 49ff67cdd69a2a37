//! The network as two pictures: the file's nodes before, the steps after. What a node is stands in a panel that a click opens: each is
//! a link to it, so that no script is needed.

use maud::{Markup, Render, html};

use super::{Report, section};
use crate::{
    history::Origin,
    page::{
        chart::Tenths,
        dag::{self, Layout, Size},
        wide,
    },
    report::short,
};

mod after;
mod before;

/// Characters of a line in a node.
const LETTERS: usize = 28;
/// Height of a line of text.
const LINE: f64 = 14.0;

/// Most nodes of the file with panels: a page of more would be heavy.
const PANELS: usize = 3000;

/// A node of a picture.
struct Item {
    /// Its panel's.
    id: String,
    /// Its colour.
    class: &'static str,
    /// Its numbers have more than 8 bits.
    long: bool,
    /// What stands in it; the first in bold.
    lines: Vec<String>,
    /// What the mouse shows.
    title: String,
    /// What a click shows: names and values.
    facts: Vec<(&'static str, Markup)>,
}

/// What a picture is made of; edges from earlier items to later ones.
struct Picture {
    heading: String,
    /// Classes, and what they mean.
    legend: &'static [(&'static str, &'static str)],
    items: Vec<Item>,
    edges: Vec<(usize, usize)>,
    /// Its nodes have panels.
    panels: bool,
}

/// Have nodes panels?
fn panels(report: &Report) -> bool {
    report.converted.graph.origins.len() <= PANELS
}

/// Words that open a panel, if there are any.
fn link(report: &Report, panel: &str, words: impl Render) -> Markup {
    html! { @if panels(report) { a href={ "#" (panel) } { (words) } } @else { (words) } }
}

/// A node of the file in words: its operator, and its name, which opens its panel; one of constants has none.
pub(super) fn origin(report: &Report, at: usize, drawn: bool) -> Markup {
    let Origin { operator, name, .. } = &report.converted.graph.origins[at];
    html! {
        (operator) " "
        @if drawn { (link(report, &format!("b{at}"), short(name))) } @else { (short(name)) }
    }
}

pub(super) fn pictures(report: &Report) -> Markup {
    let contents = html! {
        p { "From top to bottom. Each box tells more when it is pointed at, and all of it when it is clicked." }
        div.graphs {
            (before::picture(report))
            (after::picture(report))
        }
    };
    section("The network, before and after", contents)
}

impl Render for Picture {
    fn render(&self) -> Markup {
        let rows = self.items.iter().map(|item| item.lines.len()).max().unwrap_or(1);
        let size = Size { width: 184.0, height: 8.0 + LINE * rows as f64, between: 22.0 };
        html! {
            div.graph {
                h3 { (self.heading) }
                p.legend { @for (class, meaning) in self.legend { span { i class=(class) {} (meaning) } " " } }
                @match dag::layout(self.items.len(), &self.edges, size) {
                    Some(layout) => div.tall { (wide(self.svg(&layout, size))) }
                    None => p { "It is too large for a picture: " (self.items.len()) " nodes." }
                }
                @if self.panels { @for item in &self.items { (item.panel()) } }
            }
        }
    }
}

impl Picture {
    fn svg(&self, layout: &Layout, size: Size) -> Markup {
        let (width, height) = (Tenths(layout.width), Tenths(layout.height));
        html! {
            svg width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } aria-label=(self.heading) {
                @for line in layout.lines.iter().filter(|line| !line.is_empty()) { path d=(line) {} }
                @for (item, &corner) in self.items.iter().zip(&layout.corners) { (item.draw(corner, size)) }
            }
        }
    }
}

impl Item {
    fn draw(&self, (x, y): (f64, f64), size: Size) -> Markup {
        let first = y + (size.height - LINE * self.lines.len() as f64) / 2.0 + 10.5;
        html! {
            a href={ "#" (self.id) } class={ (self.class) @if self.long { " long" } } {
                title { (self.title) }
                rect x=(Tenths(x)) y=(Tenths(y)) width=(Tenths(size.width)) height=(Tenths(size.height)) rx="5" {}
                @for (i, line) in self.lines.iter().enumerate() {
                    text x=(Tenths(x + size.width / 2.0)) y=(Tenths(first + LINE * i as f64)) { (head(line, LETTERS)) }
                }
            }
        }
    }

    fn panel(&self) -> Markup {
        html! {
            div.panel id=(self.id) {
                a.close href="#-" { "close" }
                dl {
                    @for (name, value) in &self.facts { dt { (name) } dd { (value) } }
                }
            }
        }
    }
}

/// At most `most` characters, the first ones.
fn head(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.into() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

/// ONNX's dimensions: `1x255x4x4`.
fn lengths(lengths: &[usize]) -> String {
    lengths.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

#[cfg(test)]
mod tests {
    #[test]
    fn heads() {
        assert_eq!((super::head("größer", 6), super::head("größer", 5)), ("größer".into(), "größ…".into()));
    }
}
