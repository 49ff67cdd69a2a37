//! Samples in files: folders, tars and NPY arrays, read through the same front end as on the board.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use escarp_media::{Content, Folder, InputReader, InputShape, Npy, NpyData, read_file};
use rayon::prelude::*;

use crate::{
    error::Error,
    front_end,
    graph::Graph,
    metadata::FrontEnd,
    samples::{InMemory, Samples},
};

mod joined;
mod places;

pub use joined::Joined;
pub use places::Places;

/// Largest NPY file, bytes.
const LARGEST_ARRAY: u64 = 1 << 32;

/// Where samples come from.
pub enum Source {
    /// A directory or a tar.
    Folder(Box<FolderSamples>),
    /// An NPY array.
    Array(InMemory),
    /// One for each input of the network, which go together.
    Joined(Joined),
}

impl Source {
    /// As the trait.
    pub fn samples(&self) -> &dyn Samples {
        match self {
            Source::Folder(f) => &**f,
            Source::Array(a) => a,
            Source::Joined(all) => all,
        }
    }

    /// The source of the first input.
    pub fn first(&self) -> &Source {
        if let Source::Joined(all) = self { all.first() } else { self }
    }

    /// The array of the first input, if it is one: what can be given classes.
    pub fn array(&mut self) -> Option<&mut InMemory> {
        match self {
            Source::Folder(_) => None,
            Source::Array(array) => Some(array),
            Source::Joined(all) => all.first_mut().array(),
        }
    }

    /// A line for the report where samples are more than files.
    pub fn note(&self, which: &str) -> Option<String> {
        let Source::Folder(folder) = self.first() else { return None };
        let files = folder.recordings()?;
        let count = folder.len();
        Some(match folder.front_end {
            FrontEnd::LogMel { .. } | FrontEnd::Sensor { .. } => format!(
                "{which}: {count} windows of {files} recordings are the samples; one begins every half window, the last of a \
                 recording ends with it"
            ),
            _ => format!("{which}: {count} inputs in {files} files are the samples"),
        })
    }

    /// A line for people whose class folders tell nothing of the outputs: which is which is known neither by name nor by number.
    pub fn doubt(&self, which: &str, outputs: usize) -> Option<String> {
        let Source::Folder(folder) = self.first() else { return None };
        let classes = folder.folder.classes().len();
        (classes > 0 && !folder.labelled).then(|| {
            format!(
                "{which} has {classes} class folders, the network {outputs} outputs without names: nothing says which belong \
                 together, so no answer is counted as right or wrong; give --labels"
            )
        })
    }

    /// Class names, where folders give them.
    pub fn classes(&self) -> &[String] {
        match self.first() {
            Source::Folder(f) => f.folder.classes(),
            _ => &[],
        }
    }
}

/// A listing and what turns its files into inputs. A sample is a file, or a window of a recording (an input of an array):
/// what `escarp-run` decides on, by the same rule.
pub struct FolderSamples {
    folder: Folder,
    front_end: FrontEnd,
    shape: InputShape,
    /// The folders are the network's classes.
    labelled: bool,
    /// Of each file its first sample, and at the end how many there are; sorted.
    starts: Vec<usize>,
    /// Recordings that were read last: their windows are asked for one after the other, by each thread its own.
    recent: Mutex<VecDeque<(usize, Arc<Content>)>>,
}

impl FolderSamples {
    /// Counts the samples of each file; but for images, which are one each, that takes reading them all.
    fn new(folder: Folder, front_end: FrontEnd, shape: InputShape, labelled: bool) -> Result<Self, Error> {
        let mut samples =
            FolderSamples { starts: vec![0], recent: Mutex::default(), folder, front_end, shape, labelled };
        let count = |file| if samples.folder_holds_images() { Ok(1) } else { Ok(samples.read(file)?.count()) };
        // All first: of several wrong files the first is named, whichever thread is the fastest.
        let counts: Vec<Result<usize, Error>> = (0..samples.folder.len()).into_par_iter().map(count).collect();
        let mut total = 0usize;
        for count in counts {
            total = total.saturating_add(count?);
            samples.starts.push(total);
        }
        Ok(samples)
    }

    fn folder_holds_images(&self) -> bool {
        matches!(self.front_end, FrontEnd::Pixels { .. })
    }

    fn reader(&self) -> Result<InputReader<'_>, Error> {
        let reader = InputReader::new(front_end::of(&self.front_end), self.shape);
        let reader = reader.and_then(|reader| reader.with_columns(front_end::columns(&self.front_end)));
        reader.map_err(|e| Error::Samples(e.to_string()))
    }

    fn read(&self, file: usize) -> Result<Content, Error> {
        let sample = self.folder.read(file).map_err(|e| Error::Samples(e.to_string()))?;
        self.reader()?.read(&sample.name, &sample.bytes).map_err(|e| self.named(file, e))
    }

    fn named(&self, file: usize, error: escarp_media::Error) -> Error {
        Error::Samples(error.in_file(self.folder.locate(file)).to_string())
    }

    /// The file of sample `index`, and which of its samples that is.
    fn place(&self, index: usize) -> (usize, usize) {
        let file = self.starts.partition_point(|&start| start <= index).saturating_sub(1);
        (file, index - self.starts[file])
    }

    fn several(&self, file: usize) -> bool {
        self.starts.get(file + 1).is_some_and(|next| next - self.starts[file] > 1)
    }

    /// What a file holds, kept for a while if more of it will be asked for.
    fn content(&self, file: usize) -> Result<Arc<Content>, Error> {
        if !self.several(file) {
            return Ok(Arc::new(self.read(file)?));
        }
        // A list of what was read is sound after any panic.
        let recent = || self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, content)) = recent().iter().find(|(known, _)| *known == file) {
            return Ok(Arc::clone(content));
        }
        let content = Arc::new(self.read(file)?);
        let mut recent = recent();
        recent.push_front((file, Arc::clone(&content)));
        recent.truncate(rayon::current_num_threads() + 1);
        Ok(content)
    }

    /// The name of the file that a sample is of, without folder and extension.
    fn stem(&self, index: usize) -> Option<&str> {
        let name = &self.folder.entries().get(self.place(index).0)?.name;
        Path::new(name).file_stem()?.to_str()
    }

    /// Of how many files the samples are, if they are more than the files.
    pub fn recordings(&self) -> Option<usize> {
        (self.len() > self.folder.len()).then(|| self.folder.len())
    }
}

impl Samples for FolderSamples {
    fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    fn get(&self, index: usize) -> Result<Vec<f32>, Error> {
        let (file, input) = self.place(index);
        if index >= self.len() {
            return Err(Error::Samples(format!("no sample {index}")));
        }
        self.reader()?.floats(&*self.content(file)?, input).map_err(|e| self.named(file, e))
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.folder.entries().get(self.place(index).0).filter(|_| self.labelled).and_then(|e| e.label)
    }

    /// The file, and where in a recording.
    fn name(&self, index: usize) -> String {
        let (file, input) = self.place(index);
        let name = self.folder.entries().get(file).map_or_else(String::new, |e| e.name.clone());
        match self.several(file).then(|| self.content(file)) {
            Some(Ok(content)) => match content.windows() {
                Some(windows) => format!("{name} {}", windows.place(input)),
                None => format!("{name}[{input}]"),
            },
            _ => name,
        }
    }
}

/// What the samples of an input go through, and what they become: the front end is the first input's, numbers of others stand as
/// they are.
fn form(graph: &Graph, input: usize) -> (FrontEnd, InputShape) {
    let front_end = graph.metadata.as_ref().filter(|_| input == 0).map_or(FrontEnd::Raw, |m| m.front_end.clone());
    let [height, width, channels] = graph.shape(graph.inputs[input].tensor);
    (front_end, InputShape { steps: graph.steps, height, width, channels })
}

/// As [`open_places`], for a network of one input.
///
/// # Errors
/// As that.
pub fn open(path: &Path, graph: &Graph, labels: &[String]) -> Result<Source, Error> {
    open_places(&path.into(), graph, labels)
}

/// Opens samples for a graph that [`crate::read`] returned. `labels` renumbers class folders by the network's names.
///
/// # Errors
/// [`Error::Samples`] with the file's name: it cannot be read, is empty, or does not fit the network; or there is not one place for
/// each input; [`Error::Labels`] if its classes are not the network's.
pub fn open_places(places: &Places, graph: &Graph, labels: &[String]) -> Result<Source, Error> {
    let mut parts = Vec::new();
    for (input, path) in places.of(graph)?.into_iter().enumerate() {
        parts.push(open_input(path, graph, input, labels)?);
    }
    match <[Source; 1]>::try_from(parts) {
        Ok([source]) => Ok(source),
        Err(parts) => Joined::new(parts, graph).map(Source::Joined),
    }
}

fn open_input(path: &Path, graph: &Graph, input: usize, labels: &[String]) -> Result<Source, Error> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
        return array(path, graph, input).map(Source::Array);
    }
    let (front_end, shape) = form(graph, input);
    let wrong = |e: escarp_media::Error| Error::Samples(e.to_string());
    let kind = InputReader::new(front_end::of(&front_end), shape).map_err(wrong)?.kind();
    let mut folder = Folder::open(path, kind).map_err(wrong)?;
    if input == 0 && !labels.is_empty() && !folder.classes().is_empty() {
        folder = folder.with_classes(labels).map_err(|e| Error::Labels(e.to_string()))?;
    }
    // Without names, as many folders as outputs (two for a single yes or no) are taken for them in the order of the alphabet.
    let (classes, outputs) = (folder.classes().len(), graph.len(graph.output()));
    let labelled = graph.decides() && (!labels.is_empty() || classes == outputs.max(2));
    FolderSamples::new(folder, front_end, shape, labelled).map(|samples| Source::Folder(Box::new(samples)))
}

fn read_npy(path: &Path) -> Result<Npy, Error> {
    let named = |e: escarp_media::Error| Error::Samples(e.in_file(path.display()).to_string());
    let bytes = read_file(path, LARGEST_ARRAY).map_err(|e| Error::Samples(e.to_string()))?;
    Npy::decode(&bytes).map_err(named)
}

/// An array `[samples, ...]` in ONNX's arrangement or in ours.
fn array(path: &Path, graph: &Graph, input: usize) -> Result<InMemory, Error> {
    let named = |e: escarp_media::Error| Error::Samples(e.in_file(path.display()).to_string());
    let array = read_npy(path)?;
    let (front_end, shape) = form(graph, input);
    let reader = InputReader::new(front_end::of(&front_end), shape).map_err(named)?;
    let values = reader.batch(&array).map_err(named)?;
    Ok(InMemory { values, sample_len: shape.elements(), labels: vec![], source: path.display().to_string() })
}

/// The frames of each sample in an NPY array `[samples, frames, features]`, for networks that leave their number open.
///
/// # Errors
/// [`Error::Samples`] if the file is no such array.
pub fn frames(path: &Path) -> Result<usize, Error> {
    match read_npy(path)?.shape[..] {
        [_, frames, _] => Ok(frames),
        ref shape => Err(Error::Samples(format!(
            "{}: an array of {shape:?}; a sequence is [samples, frames, features]",
            path.display()
        ))),
    }
}

/// Gives an array its classes: `[samples]` integers below `outputs`.
///
/// # Errors
/// [`Error::Labels`] if they are not one class for each sample.
pub fn label_array(samples: &mut InMemory, path: &Path, outputs: usize) -> Result<(), Error> {
    let wrong = |what: String| Error::Labels(format!("{}: {what}", path.display()));
    let array = read_npy(path)?;
    let needed = samples.len();
    let count: usize = array.shape.iter().product();
    if count != needed {
        return Err(wrong(format!("{count} labels for {needed} samples")));
    }
    let classes: Vec<i64> = match &array.data {
        NpyData::I64(v) => v.clone(),
        NpyData::I32(v) => v.iter().map(|&x| x.into()).collect(),
        NpyData::I16(v) => v.iter().map(|&x| x.into()).collect(),
        NpyData::I8(v) => v.iter().map(|&x| x.into()).collect(),
        NpyData::U8(v) => v.iter().map(|&x| x.into()).collect(),
        _ => return Err(wrong("labels must be integers".into())),
    };
    // A single output still tells two classes apart.
    let most = outputs.max(2);
    samples.labels = classes
        .iter()
        .enumerate()
        .map(|(i, &class)| match usize::try_from(class) {
            Ok(c) if c < most => Ok(c),
            _ => Err(wrong(format!("label {i} is {class}; allowed: 0..{most}"))),
        })
        .collect::<Result<_, _>>()?;
    Ok(())
}
