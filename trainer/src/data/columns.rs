//! Which columns of recordings are channels.
//!
//! A clock, a row number or a number that names the recording tells the class of what was recorded with it, and of nothing
//! else. So a column is left out if its name is a clock's, before its numbers are read: it may hold dates in words; or if, in
//! all recordings of the training data together, it only rises from row to row, or only falls. What stays the same in each
//! recording does neither. Counters wrap and are reset, so one step in a hundred may go the other way. Some names, such as `t`,
//! may be a clock's or a temperature's, and their numbers must say so too. The names of what is left travel with the model, by
//! which tests, calibration and boards read the same columns.

mod clock;

use std::collections::HashMap;

use escarp_media::{Csv, Error, Folder};
use rayon::prelude::*;

use crate::error::TrainError;
use clock::Clock;

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

/// Most columns whose reason is told.
const MAX_SHOWN: usize = 12;

/// Fewer rises and falls than this may go one way by chance.
const LEAST_STEPS: u64 = 8;

/// One in so many rises and falls may go the other way.
const ONE_IN: u64 = 100;

/// The same of a column whose name may be a clock's.
const ONE_IN_NAMED: u64 = 20;

/// Reads recordings to train on: the channels that `wanted` names or, if it names none, all columns but those that only tell
/// when and where a row was recorded. `label` is the column that may have a class for every row.
///
/// # Errors
/// A file that is no CSV, with the line, or has other columns than the first; data that have no channel, or two of one name.
pub fn read(folder: &Folder, label: &str, wanted: &[String]) -> Result<Recordings, TrainError> {
    let all = match wanted {
        [] => read_all(folder, |bytes| {
            // By number, as each file may have its own order.
            let (columns, clocks) = clock::without(bytes, label);
            let table = Csv::decode_columns(bytes, label, &columns).map_err(advised)?;
            Ok((table, clocks))
        })?,
        _ => read_all(folder, |bytes| Ok((Csv::decode_columns(bytes, label, wanted)?, Vec::new())))?,
    };
    let (mut tables, mut clocks): (Vec<Csv>, Vec<Vec<String>>) = all.into_iter().unzip();
    let Some(first) = tables.first().map(|table| table.select(&Vec::from_iter(0..table.channels))) else {
        return Err(TrainError::data("recordings", "there are none"));
    };
    for (index, table) in tables.iter_mut().enumerate().skip(1) {
        align(table, &first, folder, index)?;
    }
    if !wanted.is_empty() {
        check_names(folder, label, wanted, &first.header)?;
        let columns = if first.header.is_empty() { wanted.to_vec() } else { first.header };
        return Ok(Recordings { tables, channels: Channels { count: first.channels, columns }, left_out: Vec::new() });
    }
    let reasons = Vec::from_iter((0..first.channels).map(|at| reason(&tables, first.header.get(at), at)));
    let kept = Vec::from_iter((0..first.channels).filter(|&at| reasons[at].is_none()));
    let name = |at: usize| first.header.get(at).cloned().unwrap_or_else(|| (at + 1).to_string());
    let called = |at: usize| if first.header.is_empty() { name(at) } else { format!("`{}`", name(at)) };
    let clocks = clocks.swap_remove(0);
    let named = (0..first.channels).zip(&reasons).filter_map(|(at, reason)| Some((called(at), (*reason)?)));
    let named = clocks.iter().map(|name| (format!("`{name}`"), clock::REASON)).chain(named);
    let lines = named.take(MAX_SHOWN).map(|(called, reason)| format!("column {called} is left out: {reason}"));
    let mut left_out = Vec::from_iter(lines);
    let more = (clocks.len() + first.channels - kept.len()).saturating_sub(MAX_SHOWN);
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
        let reason = format!("two columns are called {}; {OWN_NAMES}", called(twice));
        return Err(TrainError::data(folder.locate(0), reason));
    }
    let columns = match first.header.is_empty() && left_out.is_empty() {
        true => Vec::new(),
        false => kept.iter().map(|&at| name(at)).collect(),
    };
    if kept.len() < first.channels {
        tables.par_iter_mut().for_each(|table| *table = table.select(&kept));
    }
    Ok(Recordings { tables, channels: Channels { count: kept.len(), columns }, left_out })
}

const OWN_NAMES: &str = "the model reads its columns by name: give each its own in the first line, or leave it out by \
                         --columns with the names of others";

/// Whether all files can be read by the names of the columns that were chosen, as the model will have them read: numbers choose
/// a column whatever its name is, also one that is chosen by its name too.
fn check_names(folder: &Folder, label: &str, wanted: &[String], names: &[String]) -> Result<(), TrainError> {
    if let Some(name) = names.iter().enumerate().find_map(|(at, name)| names[..at].contains(name).then_some(name)) {
        let reason = format!("--columns chooses column `{name}` twice, or two columns of that name; {OWN_NAMES}");
        return Err(TrainError::data(folder.locate(0), reason));
    }
    if names.is_empty() || names == wanted {
        return Ok(());
    }
    let read = read_all(folder, |bytes| Csv::decode_columns(bytes, label, names).map(|_| ()));
    read.map(|_| ()).map_err(|e| TrainError::data(e, OWN_NAMES))
}

/// Reads recordings with the channels of others.
///
/// # Errors
/// A file that is no CSV, with the line, or has not those channels.
pub fn read_as(folder: &Folder, label: &str, channels: &Channels) -> Result<Vec<Csv>, TrainError> {
    let tables = read_all(folder, |bytes| Csv::decode_columns(bytes, label, &channels.columns))?;
    match tables.iter().position(|table| table.channels != channels.count) {
        None => Ok(tables),
        Some(index) => {
            let reason = format!("{}; the training data have {}", tables[index].describe(), channels.count);
            Err(TrainError::data(folder.locate(index), reason))
        }
    }
}

fn read_all<T: Send>(folder: &Folder, decode: impl Fn(&[u8]) -> Result<T, Error> + Sync) -> Result<Vec<T>, TrainError> {
    let read = |index: usize| -> Result<T, TrainError> {
        let sample = folder.read(index)?;
        Ok(decode(&sample.bytes).map_err(|e| e.in_file(folder.locate(index)))?)
    };
    // All first: of several wrong files the first is named, whichever thread is the fastest.
    let all: Vec<_> = (0..folder.len()).into_par_iter().map(read).collect();
    all.into_iter().collect()
}

/// An error about the content of a column, which need not be read, says so.
fn advised(error: Error) -> Error {
    match error {
        Error::Csv { line, reason } if reason.starts_with("column ") => {
            Error::Csv { line, reason: format!("{reason}; --columns names those to learn from") }
        }
        other => other,
    }
}

/// Puts the columns of recording `index` in the order of the first's.
fn align(table: &mut Csv, first: &Csv, folder: &Folder, index: usize) -> Result<(), TrainError> {
    let other = |table: &Csv| {
        let (here, there) = (table.describe(), first.describe());
        let reason = format!("{here} where {} has {there}; --columns names those that all have", folder.locate(0));
        TrainError::data(folder.locate(index), reason)
    };
    if table.header.is_empty() != first.header.is_empty() {
        let (here, there) = if first.header.is_empty() { ("a", "none") } else { ("no", "one") };
        let reason = format!("{here} first line of names, and {} has {there}; give all files one", folder.locate(0));
        return Err(TrainError::data(folder.locate(index), reason));
    }
    if table.channels != first.channels {
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
    let clock = name.and_then(|name| clock::of(name));
    if clock == Some(Clock::Surely) {
        return Some(clock::REASON);
    }
    let (mut rises, mut falls) = (0u64, 0u64);
    for table in tables {
        let values = table.values.iter().skip(at).step_by(table.channels);
        for (before, after) in values.clone().zip(values.skip(1)) {
            rises += u64::from(after > before);
            falls += u64::from(after < before);
        }
    }
    let (one_in, least) = match clock {
        Some(Clock::Perhaps) => (ONE_IN_NAMED, 1),
        _ => (ONE_IN, LEAST_STEPS),
    };
    let hardly = |other: u64| other == 0 || other.saturating_mul(one_in) < rises + falls;
    match (rises, falls) {
        (0, 0) => Some("it changes in no recording"),
        _ if rises >= least && hardly(falls) => Some("it only rises with the row, in every recording"),
        _ if falls >= least && hardly(rises) => Some("it only falls with the row, in every recording"),
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
        for other in ["x,z\n1,2\n", "x,y,z\n1,2,3\n"] {
            let said = error(other);
            assert!(said.contains("b.csv: ") && said.contains("a.csv has 2 columns (x, y); --columns"), "{said}");
        }
        let unnamed = error("1,2\n");
        assert!(
            unnamed.contains("b.csv: no first line of names, and") && unnamed.contains("a.csv has one"),
            "{unnamed}"
        );
        let none = columns(&[("a.csv", "time,x\n1,2\n3,2\n")]).unwrap_err();
        assert!(none.contains("no channel is left (--columns") && none.contains("`x` is left out"), "{none}");
        let twice = columns(&[("a.csv", "x,x\n1,2\n0,3\n3,2\n")]).unwrap_err();
        assert!(twice.contains("two columns are called `x`; the model reads its columns by name"), "{twice}");
    }

    #[test]
    fn chosen_columns_have_names_that_the_model_can_be_read_by() {
        let (_folder, listing) = recordings(&[("a.csv", "x,y,x,z\n1,2,3,4\n3,1,2,4\n")]);
        let chosen = |names: &[&str]| {
            let names = Vec::from_iter(names.iter().map(|&name| name.to_owned()));
            read(&listing, Csv::LABEL, &names).map(|read| read.channels.columns).map_err(|e| e.to_string())
        };
        assert_eq!(chosen(&["4", "y"]).unwrap(), ["z", "y"]);
        for twice in [&["1", "3"][..], &["2", "y"], &["1", "y"]] {
            let said = chosen(twice).unwrap_err();
            assert!(said.contains("a.csv: ") && said.contains("give each its own"), "{twice:?}: {said}");
        }
    }

    #[test]
    fn clocks_may_hold_text_and_doubtful_names_are_judged_by_their_numbers() {
        let rows = |from: i32| -> String {
            let row = |i: i32| format!("{},2026-11-30 12:00:{i},{},{},{i}\n", (i * 31) % 7, i % 30, 20 + (i * 7) % 3);
            "x,Timestamp,index,T,ms\n".to_owned() + &(from..from + 60).map(row).collect::<String>()
        };
        let (kept, left_out) = columns(&[("a.csv", &rows(0)), ("b.csv", &rows(60))]).unwrap();
        assert_eq!(kept, ["x", "T"], "{left_out:?}");
        assert!(left_out[0].contains("`Timestamp` is left out: its name"), "{left_out:?}");
        assert!(left_out[1].contains("`index` is left out: it only rises"), "{left_out:?}");
        let other = columns(&[("a.csv", "x,who\n1,Ann\n2,Bob\n")]).unwrap_err();
        assert!(other.contains("'Ann', not a number; --columns names those to learn from"), "{other}");
    }

    #[test]
    fn a_counter_may_wrap() {
        let rows = |step: i32| (0..300).map(|i| format!("{},{}\n", (i * step) % 256, (i * 31) % 7)).collect::<String>();
        let text = "count,x\n".to_owned() + &rows(1);
        assert_eq!(columns(&[("a.csv", &text)]).unwrap().0, ["x"]);
        // An angle that turns by 8 degrees a row falls more often.
        let text = "angle,x\n".to_owned() + &rows(8);
        assert_eq!(columns(&[("a.csv", &text)]).unwrap().0, ["angle", "x"]);
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
