//! The fuzz targets on what is known already: seeds, the committed corpus, finds made here and those in `../shared/finds`.
//!
//! In one test, one after the other: time and memory are of one input each.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use escarp_tests::{
    finds::{self, Find},
    fuzz::{self, TARGETS, seeds},
    root, shared,
};

/// No input may take longer.
const LONGEST: Duration = Duration::from_secs(10);

/// Nor more memory, in KiB, of all inputs together.
const MOST_MEMORY: u64 = 2 << 20;

/// Runs a target and says what went wrong.
fn replay(target: &str, name: &str, bytes: &[u8]) -> Option<String> {
    let target = fuzz::find(target).unwrap_or_else(|| panic!("no target {target}"));
    let began = Instant::now();
    let panicked = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_err();
    let took = began.elapsed();
    let wrong = match (panicked, took > LONGEST) {
        (true, _) => "panics".to_owned(),
        (_, true) => format!("takes {took:?}"),
        _ => return None,
    };
    Some(format!("{} {name} ({} bytes): {wrong}", target.name, bytes.len()))
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The files of a folder, sorted.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|e| e.unwrap().path()).filter(|p| p.is_file()).collect();
    paths.sort();
    paths.iter().map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), read(p))).collect()
}

/// The most memory this process has ever held, KiB; `None` where the system does not say.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn nothing_known_breaks_anything() {
    let mut wrong = Vec::new();
    for target in TARGETS {
        let committed = files(&root().join("fuzz/corpus").join(target.name));
        assert!(!committed.is_empty(), "fuzz/corpus/{} is empty", target.name);
        for (name, bytes) in seeds::of(target.name).into_iter().chain(committed) {
            wrong.extend(replay(target.name, &name, &bytes));
        }
    }
    for Find { name, target, bytes } in finds::all() {
        wrong.extend(replay(target, name, &bytes));
    }
    if let Some(folder) = shared("finds") {
        for (name, bytes) in files(&folder) {
            wrong.extend(finds::target_of(&name).and_then(|target| replay(target, &name, &bytes)));
        }
    }
    let memory = peak();
    assert!(memory.is_none_or(|kib| kib < MOST_MEMORY), "{} MiB", memory.unwrap_or(0) >> 10);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
