//! The table on the terminal.

use escarp_media::visible;
use escarp_runtime::meta::Accuracy;

use super::{Answers, Compared, Line};
use crate::page::short;

pub(super) fn render(compared: &Compared) -> String {
    let [a, b] = &compared.sides;
    let mut lines = vec![];
    let mut both = |what: &str, a: &str, b: &str| {
        let mark = if a == b { " " } else { "*" };
        lines.push(
            format!("{what:>28} {mark} {:<34}  {:<34}", visible(short(a, 34)), visible(short(b, 34)))
                .trim_end()
                .to_owned(),
        );
    };
    both("", &a.path, &b.path);
    both("model", &a.name, &b.name);
    for ((what, a), (_, b)) in a.facts.iter().zip(&b.facts) {
        both(what, a, b);
    }
    let told = |accuracy: Option<Accuracy>| match accuracy {
        Some(a) => format!("{} of {} right (float {}), same {}", a.int8_correct, a.total, a.float_correct, a.agree),
        None => "not measured".into(),
    };
    both("accuracy when converted", &told(a.accuracy), &told(b.accuracy));
    let differing = compared.rows.iter().filter(|&&row| compared.differs(row)).count();
    lines.push(format!("\n{differing} of {} steps differ\n", compared.rows.len()));
    for &row in compared.rows.iter() {
        let mark = if compared.differs(row) { "*" } else { " " };
        let [a, b] = compared.steps(row).map(|line| line.map_or_else(|| "-".into(), shown));
        lines.push(format!("{mark} {a:<56}  {b}").trim_end().to_owned());
    }
    lines.extend(compared.answers.iter().flat_map(answers));
    lines.join("\n") + "\n"
}

/// A step in a line of 56.
fn shown(line: &Line) -> String {
    let [low, high] = line.range;
    let dtype = super::dtype(line.dtype);
    format!("{:<11} {:>10} {dtype:<5} {low:>10.4} to {high:>10.4}", line.step, line.shape)
}

fn answers(answers: &Answers) -> Vec<String> {
    let mut lines = vec![format!("\non {} samples", answers.total)];
    if answers.labelled > 0 {
        let [a, b] = answers.right;
        lines.push(format!("  right: {a} and {b} of {}", answers.labelled));
    }
    lines.extend(answers.agree.map(|agree| format!("  same top-1: {agree} of {}", answers.total)));
    for (name, snr, most) in &answers.outputs {
        lines.push(format!("  output {}: {}, largest difference {most:.4}", visible(name), super::decibels(*snr)));
    }
    lines
}
