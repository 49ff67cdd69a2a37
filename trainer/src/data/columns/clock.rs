//! Columns whose names say that they tell when or where in its file a row was recorded.

use escarp_media::Csv;

/// Why such a column is left out.
pub(super) const REASON: &str = "its name says that it tells when a row was recorded";

/// What a column's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// That it is a clock.
    Surely,
    /// That it may be one.
    Perhaps,
}

/// Words that mean time or place in the file.
const CLOCKS: [&str; 14] = [
    "time",
    "timestamp",
    "timestamps",
    "date",
    "datetime",
    "seconds",
    "millis",
    "epoch",
    "clock",
    "elapsed",
    "uptime",
    "tick",
    "ticks",
    "unnamed", // what pandas calls the index of an index
];

/// Words that may mean something else: a temperature, a force in newton seconds, an index finger.
const PERHAPS: [&str; 10] = ["t", "ts", "index", "idx", "ms", "us", "ns", "sec", "secs", "msec"];

/// Words that may stand beside any of those.
const UNITS: [&str; 9] = ["s", "ms", "us", "ns", "sec", "secs", "msec", "unix", "utc"];

/// Whether a column of this name tells when a row was recorded: `Time (s)`, `timestamp_ms`; pandas calls its index nothing.
pub(super) fn of(name: &str) -> Option<Clock> {
    let name = name.to_lowercase();
    let words = Vec::from_iter(name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()));
    let any = |list: &[&str]| words.iter().any(|word| list.contains(word));
    let fits = |word: &&str| {
        [&CLOCKS[..], &PERHAPS, &UNITS].iter().any(|list| list.contains(word))
            || word.bytes().all(|b| b.is_ascii_digit())
    };
    match words.iter().all(fits) {
        true if words.is_empty() || any(&CLOCKS) => Some(Clock::Surely),
        true if any(&PERHAPS) => Some(Clock::Perhaps),
        _ => None,
    }
}

/// The columns of a file but those that are surely clocks, by their numbers, and the names of those. No numbers where there is
/// no clock, no header line, or nothing else: then all are to be read.
pub(super) fn without(bytes: &[u8], label: &str) -> (Vec<String>, Vec<String>) {
    let names = names(bytes).unwrap_or_default();
    let label = names.iter().position(|name| name == label);
    let places = (0..names.len()).filter(|at| Some(*at) != label);
    let (clocks, others): (Vec<usize>, Vec<usize>) = places.partition(|&at| of(&names[at]) == Some(Clock::Surely));
    if clocks.is_empty() || others.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let numbers = others.iter().map(|at| (at + 1).to_string()).collect();
    (numbers, clocks.iter().map(|&at| names[at].clone()).collect())
}

/// The names in a file's header line, if it has one. It is read by [`Csv`] with a row of zeros behind it, whatever the file's
/// own rows are.
fn names(bytes: &[u8]) -> Option<Vec<String>> {
    let lines = bytes.split(|&b| b == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let mut lines = lines.map(|line| line.trim_start_matches('\u{feff}').trim());
    let header = lines.find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let none = "\n"; // no column is called so: what the labels are called is asked later
    let separator = [",", ";", "\t"].into_iter().find(|separator| header.contains(separator)).unwrap_or(",");
    let zeros = vec!["0"; header.matches(separator).count() + 1].join(separator);
    let table = Csv::decode_columns(format!("{header}\n{zeros}\n").as_bytes(), none, &[]).ok()?;
    Some(table.header).filter(|names| !names.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_known_by_their_names() {
        let surely = [
            "time",
            "Timestamp",
            "Time (s)",
            "time_ms",
            "Unnamed: 0",
            "",
            "seconds_elapsed",
            "uptime",
            "Ticks",
            "t (time)",
        ];
        for name in surely {
            assert_eq!(of(name), Some(Clock::Surely), "{name}");
        }
        for name in ["T", "t (s)", "INDEX", "ms"] {
            assert_eq!(of(name), Some(Clock::Perhaps), "{name}");
        }
        for name in ["ax", "t1", "temperature", "timely", "reaction time", "s", "ms2", "x t", "7"] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn names_are_those_that_are_read() {
        let text = "\u{feff}# made\n\nTime;\"ax\";label\n12:30;1;up\n";
        assert_eq!(without(text.as_bytes(), "label"), (vec!["2".into()], vec!["Time".into()]));
        assert_eq!(without(b"1,2\n3,4\n", "label"), (vec![], vec![]));
        assert_eq!(without(b"time\n3\n", "label"), (vec![], vec![]));
    }
}
