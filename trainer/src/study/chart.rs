//! Line charts with a logarithmic scale, as inline SVG.

use escarp_converter::page::chart::{Frame, Scale, key, lines};
use maud::{Markup, html};

use super::Record;

/// One chart.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Above it.
    pub title: String,
    /// What runs to the right.
    pub horizontal: Horizontal,
    /// What runs up.
    pub vertical: &'static str,
    /// What is drawn.
    pub lines: Vec<Line>,
    /// A level to compare with, and what it is.
    pub level: Option<(&'static str, f64)>,
}

/// The scale to the right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Horizontal {
    /// Even, and what it counts.
    Linear(&'static str),
    /// In powers of two, and what it counts.
    Powers(&'static str),
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// In the key.
    pub name: String,
    /// Only positive values are drawn.
    pub points: Vec<(f64, f64)>,
}

/// A panel for each column of the table, with the curve of each row.
pub fn curves(
    records: &[&Record],
    horizontal: &'static str,
    vertical: &'static str,
    level: Option<(&'static str, f64)>,
) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    for record in records {
        let points = record.curve.iter().filter_map(|&(at, v)| Some((at as f64, v?))).collect();
        let line = Line { name: record.row.clone(), points };
        match panels.iter_mut().find(|p| p.title == record.column) {
            Some(panel) => panel.lines.push(line),
            None => panels.push(Panel {
                title: record.column.clone(),
                horizontal: Horizontal::Linear(horizontal),
                vertical,
                lines: vec![line],
                level,
            }),
        }
    }
    panels
}

const FRAME: Frame = Frame { width: 440.0, height: 240.0, left: 46.0, right: 8.0, top: 8.0, bottom: 34.0 };
/// Ratios beyond these are all the same: nothing is learned there.
const SHOWN: (f64, f64) = (1e-20, 1e20);

impl Horizontal {
    /// Its unit is even on the paper.
    fn across(self, at: f64) -> f64 {
        match self {
            Self::Linear(_) => at,
            Self::Powers(_) => at.max(1.0).log2(),
        }
    }

    fn counts(self) -> &'static str {
        let (Self::Linear(what) | Self::Powers(what)) = self;
        what
    }

    /// Of a scale of [`Self::across`], the values to mark.
    fn marks(self, scale: Scale) -> Vec<f64> {
        match self {
            Self::Linear(_) => scale.quarters().map(f64::round).to_vec(),
            Self::Powers(_) => (scale.low as i32..=scale.high as i32).map(|power| 2f64.powi(power)).collect(),
        }
    }
}

impl Panel {
    /// The chart with its key; only a title if there is nothing to draw.
    pub fn draw(&self) -> Markup {
        let Some(picture) = self.picture() else {
            return html! { div { h3 { (self.title) } p { "nothing to draw" } } };
        };
        html! {
            div {
                h3 { (self.title) small { " " (self.vertical) } }
                (picture)
                p.key {
                    @if let Some((name, _)) = self.level { span.level { (name) } }
                    @for (i, line) in self.lines.iter().enumerate() { (key(i, &line.name)) }
                }
            }
        }
    }

    fn picture(&self) -> Option<Markup> {
        let drawn = |line: &Line| line.points.iter().copied().filter(|p| p.1 > 0.0).collect::<Vec<_>>();
        let drawn: Vec<Vec<(f64, f64)>> = self.lines.iter().map(drawn).collect();
        let up = |v: f64| v.clamp(SHOWN.0, SHOWN.1).log10();
        let horizontal = Scale::spanning(drawn.iter().flatten().map(|p| self.horizontal.across(p.0)))?;
        let levels = self.level.iter().map(|l| l.1);
        let Scale { low, high } = Scale::spanning(drawn.iter().flatten().map(|p| p.1).chain(levels).map(up))?;
        let vertical = Scale { low: low.floor(), high: high.ceil().max(low.floor() + 1.0) };
        let x = |at: f64| FRAME.x(horizontal.share(self.horizontal.across(at)));
        let y = |v: f64| FRAME.y(vertical.share(up(v)));
        let paths: Vec<Vec<(f64, f64)>> =
            drawn.iter().map(|points| points.iter().map(|p| (x(p.0), y(p.1))).collect()).collect();
        let rightmost = FRAME.width - FRAME.right - 12.0;
        let contents = html! {
            @for power in vertical.powers(8.0) { (FRAME.row(y(10f64.powi(power)), format!("1e{power}"))) }
            @for mark in self.horizontal.marks(horizontal) { (FRAME.column(x(mark).clamp(FRAME.left, rightmost), mark)) }
            text.axis x=((FRAME.left + FRAME.width) / 2.0) y=(FRAME.height - 5.0) { (self.horizontal.counts()) }
            @if let Some((_, level)) = self.level { (FRAME.level("level", y(level))) }
            (lines(&paths))
        };
        Some(FRAME.svg("curve", contents))
    }
}

#[cfg(test)]
mod tests {
    use super::{Horizontal, Line, Panel};

    fn panel(points: Vec<(f64, f64)>) -> String {
        let lines = vec![Line { name: "a < b".into(), points }];
        let horizontal = Horizontal::Powers("layers");
        Panel { title: "t".into(), horizontal, vertical: "v", lines, level: Some(("one", 1.0)) }.draw().into_string()
    }

    #[test]
    fn points_lie_on_the_scale() {
        // 1e-2 at the bottom left, 1 at the top right; the zero cannot be drawn.
        let svg = panel(vec![(2.0, 1e-2), (8.0, 1.0), (16.0, 0.0)]);
        assert!(svg.contains("points=\"46.0,206.0 432.0,8.0\""), "{svg}");
        assert!(svg.contains("a &lt; b") && svg.contains(">1e-2<"), "{svg}");
    }

    #[test]
    fn nothing_and_one_point_are_drawn_without_nan() {
        for points in [vec![], vec![(1.0, f64::NAN)], vec![(3.0, 1e300)]] {
            let svg = panel(points);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
