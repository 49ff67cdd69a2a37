//! Running other programs. What is short gets one plain line with its time, everything it says in a log, the tail on failure;
//! what takes minutes speaks for itself on the terminal.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use crate::error::{Error, file};

/// Lines of a failed program's log that are shown.
const TAIL: usize = 40;

/// Numbers and runs the programs of one task.
pub struct Jobs {
    logs: PathBuf,
    count: usize,
    started: Instant,
}

impl Jobs {
    /// Logs go to `<target>/xtask/<task>`.
    pub fn new(target: &Path, task: &str) -> Result<Jobs, Error> {
        let logs = target.join("xtask").join(task);
        std::fs::create_dir_all(&logs).map_err(file(&logs))?;
        Ok(Jobs { logs, count: 0, started: Instant::now() })
    }

    /// Runs `command` to its end and returns what it wrote (both streams, in order).
    ///
    /// # Errors
    /// When it cannot start or does not exit with 0; the tail of its log has then been shown.
    pub fn run(&mut self, title: &str, command: &mut Command) -> Result<String, Error> {
        self.count += 1;
        print!("  {title:<58} ");
        std::io::stdout().flush().ok();
        let slug: String = title.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let log = self.logs.join(format!("{:02}-{slug}.log", self.count));
        let out = File::create(&log).map_err(file(&log))?;
        let err = out.try_clone().map_err(file(&log))?;
        let began = Instant::now();
        let status = command.stdin(Stdio::null()).stdout(out).stderr(err).status().map_err(|source| {
            println!("cannot start");
            Error::Start { program: command.get_program().to_string_lossy().into_owned(), source }
        })?;
        // A program may write bytes that are no UTF-8: they must not turn its success into our failure.
        let text = String::from_utf8_lossy(&std::fs::read(&log).map_err(file(&log))?).into_owned();
        if !status.success() {
            println!("FAILED after {}", seconds(began));
            println!("    {command:?}");
            let lines: Vec<&str> = text.lines().collect();
            for line in &lines[lines.len().saturating_sub(TAIL)..] {
                println!("    | {line}");
            }
            return Err(Error::Step { title: title.into(), status: status.to_string(), log });
        }
        println!("{:>8}", seconds(began));
        Ok(text)
    }

    /// Runs `command` to its end on our terminal, so that its own progress shows; `next` says before what it is for.
    ///
    /// # Errors
    /// When it cannot start or does not exit with 0.
    pub fn show(&mut self, title: &str, next: &str, command: &mut Command) -> Result<(), Error> {
        self.count += 1;
        println!("  {title}: {next}");
        let began = Instant::now();
        let status = command
            .stdin(Stdio::null())
            .status()
            .map_err(|source| Error::Start { program: command.get_program().to_string_lossy().into_owned(), source })?;
        if !status.success() {
            println!("    {command:?}");
            return Err(Error::Shown { title: title.into(), status: status.to_string() });
        }
        println!("  {title:<58} {:>8}", seconds(began));
        Ok(())
    }

    /// Time since the task began.
    pub fn elapsed(&self) -> String {
        seconds(self.started)
    }
}

/// Whether a test run's log line is worth showing: its sums, and every announced skip.
pub fn is_summary(line: &str) -> bool {
    line.starts_with("test result:") || line.contains("SKIPPED")
}

fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f32())
}

/// Finds a program on the PATH.
pub fn which(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|d| d.join(program)).find(|p| p.is_file())
}

/// What a program prints to its standard output, trimmed; `None` if it fails or is not there.
pub fn answer(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_its_log_and_says_where() {
        let dir = std::env::temp_dir().join(format!("escarp-xtask-{}", std::process::id()));
        let mut jobs = Jobs::new(&dir, "test").unwrap();
        assert_eq!(
            jobs.run("speaks", Command::new("sh").args(["-c", "echo out; echo err >&2"])).unwrap(),
            "out\nerr\n"
        );
        let error = jobs.run("fails", Command::new("sh").args(["-c", "echo why; exit 3"])).unwrap_err();
        let Error::Step { log, status, .. } = error else { panic!("{error}") };
        assert!(status.contains('3'), "{status}");
        assert_eq!(std::fs::read_to_string(log).unwrap(), "why\n");
        assert!(matches!(jobs.run("absent", &mut Command::new("no-such-program")), Err(Error::Start { .. })));
        assert!(jobs.show("shown", "ends well", &mut Command::new("true")).is_ok());
        let error = jobs.show("shown", "fails", &mut Command::new("false")).unwrap_err().to_string();
        assert!(error.contains("shown failed (exit status: 1)"), "{error}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
