//! `report.html`: one file without references to others, for light and dark screens.

use std::fmt::Write;

use escarp_converter::report::{STYLE, escape};

use super::diagnose::number;
use super::diagnosis::Diagnosis;
use super::episode::Episode;
use super::record::Observation;
use super::verdict::{Severity, Verdict};
use crate::layers::kind::LayerKind;

mod curve;
mod heat;
mod layers;

const MORE_STYLE: &str = include_str!("report/report.css");

/// The page of a diagnosis; `title` is the log's name.
pub fn html(diagnosis: &Diagnosis, title: &str) -> String {
    let title = escape(title);
    let seen = &diagnosis.observations;
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title} · escarp doctor</title><style>{STYLE}{MORE_STYLE}</style></head><body><main>\n\
         <header><p class=\"brand\">escarp · gradient doctor</p><h1>{title}</h1></header>\n"
    );
    page += &verdicts(diagnosis);
    page += &earlier(&diagnosis.earlier);
    page += &cards(seen, diagnosis.count);
    page += &diagnosis.shortened().map_or(String::new(), |line| format!("<p>{line}.</p>\n"));
    page += &heat::section(
        seen,
        "Gradient norms",
        "One row for each layer, the input's first; steps run to the right. Colours are powers of ten. A healthy net has \
         rows of similar colour; rows that darken towards the input vanish, rows that brighten explode.",
        |l| l.gradient_norm,
    );
    page += &curve::section(seen);
    page += &heat::section(
        seen,
        "Update-to-weight ratios",
        "Norm of a step's change of a layer's weights over their norm. About 0.001 is usual; above 0.1 a step renews the \
         layer, below 0.00001 it stands still.",
        |l| l.update_ratio,
    );
    page += &layers::section(seen);
    page += "</main></body></html>\n";
    page
}

fn verdicts(diagnosis: &Diagnosis) -> String {
    if diagnosis.verdicts.is_empty() {
        let class = if diagnosis.healthy.is_some() { "healthy" } else { "unsure" };
        let (headline, summary) = (diagnosis.headline(), escape(&diagnosis.summary));
        return format!("<section class=\"verdict {class}\"><h2>{headline}</h2><p>{summary}</p></section>\n");
    }
    diagnosis.verdicts.iter().map(verdict).collect()
}

fn earlier(episodes: &[Episode]) -> String {
    if episodes.is_empty() {
        return String::new();
    }
    let all: Vec<String> = episodes.iter().map(Episode::text).collect();
    format!("<p>Earlier, and no longer: {}.</p>\n", escape(&all.join("; ")))
}

fn verdict(verdict: &Verdict) -> String {
    let Verdict { illness, severity, layers, since_step, evidence, .. } = verdict;
    let class = if *severity == Severity::Warning { "warning" } else { "ill" };
    let mut out = format!(
        "<section class=\"verdict {class}\"><h2>{}<span class=\"badge\">{}</span><span class=\"since\">since step \
         {since_step}</span></h2><p>{}.</p>",
        illness.name(),
        severity.name(),
        escape(&capitalized(evidence))
    );
    out += "<h3>What to do, the most promising first</h3><ol>";
    for sentence in verdict.advice() {
        // Writing to a String cannot fail.
        let _ = write!(out, "<li>{}</li>", escape(&sentence));
    }
    out += "</ol>";
    if !layers.is_empty() {
        let chips: String = shown(layers).map(|l| format!("<code>{}</code>", escape(l))).collect();
        let count = layers.len();
        let _ =
            write!(out, "<details><summary>layers concerned: {count}{}</summary>{chips}</details>", left_out(count));
    }
    out + "</section>\n"
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

fn cards(seen: &[Observation], count: usize) -> String {
    let mut out = String::from("<section class=\"cards\">");
    let mut card = |title: &str, figure: fn(&Observation) -> Option<f64>, show: fn(f64) -> String| {
        let values: Vec<f64> = seen.iter().filter_map(figure).collect();
        if let (Some(first), Some(last)) = (values.first(), values.last()) {
            let [first, last] = [first, last].map(|v| show(*v));
            // Writing to a String cannot fail.
            let _ = write!(out, "<div class=\"card\"><h2>{title}</h2><b>{last}</b><p>{first} at the first</p></div>");
        }
    };
    let percent = |v: f64| format!("{:.1} %", 100.0 * v);
    card("loss", |o| o.loss, |v| if v.abs() >= 1e-3 { format!("{v:.3}") } else { number(v) });
    card("accuracy", |o| o.accuracy, percent);
    card("gradient norm", |o| o.gradient_norm, number);
    card("learning rate", |o| o.rate, number);
    if let (Some(first), Some(last)) = (seen.first(), seen.last()) {
        let layers = last.layers.iter().filter(|l| l.kind != LayerKind::Add).count();
        let steps = last.step;
        let _ = write!(
            out,
            "<div class=\"card\"><h2>last step</h2><b>{steps}</b><p>{count} observations of {layers} layers from step {} \
             on</p></div>",
            first.step
        );
    }
    out + "</section>\n"
}

/// About four round steps that a scale from `low` to `high` is marked at.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let raw = (high - low) / 4.0;
    // A scale of one point, or one so narrow that its marks cannot be told from each other.
    if raw <= 1e-12 * low.abs().max(high.abs()) || !raw.is_finite() {
        return vec![low];
    }
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= raw * 0.99).unwrap_or(raw);
    let first = (low / step - 1e-6).ceil() as i64;
    (first..first + 12).map(|i| i as f64 * step).take_while(|t| *t <= high + 1e-6 * step).collect()
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

    #[test]
    fn scales_are_marked_at_round_numbers() {
        let close = |a: Vec<f64>, b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-9);
        assert!(close(ticks(0.0, 1.0), &[0.0, 0.5, 1.0]) || close(ticks(0.0, 1.0), &[0.0, 0.25, 0.5, 0.75, 1.0]));
        assert!(close(ticks(0.0, 2380.0), &[0.0, 1000.0, 2000.0]));
        assert_eq!(ticks(3.0, 3.0), [3.0]);
        assert_eq!(ticks(f64::MIN, f64::MAX), [f64::MIN]);
        assert!(ticks(1e300, 2e300).len() <= 12);
    }
}
