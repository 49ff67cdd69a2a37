//! Rules of the house that no compiler checks: how long a file may be, and where `unsafe` may be switched on.

use std::path::{Path, PathBuf};

use crate::error::{Error, file};

/// Lines a Rust file may have.
const LONGEST: usize = 500;

/// The only places where the lint `unsafe_code` may be lifted (each prefix is a file or a folder).
const UNSAFE: [&str; 10] = [
    "runtime/src/kernels.rs",
    "runtime/src/kernels/",
    "runtime/src/bytes.rs",
    // An arena as a `static`, given out once.
    "runtime/src/arena/cell.rs",
    // `Cpu::assume` is declared here and called there.
    "runtime/src/cpu.rs",
    "runtime/detect/src/lib.rs",
    // Start-up code, page table and semihosting of the bare-metal image.
    "cross/bare/src/machine.rs",
    // The one door to the gemm crate, whose only entry takes pointers; the trainer never runs on a board.
    "trainer/src/engine/matmul.rs",
    // A counting allocator is an `unsafe impl`, and tests may try every instruction set.
    "runtime/tests/",
    "tests/tests/no_alloc.rs",
];

/// Checks every Rust file and every package of the workspace under `root`.
///
/// # Errors
/// Names each file that breaks a rule.
pub fn check(root: &Path) -> Result<usize, Error> {
    let mut sources = Vec::new();
    let mut manifests = Vec::new();
    walk(root, &mut |path| match path.extension().and_then(|e| e.to_str()) {
        Some("rs") => sources.push(path),
        Some("toml") if path.file_name().is_some_and(|n| n == "Cargo.toml") => manifests.push(path),
        _ => {}
    })?;
    let mut broken = Vec::new();
    for path in &sources {
        let text = std::fs::read_to_string(path).map_err(file(path))?;
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        broken.extend(faults(&name, &text));
    }
    for path in &manifests {
        let text = std::fs::read_to_string(path).map_err(file(path))?;
        broken.extend(lints(&text).map(|missing| format!("{}: {missing} is missing", path.display())));
    }
    match broken.is_empty() {
        true => Ok(sources.len()),
        false => Err(Error::Rule(broken.join("\n"))),
    }
}

/// Which line a manifest lacks. Without `workspace = true` a package would not inherit `unsafe_code = "deny"`; a workspace
/// says that itself.
fn lints(text: &str) -> Option<&'static str> {
    let (wanted, missing) = match text.contains("[workspace]") {
        true => ("unsafe_code = \"deny\"", "unsafe_code = \"deny\""),
        false => ("[lints]\nworkspace = true", "[lints] workspace = true"),
    };
    (!text.contains(wanted)).then_some(missing)
}

/// What is wrong with one file.
fn faults(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > LONGEST {
        faults.push(format!("{name}: {lines} lines; split it by meaning, {LONGEST} is the limit"));
    }
    for (i, line) in text.lines().enumerate() {
        if lifts(line) && !UNSAFE.iter().any(|u| name.starts_with(u)) {
            faults.push(format!(
                "{name}:{}: unsafe code is not allowed here (cross/xtask/src/rules.rs says where)",
                i + 1
            ));
        }
    }
    faults
}

/// Whether an attribute on this line names the lint, alone or among others.
fn lifts(line: &str) -> bool {
    let verb = ["allow(", "expect(", "warn("].iter().filter_map(|verb| line.find(verb)).min();
    verb.is_some_and(|at| line[at..].contains("unsafe_code"))
}

fn walk(folder: &Path, visit: &mut dyn FnMut(PathBuf)) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder).map_err(file(folder))? {
        let path = entry.map_err(file(folder))?.path();
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if path.is_dir() && !path.is_symlink() && !hidden && !path.ends_with("target") && !path.ends_with("runs") {
            walk(&path, visit)?;
        } else if path.is_file() {
            visit(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_and_stray_unsafe_are_found() {
        assert!(faults("a.rs", &"\n".repeat(LONGEST)).is_empty());
        assert_eq!(faults("a.rs", &"\n".repeat(LONGEST + 1)).len(), 1);
        let text = format!("#[{}(clippy::all, unsafe_code)]", "allow");
        assert!(faults("runtime/src/kernels/neon.rs", &text).is_empty());
        assert_eq!(faults("runtime/src/session.rs", &text).len(), 1);
    }

    #[test]
    fn every_manifest_denies_unsafe_code() {
        assert_eq!(lints("[lints]\nworkspace = true\n"), None);
        assert_eq!(lints("[package]\n"), Some("[lints] workspace = true"));
        assert_eq!(lints("[workspace]\n[workspace.lints.rust]\nunsafe_code = \"deny\"\n"), None);
        assert_eq!(lints("[workspace]\n"), Some("unsafe_code = \"deny\""));
    }
}
