//! Line charts with a logarithmic scale, as inline SVG.

use std::fmt::Write;

use escarp_converter::report::escape;

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

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 34.0;
/// Ratios beyond these are all the same: nothing is learned there.
const SHOWN: (f64, f64) = (1e-20, 1e20);
/// Colours there are, `l0` to `l5` in the style sheet.
const COLOURS: usize = 6;

impl Panel {
    /// The chart with its key; only a title if there is nothing to draw.
    pub fn svg(&self) -> String {
        let across = |at: f64| match self.horizontal {
            Horizontal::Linear(_) => at,
            Horizontal::Powers(_) => at.max(1.0).log2(),
        };
        let up = |v: f64| v.clamp(SHOWN.0, SHOWN.1).log10();
        let all = || self.lines.iter().flat_map(|l| l.points.iter().copied()).filter(|p| p.1 > 0.0);
        let ends = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
        };
        let title = escape(&self.title);
        if all().next().is_none() {
            return format!("<div><h3>{title}</h3><p>nothing to draw</p></div>");
        }
        let (first, last) = ends(&mut all().map(|p| across(p.0)));
        let levels = self.level.iter().map(|l| l.1);
        let (low, high) = ends(&mut all().map(|p| p.1).chain(levels).map(up));
        let (low, high) = (low.floor(), high.ceil().max(low.floor() + 1.0));
        let x = |at: f64| LEFT + (WIDTH - LEFT - RIGHT) * (across(at) - first) / (last - first).max(1e-9);
        let y = |v: f64| TOP + (HEIGHT - TOP - BOTTOM) * (high - up(v)) / (high - low);
        let mut svg = format!("<svg class=\"curve\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
        let every = ((high - low) / 8.0).ceil() as usize;
        for power in (low as i32..=high as i32).step_by(every) {
            let at = y(10f64.powi(power));
            // Writing to a String cannot fail.
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"axis end\" x=\"{}\" y=\"{:.1}\">1e{power}</text>",
                WIDTH - RIGHT,
                LEFT - 5.0,
                at + 3.5
            );
        }
        let (what, marks) = match self.horizontal {
            Horizontal::Linear(what) => {
                (what, (0..=4).map(|i| (first + (last - first) * f64::from(i) / 4.0).round()).collect())
            }
            Horizontal::Powers(what) => {
                (what, (first as i32..=last as i32).map(|power| 2f64.powi(power)).collect::<Vec<_>>())
            }
        };
        for mark in marks {
            let at = x(mark).clamp(LEFT, WIDTH - RIGHT - 10.0);
            let _ = write!(svg, "<text class=\"axis\" x=\"{at:.1}\" y=\"{:.1}\">{mark}</text>", HEIGHT - 20.0);
        }
        let middle = (LEFT + WIDTH) / 2.0;
        let _ = write!(svg, "<text class=\"axis\" x=\"{middle}\" y=\"{}\">{what}</text>", HEIGHT - 5.0);
        let mut key = String::new();
        if let Some((name, level)) = self.level {
            let at = y(level);
            let right = WIDTH - RIGHT;
            let _ = write!(svg, "<line class=\"level\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
            let _ = write!(key, "<span class=\"level\">{}</span>", escape(name));
        }
        for (i, line) in self.lines.iter().enumerate() {
            let colour = i % COLOURS;
            let path: Vec<String> =
                line.points.iter().filter(|p| p.1 > 0.0).map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1))).collect();
            let _ = write!(svg, "<polyline class=\"l{colour}\" points=\"{}\"/>", path.join(" "));
            let _ = write!(key, "<span class=\"k{colour}\">{}</span>", escape(&line.name));
        }
        format!("<div><h3>{title}<small> {}</small></h3>{svg}</svg><p class=\"key\">{key}</p></div>", self.vertical)
    }
}

#[cfg(test)]
mod tests {
    use super::{Horizontal, Line, Panel};

    fn panel(points: Vec<(f64, f64)>) -> String {
        let lines = vec![Line { name: "a < b".into(), points }];
        let horizontal = Horizontal::Powers("layers");
        Panel { title: "t".into(), horizontal, vertical: "v", lines, level: Some(("one", 1.0)) }.svg()
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
