//! Curves of the whole run: loss, accuracy, gradient norm, learning rate.

use escarp_converter::page::{
    self,
    chart::{Frame, Scale, key, lines},
};
use maud::{Markup, html};

use crate::doctor::record::Observation;

const FRAME: Frame = Frame { width: 440.0, height: 170.0, left: 52.0, right: 6.0, top: 8.0, bottom: 20.0 };

type Points = Vec<(f64, f64)>;

/// The panels of what was recorded.
pub(super) fn section(seen: &[Observation]) -> Markup {
    let line = |figure: fn(&Observation) -> Option<f64>| -> Points {
        seen.iter().filter_map(|o| figure(o).filter(|v| v.is_finite()).map(|v| (o.step as f64, v))).collect()
    };
    let panels = [
        panel("loss", &[("training", line(|o| o.loss)), ("validation", line(|o| o.validation_loss))]),
        panel("accuracy", &[("", line(|o| o.accuracy))]),
        panel("gradient norm", &[("", line(|o| o.gradient_norm))]),
        panel("learning rate", &[("", line(|o| o.rate))]),
    ];
    html! {
        @if panels.iter().any(Option::is_some) {
            (page::section("Curves", html! { div.curves { @for panel in panels.into_iter().flatten() { (panel) } } }))
        }
    }
}

/// Logarithmic if the values are positive and span more than two powers of ten; `None` of less than two points.
fn panel(title: &str, curves: &[(&str, Points)]) -> Option<Markup> {
    let all = || curves.iter().flat_map(|(_, points)| points.iter().copied());
    let (steps, values) = (Scale::spanning(all().map(|p| p.0))?, Scale::spanning(all().map(|p| p.1))?);
    if all().count() < 2 {
        return None;
    }
    let logarithmic = values.low > 0.0 && values.high > 100.0 * values.low;
    let shown = |v: f64| if logarithmic { v.log10() } else { v };
    let vertical = widened(Scale { low: shown(values.low), high: shown(values.high) });
    let marks: Vec<f64> =
        if logarithmic { vertical.powers(5.0).map(|power| 10f64.powi(power)).collect() } else { vertical.ticks() };
    let (x, y) = (|step: f64| FRAME.x(steps.share(step)), |v: f64| FRAME.y(vertical.share(shown(v))));
    let paths: Vec<Points> =
        curves.iter().map(|(_, points)| points.iter().map(|p| (x(p.0), y(p.1))).collect()).collect();
    let picture = html! {
        @for mark in marks { (FRAME.row(y(mark), label(mark))) }
        @for step in steps.ticks().into_iter().filter(|t| t.fract() == 0.0 && x(*t) < FRAME.width - 12.0) {
            (FRAME.column(x(step), step))
        }
        (lines(&paths))
    };
    Some(html! {
        div {
            h3 {
                (title)
                small { @if logarithmic { " (logarithmic)" } }
                @for (i, (name, points)) in curves.iter().enumerate() {
                    @if !points.is_empty() && !name.is_empty() { (key(i, name)) }
                }
            }
            (FRAME.svg("curve", picture))
        }
    })
}

/// A line that is level, or nearly, lies in the middle.
fn widened(Scale { low, high }: Scale) -> Scale {
    if high - low >= 1e-9 * high.abs().max(1e-9) {
        return Scale { low, high };
    }
    Scale { low: low - 0.5 * low.abs().max(1e-9), high: high + 0.5 * high.abs().max(1e-9) }
}

/// Round numbers in their shortest form.
fn label(mark: f64) -> String {
    let plain = format!("{}", (mark * 1e6).round() / 1e6);
    if mark != 0.0 && (plain == "0" || plain.len() > 6) { format!("{mark:.0e}") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn marks_are_short() {
        assert_eq!([0.0, 0.05, 2000.0, 1e-9, 1e12].map(label), ["0", "0.05", "2000", "1e-9", "1e12"]);
    }
}
