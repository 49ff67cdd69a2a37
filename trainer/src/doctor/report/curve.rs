//! Curves of the whole run: loss, accuracy, gradient norm, learning rate.

use std::fmt::Write;

use super::ticks;
use crate::doctor::record::Observation;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 170.0;
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 20.0;
const TOP: f64 = 8.0;

type Points = Vec<(f64, f64)>;

/// The panels of what was recorded.
pub(super) fn section(seen: &[Observation]) -> String {
    let line = |figure: fn(&Observation) -> Option<f64>| -> Points {
        seen.iter().filter_map(|o| figure(o).filter(|v| v.is_finite()).map(|v| (o.step as f64, v))).collect()
    };
    let panels = [
        panel("loss", &[("training", line(|o| o.loss)), ("validation", line(|o| o.validation_loss))]),
        panel("accuracy", &[("", line(|o| o.accuracy))]),
        panel("gradient norm", &[("", line(|o| o.gradient_norm))]),
        panel("learning rate", &[("", line(|o| o.rate))]),
    ];
    let panels = panels.concat();
    if panels.is_empty() {
        return panels;
    }
    format!("<section><h2>Curves</h2><div class=\"curves\">{panels}</div></section>\n")
}

/// Logarithmic if the values are positive and span more than two powers of ten.
fn panel(title: &str, lines: &[(&str, Points)]) -> String {
    let all = || lines.iter().flat_map(|(_, points)| points.iter().copied());
    let range = |part: fn((f64, f64)) -> f64| {
        all().map(part).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)))
    };
    let ((first, last), (low, high)) = (range(|p| p.0), range(|p| p.1));
    if all().count() < 2 {
        return String::new();
    }
    let logarithmic = low > 0.0 && high > 100.0 * low;
    let shown = |v: f64| if logarithmic { v.log10() } else { v };
    let (mut bottom, mut top) = (shown(low), shown(high));
    if top - bottom < 1e-9 * top.abs().max(1e-9) {
        (bottom, top) = (bottom - 0.5 * bottom.abs().max(1e-9), top + 0.5 * top.abs().max(1e-9));
    }
    let x = |step: f64| LEFT + (WIDTH - LEFT - 6.0) * (step - first) / (last - first).max(1.0);
    let y = |v: f64| TOP + (HEIGHT - BOTTOM - TOP) * (top - shown(v)) / (top - bottom);
    let mut svg = format!("<svg class=\"curve\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    for mark in marks(bottom, top, logarithmic) {
        let at = y(mark);
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"axis end\" x=\"{}\" y=\"{:.1}\">{}</text>",
            LEFT - 6.0,
            at + 3.5,
            label(mark)
        );
    }
    for step in ticks(first, last).into_iter().filter(|t| t.fract() == 0.0 && x(*t) < WIDTH - 12.0) {
        let _ = write!(svg, "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\">{step}</text>", x(step), HEIGHT - 5.0);
    }
    let mut key = String::new();
    for (i, (name, points)) in lines.iter().enumerate().filter(|(_, (_, points))| !points.is_empty()) {
        let path: Vec<String> = thinned(points).iter().map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1))).collect();
        let _ = write!(svg, "<polyline class=\"l{i}\" points=\"{}\"/>", path.join(" "));
        if !name.is_empty() {
            let _ = write!(key, "<span class=\"k{i}\">{name}</span>");
        }
    }
    let scale = if logarithmic { " (logarithmic)" } else { "" };
    format!("<div><h3>{title}<small>{scale}</small>{key}</h3>{svg}</svg></div>")
}

/// Values that the vertical scale from `bottom` to `top` is marked at.
fn marks(bottom: f64, top: f64, logarithmic: bool) -> Vec<f64> {
    if !logarithmic {
        return ticks(bottom, top);
    }
    let every = ((top - bottom) / 5.0).ceil().max(1.0) as usize;
    (bottom.ceil() as i32..=top.floor() as i32).step_by(every).map(|power| 10f64.powi(power)).collect()
}

/// Round numbers in their shortest form.
fn label(mark: f64) -> String {
    let plain = format!("{}", (mark * 1e6).round() / 1e6);
    if mark != 0.0 && (plain == "0" || plain.len() > 6) { format!("{mark:.0e}") } else { plain }
}

/// Each of at most 400 neighbourhoods by its lowest and highest point: spikes stay.
fn thinned(points: &[(f64, f64)]) -> Points {
    let size = points.len().div_ceil(400);
    let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
    let ends = |group: &[(f64, f64)]| {
        let (low, high) = (group.iter().min_by(by_value).copied(), group.iter().max_by(by_value).copied());
        let mut ends: Points = low.into_iter().chain(high).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends.dedup();
        ends
    };
    points.chunks(size.max(1)).flat_map(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::{label, thinned};

    #[test]
    fn spikes_survive_thinning() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 1.0)).collect();
        points[5003].1 = 99.0;
        let kept = thinned(&points);
        assert!(kept.len() <= 800 && kept.contains(&(5003.0, 99.0)));
        assert_eq!(thinned(&points[..3]), points[..3]);
    }

    #[test]
    fn marks_are_short() {
        assert_eq!([0.0, 0.05, 2000.0, 1e-9, 1e12].map(label), ["0", "0.05", "2000", "1e-9", "1e12"]);
    }
}
