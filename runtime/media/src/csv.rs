//! Sensor recordings as comma-separated values.

use std::collections::HashMap;

use crate::Error;

/// Most values a file may have: 16 Mi.
const MAX_VALUES: u64 = 1 << 24;

/// Most columns a file may have: 1 Mi, so that a picture still fits a row.
const MAX_COLUMNS: usize = 1 << 20;

/// Most columns that an error names.
const MAX_SHOWN: usize = 12;

/// Most different labels a file may have: as many as a `u16` has numbers, less one.
const MAX_LABELS: usize = u16::MAX as usize;

/// A table of numbers: one row a sampling instant, one column a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Csv {
    /// Names of the columns that were read if the file has a header line, else empty.
    pub header: Vec<String>,
    /// Columns that were read, at least 1.
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

    /// [`Csv::decode_columns`] of all columns, with labels in the column [`Csv::LABEL`].
    ///
    /// # Errors
    /// As there.
    pub fn decode(bytes: &[u8]) -> Result<Csv, Error> {
        Csv::decode_columns(bytes, Csv::LABEL, &[])
    }

    /// Parses UTF-8 text with `,`, `;` or tab between columns (the first line's choice holds). A first line in which no
    /// column is a number is the header; a column that it calls `label` is no channel, but holds a label for every row.
    /// Empty lines and lines that start with `#` are skipped.
    ///
    /// `columns` says which to read, in its order: by the header's names, or by numbers counted from 1 (which cannot be
    /// names). What the others hold does not matter. A file without a header has no names: as many columns as `columns`
    /// names are taken as they stand. If `columns` is empty, all but the labels are read.
    ///
    /// # Errors
    /// [`Error::Csv`] with the line: a value that is not a finite number, an empty label, a line with more or fewer columns
    /// than the first, a column that is not there or there twice; also if there are no values; [`Error::Limit`] beyond
    /// 16 Mi values, 1 Mi columns or 65,535 labels.
    pub fn decode_columns(bytes: &[u8], label: &str, columns: &[String]) -> Result<Csv, Error> {
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
                let (first, header) = csv.begin(line, content, label, columns)?;
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
    fn begin<'t>(
        &mut self,
        line: usize,
        content: &'t str,
        label: &str,
        columns: &[String],
    ) -> Result<(Layout<'t>, bool), Error> {
        let separator = [',', ';', '\t'].into_iter().find(|&s| content.contains(s)).unwrap_or(',');
        let count = content.split(separator).count();
        if count > MAX_COLUMNS {
            return Err(Error::Limit { what: "number of columns", value: count as u64, max: MAX_COLUMNS as u64 });
        }
        let fields: Vec<&str> = content.split(separator).map(unquoted).collect();
        let header = content.split(separator).all(|v| v.trim().parse::<f32>().is_err());
        let label_at = fields.iter().position(|name| header && *name == label);
        let first = First { fields: &fields, header, label: label_at };
        let picks = first.picks(columns).map_err(|reason| Error::Csv { line, reason })?;
        self.channels = picks.len();
        self.labels = label_at.map(|_| RowLabels::default());
        if self.channels == 0 {
            return Err(Error::Csv { line, reason: format!("no column but `{label}`") });
        }
        if header {
            self.header = picks.iter().map(|&at| fields[at].to_owned()).collect();
        }
        Ok((Layout { separator, fields, picks, label: label_at, places: HashMap::new() }, header))
    }

    fn push_line<'t>(&mut self, line: usize, content: &'t str, layout: &mut Layout<'t>) -> Result<(), Error> {
        let Layout { separator, ref mut fields, ref picks, label, ref mut places } = *layout;
        let (found, columns) = (content.split(separator).count(), fields.len());
        if found != columns {
            let reason = format!("{found} columns where the first line has {columns}");
            return Err(Error::Csv { line, reason });
        }
        fields.clear();
        fields.extend(content.split(separator).map(str::trim));
        if let (Some(labels), Some(at)) = (&mut self.labels, label) {
            labels.push(places, line, fields[at])?;
        }
        for &at in picks {
            let (column, field) = (at + 1, fields[at]);
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
                    let shown = short(field);
                    return Err(Error::Csv { line, reason: format!("column {column} is '{shown}', not a number") });
                }
            }
        }
        if self.values.len() as u64 > MAX_VALUES {
            return Err(Error::Limit { what: "number of values", value: self.values.len() as u64, max: MAX_VALUES });
        }
        Ok(())
    }

    /// The same rows of some columns, counted from 0, in the order given.
    ///
    /// # Panics
    /// If there is no such column, or none is wanted.
    #[must_use]
    pub fn select(&self, columns: &[usize]) -> Csv {
        assert!(!columns.is_empty(), "a table has columns");
        let rows = self.values.chunks_exact(self.channels);
        Csv {
            header: columns.iter().filter_map(|&at| self.header.get(at).cloned()).collect(),
            channels: columns.len(),
            values: rows.flat_map(|row| columns.iter().map(|&at| row[at])).collect(),
            labels: self.labels.clone(),
        }
    }

    /// How many columns were read, and their names, for errors: `3 columns (ax, ay, az)`.
    #[must_use]
    pub fn describe(&self) -> String {
        let names = listed(&self.header);
        format!("{} columns{}", self.channels, if names.is_empty() { names } else { format!(" ({names})") })
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
struct Layout<'t> {
    separator: char,
    /// Of the line at hand; as many in every line.
    fields: Vec<&'t str>,
    /// The columns to read, counted from 0.
    picks: Vec<usize>,
    /// The column of labels, counted from 0.
    label: Option<usize>,
    /// Of the labels so far.
    places: HashMap<String, u16>,
}

/// The first line.
struct First<'a> {
    fields: &'a [&'a str],
    /// Whether it is a header.
    header: bool,
    label: Option<usize>,
}

impl First<'_> {
    /// Where the wanted columns are; why not, if they are not there.
    fn picks(&self, columns: &[String]) -> Result<Vec<usize>, String> {
        let count = self.fields.len();
        let all = || (0..count).filter(|at| Some(*at) != self.label).collect();
        if columns.is_empty() {
            return Ok(all());
        }
        let by_name = columns.iter().any(|name| number(name).is_none());
        if by_name && !self.header {
            if columns.len() == count {
                return Ok(all());
            }
            let wanted = listed(columns);
            return Err(format!("{count} columns and no header line that names them; wanted: {wanted}"));
        }
        // Of each name the place, and whether there is another.
        let mut places: HashMap<&str, (usize, bool)> = HashMap::new();
        for (at, name) in self.fields.iter().enumerate() {
            places.entry(name).and_modify(|(_, twice)| *twice = true).or_insert((at, false));
        }
        columns.iter().map(|name| self.find(name, &places)).collect()
    }

    fn find(&self, name: &str, places: &HashMap<&str, (usize, bool)>) -> Result<usize, String> {
        let (count, shown) = (self.fields.len(), short(name));
        let at = match number(name) {
            Some(number) => number
                .checked_sub(1)
                .filter(|at| *at < count)
                .ok_or_else(|| format!("no column {shown}; there are columns 1 to {count}"))?,
            None => match places.get(name) {
                Some((at, false)) => *at,
                Some((_, true)) => return Err(format!("two columns are called `{shown}`")),
                None => return Err(format!("no column `{shown}`; there are: {}", listed(self.fields))),
            },
        };
        if Some(at) == self.label {
            return Err(format!("column `{shown}` holds the labels and is no channel"));
        }
        Ok(at)
    }
}

/// A column by its number, counted from 1: no name, as a line with a number in it is no header.
fn number(name: &str) -> Option<usize> {
    name.parse().ok()
}

/// The first names.
pub(crate) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<String> = names.iter().take(MAX_SHOWN).map(|name| short(name.as_ref())).collect();
    let rest = names.len().saturating_sub(MAX_SHOWN);
    shown.join(", ") + &if rest > 0 { format!(" and {rest} more") } else { String::new() }
}

fn short(field: &str) -> String {
    field.chars().take(20).collect()
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
        let other = Csv::decode_columns(b"x;gait\n1;2\n", "gait", &[]).unwrap();
        assert_eq!((other.channels, other.labels.unwrap().names[0].name.as_str()), (1, "2"));
        assert_eq!(Csv::decode(b"x;gait\n1;2\n").unwrap().labels, None);

        let error = |text: &str| Csv::decode(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error("x,label\n1,a\n2,\n"), "CSV: line 3: the label is empty");
        assert_eq!(error("x,label\n1,a\n2\n"), "CSV: line 3: 1 columns where the first line has 2");
        assert_eq!(error("label\na\n"), "CSV: line 1: no column but `label`");
    }

    fn of(text: &str, columns: &[&str]) -> Result<Csv, String> {
        let columns: Vec<String> = columns.iter().map(|&name| name.into()).collect();
        Csv::decode_columns(text.as_bytes(), Csv::LABEL, &columns).map_err(|e| e.to_string())
    }

    #[test]
    fn columns_are_read_by_name_whatever_the_others_hold() {
        let text = "time,ay,label,ax\n12:30,2,up,1\n12:31,4,down,3\n";
        let csv = of(text, &["ax", "ay"]).unwrap();
        assert_eq!((csv.header, csv.channels, csv.values), (vec!["ax".into(), "ay".into()], 2, vec![1., 2., 3., 4.]));
        assert_eq!(csv.labels.unwrap().rows, [0, 1]);
        assert_eq!(of(text, &["4", "2"]).unwrap().values, [1., 2., 3., 4.]);
        assert_eq!(of("7,1,2\n8,3,4\n", &["2", "3"]).unwrap().values, [1., 2., 3., 4.]);
        assert_eq!(of("1,2\n3,4\n", &["ax", "ay"]).unwrap().values, [1., 2., 3., 4.], "as they stand");

        let error = |text: &str, columns: &[&str]| of(text, columns).unwrap_err();
        assert_eq!(error(text, &["ax", "az"]), "CSV: line 1: no column `az`; there are: time, ay, label, ax");
        assert_eq!(error(text, &["label"]), "CSV: line 1: column `label` holds the labels and is no channel");
        assert_eq!(error("x,x,y\n1,2,3\n", &["y", "x"]), "CSV: line 1: two columns are called `x`");
        assert_eq!(error("1,2\n", &["3"]), "CSV: line 1: no column 3; there are columns 1 to 2");
        let unnamed = error("1,2,3\n", &["ax", "ay"]);
        assert_eq!(unnamed, "CSV: line 1: 3 columns and no header line that names them; wanted: ax, ay");
    }

    /// 32 MiB of them took 822 MB.
    #[test]
    fn endless_columns_are_refused_before_they_are_kept() {
        let error = Csv::decode(&vec![b','; 1 << 20]).unwrap_err().to_string();
        assert_eq!(error, "number of columns is 1048577; at most 1048576 is allowed");
        assert!(Csv::decode(&vec![b','; (1 << 20) - 1]).unwrap_err().to_string().contains("without any values"));
    }

    #[test]
    fn a_selection_keeps_rows_names_and_labels() {
        let csv = Csv::decode(b"t,x,y,label\n1,2,3,a\n4,5,6,b\n").unwrap();
        let two = csv.select(&[2, 1]);
        assert_eq!((two.header.join(" "), two.rows(), &two.values[..]), ("y x".into(), 2, &[3., 2., 6., 5.][..]));
        assert_eq!(two.labels, csv.labels);
        assert_eq!(
            (csv.describe(), Csv::decode(b"1,2\n").unwrap().describe()),
            ("3 columns (t, x, y)".into(), "2 columns".into())
        );
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
