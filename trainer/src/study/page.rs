//! What a study leaves behind for readers: `results.md` and `study.html`.

use escarp_converter::page::{self, chart, section};
use maud::html;

use super::table::Table;
use super::{Record, Study};

const STYLE: &str = include_str!("study.css");

/// A study as far as it has come.
pub struct Page<'a> {
    /// Which.
    pub study: &'a Study,
    /// In its full form.
    pub full: bool,
    /// Cells there are.
    pub cells: usize,
    /// Of those that are done.
    pub records: &'a [&'a Record],
    /// Their figures.
    pub tables: &'a [Table],
    /// Of all cells.
    pub seed: u64,
}

impl Page<'_> {
    fn title(&self) -> String {
        format!("Study {}, {} form", self.study.name, if self.full { "full" } else { "quick" })
    }

    /// How many cells are done, where, when, by what.
    fn origin(&self) -> Vec<String> {
        let distinct = |of: fn(&Record) -> &str| {
            let mut all: Vec<&str> = self.records.iter().map(|r| of(r)).collect();
            all.sort_unstable();
            all.dedup();
            all.join("; ")
        };
        let seconds: f64 = self.records.iter().map(|r| r.seconds).sum();
        let data = distinct(|r| r.data.as_deref().unwrap_or_default());
        let mut lines = vec![
            format!(
                "{} of {} cells are done (`-`: not yet); {:.0} s of training",
                self.records.len(),
                self.cells,
                seconds
            ),
            format!("machine: {}", distinct(|r| &r.machine)),
            format!("date: {}", distinct(|r| &r.date)),
            format!("escarp-train {}, seed {}", distinct(|r| &r.version), self.seed),
            "each line of results.jsonl holds one cell with its recipe".into(),
        ];
        if !data.is_empty() {
            lines.push(format!("data: {data}"));
        }
        lines
    }

    /// `results.md`.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n\n{}\n\n", self.title(), self.study.shows);
        for line in self.origin() {
            out += &format!("- {line}\n");
        }
        for line in (self.study.summary)(self.records) {
            out += &format!("- **{line}**\n");
        }
        for table in self.tables {
            out += &format!("\n{}", table.markdown());
        }
        out
    }

    /// `study.html`: one file without references to others.
    pub fn html(&self) -> String {
        let title = self.title();
        let page = page::Page { title: &title, tab: "escarp", brand: "studies", styles: &[chart::STYLE, STYLE] };
        let panels = (self.study.panels)(self.records);
        page.around(&html! {
            section {
                p { (self.study.shows) }
                @for line in (self.study.summary)(self.records) { p { b { (line) } } }
            }
            (section("Picture", html! { div.curves { @for panel in panels { (panel.draw()) } } }))
            @for table in self.tables { (table.html()) }
            (section("Origin", html! { ul { @for line in self.origin() { li { (line) } } } }))
        })
    }
}
