//! Sensor recordings as comma-separated values.

use std::collections::HashMap;

use crate::Error;

/// Most values a file may have: 16 Mi.
const MAX_VALUES: u64 = 1 << 24;

/// Most different labels a file may have: as many as a `u16` has numbers, less one.
const MAX_LABELS: usize = u16::MAX as usize;

/// A table of numbers: one row a sampling instant, one column a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Csv {
    /// Names of the columns of numbers if the file has a header line, else empty.
    pub header: Vec<String>,
    /// Columns of numbers, at least 1.
    pub channels: usize,
    /// `[rows][channels]`, all finite.
    pub values: Vec<f32>,
    /// What a column of labels says, if there is one.
    pub labels: Option<RowLabels>,
}

/// The label of every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowLabels {
    /// All different ones, in the order in which they come.
    pub names: Vec<RowLabel>,
    /// Of each row the place in `names`.
    pub rows: Vec<u16>,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowLabel {
    /// As the file has it, without quotes.
    pub name: String,
    /// The first line with it, counted from 1.
    pub line: usize,
}

impl RowLabels {
    /// Notes the label of the next row; `places` finds the known ones.
    fn push(&mut self, places: &mut HashMap<String, u16>, line: usize, field: &str) -> Result<(), Error> {
        let name = unquoted(field);
        if name.is_empty() {
            return Err(Error::Csv { line, reason: "the label is empty".into() });
        }
        if let Some(&place) = places.get(name) {
            self.rows.push(place);
            return Ok(());
        }
        let place = self.names.len();
        if place == MAX_LABELS {
            let value = MAX_LABELS as u64 + 1;
            return Err(Error::Limit { what: "number of labels", value, max: MAX_LABELS as u64 });
        }
        places.insert(name.to_owned(), place as u16);
        self.names.push(RowLabel { name: name.to_owned(), line });
        self.rows.push(place as u16);
        Ok(())
    }
}

fn unquoted(field: &str) -> &str {
    field.trim().trim_matches('"')
}

impl Csv {
    /// The column of labels that is looked for unless told.
    pub const LABEL: &str = "label";

    /// [`Csv::decode_labelled`] with labels in the column [`Csv::LABEL`].
    ///
    /// # Errors
    /// As there.
    pub fn decode(bytes: &[u8]) -> Result<Csv, Error> {
        Csv::decode_labelled(bytes, Csv::LABEL)
    }

    /// Parses UTF-8 text with `,`, `;` or tab between columns (the first line's choice holds). A first line in which no
    /// column is a number is the header; a column that it calls `column` is no channel, but holds a label for every row.
    /// Empty lines and lines that start with `#` are skipped.
    ///
    /// # Errors
    /// [`Error::Csv`] with the line: a value that is not a finite number, an empty label, a line with more or fewer columns
    /// than the first; also if there are no values; [`Error::Limit`] beyond 16 Mi values or 65,535 labels.
    pub fn decode_labelled(bytes: &[u8], column: &str) -> Result<Csv, Error> {
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let line = bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count() + 1;
            Error::Csv { line, reason: "not UTF-8 text".into() }
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text); // spreadsheets like to write a byte order mark
        let mut csv = Csv { header: Vec::new(), channels: 0, values: Vec::new(), labels: None };
        let mut layout = None;
        for (line, content) in text.lines().enumerate().map(|(i, l)| (i + 1, l.trim())) {
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            if layout.is_none() {
                let (first, header) = csv.begin(line, content, column)?;
                layout = Some(first);
                if header {
                    continue;
                }
            }
            if let Some(layout) = &mut layout {
                csv.push_line(line, content, layout)?;
            }
        }
        if csv.values.is_empty() {
            return Err(Error::Csv {
                line: text.lines().count().max(1),
                reason: "the file ends without any values".into(),
            });
        }
        Ok(csv)
    }

    /// Takes the first line for the header, if it is one.
    fn begin(&mut self, line: usize, content: &str, column: &str) -> Result<(Layout, bool), Error> {
        let separator = [',', ';', '\t'].into_iter().find(|&s| content.contains(s)).unwrap_or(',');
        let fields = || content.split(separator);
        let header = fields().all(|v| v.trim().parse::<f32>().is_err());
        let label = fields().position(|name| header && unquoted(name) == column);
        let layout = Layout { separator, columns: fields().count(), label, places: HashMap::new() };
        self.channels = layout.columns - usize::from(label.is_some());
        self.labels = label.map(|_| RowLabels::default());
        if self.channels == 0 {
            return Err(Error::Csv { line, reason: format!("no column but `{column}`") });
        }
        if header {
            let names = fields().enumerate().filter(|(at, _)| Some(*at) != label);
            self.header = names.map(|(_, name)| unquoted(name).to_owned()).collect();
        }
        Ok((layout, header))
    }

    fn push_line(&mut self, line: usize, content: &str, layout: &mut Layout) -> Result<(), Error> {
        let Layout { separator, columns, label, ref mut places } = *layout;
        let found = content.split(separator).count();
        if found != columns {
            let reason = format!("{found} columns where the first line has {columns}");
            return Err(Error::Csv { line, reason });
        }
        for (column, field) in content.split(separator).enumerate().map(|(i, f)| (i + 1, f.trim())) {
            if let (Some(labels), true) = (&mut self.labels, label == Some(column - 1)) {
                labels.push(places, line, field)?;
                continue;
            }
            match field.parse::<f32>() {
                Ok(value) if value.is_finite() => self.values.push(value),
                Ok(value) => {
                    return Err(Error::Csv {
                        line,
                        reason: format!("column {column} is {value}; finite numbers only"),
                    });
                }
                Err(_) => {
                    // A hostile line may be one endless field.
                    let shown: String = field.chars().take(20).collect();
                    return Err(Error::Csv { line, reason: format!("column {column} is '{shown}', not a number") });
                }
            }
        }
        if self.values.len() as u64 > MAX_VALUES {
            return Err(Error::Limit { what: "number of values", value: self.values.len() as u64, max: MAX_VALUES });
        }
        Ok(())
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.channels
    }

    /// Windows `[frames][channels]` that begin every `hop` rows; rows that do not fill a last window are left out.
    ///
    /// # Panics
    /// If `frames` or `hop` is 0.
    pub fn windows(&self, frames: usize, hop: usize) -> impl Iterator<Item = &[f32]> {
        self.values.windows(frames * self.channels).step_by(hop * self.channels)
    }
}

/// What the first line says of all lines.
struct Layout {
    separator: char,
    columns: usize,
    /// The column of labels, counted from 0.
    label: Option<usize>,
    /// Of the labels so far.
    places: HashMap<String, u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_separators_comments() {
        let csv = Csv::decode("\u{feff}ax; ay;\"az\"\r\n# rest\r\n\r\n1;2;3\r\n-4e-1;5.5;6".as_bytes()).unwrap();
        assert_eq!(csv.header, ["ax", "ay", "az"]);
        assert_eq!((csv.channels, csv.rows()), (3, 2));
        assert_eq!(csv.values, [1.0, 2.0, 3.0, -0.4, 5.5, 6.0]);
        assert_eq!(Csv::decode(b"1\n2\n").unwrap().values, [1.0, 2.0]);
        assert_eq!(Csv::decode(b"1\t2\n3\t4\n").unwrap().channels, 2);
    }

    #[test]
    fn bad_lines_are_named() {
        let error = |text: &str| Csv::decode(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error("x,y\n1,2\n1,nan\n"), "CSV: line 3: column 2 is NaN; finite numbers only");
        assert_eq!(error("1,2\n1,-inf\n"), "CSV: line 2: column 2 is -inf; finite numbers only");
        assert_eq!(error("1,2\n1,1e99\n"), "CSV: line 2: column 2 is inf; finite numbers only");
        assert_eq!(error("1,2\n\n3\n"), "CSV: line 3: 1 columns where the first line has 2");
        assert_eq!(error("1,2\n1,2,3\n"), "CSV: line 2: 3 columns where the first line has 2");
        assert_eq!(error("1,2\n1,two\n"), "CSV: line 2: column 2 is 'two', not a number");
        assert_eq!(error("1,two\n"), "CSV: line 1: column 2 is 'two', not a number");
        assert!(error("x,y\n").contains("without any values"));
        assert!(error("").contains("line 1"));
        assert!(Csv::decode(b"1,2\n\xff,3").unwrap_err().to_string().contains("line 2: not UTF-8"));
    }

    #[test]
    fn a_column_of_labels_is_no_channel() {
        let csv = Csv::decode(b"x,\"label\",y\n1, walk,2\n3,\"run\",4\n\n5,walk,6\n").unwrap();
        assert_eq!(
            (csv.header, csv.channels, csv.values),
            (vec!["x".into(), "y".into()], 2, vec![1., 2., 3., 4., 5., 6.])
        );
        let labels = csv.labels.unwrap();
        let names: Vec<_> = labels.names.iter().map(|n| (n.name.as_str(), n.line)).collect();
        assert_eq!((names, labels.rows), (vec![("walk", 2), ("run", 3)], vec![0, 1, 0]));
        let other = Csv::decode_labelled(b"x;gait\n1;2\n", "gait").unwrap();
        assert_eq!((other.channels, other.labels.unwrap().names[0].name.as_str()), (1, "2"));
        assert_eq!(Csv::decode(b"x;gait\n1;2\n").unwrap().labels, None);

        let error = |text: &str| Csv::decode(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error("x,label\n1,a\n2,\n"), "CSV: line 3: the label is empty");
        assert_eq!(error("x,label\n1,a\n2\n"), "CSV: line 3: 1 columns where the first line has 2");
        assert_eq!(error("label\na\n"), "CSV: line 1: no column but `label`");
    }

    #[test]
    fn windows_step_by_whole_rows() {
        let csv = Csv::decode(b"1,2\n3,4\n5,6\n7,8\n").unwrap();
        let windows: Vec<_> = csv.windows(2, 1).collect();
        assert_eq!(windows, [[1., 2., 3., 4.], [3., 4., 5., 6.], [5., 6., 7., 8.]]);
        assert_eq!(csv.windows(3, 2).count(), 1);
        assert_eq!(csv.windows(5, 1).count(), 0);
    }
}
