//! What a study leaves behind for readers: `results.md` and `study.html`.

use escarp_converter::report::{STYLE, escape};

use super::table::Table;
use super::{Panel, Record, Study};

const MORE_STYLE: &str = include_str!("study.css");

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
        let title = escape(&self.title());
        let origin: String = self.origin().iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
        let panels: String = (self.study.panels)(self.records).iter().map(Panel::svg).collect();
        let summary = (self.study.summary)(self.records);
        let summary: String = summary.iter().map(|line| format!("<p><b>{}</b></p>", escape(line))).collect();
        let tables: String = self.tables.iter().map(Table::html).collect();
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title} · escarp</title><style>{STYLE}{MORE_STYLE}</style></head><body><main>\n\
             <header><p class=\"brand\">escarp · studies</p><h1>{title}</h1></header>\n\
             <section><p>{}</p>{summary}</section>\n\
             <section><h2>Picture</h2><div class=\"curves\">{panels}</div></section>\n{tables}\
             <section><h2>Origin</h2><ul>{origin}</ul></section>\n</main></body></html>\n",
            escape(self.study.shows)
        )
    }
}
