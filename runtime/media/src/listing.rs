//! From a list of paths to labelled samples: which layouts are understood, and what a class is.

use std::collections::{BTreeMap, BTreeSet};

use crate::Error;

/// The folder in which IMDB's reviews keep, beside their classes, texts of none.
const UNLABELLED_TEXTS: &str = "unsup";

/// What a file holds, by its name's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `.jpg`, `.jpeg`, `.png`
    Image,
    /// `.wav`
    Sound,
    /// `.csv`
    Table,
    /// `.npy`
    Array,
    /// `.txt`
    Text,
}

impl Kind {
    /// The kind a name promises; upper and lower case are the same.
    #[must_use]
    pub fn of(name: &str) -> Option<Kind> {
        let (_, extension) = name.rsplit_once('.')?;
        let is = |list: &[&str]| list.iter().any(|e| extension.eq_ignore_ascii_case(e));
        [Kind::Image, Kind::Sound, Kind::Table, Kind::Array, Kind::Text].into_iter().find(|kind| is(kind.extensions()))
    }

    /// The extensions of a kind, without the dot.
    #[must_use]
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Kind::Image => &["jpg", "jpeg", "png"],
            Kind::Sound => &["wav"],
            Kind::Table => &["csv"],
            Kind::Array => &["npy"],
            Kind::Text => &["txt"],
        }
    }
}

/// The files and directories below a root, as `a/b/c`.
pub(crate) struct Tree<T> {
    /// Accepted files by directory: name in it, and where the bytes are.
    files: BTreeMap<String, BTreeMap<String, T>>,
    directories: BTreeSet<String>,
    /// Links, devices, other kinds of file, hidden or doubled names.
    pub(crate) ignored: usize,
}

/// Samples by path, each with the index of its class.
pub(crate) struct Arranged<T> {
    pub(crate) samples: Vec<(String, Option<usize>, T)>,
    pub(crate) classes: Vec<String>,
    pub(crate) ignored: usize,
}

impl<T> Tree<T> {
    pub(crate) fn new() -> Self {
        Tree { files: BTreeMap::new(), directories: BTreeSet::new(), ignored: 0 }
    }

    /// Notes a directory and its parents.
    pub(crate) fn add_directory(&mut self, path: &str) {
        for (end, _) in path.match_indices('/') {
            self.directories.insert(path[..end].to_owned());
        }
        if !path.is_empty() {
            self.directories.insert(path.to_owned());
        }
    }

    /// Notes a file; one of another kind only makes its directory known.
    pub(crate) fn add_file(&mut self, path: &str, kind: Kind, place: T) {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.add_directory(directory);
        if Kind::of(name) != Some(kind) {
            self.ignored += 1;
            return;
        }
        // Of two entries of the same name in a tar the later one counts, as when unpacking.
        let earlier = self.files.entry(directory.to_owned()).or_default().insert(name.to_owned(), place);
        self.ignored += usize::from(earlier.is_some());
    }

    fn children(&self, base: &str) -> Vec<&str> {
        let prefix = if base.is_empty() { String::new() } else { format!("{base}/") };
        let below = self.directories.range(prefix.clone()..).take_while(|d| d.starts_with(&prefix));
        below.filter(|d| d.len() > prefix.len() && !d[prefix.len()..].contains('/')).map(String::as_str).collect()
    }

    fn count(&self, directory: &str) -> usize {
        self.files.get(directory).map_or(0, BTreeMap::len)
    }

    /// Whether every file of a directory is called `LABEL_rest`, as the digits of FSDD are.
    fn labelled_by_name(&self, directory: &str, kind: Kind) -> bool {
        matches!(kind, Kind::Sound | Kind::Table)
            && self.files.get(directory).is_some_and(|f| !f.is_empty() && f.keys().all(|n| prefix_label(n).is_some()))
    }

    /// Finds the layout and labels the samples, in the order of their paths.
    pub(crate) fn arrange(mut self, kind: Kind) -> Result<Arranged<T>, Error> {
        let mut base = String::new();
        // A folder that holds nothing but one folder is a wrapper, unless that one is the only class.
        while let (0, [only]) = (self.count(&base), self.children(&base).as_slice()) {
            if self.children(only).is_empty() && !self.labelled_by_name(only, kind) {
                break;
            }
            base = (*only).to_owned();
        }
        let folders: Vec<String> = self.children(&base).into_iter().map(str::to_owned).collect();
        let flat = folders.is_empty()
            || self.labelled_by_name(&base, kind) && self.files.iter().all(|(d, files)| *d == base || files.is_empty());
        if flat { self.flat(&base, kind) } else { self.by_folder(&base, folders, kind) }
    }

    fn flat(&mut self, base: &str, kind: Kind) -> Result<Arranged<T>, Error> {
        let labelled = self.labelled_by_name(base, kind);
        let files = self.files.remove(base).unwrap_or_default();
        if files.is_empty() {
            return Err(Error::Listing(format!("no .{} file in it", kind.extensions().join(", ."))));
        }
        let classes: BTreeSet<String> =
            files.keys().filter(|_| labelled).filter_map(|n| prefix_label(n)).map(str::to_owned).collect();
        let classes: Vec<String> = classes.into_iter().collect();
        let label = |name: &str| {
            let wanted = prefix_label(name)?;
            classes.binary_search_by(|c| c.as_str().cmp(wanted)).ok()
        };
        let samples = files.into_iter().map(|(name, place)| (join(base, &name), label(&name), place)).collect();
        Ok(Arranged { samples, classes, ignored: self.ignored })
    }

    fn by_folder(&mut self, base: &str, folders: Vec<String>, kind: Kind) -> Result<Arranged<T>, Error> {
        let mut samples = Vec::new();
        let mut classes = Vec::new();
        let (folders, unlabelled): (Vec<String>, Vec<String>) = folders
            .into_iter()
            .partition(|folder| kind != Kind::Text || folder.rsplit('/').next() != Some(UNLABELLED_TEXTS));
        self.ignored += unlabelled.iter().map(|folder| self.count(folder)).sum::<usize>();
        if folders.is_empty() {
            return Err(Error::Listing(format!(
                "nothing in it but the folder '{UNLABELLED_TEXTS}', whose texts are of no class; one folder for each class is needed"
            )));
        }
        for (label, folder) in folders.into_iter().enumerate() {
            // Sorted by path, so what lies below a folder stands together: no look at all files for each folder.
            let below = format!("{folder}/");
            let mut inside = self.files.range(below.clone()..).take_while(|(d, _)| d.starts_with(&below));
            if let Some((inner, _)) = inside.find(|(_, files)| !files.is_empty()) {
                return Err(Error::Listing(format!(
                    "class folder '{folder}' holds the folder '{inner}'; files must lie directly in their class folder \
                     (if '{folder}' is not a class, name the folder that holds the classes)"
                )));
            }
            let files = self.files.remove(&folder).unwrap_or_default();
            if files.is_empty() {
                let extensions = kind.extensions().join(", .");
                return Err(Error::Listing(format!("class folder '{folder}' is empty: no .{extensions} file in it")));
            }
            samples.extend(files.into_iter().map(|(name, place)| (join(&folder, &name), Some(label), place)));
            classes.push(folder.rsplit('/').next().unwrap_or(&folder).to_owned());
        }
        let beside = self.count(base); // files next to the class folders belong to no class
        Ok(Arranged { samples, classes, ignored: self.ignored + beside })
    }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// `LABEL` of `LABEL_rest`.
fn prefix_label(name: &str) -> Option<&str> {
    name.split_once('_').map(|(label, _)| label).filter(|label| !label.is_empty())
}
