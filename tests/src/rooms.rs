//! Whether imports go down only: between crates, between the rooms of a crate, between files.
//!
//! Rooms are a crate's top-level modules. Its root (`lib.rs`; without one `main.rs`) has in its documentation a table that
//! begins with [`HEAD`] and has a row for each floor, from the top down. A row names one room or several, in backticks.
//! [`Crate::faults`] says where the code disagrees:
//!
//! * **Every top-level module stands in the table**, once, and nothing else does but programs beside a library. A crate of
//!   one file needs no table.
//! * **A room imports from rooms in lower rows only**; those of one row do not import each other. What the root itself
//!   defines stands above all rooms, and no room imports it; what it only shows again counts as where it is defined.
//! * **No circle between files**, in a room or across. A file imports from another if it names something that is defined
//!   there, by `use` or by a path; where a module shows again what others define, the file counts that defines it.
//!   What a star brings counts as defined by the module before the star.
//!   What a module takes from the files below it is no import: it is the sum of them, as its `mod` lines say. So a child may
//!   build on what its parent defines, and the parent be put together from its children; but what children import from each
//!   other, and from files elsewhere, makes no circle.
//!
//! A circle of rooms needs no rule of its own: one of its arrows goes up. Code that only tests have (`#[cfg(test)]`) is left
//! out, and comments are.

pub mod crates;
mod paths;
mod source;
mod tokens;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use paths::{Module, Modules};
use source::Source;

/// Head of the table of floors.
pub const HEAD: &str = "//! | room | what stands there |";

/// A file that imports from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Arrow {
    from: Module,
    to: Module,
    /// Line and path of the first import.
    by: (usize, String),
}

/// A crate as its files tell it.
pub struct Crate {
    /// For messages.
    name: String,
    /// Where its files are, for messages.
    folder: String,
    /// The root's text, and what its file is called.
    root: (&'static str, String),
    /// Programs beside the library.
    programs: Vec<String>,
    /// All files but those of tests, and what they say.
    files: BTreeMap<Module, Source>,
    /// What is wrong with its files.
    faults: Vec<String>,
}

impl Crate {
    /// Reads the crate in the folder `name` of `workspace`: all files below its `src`. Where there is no `src`, a library of
    /// one file stands in the folder itself, and beside it are programs.
    ///
    /// # Errors
    /// A folder or file that cannot be read.
    pub fn read(workspace: &Path, name: &str) -> std::io::Result<Self> {
        let folder = workspace.join(name);
        let src = folder.join("src");
        if src.is_dir() {
            return Ok(Self::of(name, texts(&src, true)?));
        }
        let (mut texts, lib) = (texts(&folder, false)?, vec!["lib".to_owned()]);
        let root = texts.remove(&lib).unwrap_or_default();
        let alone = Self::of(name, [(lib, root)].into());
        Ok(Self { folder: name.to_owned(), programs: texts.into_keys().flatten().collect(), ..alone })
    }

    /// Of texts by what their files are called below `src`, without `.rs`.
    pub fn of(name: &str, mut texts: BTreeMap<Module, String>) -> Self {
        // A program beside a library is a crate of its own.
        let main = texts.remove(&["main".to_owned()][..]);
        let root = match (texts.remove(&["lib".to_owned()][..]), &main) {
            (Some(lib), _) => ("lib.rs", lib),
            (None, main) => ("main.rs", main.clone().unwrap_or_default()),
        };
        let programs = if main.is_some() && root.0 == "lib.rs" { vec!["main".to_owned()] } else { Vec::new() };
        let (mut files, mut faults) = (BTreeMap::new(), Vec::new());
        let mut ahead = vec![(Module::new(), root.1.clone(), false)];
        while let Some((module, text, tests)) = ahead.pop() {
            let source = Source::of(&text);
            let children = source.files.iter().map(|child| (child, tests));
            for (child, tests) in children.chain(source.test_files.iter().map(|child| (child, true))) {
                let child = [&module[..], child].concat();
                match texts.remove(&child).or_else(|| texts.remove(&[&child[..], &["mod".to_owned()]].concat())) {
                    Some(text) => ahead.push((child, text, tests)),
                    None => faults.push(format!("{name}: `mod {}` has no file", child.join("::"))),
                }
            }
            if !tests {
                files.insert(module, source);
            }
        }
        let lost = texts.keys().filter(|module| module[0] != "bin");
        faults.extend(lost.map(|module| format!("{name}/src/{}.rs: no module declares it", module.join("/"))));
        Self { name: name.to_owned(), folder: format!("{name}/src"), root, programs, files, faults }
    }

    /// All that is wrong, each in a line; nothing if the crate keeps its rooms.
    pub fn faults(&self) -> Vec<String> {
        let (mut faults, arrows) = (self.faults.clone(), self.arrows());
        match floors(&self.root.1) {
            Some(floors) => {
                faults.extend(self.unlisted(&floors));
                faults.extend(arrows.iter().filter_map(|arrow| self.upward(&floors, arrow)));
            }
            None if self.files.len() == 1 && self.programs.is_empty() => {}
            None => faults.push(format!("{} has no table of floors, which begins: {HEAD}", self.file(&[]))),
        }
        faults.extend(self.circles(&arrows));
        faults
    }

    fn file(&self, module: &[String]) -> String {
        match module {
            [] => format!("{}/{}", self.folder, self.root.0),
            _ => format!("{}/{}.rs", self.folder, module.join("/")),
        }
    }

    /// Who imports from whom; one arrow for each pair.
    fn arrows(&self) -> Vec<Arrow> {
        let mut modules = Modules::default();
        self.files.iter().for_each(|(module, source)| modules.add(module, source));
        let (mut arrows, mut known) = (Vec::new(), BTreeSet::new());
        for (file, source) in &self.files {
            for import in &source.imports {
                let here = [&file[..], &import.within].concat();
                let Some(defining) = modules.resolve(&here, &import.path) else { continue };
                let Some(to) = modules.file(&defining) else { continue };
                if to != file && known.insert((file.clone(), to.clone())) {
                    arrows.push(Arrow {
                        from: file.clone(),
                        to: to.clone(),
                        by: (import.line, import.path.join("::")),
                    });
                }
            }
        }
        arrows
    }

    /// Rooms that are not in the table once, and rows without a room.
    fn unlisted(&self, floors: &[Vec<String>]) -> Vec<String> {
        let rooms = self.files.keys().filter_map(|module| module.first()).collect::<BTreeSet<_>>();
        let listed = |room: &String| floors.iter().flatten().filter(|name| *name == room).count();
        let missing = rooms.iter().filter(|room| listed(room) != 1);
        let missing =
            missing.map(|room| format!("{}: room `{room}` stands {} times in the table", self.name, listed(room)));
        let empty = floors.iter().flatten().filter(|name| !(rooms.contains(name) || self.programs.contains(name)));
        missing.chain(empty.map(|name| format!("{}: `{name}` in the table is no module", self.name))).collect()
    }

    /// What an arrow is that does not go down.
    fn upward(&self, floors: &[Vec<String>], arrow: &Arrow) -> Option<String> {
        let place = |room: &String| floors.iter().position(|row| row.contains(room));
        let (from, to) = (arrow.from.first()?, arrow.to.first());
        let fault = match to {
            None => format!("{}, which stands above all rooms", self.root.0),
            Some(to) if from == to => return None,
            Some(to) => match place(from)?.cmp(&place(to)?) {
                std::cmp::Ordering::Less => return None,
                std::cmp::Ordering::Equal => format!("`{to}`, which stands in one row with `{from}`"),
                std::cmp::Ordering::Greater => format!("`{to}`, which stands above `{from}`"),
            },
        };
        let (line, path) = &arrow.by;
        Some(format!("{}:{line}: `{path}` is of {fault}", self.file(&arrow.from)))
    }

    /// Files that import each other, whether directly or through others.
    fn circles(&self, arrows: &[Arrow]) -> Vec<String> {
        let arrows: Vec<&Arrow> = arrows.iter().filter(|arrow| !arrow.to.starts_with(&arrow.from)).collect();
        let next = |file: &Module| arrows.iter().filter(|arrow| arrow.from == *file).map(|arrow| &arrow.to).collect();
        let reached = |file: &Module| {
            let (mut all, mut ahead): (BTreeSet<&Module>, Vec<&Module>) = (BTreeSet::new(), next(file));
            while let Some(one) = ahead.pop() {
                if all.insert(one) {
                    ahead.extend(next(one));
                }
            }
            all.into_iter().cloned().collect::<BTreeSet<Module>>()
        };
        let all: BTreeMap<&Module, BTreeSet<Module>> = self.files.keys().map(|file| (file, reached(file))).collect();
        let circle = |file: &Module| {
            all.keys().filter(|o| all[file].contains(**o) && all[**o].contains(file)).copied().collect()
        };
        let circles: BTreeSet<Vec<&Module>> = all.keys().map(|file| circle(file)).collect();
        let tell = |circle: &Vec<&Module>| {
            let inside = arrows.iter().filter(|a| circle.contains(&&a.from) && circle.contains(&&a.to));
            let lines =
                inside.map(|a| format!("\n    {}:{}: `{}`, {}", self.file(&a.from), a.by.0, a.by.1, self.file(&a.to)));
            format!("{}: a circle of {} files:{}", self.name, circle.len(), lines.collect::<String>())
        };
        circles.iter().filter(|circle| !circle.is_empty()).map(tell).collect()
    }
}

/// The files of a folder, also `below` it, by what they are called there without `.rs`.
fn texts(src: &Path, below: bool) -> std::io::Result<BTreeMap<Module, String>> {
    let (mut texts, mut folders) = (BTreeMap::new(), vec![src.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.extend(below.then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(src).expect("below src").with_extension("");
                let module = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                texts.insert(module, std::fs::read_to_string(&path)?);
            }
        }
    }
    Ok(texts)
}

/// The rooms of each row of the table, from the top down.
fn floors(root: &str) -> Option<Vec<Vec<String>>> {
    let mut lines = root.lines().skip_while(|line| line.trim_end() != HEAD).skip(1);
    lines.next().filter(|line| line.starts_with("//! |--"))?;
    let rows = lines.take_while(|line| line.starts_with("//! |"));
    let rooms =
        |row: &str| row.split('|').nth(1).unwrap_or("").split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some(rows.map(rooms).collect())
}

#[cfg(test)]
mod tests;
