//! `health.jsonl`: writing it, going back in it, reading it and logs of the same form from elsewhere.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use super::record::Observation;
use crate::{
    error::TrainError,
    run::{files::write_atomically, folder::HEALTH},
};

/// A log that observations are appended to.
pub struct HealthLog {
    file: File,
    path: PathBuf,
}

impl HealthLog {
    /// Opens or starts the log of the run in `folder`.
    pub fn open(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join(HEALTH);
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(TrainError::io(&path))?;
        Ok(Self { file, path })
    }

    /// Drops what was observed at `step` or later: a run that goes on from there will write it again. A last line
    /// that was cut off in the middle goes too.
    pub fn rewind(folder: &Path, step: u64) -> Result<(), TrainError> {
        let path = folder.join(HEALTH);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(TrainError::io(&path)(e)),
        };
        let before = |line: &&str| serde_json::from_str::<Observation>(line).is_ok_and(|seen| seen.step < step);
        let kept: String = text.split_inclusive('\n').take_while(before).collect();
        write_atomically(&path, kept.as_bytes())
    }

    /// Appends a line and returns what a reader will find in it. Diagnose that and not what was measured: then a
    /// run that is continued, and reads the log to know what was before, judges as one that never stopped.
    pub fn append(&mut self, observation: &Observation) -> Result<Observation, TrainError> {
        let bad = |e: serde_json::Error| TrainError::data(self.path.display(), e.to_string());
        let line = serde_json::to_string(observation).map_err(bad)? + "\n";
        let read = serde_json::from_str(&line).map_err(bad)?;
        self.file.write_all(line.as_bytes()).map_err(TrainError::io(&self.path))?;
        Ok(read)
    }
}

/// What a log is, for who names something else.
const EXPECTED: &str =
    "expected is a run folder of escarp-train, or a file with a JSON object on each line as trainer/doctor.md shows it";

/// Bytes of a line: 20,000 layers with all that can be said of each have 20 MB.
const LINE: u64 = 32 << 20;

/// Observations of a log: a doctor keeps a few hundred bytes of each.
const OBSERVATIONS: usize = 1_000_000;

/// Reads a log, see [`each`].
///
/// # Errors
/// As [`each`].
pub fn read(log: &Path) -> Result<Vec<Observation>, TrainError> {
    let mut observations = Vec::new();
    each(log, |observation| observations.push(observation)).map(|_| observations)
}

/// Hands over what a log holds, one observation after the other: of a file of JSON lines, or of a run folder with one.
/// Empty lines are passed over, and so is a last line that is cut off, because its trainer was killed or is writing: its
/// number is returned.
///
/// # Errors
/// What cannot be read names the file, the line and the key; so do negative norms, steps that do not rise, logs without any
/// observation, and such as hold more than fits into memory: lines of more than 32 MiB, or a million of them.
pub fn each(log: &Path, mut take: impl FnMut(Observation)) -> Result<Option<usize>, TrainError> {
    let path = if log.is_dir() { log.join(HEALTH) } else { log.to_owned() };
    let file = File::open(&path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound if log.is_dir() => {
            TrainError::data(log.display(), format!("no run folder (it holds no {HEALTH}) and no log; {EXPECTED}"))
        }
        _ => TrainError::io(&path)(e),
    })?;
    let (mut file, mut line) = (BufReader::new(file), Vec::new());
    let (mut count, mut last) = (0usize, None);
    for number in 1.. {
        line.clear();
        let length = (&mut file).take(LINE + 1).read_until(b'\n', &mut line).map_err(TrainError::io(&path))?;
        if length == 0 {
            break;
        }
        let bad = |reason: String| TrainError::data(format!("{}, line {number}", path.display()), reason);
        if length as u64 > LINE {
            return Err(bad(format!("more than {} MiB; an observation of any net has fewer", LINE >> 20)));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let observation = match parse(&line) {
            Ok(observation) => observation,
            Err(Unread::NoJson(_)) if !line.ends_with(b"\n") => {
                return if count == 0 { Err(nothing(&path)) } else { Ok(Some(number)) };
            }
            Err(Unread::NoJson(reason) | Unread::Wrong(reason)) => return Err(bad(reason)),
        };
        if let Some(last) = last.filter(|&last| observation.step <= last) {
            return Err(bad(format!("step: {} must be more than {last} of the line before", observation.step)));
        }
        if count == OBSERVATIONS {
            return Err(bad(format!("more than {OBSERVATIONS} observations; observe one in so many steps")));
        }
        (count, last) = (count + 1, Some(observation.step));
        take(observation);
    }
    if count == 0 { Err(nothing(&path)) } else { Ok(None) }
}

fn nothing(path: &Path) -> TrainError {
    TrainError::data(path.display(), format!("holds no observations; {EXPECTED}"))
}

/// Why a line is not an observation.
#[derive(Debug)]
enum Unread {
    /// As a line that is cut off is none, wherever it is cut.
    NoJson(String),
    /// JSON with other keys or values.
    Wrong(String),
}

fn parse(line: &[u8]) -> Result<Observation, Unread> {
    let line = quoted(str::from_utf8(line).map_err(|e| Unread::NoJson(e.to_string()))?);
    let mut json = serde_json::Deserializer::from_str(&line);
    let observation = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let unread = if e.inner().is_data() { Unread::Wrong } else { Unread::NoJson };
        unread(match e.path().to_string().as_str() {
            "." | "?" => e.inner().to_string(),
            key => format!("{key}: {}", e.inner()),
        })
    })?;
    json.end().map_err(|e| Unread::Wrong(e.to_string()))?;
    Ok(observation)
}

/// Puts quotes around bare `NaN`, `Infinity` and `-Infinity`, which Python's `json` writes though JSON has no such
/// words.
fn quoted(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    // Every other piece lies within quotes, unless a quote is escaped; then the words are looked for in too much
    // or too little of the line, and JSON's own error follows.
    for (i, piece) in line.split('"').enumerate() {
        if i > 0 {
            out.push('"');
        }
        match i % 2 {
            0 => {
                let words = [("-Infinity", "\"-inf\""), ("Infinity", "\"inf\""), ("NaN", "\"NaN\"")];
                out += &words.iter().fold(piece.to_owned(), |text, (word, quoted)| text.replace(word, quoted));
            }
            _ => out += piece,
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observation(step: u64) -> Observation {
        Observation { step, loss: Some(1.0 / 3.0), ..Observation::default() }
    }

    fn fails(text: &str, wanted: &[&str]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let error = read(file.path()).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        wanted.iter().for_each(|w| assert!(error.to_string().contains(w), "`{w}` in: {error}"));
    }

    #[test]
    fn what_is_appended_is_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = HealthLog::open(folder.path()).unwrap();
        let seen = [0, 20, 40].map(|step| log.append(&observation(step)).unwrap());
        assert_eq!(seen[1].loss, Some(0.333333));
        assert_eq!(read(folder.path()).unwrap(), seen);
        assert_eq!(read(&folder.path().join(HEALTH)).unwrap(), seen);
    }

    #[test]
    fn a_continued_run_forgets_what_lies_ahead_and_half_lines() {
        let folder = tempfile::tempdir().unwrap();
        HealthLog::rewind(folder.path(), 5).unwrap();
        let mut log = HealthLog::open(folder.path()).unwrap();
        [0, 20, 40].iter().for_each(|&step| drop(log.append(&observation(step)).unwrap()));
        log.file.write_all(br#"{"step":60,"lo"#).unwrap();
        HealthLog::rewind(folder.path(), 100).unwrap();
        assert_eq!(read(folder.path()).unwrap().len(), 3);
        HealthLog::rewind(folder.path(), 40).unwrap();
        assert_eq!(read(folder.path()).unwrap().last().unwrap().step, 20);
    }

    #[test]
    fn bad_logs_name_line_and_key() {
        fails("", &["no observations"]);
        fails("{\"step\":1}\n\n{\"step\":1}\n", &["line 3", "step", "more than 1"]);
        fails("{\"step\":1}\n{\"step\":2,\"losses\":1}", &["line 2", "`losses`", "`loss`"]);
        fails(r#"{"step":2,"layers":[{"name":"a","weight_norm":"big"}]}"#, &["layers[0].weight_norm", "big", "NaN"]);
        fails(r#"{"step":2,"layers":[{"name":"a","weight_norm":true}]}"#, &["layers[0].weight_norm", "boolean"]);
        fails(r#"{"step":-2}"#, &["line 1", "step"]);
        fails("step,loss\n1,2\n", &["line 1"]);
        fails("{\"step\":1} {\"step\":2}\n", &["line 1", "trailing"]);
        fails(r#"{"step":2,"gradient_norm":-1}"#, &["line 1", "gradient_norm", "-1", "0 or more"]);
        fails(r#"{"step":2,"layers":[{"name":"a","weight_norm":-Infinity}]}"#, &["layers[0].weight_norm", "0 or more"]);
    }

    /// What no net has is refused before it is in memory.
    #[test]
    fn more_than_memory_holds_is_refused() {
        let layers =
            |count: usize| format!("{{\"step\":1,\"layers\":[{}]}}\n", vec![r#"{"name":""}"#; count].join(","));
        fails(&layers(40_000), &["line 1", "layers", "more than 32768 layers"]);
        fails(&format!("{{\"step\":1}}{}\n", " ".repeat(33 << 20)), &["line 1", "32 MiB"]);
    }

    #[test]
    fn only_a_last_line_may_be_cut() {
        let whole = r#"{"step": 20, "loss": -Infinity, "layers": [{"name": "käse", "weight_norm": null}]}"#;
        let file = tempfile::NamedTempFile::new().unwrap();
        for end in 1..whole.len() {
            let cut = [b"{\"step\": 0}\n", &whole.as_bytes()[..end]].concat();
            std::fs::write(file.path(), &cut).unwrap();
            let mut seen = Vec::new();
            let line = each(file.path(), |observation| seen.push(observation)).unwrap();
            assert_eq!((seen.len(), seen[0].step, line), (1, 0, Some(2)), "cut after {end} bytes");
            std::fs::write(file.path(), [&cut, &b"\n{\"step\": 40}\n"[..]].concat()).unwrap();
            let error = read(file.path()).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{error}");
        }
        std::fs::write(file.path(), whole).unwrap();
        assert_eq!(each(file.path(), drop).unwrap(), None);
        assert_eq!(read(file.path()).unwrap().len(), 1);
        fails("{\"step\": 0, \"lo", &["no observations", "doctor.md"]);
    }

    /// The documented line is read, and names every key there is.
    #[test]
    fn the_documented_line_is_complete() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("doctor.md");
        let document = std::fs::read_to_string(path).unwrap();
        let line = document.lines().find(|l| l.starts_with("{\"step\"")).unwrap();
        parse(line.as_bytes()).unwrap();
        for (key, owner) in [("step", "{"), ("name", "[{")] {
            let wrong = format!("{owner}\"{key}\"");
            let wrong = line.replacen(&wrong, &format!("{owner}\"x\": 1, \"{key}\""), 1);
            let Err(Unread::Wrong(error)) = parse(wrong.as_bytes()) else { panic!("an unknown key was read") };
            let keys = error.split("expected one of ").nth(1).unwrap().split(" at line").next().unwrap();
            for key in keys.split(", ").map(|k| k.trim_matches('`')) {
                assert!(line.contains(&format!("\"{key}\":")), "`{key}` is not documented");
            }
        }
    }

    #[test]
    fn bare_words_of_python_are_understood() {
        let seen = parse(
            br#"{"step": 1, "loss": NaN, "rate": Infinity, "layers": [{"name": "NaN", "activation_mean": -Infinity}]}"#,
        );
        let seen = seen.unwrap();
        assert!(seen.loss.unwrap().is_nan());
        assert_eq!(seen.rate, Some(f64::INFINITY));
        assert_eq!((seen.layers[0].name.as_str(), seen.layers[0].activation_mean), ("NaN", Some(f64::NEG_INFINITY)));
    }
}
