//! Which columns of recordings are channels.
//!
//! A clock, a row number or a number that names the recording tells the class of what was recorded with it, and of nothing
//! else. So a column is left out if its name is a clock's, or if, in all recordings of the training data together, it never
//! falls from one row to the next, or never rises; what stays the same in each recording does neither. The names of what is
//! left travel with the model, by which tests, calibration and boards read the same columns.

use std::collections::HashMap;

use escarp_media::{Csv, Folder};
use rayon::prelude::*;

use crate::error::TrainError;

/// Recordings of the same channels in the same order.
#[derive(Debug)]
pub struct Recordings {
    /// As many as the listing has files.
    pub tables: Vec<Csv>,
    /// Of each.
    pub channels: Channels,
    /// Lines that name columns that are no channels, each with the reason.
    pub left_out: Vec<String>,
}

/// The channels of recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Columns of each file, at least one.
    pub count: usize,
    /// Names or, of files without a header line, numbers counted from 1; empty if nothing but their count says which.
    pub columns: Vec<String>,
}

/// Words that mean time or place in the file.
const CLOCKS: [&str; 13] = [
    "time",
    "timestamp",
    "timestamps",
    "t",
    "ts",
    "index",
    "idx",
    "date",
    "datetime",
    "seconds",
    "millis",
    "epoch",
    "unnamed", // what pandas calls the index of an index
];

/// Words that may stand beside those.
const UNITS: [&str; 10] = ["s", "ms", "us", "ns", "sec", "secs", "msec", "unix", "utc", "elapsed"];

/// Most columns whose reason is told.
const MAX_SHOWN: usize = 12;

/// Fewer rises and falls than this may go one way by chance.
const LEAST_STEPS: u64 = 8;

/// Whether a column of this name tells when a row was recorded: `Time (s)`, `timestamp_ms`; pandas calls its index nothing.
fn is_clock(name: &str) -> bool {
    let name = name.to_lowercase();
    let mut words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).peekable();
    let beside = |word: &str| UNITS.contains(&word) || word.bytes().all(|b| b.is_ascii_digit());
    words.peek().is_none()
        || words.clone().any(|word| CLOCKS.contains(&word)) && words.all(|word| CLOCKS.contains(&word) || beside(word))
}

/// Reads recordings to train on: the channels that `wanted` names or, if it names none, all columns but those that only tell
/// when and where a row was recorded. `label` is the column that may have a class for every row.
///
/// # Errors
/// A file that is no CSV, with the line, or has other columns than the first; data that have no channel.
pub fn read(folder: &Folder, label: &str, wanted: &[String]) -> Result<Recordings, TrainError> {
    let mut tables = read_all(folder, label, wanted)?;
    let Some(first) = tables.first().map(|table| table.select(&Vec::from_iter(0..table.channels))) else {
        return Err(TrainError::data("recordings", "there are none"));
    };
    for (index, table) in tables.iter_mut().enumerate().skip(1) {
        align(table, &first, folder, index)?;
    }
    if !wanted.is_empty() {
        let columns = if first.header.is_empty() { wanted.to_vec() } else { first.header };
        return Ok(Recordings { tables, channels: Channels { count: first.channels, columns }, left_out: Vec::new() });
    }
    let reasons = Vec::from_iter((0..first.channels).map(|at| reason(&tables, first.header.get(at), at)));
    let kept = Vec::from_iter((0..first.channels).filter(|&at| reasons[at].is_none()));
    let name = |at: usize| first.header.get(at).cloned().unwrap_or_else(|| (at + 1).to_string());
    let called = |at: usize| if first.header.is_empty() { name(at) } else { format!("`{}`", name(at)) };
    let named = (0..first.channels).zip(&reasons).filter_map(|(at, reason)| Some((at, (*reason)?)));
    let lines = named.take(MAX_SHOWN).map(|(at, reason)| format!("column {} is left out: {reason}", called(at)));
    let mut left_out = Vec::from_iter(lines);
    let more = (first.channels - kept.len()).saturating_sub(MAX_SHOWN);
    if more > 0 {
        left_out.push(format!("{more} more columns are left out for such reasons"));
    }
    if kept.is_empty() {
        let reason = format!("no channel is left (--columns names those to learn from); {}", left_out.join("; "));
        return Err(TrainError::data(folder.locate(0), reason));
    }
    let mut counts = HashMap::<&String, usize>::new();
    first.header.iter().for_each(|name| *counts.entry(name).or_default() += 1);
    let is_twice = |at: &&usize| first.header.get(**at).is_some_and(|name| counts[name] > 1);
    if let Some(&twice) = kept.iter().find(is_twice) {
        let reason =
            format!("two columns are called {}; give each its own name, or --columns their numbers", called(twice));
        return Err(TrainError::data(folder.locate(0), reason));
    }
    let columns = match first.header.is_empty() && left_out.is_empty() {
        true => Vec::new(),
        false => kept.iter().map(|&at| name(at)).collect(),
    };
    if !left_out.is_empty() {
        tables.par_iter_mut().for_each(|table| *table = table.select(&kept));
    }
    Ok(Recordings { tables, channels: Channels { count: kept.len(), columns }, left_out })
}

/// Reads recordings with the channels of others.
///
/// # Errors
/// A file that is no CSV, with the line, or has not those channels.
pub fn read_as(folder: &Folder, label: &str, channels: &Channels) -> Result<Vec<Csv>, TrainError> {
    let tables = read_all(folder, label, &channels.columns)?;
    match tables.iter().position(|table| table.channels != channels.count) {
        None => Ok(tables),
        Some(index) => {
            let reason = format!("{}; the training data have {}", tables[index].describe(), channels.count);
            Err(TrainError::data(folder.locate(index), reason))
        }
    }
}

fn read_all(folder: &Folder, label: &str, columns: &[String]) -> Result<Vec<Csv>, TrainError> {
    let read = |index: usize| -> Result<Csv, TrainError> {
        let sample = folder.read(index)?;
        Ok(Csv::decode_columns(&sample.bytes, label, columns).map_err(|e| e.in_file(folder.locate(index)))?)
    };
    (0..folder.len()).into_par_iter().map(read).collect()
}

/// Puts the columns of recording `index` in the order of the first's.
fn align(table: &mut Csv, first: &Csv, folder: &Folder, index: usize) -> Result<(), TrainError> {
    let other = |table: &Csv| {
        let (here, there) = (table.describe(), first.describe());
        let reason = format!("{here} where {} has {there}; --columns names those that all have", folder.locate(0));
        TrainError::data(folder.locate(index), reason)
    };
    if table.channels != first.channels || table.header.is_empty() != first.header.is_empty() {
        return Err(other(table));
    }
    if table.header != first.header {
        let here: HashMap<&String, usize> = (0..).zip(&table.header).map(|(at, name)| (name, at)).collect();
        let places: Option<Vec<usize>> = first.header.iter().map(|name| here.get(name).copied()).collect();
        *table = table.select(&places.ok_or_else(|| other(table))?);
    }
    Ok(())
}

/// Why a column is no channel, if it is none.
fn reason(tables: &[Csv], name: Option<&String>, at: usize) -> Option<&'static str> {
    if name.is_some_and(|name| is_clock(name)) {
        return Some("its name says that it tells when a row was recorded");
    }
    let (mut rises, mut falls) = (0u64, 0u64);
    for table in tables {
        let values = table.values.iter().skip(at).step_by(table.channels);
        for (before, after) in values.clone().zip(values.skip(1)) {
            rises += u64::from(after > before);
            falls += u64::from(after < before);
        }
    }
    match (rises, falls) {
        (0, 0) => Some("it changes in no recording"),
        (LEAST_STEPS.., 0) => Some("it only rises with the row, in every recording"),
        (0, LEAST_STEPS..) => Some("it only falls with the row, in every recording"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use escarp_media::Kind;

    fn recordings(files: &[(&str, &str)]) -> (tempfile::TempDir, Folder) {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
        let listing = Folder::open(folder.path(), Kind::Table).unwrap();
        (folder, listing)
    }

    fn columns(files: &[(&str, &str)]) -> Result<(Vec<String>, Vec<String>), String> {
        let (_folder, listing) = recordings(files);
        let read = read(&listing, Csv::LABEL, &[]).map_err(|e| e.to_string())?;
        assert!(read.tables.iter().all(|table| table.channels == read.channels.count));
        Ok((read.channels.columns, read.left_out))
    }

    #[test]
    fn clocks_are_known_by_their_names() {
        for name in ["time", "Timestamp", "T", "INDEX", "Time (s)", "time_ms", "Unnamed: 0", "", "seconds_elapsed"] {
            assert!(is_clock(name), "{name}");
        }
        for name in ["ax", "t1", "temperature", "timely", "reaction time", "s", "ms2", "x t"] {
            assert!(!is_clock(name), "{name}");
        }
    }

    /// Rows of a clock, a counter, a channel, what never changes, and a channel that never changes in this file.
    fn rows(header: &str, from: i32, still: f32) -> String {
        let row = |i: i32| format!("{},{},{},7,{still}\n", (i * 7919) % 13, from + i, (i * 31) % 5);
        header.to_owned() + &(0..20).map(row).collect::<String>()
    }

    #[test]
    fn what_tells_the_row_or_nothing_is_left_out_of_the_whole_data_set() {
        let header = "Time,count,x,volts,y\n";
        let moves = rows(header, 5, 0.0).replace("3,7,0\n", "3,7,1\n");
        let (kept, left_out) = columns(&[("a.csv", &rows(header, 0, 2.0)), ("b.csv", &moves)]).unwrap();
        assert_eq!(kept, ["x", "y"], "y varies in one of the files");
        let said = left_out.join("\n");
        for wanted in [
            "`Time` is left out: its name",
            "`count` is left out: it only rises",
            "`volts` is left out: it changes in no",
        ] {
            assert!(said.contains(wanted), "{wanted} in {said}");
        }
        // A number for each recording, and a column that is a counter in one file only.
        let (kept, _) =
            columns(&[("a.csv", &rows(header, 0, 2.0)), ("b.csv", &rows(header, 9, 3.0).replace(",9,", ",99,"))])
                .unwrap();
        assert_eq!(kept, ["count", "x"]);
    }

    #[test]
    fn files_without_names_are_read_by_number() {
        let (kept, left_out) = columns(&[("a.csv", &rows("", 0, 2.0)), ("b.csv", &rows("", 9, 2.0))]).unwrap();
        assert_eq!((kept, left_out.len()), (vec!["1".to_owned(), "3".into()], 3));
        assert!(left_out[0].starts_with("column 2 is left out: it only rises"), "{left_out:?}");
        let all = columns(&[("a.csv", "1,9\n3,2\n2,3\n")]).unwrap();
        assert_eq!(all, (vec![], vec![]));
    }

    #[test]
    fn columns_go_by_name_and_must_be_the_same_in_all_files() {
        let (_folder, listing) = recordings(&[("a.csv", "x,y\n1,2\n3,1\n2,4\n"), ("b.csv", "y,x\n5,6\n9,8\n7,9\n")]);
        let read = read(&listing, Csv::LABEL, &[]).unwrap();
        assert_eq!((read.channels.columns.join(" "), &read.tables[1].values[..2]), ("x y".into(), &[6.0, 5.0][..]));
        let again = read_as(&listing, Csv::LABEL, &Channels { count: 1, columns: vec!["y".into()] }).unwrap();
        assert_eq!((&again[0].values[..2], &again[1].values[..2]), (&[2.0, 1.0][..], &[5.0, 9.0][..]));
        let narrow = read_as(&listing, Csv::LABEL, &Channels { count: 1, columns: vec![] }).unwrap_err().to_string();
        assert!(narrow.contains("a.csv") && narrow.contains("2 columns (x, y); the training data have 1"), "{narrow}");

        let error = |second: &str| columns(&[("a.csv", "x,y\n1,2\n3,1\n2,4\n"), ("b.csv", second)]).unwrap_err();
        for other in ["x,z\n1,2\n", "x,y,z\n1,2,3\n", "1,2\n"] {
            let said = error(other);
            assert!(said.contains("b.csv: ") && said.contains("a.csv has 2 columns (x, y); --columns"), "{said}");
        }
        let none = columns(&[("a.csv", "time,x\n1,2\n3,2\n")]).unwrap_err();
        assert!(none.contains("no channel is left (--columns") && none.contains("`x` is left out"), "{none}");
        let twice = columns(&[("a.csv", "x,x\n1,2\n0,3\n3,2\n")]).unwrap_err();
        assert!(twice.contains("two columns are called `x`"), "{twice}");
    }

    #[test]
    fn columns_that_are_named_are_read_as_they_are() {
        let (_folder, listing) = recordings(&[("a.csv", &rows("time,count,x,volts,y\n", 0, 2.0))]);
        let names = ["x".to_owned(), "time".into()];
        let named = read(&listing, Csv::LABEL, &names).unwrap();
        assert_eq!((&named.channels.columns[..], named.left_out.len()), (&names[..], 0));
        let numbered = read(&listing, Csv::LABEL, &["3".into(), "1".into()]).unwrap();
        assert_eq!((&numbered.channels.columns[..], &numbered.tables), (&names[..], &named.tables));
    }
}
