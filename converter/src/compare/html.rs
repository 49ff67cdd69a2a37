//! The HTML page.

use maud::{Markup, html};

use super::{Answers, Compared, Line};
use crate::page::{Page, card, percent, section, wide};

pub(super) fn render(compared: &Compared) -> String {
    let [a, b] = &compared.sides;
    let title = format!("{} and {}", a.path, b.path);
    let page = Page { title: &title, tab: "escarp", brand: "two conversions", styles: &[] };
    page.around(&html! {
        @if let Some(answers) = &compared.answers { (cards(answers)) }
        (section("What they take", wide(facts(compared))))
        (section("Step by step", wide(steps(compared))))
    })
}

fn cards(answers: &Answers) -> Markup {
    let share = |part: usize, whole: usize| percent(100.0 * part as f64 / (whole as f64).max(1.0), 2);
    html! {
        section.cards {
            @if answers.labelled > 0 {
                @for (which, right) in ["first", "second"].iter().zip(answers.right) {
                    (card(&format!("{which} right"), share(right, answers.labelled), format!("{right} of {}", answers.labelled)))
                }
            }
            @if let Some(agree) = answers.agree {
                (card("same top-1", share(agree, answers.total), format!("{agree} of {} samples", answers.total)))
            }
            @for (name, snr, most) in &answers.outputs {
                (card(&format!("output {name}"), super::decibels(*snr), format!("the second against the first, largest difference {most:.4}")))
            }
        }
    }
}

fn facts(compared: &Compared) -> Markup {
    let [a, b] = &compared.sides;
    let told = |side: &super::Side| match side.accuracy {
        Some(a) => {
            format!("{} of {} right, float {}, same choice {}", a.int8_correct, a.total, a.float_correct, a.agree)
        }
        None => "not measured".to_owned(),
    };
    let row = |what: &str, a: &str, b: &str| {
        html! { tr.wrong[a != b] { td { (what) } td.num { (a) } td.num { (b) } } }
    };
    html! {
        table {
            thead { tr { th { "" } th { (a.path) } th { (b.path) } } }
            tbody {
                (row("model", &a.name, &b.name))
                @for ((what, a), (_, b)) in a.facts.iter().zip(&b.facts) { (row(what, a, b)) }
                (row("accuracy when converted", &told(a), &told(b)))
            }
        }
    }
}

fn steps(compared: &Compared) -> Markup {
    let cells = |line: Option<&Line>| match line {
        None => html! { td { "-" } td {} td {} td {} },
        Some(line) => html! {
            td { (line.step) }
            td.num { (line.shape) }
            td.num { (super::dtype(line.dtype)) }
            td.num { (format!("{:.4} to {:.4}", line.range[0], line.range[1])) }
        },
    };
    html! {
        table.layers {
            thead { tr { @for _ in 0..2 { th { "step" } th { "output" } th { "numbers" } th { "range" } } } }
            tbody {
                @for &row in &compared.rows {
                    @let [a, b] = compared.steps(row);
                    tr.wrong[compared.differs(row)] { (cells(a)) (cells(b)) }
                }
            }
        }
    }
}
