//! The pages of `docs/guide` do what they say: their commands are run, in order, in an empty folder beside the checkout.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    error::{Error, file},
    job::Jobs,
};

mod page;

use page::{Block, Kind};

/// The pages, or the one named (without `.md`).
///
/// # Errors
/// A page that is not there.
pub fn pages(root: &Path, only: Option<&str>) -> Result<Vec<PathBuf>, Error> {
    let folder = root.join("docs/guide");
    let mut pages: Vec<PathBuf> = std::fs::read_dir(&folder)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
        .map_err(file(&folder))?;
    // The first page lists the others.
    pages.retain(|p| p.extension().is_some_and(|e| e == "md") && name(p) != "README");
    pages.sort();
    let names: Vec<String> = pages.iter().map(|p| name(p)).collect();
    if let Some(only) = only.filter(|only| !names.iter().any(|n| n == only)) {
        return Err(Error::Unknown { what: "page", given: only.into(), allowed: names.join(", ") });
    }
    pages.retain(|page| only.is_none_or(|only| name(page) == only));
    Ok(pages)
}

/// Runs these pages. `programs` is the folder of the three programs; pages find them on the PATH, and the checkout as
/// `../escarp`. Returns how many blocks were run as they stand, and how many were not.
///
/// # Errors
/// A page that cannot be read as one, a command that fails; and with `ESCARP_GUIDE=required` a block that cannot be run on this
/// machine.
pub fn check(jobs: &mut Jobs, root: &Path, programs: &Path, pages: &[PathBuf]) -> Result<[usize; 2], Error> {
    let place = std::env::temp_dir().join(format!("escarp-guide-{}", std::process::id()));
    // Of an earlier process of that number that failed.
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(&place).map_err(file(&place))?;
    let link = place.join("escarp");
    std::os::unix::fs::symlink(root, &link).map_err(file(&link))?;
    let mut counts = [0; 2];
    let checked = pages.iter().try_for_each(|page| run(jobs, page, &place.join(name(page)), programs, &mut counts));
    // What a failed page left behind is evidence.
    match checked {
        Ok(()) => std::fs::remove_dir_all(&place).map_err(file(&place))?,
        Err(_) => println!("  what it left is in {}", place.display()),
    }
    checked.map(|()| counts)
}

fn name(page: &Path) -> String {
    page.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn run(
    jobs: &mut Jobs,
    page: &Path,
    folder: &Path,
    programs: &Path,
    [ran, skipped]: &mut [usize; 2],
) -> Result<(), Error> {
    let text = std::fs::read_to_string(page).map_err(file(page))?;
    let at = |line: usize| format!("{}.md:{line}", name(page));
    let blocks = page::blocks(&text).map_err(|(line, reason)| Error::Rule(format!("{}: {reason}", at(line))))?;
    std::fs::create_dir_all(folder).map_err(file(folder))?;
    for block in blocks {
        let Block { line, kind, text, needs, instead } = block;
        let can = needs
            .as_ref()
            .is_none_or(|needs| shell(needs, folder, programs).output().is_ok_and(|o| o.status.success()));
        let text = match (can, &needs) {
            (true, _) | (_, None) => text,
            (false, Some(needs)) if std::env::var_os("ESCARP_GUIDE").is_some_and(|v| v == "required") => {
                return Err(Error::Rule(format!("{}: ESCARP_GUIDE=required, but this fails: {needs}", at(line))));
            }
            (false, Some(needs)) => {
                println!("  SKIPPED {}: this fails: {needs}", at(line));
                *skipped += 1;
                match (&kind, instead) {
                    (Kind::Commands, Some(instead)) => instead,
                    _ => continue,
                }
            }
        };
        *ran += usize::from(can);
        match kind {
            Kind::File(name) => {
                let path = folder.join(name);
                let parent = path.parent().unwrap_or(folder);
                std::fs::create_dir_all(parent).map_err(file(parent))?;
                std::fs::write(&path, text).map_err(file(&path))?;
            }
            Kind::Commands => {
                let assigns = |line: &&str| line.starts_with("here=");
                let first: String = text.lines().find(|l| !assigns(l)).unwrap_or_default().chars().take(40).collect();
                jobs.run(&format!("{} {first}", at(line)), &mut shell(&text, folder, programs))?;
            }
        }
    }
    Ok(())
}

/// The first command that fails ends the script.
fn shell(script: &str, folder: &Path, programs: &Path) -> Command {
    let mut paths = vec![programs.to_path_buf()];
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut shell = Command::new("sh");
    shell.args(["-euc", script]).current_dir(folder);
    if let Ok(path) = std::env::join_paths(paths) {
        shell.env("PATH", path);
    }
    // Whatever a page builds stays for the next run.
    if let Some(target) = programs.parent() {
        shell.env("CARGO_TARGET_DIR", target);
    }
    shell.env_remove("RUSTFLAGS");
    shell
}
