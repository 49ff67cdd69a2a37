//! Which file a path leads to.

use std::collections::BTreeMap;

use super::source::{Import, Source};

/// A module as its names from the root down.
pub type Module = Vec<String>;

/// A module's own.
#[derive(Debug, Default)]
struct Content {
    /// The module in whose file it stands; itself if it has a file.
    file: Module,
    defined: Vec<String>,
    uses: Vec<Import>,
}

/// All modules of a crate.
#[derive(Debug, Default)]
pub struct Modules(BTreeMap<Module, Content>);

/// Where a path ends.
struct End {
    module: Module,
    /// Whether that is the module itself and not something that it defines.
    is_module: bool,
}

/// Names that lead from one to another before it is given up: a circle of `use`s.
const LONGEST: usize = 32;

impl Modules {
    /// Adds a file with what it holds.
    pub fn add(&mut self, file: &Module, source: &Source) {
        let content = || Content { file: file.clone(), ..Content::default() };
        let below = |inner: &[String]| [file, inner].concat();
        self.0.insert(file.clone(), content());
        for inner in &source.inner {
            self.0.insert(below(inner), content());
        }
        for (within, name) in &source.defined {
            if let Some(content) = self.0.get_mut(&below(within)) {
                content.defined.push(name.clone());
            }
        }
        for import in &source.imports {
            if let (Some(content), Some(_)) = (self.0.get_mut(&below(&import.within)), &import.name) {
                content.uses.push(import.clone());
            }
        }
    }

    /// The module that defines what `path` names in the module `from`, or that is what it names; `None` of other crates.
    pub fn resolve(&self, from: &[String], path: &[String]) -> Option<Module> {
        self.lead(from, path, LONGEST).map(|end| end.module)
    }

    /// The module in whose file a module stands.
    pub fn file(&self, module: &[String]) -> Option<&Module> {
        self.0.get(module).map(|content| &content.file)
    }

    fn lead(&self, from: &[String], path: &[String], left: usize) -> Option<End> {
        let left = left.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(Vec::new(), rest, left),
            "self" => self.walk(from.to_vec(), rest, left),
            "super" => {
                let up = path.iter().take_while(|name| *name == "super").count();
                self.walk(from[..from.len().checked_sub(up)?].to_vec(), &path[up..], left)
            }
            _ if self.child(from, first).is_some() => self.walk(from.to_vec(), path, left),
            // Of another crate, or imported already.
            _ => self.behind(self.called(from, first, left)?, rest, left),
        }
    }

    fn child(&self, module: &[String], name: &str) -> Option<Module> {
        let child = [module, &[name.to_owned()]].concat();
        self.0.contains_key(&child).then_some(child)
    }

    /// What a `use` of `module` calls `name` there.
    fn called(&self, module: &[String], name: &str, left: usize) -> Option<End> {
        let own = |import: &&Import| import.name.as_deref() == Some(name) && import.path[0] != name;
        self.0.get(module)?.uses.iter().filter(own).find_map(|import| self.lead(module, &import.path, left))
    }

    /// What `rest` names behind what a `use` has given: of a module something in it, of a type something of its own.
    fn behind(&self, end: End, rest: &[String], left: usize) -> Option<End> {
        if end.is_module { self.walk(end.module, rest, left.checked_sub(1)?) } else { Some(end) }
    }

    fn walk(&self, mut module: Module, path: &[String], left: usize) -> Option<End> {
        for (at, name) in path.iter().enumerate() {
            let content = self.0.get(&module)?;
            if content.defined.contains(name) {
                return Some(End { module, is_module: false });
            }
            if let Some(child) = self.child(&module, name) {
                module = child;
                continue;
            }
            if let Some(end) = self.called(&module, name, left) {
                return self.behind(end, &path[at + 1..], left);
            }
            let all = content.uses.iter().filter(|import| import.path.last().is_some_and(|last| last == "*"));
            let found = all.filter_map(|import| self.lead(&module, &import.path, left)).find(|end| {
                let defines = |content: &Content| content.defined.contains(name);
                self.0.get(&end.module).is_some_and(defines) || self.child(&end.module, name).is_some()
            });
            return match found {
                Some(end) if end.module != module => self.walk(end.module, &path[at..], left.checked_sub(1)?),
                // A star, or what a macro defines.
                _ => Some(End { is_module: name == "*", module }),
            };
        }
        Some(End { module, is_module: true })
    }
}
