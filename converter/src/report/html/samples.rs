//! Confusion matrix and example rows.

use std::fmt::Write;

use escarp_media::Image;

use super::{Report, escape, percent, shown_scores};
use crate::measure::Answer;

/// Largest confusion matrix shown.
const MOST_CLASSES: usize = 40;
/// Examples shown.
const EXAMPLES: usize = 12;

pub(super) fn confusion(report: &Report) -> String {
    let outputs = report.converted.graph.len(report.converted.graph.output).max(2);
    if report.scores.labelled == 0 || outputs > MOST_CLASSES {
        return String::new();
    }
    let table = report.scores.confusion(outputs);
    let mut out = String::from(
        "<section><h2>Confusion of the int8 network</h2><p>Rows: the true class. Columns: what the network chose. Shades \
         are shares of the row.</p><div class=\"scroll\"><table class=\"confusion\"><thead><tr><th></th>",
    );
    for class in 0..outputs {
        // Writing to a String cannot fail.
        let _ = write!(out, "<th><span>{}</span></th>", escape(&report.label(class)));
    }
    out += "<th>right</th></tr></thead><tbody>";
    for (class, row) in table.iter().enumerate() {
        let sum: usize = row.iter().sum();
        let _ = write!(out, "<tr><th>{}</th>", escape(&report.label(class)));
        for (chosen, &n) in row.iter().enumerate() {
            let share = n as f64 / sum.max(1) as f64;
            let colour = if chosen == class { "var(--good)" } else { "var(--bad)" };
            let mix = if n == 0 { 0.0 } else { (8.0 + 82.0 * share.sqrt()).min(90.0) };
            let text = if n == 0 { String::new() } else { n.to_string() };
            let _ =
                write!(out, "<td style=\"background:color-mix(in srgb,{colour} {mix:.0}%,transparent)\">{text}</td>");
        }
        let _ = write!(out, "<td class=\"num\">{}</td></tr>", percent(row[class], sum));
    }
    out + "</tbody></table></div></section>\n"
}

/// Some samples on which float and int8 differ, then some of the others.
pub(super) fn examples(report: &Report) -> String {
    let answers = &report.scores.answers;
    let (differ, same): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|a| a.float_top != a.int8_top);
    // Evenly over the samples, which stand in the order of their classes.
    let some = |list: &[&Answer], most: usize| -> Vec<String> {
        let count = list.len().min(most);
        (0..count).map(|i| row(report, list[i * list.len() / count])).collect()
    };
    let mut rows = some(&differ, EXAMPLES / 2);
    rows.extend(some(&same, EXAMPLES - rows.len()));
    format!(
        "<section><h2>Examples</h2><p>Samples on which float and int8 disagree, if there are any, then others.</p>\
         <div class=\"examples\">{}</div></section>\n",
        rows.concat()
    )
}

fn row(report: &Report, answer: &Answer) -> String {
    let name = report.samples.name(answer.index);
    let picture = report.samples.get(answer.index).ok().and_then(|values| picture(report, &values));
    // The original's outputs already went through the softmax that the int8 file leaves to the reader.
    let int8 = shown_scores(report, &answer.int8);
    let line = |what: &str, class: usize, score: f32| {
        let mark = match answer.label {
            Some(l) if l == class => "right",
            Some(_) => "wrong",
            None => "",
        };
        format!(
            "<div class=\"{mark}\"><small>{what}</small> {} <em>{score:.3}</em></div>",
            escape(&report.label(class))
        )
    };
    // A single output decides by its sign: the class is not an index of it.
    let score = |values: &[f32], class: usize| values.get(class).or(values.first()).copied().unwrap_or(f32::NAN);
    let truth = answer.label.map_or("unlabelled".into(), |l| escape(&report.label(l)));
    format!(
        "<figure>{}<figcaption><b>{truth}</b><div class=\"name\">{}</div>{}{}</figcaption></figure>",
        picture.unwrap_or_default(),
        escape(&name),
        line("float", answer.float_top, score(&answer.float, answer.float_top)),
        line("int8", answer.int8_top, score(&int8, answer.int8_top)),
    )
}

/// The network's input as an image: pixels as they are, sequences as a map of features (up) over time (right).
fn picture(report: &Report, values: &[f32]) -> Option<String> {
    let graph = &report.converted.graph;
    let ([h, w, c], steps) = (graph.shape(graph.input), graph.steps);
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
    Some(format!("<img class=\"{class}\" alt=\"\" src=\"data:image/png;base64,{}\">", base64(&png)))
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
