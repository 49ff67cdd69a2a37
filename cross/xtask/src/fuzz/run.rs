//! One process that fuzzes one target.

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{Places, Target, folder};
use crate::error::{Error, file};

/// The variable that tells the program which target to run.
pub const TARGET: &str = "ESCARP_FUZZ_TARGET";
/// Where it writes its seeds.
const SEEDS: &str = "ESCARP_FUZZ_SEEDS";

/// An input that takes longer, or that makes the process larger, is a find. What is allocated and not touched is counted
/// by the program itself.
pub const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=2048"];

/// A process at work.
pub struct Run {
    child: Child,
    name: String,
    log: PathBuf,
    corpus: PathBuf,
    began: Instant,
    scratch: PathBuf,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// The target.
    pub name: String,
    /// Inputs tried.
    pub executions: u64,
    seconds: f64,
    corpus: usize,
    /// The input that broke something.
    pub find: Option<PathBuf>,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Done { name, executions, seconds, corpus, find } = self;
        let rate = *executions as f64 / seconds.max(1.0);
        write!(f, "{name:<12} {executions:>12} {rate:>9.0} {corpus:>8}  ")?;
        match find {
            None => write!(f, "nothing"),
            Some(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Run {
    /// Starts from the committed corpus, the program's seeds and what earlier runs have found worth keeping.
    ///
    /// # Errors
    /// If folders cannot be made or the program does not start.
    pub fn start(places: &Places, target: &Target, number: usize, time: Duration) -> Result<Run, Error> {
        let name = &target.name;
        let corpus = folder(places.work.join("corpus").join(name))?;
        let artifacts = folder(places.work.join("finds"))?;
        let scratch = folder(places.work.join("scratch").join(format!("{name}-{number}")))?;
        let log = folder(places.work.join("logs"))?.join(format!("{name}-{number}.log"));
        let out = File::create(&log).map_err(file(&log))?;
        let mut command = Command::new(&places.program);
        command.env(TARGET, name).env(SEEDS, &corpus).env("TMPDIR", &scratch).stdin(Stdio::null());
        // One thread, however many cores: the cores have targets of their own.
        command.env("RAYON_NUM_THREADS", "1").stdout(Stdio::null()).stderr(out);
        command.args(LIMITS).arg(format!("-max_total_time={}", time.as_secs().max(1)));
        command
            .arg(format!("-max_len={}", target.longest))
            .arg(format!("-artifact_prefix={}/{name}-", artifacts.display()));
        // What the programs print goes nowhere; libFuzzer's own lines stay.
        command.args(["-print_final_stats=1", "-close_fd_mask=3", "-reload=10"]);
        let words = places.fuzz.join("words").join(name);
        if words.is_file() {
            command.arg(format!("-dict={}", words.display()));
        }
        command.arg(&corpus).arg(places.fuzz.join("corpus").join(name));
        let child =
            command.spawn().map_err(|source| Error::Start { program: places.program.display().to_string(), source })?;
        Ok(Run { child, name: name.clone(), log, corpus, began: Instant::now(), scratch })
    }

    /// Asks it to end, as Ctrl-C does.
    pub fn interrupt(&self) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
    }

    /// What came of it, if it has ended.
    ///
    /// # Errors
    /// If it ended for another reason than time, an interruption or a find: its log says why.
    pub fn ended(&mut self, places: &Places) -> Result<Option<Done>, Error> {
        let Some(status) = self.child.try_wait().map_err(file(&places.program))? else { return Ok(None) };
        let text = String::from_utf8_lossy(&std::fs::read(&self.log).map_err(file(&self.log))?).into_owned();
        let find = find(&text).map(PathBuf::from);
        if !status.success() && find.is_none() && !super::INTERRUPTED.load(std::sync::atomic::Ordering::Relaxed) {
            let title = format!("fuzzing {}", self.name);
            return Err(Error::Step { title, status: status.to_string(), log: self.log.clone() });
        }
        Ok(Some(Done {
            name: self.name.clone(),
            executions: executions(&text),
            seconds: self.began.elapsed().as_secs_f64(),
            corpus: count(&self.corpus),
            find,
        }))
    }
}

impl Drop for Run {
    /// Of one that has ended nothing is left to kill.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// The sum at the end or, of a run that did not get there, the number in front of the last line of progress.
fn executions(log: &str) -> u64 {
    let sum = log.lines().find_map(|l| l.strip_prefix("stat::number_of_executed_units:"));
    let last = log.lines().rev().find_map(|l| l.strip_prefix('#')?.split_whitespace().next());
    sum.or(last).and_then(|n| n.trim().parse().ok()).unwrap_or(0)
}

/// The file that holds the input.
fn find(log: &str) -> Option<&str> {
    log.lines().find_map(|l| l.split_once("Test unit written to ").map(|(_, path)| path.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_let_go_of_is_ended() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = child.id().to_string();
        let nowhere = PathBuf::from("no such folder");
        let (log, corpus, scratch) = (nowhere.clone(), nowhere.clone(), nowhere);
        drop(Run { child, name: String::new(), log, corpus, began: Instant::now(), scratch });
        let lives = Command::new("kill").args(["-0", &id]).stderr(Stdio::null()).status().unwrap();
        assert!(!lives.success());
    }

    #[test]
    fn logs_say_how_much_was_tried_and_what_was_found() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 3\n#512\tpulse  cov: 9\n==7== ERROR: libFuzzer: deadly signal\n\
                   artifact_prefix='/x/'; Test unit written to /x/tar-crash-ab\n";
        assert_eq!((executions(log), find(log)), (512, Some("/x/tar-crash-ab")));
        let log = "#512\tpulse  cov: 9\nDone 900 runs in 3 second(s)\nstat::number_of_executed_units: 900\n";
        assert_eq!((executions(log), find(log)), (900, None));
    }
}
