//! Confusion matrix and example rows.

use escarp_media::Image;
use maud::{Markup, html};

use super::{Report, right, section, shown_scores};
use crate::{measure::Answer, page::wide};

/// Largest confusion matrix shown.
const MOST_CLASSES: usize = 40;
/// Examples shown.
const EXAMPLES: usize = 12;

pub(super) fn confusion(report: &Report) -> Markup {
    let outputs = report.converted.graph.len(report.converted.graph.output()).max(2);
    if report.scores.labelled == 0 || outputs > MOST_CLASSES {
        return html! {};
    }
    let table = html! {
        table.confusion {
            thead { tr { th {} @for class in 0..outputs { th { span { (report.label(class)) } } } th { "right" } } }
            tbody { @for (class, row) in report.scores.confusion(outputs).iter().enumerate() { (answered(report, class, row)) } }
        }
    };
    let contents = html! {
        p { "Rows: the true class. Columns: what the network chose. Shades are shares of the row." }
        (wide(table))
    };
    section("Confusion of the int8 network", contents)
}

/// How often samples of a class were taken for each of the classes.
fn answered(report: &Report, class: usize, row: &[usize]) -> Markup {
    let sum: usize = row.iter().sum();
    let shade = |chosen: usize, n: usize| {
        let share = n as f64 / sum.max(1) as f64;
        let colour = if chosen == class { "var(--good)" } else { "var(--bad)" };
        let mix = if n == 0 { 0.0 } else { (8.0 + 82.0 * share.sqrt()).min(90.0) };
        format!("background:color-mix(in srgb,{colour} {mix:.0}%,transparent)")
    };
    html! {
        tr {
            th { (report.label(class)) }
            @for (chosen, &n) in row.iter().enumerate() { td style=(shade(chosen, n)) { @if n > 0 { (n) } } }
            td.num { (right(row[class], sum)) }
        }
    }
}

/// Some samples on which float and int8 differ, then some of the others.
pub(super) fn examples(report: &Report) -> Markup {
    let answers = &report.scores.answers;
    if answers.is_empty() {
        return html! {};
    }
    let (differ, same): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|a| a.float_top != a.int8_top);
    // Evenly over the samples, which stand in the order of their classes.
    let some = |list: &[&Answer], most: usize| -> Vec<Markup> {
        let count = list.len().min(most);
        (0..count).map(|i| example(report, list[i * list.len() / count])).collect()
    };
    let mut shown = some(&differ, EXAMPLES / 2);
    shown.extend(some(&same, EXAMPLES - shown.len()));
    let contents = html! {
        p { "Samples on which float and int8 disagree, if there are any, then others." }
        div.examples { @for example in shown { (example) } }
    };
    section("Examples", contents)
}

fn example(report: &Report, answer: &Answer) -> Markup {
    let picture = report.samples.get(answer.index).ok().and_then(|values| picture(report, &values));
    // An original's outputs that went through the softmax which the int8 file leaves to the reader have gone through it.
    let output = &report.converted.graph.outputs[0];
    let done = output.taken == output.meaning;
    let float = if done { answer.float.clone() } else { shown_scores(report, &answer.float) };
    let int8 = shown_scores(report, &answer.int8);
    // A single output decides by its sign: the class is not an index of it.
    let score = |values: &[f32], class: usize| values.get(class).or(values.first()).copied().unwrap_or(f32::NAN);
    let line = |what: &str, class: usize, scores: &[f32]| {
        let mark = match answer.label {
            Some(l) if l == class => "right",
            Some(_) => "wrong",
            None => "",
        };
        let score = format!("{:.3}", score(scores, class));
        html! { div class=(mark) { small { (what) } " " (report.label(class)) " " em { (score) } } }
    };
    html! {
        figure {
            @if let Some(picture) = picture { (picture) }
            figcaption {
                b { (answer.label.map_or("unlabelled".into(), |l| report.label(l))) }
                div.name { (report.samples.name(answer.index)) }
                (line("float", answer.float_top, &float))
                (line("int8", answer.int8_top, &int8))
            }
        }
    }
}

/// The network's input as an image: pixels as they are, sequences as a map of features (up) over time (right).
fn picture(report: &Report, values: &[f32]) -> Option<Markup> {
    let graph = &report.converted.graph;
    let ([h, w, c], steps) = (graph.shape(graph.input()), graph.steps);
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates; a shade is all that is lost"
    )]
    let byte = |v: f32| (255.0 * (v - low) / (high - low).max(f32::MIN_POSITIVE)) as u8;
    let (width, height, pixels): (usize, usize, Vec<u8>) = if steps > 1 {
        // Few features are wide bars, so that three axes of a sensor can be seen.
        let bar = (24 / c).max(1);
        let rows = (0..c * bar).map(|y| c - 1 - y / bar);
        (steps, c * bar, rows.flat_map(|f| (0..steps).flat_map(move |t| [byte(values[t * c + f]); 3])).collect())
    } else if h > 1 && matches!(c, 1 | 3) {
        (w, h, values.chunks_exact(c).flat_map(|p| [0, 1, 2].map(|i| byte(p[i.min(c - 1)]))).collect())
    } else {
        return None;
    };
    let png = Image { width, height, pixels }.encode_png().ok()?;
    let class = if steps > 1 { "map" } else { "photo" };
    Some(html! { img class=(class) alt="" src={ "data:image/png;base64," (base64(&png)) }; })
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0u32, |w, &b| w << 8 | u32::from(b)) << (8 * (3 - group.len()));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= group.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_of_rfc_4648() {
        let of = |s: &str| super::base64(s.as_bytes());
        assert_eq!(["", "f", "fo", "foo", "foobar"].map(of), ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYmFy"]);
    }
}
