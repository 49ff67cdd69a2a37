//! Labelled samples in a directory or a tar.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{
    Error, fence,
    listing::{Arranged, Kind, Tree},
    read_file,
};

/// Most entries a listing may have.
const MAX_ENTRIES: usize = 1 << 22;
/// Most nested directories followed, on a disk or in a tar.
const MAX_DEPTH: usize = 16;
/// Longest path in a tar, bytes: what Linux takes.
const MAX_PATH: usize = 4096;
/// Longest single file read, bytes.
const MAX_FILE: u64 = 1 << 28;

/// A listing of samples; the bytes stay on the disk until [`Folder::read`].
///
/// Understood layouts, in a directory or in an uncompressed tar, each also inside wrapping folders that hold nothing else:
///
/// * `CLASS/any.jpg`: one folder a class (ImageFolder); every class folder must hold a file of the wanted kind, directly;
/// * `LABEL_any.wav`, `LABEL_any.csv`: all in one folder, the label in front of the first `_`;
/// * files in one folder without labels.
///
/// Beside class folders of texts, one named `unsup` is passed over: so IMDB's reviews keep theirs of no class.
///
/// Classes are numbered in alphabetical (byte) order, samples stand in the order of their paths. Links, devices, hidden
/// names (`.x`, `__MACOSX`) and files of another kind are passed over and counted.
#[derive(Debug)]
pub struct Folder {
    entries: Vec<Entry>,
    places: Vec<Place>,
    classes: Vec<String>,
    ignored: usize,
    source: Source,
}

/// One sample of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path below the directory or in the tar.
    pub name: String,
    /// Index into [`Folder::classes`].
    pub label: Option<usize>,
}

/// A sample with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// As in [`Entry::name`].
    pub name: String,
    /// Index into [`Folder::classes`].
    pub label: Option<usize>,
    /// The file's content.
    pub bytes: Vec<u8>,
}

/// Where a sample's bytes are in a tar; in a directory the name says it.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    length: u64,
}

#[derive(Debug)]
enum Source {
    Directory(PathBuf),
    Tar { path: PathBuf, file: Mutex<File> },
}

impl Folder {
    /// Lists the files of one kind in a directory or a tar (a file of any name that is one). Reads no sample.
    ///
    /// # Errors
    /// [`Error::File`] with the path: it cannot be read, is no tar, has none of the layouts, or a class folder is empty.
    pub fn open(path: impl AsRef<Path>, kind: Kind) -> Result<Folder, Error> {
        let path = path.as_ref();
        let open = || -> Result<Folder, Error> {
            let (arranged, source) = if std::fs::metadata(path)?.is_dir() {
                let mut tree = Tree::new();
                walk(path, "", 0, &mut tree, kind)?;
                (tree.arrange(kind)?, Source::Directory(path.to_owned()))
            } else {
                let file = File::open(path)?;
                let cannot = |panic| Err(Error::Listing(format!("the tar reader cannot cope with it: {panic}")));
                let tree = fence(|| index(&file, kind)).unwrap_or_else(cannot)?;
                (tree.arrange(kind)?, Source::Tar { path: path.to_owned(), file: Mutex::new(file) })
            };
            Ok(Folder::new(arranged, source))
        };
        open().map_err(|e| e.in_file(path.display()))
    }

    fn new(arranged: Arranged<Place>, source: Source) -> Folder {
        let Arranged { samples, classes, ignored } = arranged;
        let (entries, places) = samples.into_iter().map(|(name, label, p)| (Entry { name, label }, p)).unzip();
        Folder { entries, places, classes, ignored, source }
    }

    /// The samples, sorted by name.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Class names in the order of the labels; empty if the layout has none.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How many links, devices, hidden entries and files of another kind were passed over.
    #[must_use]
    pub fn ignored(&self) -> usize {
        self.ignored
    }

    /// Number of samples, at least 1 before [`Folder::retain`].
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an empty listing is an error of `open`")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Keeps the samples for which `keep` holds; the classes and their numbers stay.
    pub fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) {
        let kept: Vec<bool> = self.entries.iter().map(&mut keep).collect();
        let mut flags = kept.iter();
        self.entries.retain(|_| *flags.next().unwrap_or(&false));
        let mut flags = kept.iter();
        self.places.retain(|_| *flags.next().unwrap_or(&false));
    }

    /// Renumbers the classes as a network's outputs are, by name: a test set may lack classes, but not have others.
    ///
    /// # Errors
    /// [`Error::Listing`] that names the class the network does not know, or says that the samples have no labels.
    pub fn with_classes(mut self, labels: &[String]) -> Result<Folder, Error> {
        let path = self.path().display().to_string();
        if self.classes.is_empty() {
            return Err(Error::Listing("its samples have no labels".into()).in_file(path));
        }
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (at, label) in labels.iter().enumerate() {
            places.entry(label).or_insert(at); // of two equal names the first counts
        }
        let position = |class: &String| {
            places.get(class.as_str()).copied().ok_or_else(|| {
                Error::Listing(format!("class '{class}' is not one of the network's: {}", labels.join(", ")))
                    .in_file(&path)
            })
        };
        let new = self.classes.iter().map(position).collect::<Result<Vec<usize>, Error>>()?;
        for entry in &mut self.entries {
            entry.label = entry.label.map(|old| new[old]);
        }
        self.classes = labels.to_vec();
        Ok(self)
    }

    fn path(&self) -> &Path {
        match &self.source {
            Source::Directory(path) | Source::Tar { path, .. } => path,
        }
    }

    /// How errors name sample `index`: its path, or `archive.tar: member`.
    ///
    /// # Panics
    /// If there is no such sample.
    #[must_use]
    pub fn locate(&self, index: usize) -> String {
        let name = &self.entries[index].name;
        match &self.source {
            Source::Directory(path) => path.join(name).display().to_string(),
            Source::Tar { path, .. } => format!("{}: {name}", path.display()),
        }
    }

    /// Reads sample `index`; may be called from several threads.
    ///
    /// # Errors
    /// [`Error::File`] with [`Folder::locate`]'s name.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn read(&self, index: usize) -> Result<Sample, Error> {
        let Entry { name, label } = self.entries[index].clone();
        let bytes = match &self.source {
            Source::Directory(path) => read_file(&path.join(&name), MAX_FILE)?,
            Source::Tar { file, .. } => read_at(file, self.places[index]).map_err(|e| e.in_file(self.locate(index)))?,
        };
        Ok(Sample { name, label, bytes })
    }

    /// All samples in order, each read when it is asked for.
    pub fn samples(&self) -> impl Iterator<Item = Result<Sample, Error>> {
        (0..self.len()).map(|i| self.read(i))
    }
}

fn read_at(file: &Mutex<File>, place: Place) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; place.length as usize]; // at most MAX_FILE and within the tar: checked by `index`
    // A reader that panicked leaves the file at some position, and every reader seeks first.
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(place.offset))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn too_many(count: usize) -> Result<(), Error> {
    if count > MAX_ENTRIES {
        return Err(Error::Limit { what: "number of entries", value: count as u64, max: MAX_ENTRIES as u64 });
    }
    Ok(())
}

/// Every folder above a file is noted: the memory for that must not grow with the square of a path's length.
fn too_deep(path: &str) -> Error {
    let shown: String = path.chars().take(80).collect();
    Error::Listing(format!("'{shown}' is more than {MAX_DEPTH} folders deep"))
}

fn hidden(component: &str) -> bool {
    component.starts_with('.') || component == "__MACOSX"
}

/// Lists a directory and those below it. Returns how many entries were seen.
fn walk(root: &Path, below: &str, depth: usize, tree: &mut Tree<Place>, kind: Kind) -> Result<usize, Error> {
    if depth > MAX_DEPTH {
        return Err(too_deep(below));
    }
    let mut seen = 0;
    for entry in std::fs::read_dir(root.join(below)).map_err(|e| Error::from(e).in_file(below))? {
        let entry = entry?;
        let file_type = entry.file_type()?; // of the entry itself
        seen += 1;
        too_many(seen)?;
        let Some(name) = entry.file_name().to_str().filter(|n| !hidden(n)).map(str::to_owned) else {
            tree.ignored += 1;
            continue;
        };
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if file_type.is_dir() {
            tree.add_directory(&path);
            seen += walk(root, &path, depth + 1, tree, kind)?;
        } else if file_type.is_file() || file_type.is_symlink() && leads_to_a_file(root, &path) {
            tree.add_file(&path, kind, Place { offset: 0, length: 0 });
        } else {
            tree.ignored += 1;
        }
    }
    Ok(seen)
}

/// Links to files are a usual way to make a split without copies. Links to folders are not followed: they may lead in circles.
fn leads_to_a_file(root: &Path, path: &str) -> bool {
    std::fs::metadata(root.join(path)).is_ok_and(|target| target.is_file())
}

/// Notes where each member of a tar lies, without reading the members.
fn index(file: &File, kind: Kind) -> Result<Tree<Place>, Error> {
    let total = file.metadata()?.len();
    let mut tree = Tree::new();
    let mut archive = tar::Archive::new(std::io::BufReader::with_capacity(512, file));
    let entries = archive.entries_with_seek()?;
    for (seen, entry) in entries.enumerate() {
        too_many(seen)?;
        let not_tar = |e: std::io::Error| Error::Listing(format!("entry {seen} of the tar cannot be read: {e}"));
        let entry = entry.map_err(not_tar)?;
        let bytes = entry.path_bytes();
        if bytes.len() > MAX_PATH {
            let limit = Error::Limit { what: "length of a path", value: bytes.len() as u64, max: MAX_PATH as u64 };
            return Err(limit.in_file(format!("entry {seen} of the tar")));
        }
        let clean =
            std::str::from_utf8(&bytes).ok().map(|p| p.trim_start_matches("./").trim_end_matches('/').to_owned());
        let sound = |p: &String| !p.split('/').any(|c| c.is_empty() || hidden(c)); // '..' begins with a dot as well
        let clean = clean.filter(sound);
        if let Some(path) = clean.as_ref().filter(|p| p.matches('/').count() > MAX_DEPTH) {
            return Err(too_deep(path));
        }
        let entry_type = entry.header().entry_type();
        match clean {
            Some(path) if entry_type.is_dir() => tree.add_directory(&path),
            Some(path) if entry_type.is_file() => {
                let place = Place { offset: entry.raw_file_position(), length: entry.size() };
                if place.offset.saturating_add(place.length) > total {
                    return Err(Error::Listing(format!("the tar ends inside '{path}'")));
                }
                if place.length > MAX_FILE {
                    let limit = Error::Limit { what: "file length in bytes", value: place.length, max: MAX_FILE };
                    return Err(limit.in_file(path));
                }
                tree.add_file(&path, kind, place);
            }
            _ => tree.ignored += 1,
        }
    }
    Ok(tree)
}
