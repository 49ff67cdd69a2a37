//! Which activations got 16 bits, by what 8 bits would cost.

use maud::{Markup, html};

use crate::{
    convert::Converted,
    page::{self, thousands, wide},
    report::{decibels, short},
};

/// Nothing where nothing was asked, or 8 bits were enough.
pub(super) fn section(converted: &Converted) -> Markup {
    let Some(choice) = converted.choice.as_ref().filter(|choice| !choice.ranking.is_empty()) else { return html! {} };
    let table = html! {
        table {
            thead {
                tr { @for title in ["layer", "tensors", "alone in 8 bits", "multiply-accumulates around", "bytes more", "bits"] { th { (title) } } }
            }
            tbody {
                @for set in &choice.ranking {
                    tr {
                        td title=(set.layer) { (short(&set.layer)) }
                        td.num { (set.tensors) }
                        td.num { (decibels(set.snr_db)) }
                        td.num { (thousands(set.macs)) }
                        td.num { (thousands(set.bytes)) }
                        td.num { (if set.wide { "16" } else { "8" }) }
                    }
                }
            }
        }
    };
    let contents = html! {
        p {
            "Tensors that go together, those first that cost the outputs most for what they take: signal-to-noise of the worst output if \
             these alone were int8 and all else float. Steps that read or make 16 bits take three times as long. Weights of two terms make "
            (choice.fine.len()) " tensors, with twice the products."
        }
        (wide(table))
    };
    page::section("What is wider than 8 bits", contents)
}
