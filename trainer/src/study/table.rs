//! A study's figures as tables: for a terminal, for Markdown, for HTML.

use escarp_converter::page::{percent, section, wide};
use maud::{Markup, html};

use super::{Cell, Figure, Form, Record, Study};

/// Texts in rows and columns; the first of each row is its heading.
pub struct Table {
    title: &'static str,
    lines: Vec<Vec<String>>,
}

/// One table for each figure; a cell that is not done is `-`.
pub fn tables<'r>(study: &Study, cells: &[Cell], record: impl Fn(&Cell) -> Option<&'r Record>) -> Vec<Table> {
    let (mut rows, mut columns) = (Vec::new(), Vec::new());
    for cell in cells {
        add(&mut rows, &cell.row);
        add(&mut columns, &cell.column);
    }
    let table = |figure: &Figure| {
        let mut lines = vec![[study.rows].into_iter().chain(columns.iter().copied()).map(String::from).collect()];
        for &row in &rows {
            let value = |column: &&str| match cells.iter().find(|c| c.row == row && c.column == **column) {
                None => String::new(),
                Some(cell) => record(cell).map_or("-".into(), |r| figure.written(r)),
            };
            lines.push([row.to_owned()].into_iter().chain(columns.iter().map(value)).collect());
        }
        Table { title: figure.title, lines }
    };
    study.figures.iter().map(table).collect()
}

fn add<'a>(all: &mut Vec<&'a str>, text: &'a str) {
    if !all.contains(&text) {
        all.push(text);
    }
}

impl Figure {
    /// As it stands in a record.
    pub(super) fn written(&self, record: &Record) -> String {
        match record.figures.get(self.key) {
            None => "-".into(),
            Some(None) => "not finite".into(),
            Some(Some(v)) => match self.form {
                Form::Count => format!("{v:.0}"),
                Form::Percent => percent(100.0 * v, 1),
                Form::Scientific if *v == 0.0 || (0.01..1000.0).contains(&v.abs()) => format!("{v:.3}"),
                Form::Scientific => format!("{v:.1e}"),
            },
        }
    }
}

impl Table {
    /// Columns of equal width, numbers to the right.
    pub fn text(&self) -> String {
        let width = |column: usize| self.lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let mut out = format!("{}\n", self.title);
        for line in &self.lines {
            let padded = line.iter().enumerate().map(|(column, text)| match column {
                0 => format!("  {text:<0$}", width(0)),
                _ => format!("  {text:>0$}", width(column)),
            });
            out += padded.collect::<String>().trim_end();
            out += "\n";
        }
        out
    }

    /// A heading and a table.
    pub fn markdown(&self) -> String {
        let mut out = format!("## {}\n\n", self.title);
        for (i, line) in self.lines.iter().enumerate() {
            out += &format!("| {} |\n", line.join(" | "));
            if i == 0 {
                out += &format!("|---|{}\n", "---:|".repeat(line.len() - 1));
            }
        }
        out
    }

    /// A section.
    pub fn html(&self) -> Markup {
        let (heading, lines) = self.lines.split_at(1);
        let table = html! {
            table {
                @for line in heading { tr { @for text in line { th { (text) } } } }
                @for line in lines { tr { @for text in line { td { (text) } } } }
            }
        };
        section(self.title, wide(table))
    }
}
