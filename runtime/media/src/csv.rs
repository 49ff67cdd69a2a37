//! Sensor recordings as comma-separated values.

use crate::Error;

/// Most values a file may have: 16 Mi.
const MAX_VALUES: u64 = 1 << 24;

/// A table of numbers: one row a sampling instant, one column a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Csv {
    /// Names of the columns if the file has a header line, else empty.
    pub header: Vec<String>,
    /// Columns, at least 1.
    pub channels: usize,
    /// `[rows][channels]`, all finite.
    pub values: Vec<f32>,
}

impl Csv {
    /// Parses UTF-8 text with `,`, `;` or tab between columns (the first line's choice holds). A first line in which no
    /// column is a number is the header. Empty lines and lines that start with `#` are skipped.
    ///
    /// # Errors
    /// [`Error::Csv`] with the line: a value that is not a finite number, a line with more or fewer columns than the first;
    /// also if there are no values; [`Error::Limit`] beyond 16 Mi values.
    pub fn decode(bytes: &[u8]) -> Result<Csv, Error> {
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let line = bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count() + 1;
            Error::Csv { line, reason: "not UTF-8 text".into() }
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text); // spreadsheets like to write a byte order mark
        let mut csv = Csv { header: Vec::new(), channels: 0, values: Vec::new() };
        let mut separator = ',';
        for (line, content) in text.lines().enumerate().map(|(i, l)| (i + 1, l.trim())) {
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            if csv.channels == 0 {
                separator = [',', ';', '\t'].into_iter().find(|&s| content.contains(s)).unwrap_or(',');
                csv.channels = content.split(separator).count();
                if content.split(separator).all(|v| v.trim().parse::<f32>().is_err()) {
                    csv.header = content.split(separator).map(|n| n.trim().trim_matches('"').to_owned()).collect();
                    continue;
                }
            }
            csv.push_line(line, content, separator)?;
        }
        if csv.values.is_empty() {
            return Err(Error::Csv {
                line: text.lines().count().max(1),
                reason: "the file ends without any values".into(),
            });
        }
        Ok(csv)
    }

    fn push_line(&mut self, line: usize, content: &str, separator: char) -> Result<(), Error> {
        let found = content.split(separator).count();
        if found != self.channels {
            let reason = format!("{found} columns where the first line has {}", self.channels);
            return Err(Error::Csv { line, reason });
        }
        for (column, field) in content.split(separator).enumerate().map(|(i, f)| (i + 1, f.trim())) {
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
    fn windows_step_by_whole_rows() {
        let csv = Csv::decode(b"1,2\n3,4\n5,6\n7,8\n").unwrap();
        let windows: Vec<_> = csv.windows(2, 1).collect();
        assert_eq!(windows, [[1., 2., 3., 4.], [3., 4., 5., 6.], [5., 6., 7., 8.]]);
        assert_eq!(csv.windows(3, 2).count(), 1);
        assert_eq!(csv.windows(5, 1).count(), 0);
    }
}
