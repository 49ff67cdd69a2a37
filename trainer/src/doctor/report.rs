//! `report.html`: one file without references to others, for light and dark screens.

use escarp_converter::page::{Page, card, chart, percent};
use maud::{Markup, html};

use super::{
    diagnose::number,
    diagnosis::Diagnosis,
    episode::Episode,
    record::Observation,
    verdict::{Severity, Verdict},
};
use crate::layers::kind::LayerKind;

mod curve;
mod heat;
mod layers;

const STYLE: &str = include_str!("report/report.css");

/// The page of a diagnosis; `title` is the log's name.
pub fn html(diagnosis: &Diagnosis, title: &str) -> String {
    let seen = &diagnosis.observations;
    let page = Page { title, tab: "escarp doctor", brand: "gradient doctor", styles: &[chart::STYLE, STYLE] };
    page.around(&html! {
        (verdicts(diagnosis))
        (earlier(&diagnosis.earlier))
        (cards(seen, diagnosis.count))
        @if let Some(line) = diagnosis.shortened() { p { (line) "." } }
        (heat::section(
            seen,
            "Gradient norms",
            "One row for each layer, the input's first; steps run to the right. Colours are powers of ten. A healthy net has \
             rows of similar colour; rows that darken towards the input vanish, rows that brighten explode.",
            |l| l.gradient_norm,
        ))
        (curve::section(seen))
        (heat::section(
            seen,
            "Update-to-weight ratios",
            "Norm of a step's change of a layer's weights over their norm. About 0.001 is usual; above 0.1 a step renews the \
             layer, below 0.00001 it stands still.",
            |l| l.update_ratio,
        ))
        (layers::section(seen))
    })
}

fn verdicts(diagnosis: &Diagnosis) -> Markup {
    let class = if diagnosis.healthy.is_some() { "healthy" } else { "unsure" };
    html! {
        @if diagnosis.verdicts.is_empty() {
            section.verdict.(class) { h2 { (diagnosis.headline()) } p { (diagnosis.summary) } }
        }
        @for verdict in &diagnosis.verdicts { (ill(verdict)) }
    }
}

fn earlier(episodes: &[Episode]) -> Markup {
    let all: Vec<String> = episodes.iter().map(Episode::text).collect();
    html! { @if !all.is_empty() { p { "Earlier, and no longer: " (all.join("; ")) "." } } }
}

fn ill(verdict: &Verdict) -> Markup {
    let Verdict { illness, severity, layers, since_step, evidence, .. } = verdict;
    let class = if *severity == Severity::Warning { "warning" } else { "ill" };
    html! {
        section.verdict.(class) {
            h2 {
                (illness.name())
                span.badge { (severity.name()) }
                span.since { "since step " (since_step) }
            }
            p { (capitalized(evidence)) "." }
            h3 { "What to do, the most promising first" }
            ol { @for sentence in verdict.advice() { li { (sentence) } } }
            @if !layers.is_empty() {
                details {
                    summary { "layers concerned: " (layers.len()) (left_out(layers.len())) }
                    @for layer in shown(layers) { code { (layer) } }
                }
            }
        }
    }
}

/// Layers that a page has room for: of more, the first and the last are shown.
const LAYERS: usize = 400;

fn shown<T>(layers: &[T]) -> impl Iterator<Item = &T> {
    let (first, rest) = layers.split_at(layers.len().min(LAYERS / 2));
    first.iter().chain(&rest[rest.len().saturating_sub(LAYERS / 2)..])
}

/// That some of `count` layers are not shown, if so.
fn left_out(count: usize) -> String {
    let half = LAYERS / 2;
    match count > LAYERS {
        true => format!(" (the first {half} and the last {half} are shown, {} between them are not)", count - LAYERS),
        false => String::new(),
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn cards(seen: &[Observation], count: usize) -> Markup {
    let figure = |title: &str, figure: fn(&Observation) -> Option<f64>, show: fn(f64) -> String| {
        let mut values = seen.iter().filter_map(figure);
        let first = values.next();
        let last = values.next_back().or(first);
        html! {
            @if let (Some(first), Some(last)) = (first, last) {
                (card(title, show(last), format!("{} at the first", show(first))))
            }
        }
    };
    let loss = |v: f64| if v.abs() >= 1e-3 { format!("{v:.3}") } else { number(v) };
    html! {
        section.cards {
            (figure("loss", |o| o.loss, loss))
            (figure("accuracy", |o| o.accuracy, |v| percent(100.0 * v, 1)))
            (figure("gradient norm", |o| o.gradient_norm, number))
            (figure("learning rate", |o| o.rate, number))
            @if let (Some(first), Some(last)) = (seen.first(), seen.last()) {
                @let layers = last.layers.iter().filter(|l| l.kind != LayerKind::Add).count();
                @let detail = format!("{count} observations of {layers} layers from step {} on", first.step);
                (card("last step", last.step, detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_layers_the_ends_are_shown() {
        for (count, wanted) in [(0, 0), (399, 399), (400, 400), (401, 400), (20_000, 400)] {
            let all: Vec<usize> = (0..count).collect();
            let kept: Vec<usize> = shown(&all).copied().collect();
            assert_eq!((kept.len(), kept.first(), kept.last()), (wanted, all.first(), all.last()));
            assert!(kept.is_sorted() && left_out(count).is_empty() == (count <= 400));
        }
        assert!(left_out(20_000).contains("19600 between"), "{}", left_out(20_000));
    }
}
