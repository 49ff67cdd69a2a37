//! A study's figures as tables: for a terminal, for Markdown, for HTML.

use escarp_converter::report::escape;

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
                Form::Percent => format!("{:.1} %", 100.0 * v),
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
    pub fn html(&self) -> String {
        let mut out = format!("<section><h2>{}</h2><div class=\"scroll\"><table>", escape(self.title));
        for (i, line) in self.lines.iter().enumerate() {
            let tag = if i == 0 { "th" } else { "td" };
            let texts = line.iter().map(|text| format!("<{tag}>{}</{tag}>", escape(text)));
            out += &format!("<tr>{}</tr>", texts.collect::<String>());
        }
        out + "</table></div></section>\n"
    }
}
