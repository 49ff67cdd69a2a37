//! What charts share: a field with its margins, scales and their marks, lines and their key. Inline SVG; lengths are in units
//! of its `viewBox`, which the style sheet stretches to the width there is.

use std::fmt::{self, Display, Formatter};

use maud::{Markup, Render, html};

/// The style sheet of charts of lines, [`lines`], and of pages full of them.
pub const STYLE: &str = include_str!("chart.css");

/// Colours of lines, `l0` and `k0` to `l5` and `k5` in the style sheet.
const COLOURS: usize = 6;

/// A length, a place or a share in per cent: tenths are seen, more is not.
#[derive(Clone, Copy, Debug)]
pub struct Tenths(pub f64);

impl Display for Tenths {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", self.0)
    }
}

impl Render for Tenths {
    fn render_to(&self, out: &mut String) {
        format_args!("{self}").render_to(out);
    }
}

/// A chart's size, and the margins around the field in which values are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Of all.
    pub width: f64,
    /// Of all.
    pub height: f64,
    /// Room for the marks of the vertical scale.
    pub left: f64,
    /// Room for half a number.
    pub right: f64,
    /// Room for half a number.
    pub top: f64,
    /// Room for the marks of the horizontal scale.
    pub bottom: f64,
}

impl Frame {
    /// Of a share of the horizontal scale, 0 at the left.
    pub fn x(&self, share: f64) -> f64 {
        self.left + (self.width - self.left - self.right) * share
    }

    /// Of a share of the vertical scale, 0 at the bottom.
    pub fn y(&self, share: f64) -> f64 {
        self.top + (self.height - self.top - self.bottom) * (1.0 - share)
    }

    /// The picture.
    pub fn svg(&self, class: &str, contents: impl Render) -> Markup {
        html! { svg class=(class) viewBox={ "0 0 " (Tenths(self.width)) " " (Tenths(self.height)) } role="img" { (contents) } }
    }

    /// A line through the whole field at the height `y`.
    pub fn level(&self, class: &str, y: f64) -> Markup {
        html! { line class=(class) x1=(Tenths(self.left)) x2=(Tenths(self.width - self.right)) y1=(Tenths(y)) y2=(Tenths(y)) {} }
    }

    /// A mark of the vertical scale: a line, and at its left what it stands for.
    pub fn row(&self, y: f64, label: impl Render) -> Markup {
        // Half a digit's height below the line, but not cut off at the top.
        let base = (y + 3.5).max(11.0);
        html! { (self.level("grid", y)) text.axis.end x=(Tenths(self.left - 6.0)) y=(Tenths(base)) { (label) } }
    }

    /// A mark of the horizontal scale.
    pub fn column(&self, x: f64, label: impl Render) -> Markup {
        // At the right end a centred number would be cut off.
        let class = if x > self.width - 20.0 { "axis end" } else { "axis" };
        html! { text class=(class) x=(Tenths(x)) y=(Tenths(self.height - self.bottom + 15.0)) { (label) } }
    }
}

/// The values at both ends of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// At the left or the bottom.
    pub low: f64,
    /// At the right or the top.
    pub high: f64,
}

impl Scale {
    /// From the least of the values to the greatest; `None` if there are none.
    pub fn spanning(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let start = Self { low: f64::INFINITY, high: f64::NEG_INFINITY };
        let all = values.into_iter().fold(start, |s, v| Self { low: s.low.min(v), high: s.high.max(v) });
        (all.low <= all.high).then_some(all)
    }

    /// Where a value lies: 0 at the low end, 1 at the high one; on a scale of one point always 0.
    pub fn share(&self, value: f64) -> f64 {
        if self.high > self.low { (value - self.low) / (self.high - self.low) } else { 0.0 }
    }

    /// About four round values to mark.
    pub fn ticks(&self) -> Vec<f64> {
        let &Self { low, high } = self;
        let raw = (high - low) / 4.0;
        // A scale of one point, or one so narrow that its marks cannot be told from each other.
        if raw <= 1e-12 * low.abs().max(high.abs()) || !raw.is_finite() {
            return vec![low];
        }
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= raw * 0.99).unwrap_or(raw);
        let first = (low / step - 1e-6).ceil();
        (0..12).map(|i| (first + f64::from(i)) * step).take_while(|t| *t <= high + 1e-6 * step).collect()
    }

    /// Of a scale of exponents, the whole ones to mark: all, or of many about `most`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "exponents of numbers that an f64 holds"
    )]
    pub fn powers(&self, most: f64) -> impl Iterator<Item = i32> + use<> {
        let every = ((self.high - self.low) / most).ceil().max(1.0) as usize;
        (self.low.ceil() as i32..=self.high.floor() as i32).step_by(every)
    }

    /// Both ends and three values between.
    pub fn quarters(&self) -> [f64; 5] {
        [0.0, 1.0, 2.0, 3.0, 4.0].map(|i| self.low + (self.high - self.low) * i / 4.0)
    }
}

/// One line through points of the picture for each colour; a line without points is left out and keeps its colour.
pub fn lines(lines: &[Vec<(f64, f64)>]) -> Markup {
    html! {
        @for (i, points) in lines.iter().enumerate().filter(|(_, points)| !points.is_empty()) {
            polyline class={ "l" (i % COLOURS) } points=(Points(&thinned(points))) {}
        }
    }
}

/// What line number `i` is, in its colour.
pub fn key(i: usize, name: &str) -> Markup {
    html! { span class={ "k" (i % COLOURS) } { (name) } }
}

/// As the attribute `points` has them.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a>(pub &'a [(f64, f64)]);

impl Render for Points<'_> {
    fn render_to(&self, out: &mut String) {
        for (i, &(x, y)) in self.0.iter().enumerate() {
            let space = if i > 0 { " " } else { "" };
            format_args!("{space}{},{}", Tenths(x), Tenths(y)).render_to(out);
        }
    }
}

/// Heights of a histogram's bars from 0 to 1: square roots, so that what is rare can be seen.
pub fn heights(counts: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let roots: Vec<f64> = counts.into_iter().map(f64::sqrt).collect();
    let most = roots.iter().copied().fold(1.0, f64::max);
    roots.iter().map(|root| root / most).collect()
}

/// Each of at most 400 neighbourhoods by its lowest and highest point: spikes stay.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(400);
    let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
    let ends = |group: &[(f64, f64)]| {
        let (low, high) = (group.iter().min_by(by_value).copied(), group.iter().max_by(by_value).copied());
        let mut ends: Vec<(f64, f64)> = low.into_iter().chain(high).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends.dedup();
        ends
    };
    points.chunks(size.max(1)).flat_map(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_marked_at_round_numbers() {
        let ticks = |low, high| Scale { low, high }.ticks();
        let close = |a: Vec<f64>, b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-9);
        assert!(close(ticks(0.0, 1.0), &[0.0, 0.5, 1.0]));
        assert!(close(ticks(0.0, 2380.0), &[0.0, 1000.0, 2000.0]));
        assert_eq!(ticks(3.0, 3.0), [3.0]);
        assert_eq!(ticks(f64::MIN, f64::MAX), [f64::MIN]);
        assert!(ticks(1e300, 2e300).len() <= 12);
    }

    #[test]
    fn powers_are_whole_and_few() {
        let powers = |low, high| Scale { low, high }.powers(8.0).collect::<Vec<_>>();
        assert_eq!(powers(-2.5, 1.0), [-2, -1, 0, 1]);
        assert_eq!(powers(-20.0, 20.0), [-20, -15, -10, -5, 0, 5, 10, 15, 20]);
    }

    #[test]
    fn scales_span_what_there_is() {
        assert_eq!(Scale::spanning([]), None);
        let scale = Scale::spanning([3.0, -1.0, 1.0]).unwrap();
        assert_eq!((scale.share(-1.0), scale.share(1.0), scale.share(3.0)), (0.0, 0.5, 1.0));
        assert_eq!(Scale::spanning([7.0]).unwrap().share(7.0), 0.0);
    }

    #[test]
    fn spikes_survive_thinning() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 1.0)).collect();
        points[5003].1 = 99.0;
        let kept = thinned(&points);
        assert!(kept.len() <= 800 && kept.contains(&(5003.0, 99.0)));
        assert_eq!(thinned(&points[..3]), points[..3]);
    }

    #[test]
    fn marks_are_not_cut_off() {
        let frame = Frame { width: 100.0, height: 50.0, left: 20.0, right: 0.0, top: 0.0, bottom: 20.0 };
        assert!(frame.column(frame.x(1.0), 7).into_string().contains("axis end"));
        assert!(frame.row(frame.y(1.0), 7).into_string().contains("y=\"11.0\">7<"));
    }
}
