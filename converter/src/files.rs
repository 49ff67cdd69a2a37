//! Samples in files: folders, tars and NPY arrays, read through the same front end as on the board.

use std::path::Path;

use escarp_media::{Folder, InputReader, InputShape, Npy, NpyData, read_file};

use crate::{
    error::Error,
    front_end,
    graph::Graph,
    metadata::FrontEnd,
    samples::{InMemory, Samples},
};

/// Largest NPY file, bytes.
const LARGEST_ARRAY: u64 = 1 << 32;

/// Where samples come from.
pub enum Source {
    /// A directory or a tar.
    Folder(FolderSamples),
    /// An NPY array.
    Array(InMemory),
}

impl Source {
    /// As the trait.
    pub fn samples(&self) -> &dyn Samples {
        match self {
            Source::Folder(f) => f,
            Source::Array(a) => a,
        }
    }

    /// Class names, where folders give them.
    pub fn classes(&self) -> &[String] {
        match self {
            Source::Folder(f) => f.folder.classes(),
            Source::Array(_) => &[],
        }
    }
}

/// A listing and what turns its files into inputs.
pub struct FolderSamples {
    folder: Folder,
    front_end: FrontEnd,
    shape: InputShape,
}

impl FolderSamples {
    fn reader(&self) -> Result<InputReader<'_>, Error> {
        InputReader::new(front_end::of(&self.front_end), self.shape).map_err(|e| Error::Samples(e.to_string()))
    }
}

impl Samples for FolderSamples {
    fn len(&self) -> usize {
        self.folder.len()
    }

    fn get(&self, index: usize) -> Result<Vec<f32>, Error> {
        let sample = self.folder.read(index).map_err(|e| Error::Samples(e.to_string()))?;
        let named = |e: escarp_media::Error| Error::Samples(e.in_file(self.folder.locate(index)).to_string());
        self.reader()?.floats(&sample.name, &sample.bytes).map_err(named)
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.folder.entries().get(index).and_then(|e| e.label)
    }

    fn name(&self, index: usize) -> String {
        self.folder.entries().get(index).map_or_else(String::new, |e| e.name.clone())
    }
}

fn input_shape(graph: &Graph) -> InputShape {
    let [height, width, channels] = graph.shape(graph.input);
    InputShape { steps: graph.steps, height, width, channels }
}

/// The front end that a graph's samples go through.
fn front_end_of(graph: &Graph) -> FrontEnd {
    graph.metadata.as_ref().map_or(FrontEnd::Raw, |m| m.front_end.clone())
}

/// Opens samples for a graph that [`crate::convert::read`] returned. `labels` renumbers class folders by the network's names.
///
/// # Errors
/// [`Error::Samples`] with the file's name: it cannot be read, is empty, or does not fit the network; [`Error::Labels`] if
/// its classes are not the network's.
pub fn open(path: &Path, graph: &Graph, labels: &[String]) -> Result<Source, Error> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
        return array(path, graph).map(Source::Array);
    }
    let (front_end, shape) = (front_end_of(graph), input_shape(graph));
    let wrong = |e: escarp_media::Error| Error::Samples(e.to_string());
    let kind = InputReader::new(front_end::of(&front_end), shape).map_err(wrong)?.kind();
    let mut folder = Folder::open(path, kind).map_err(wrong)?;
    if !labels.is_empty() && !folder.classes().is_empty() {
        folder = folder.with_classes(labels).map_err(|e| Error::Labels(e.to_string()))?;
    }
    Ok(Source::Folder(FolderSamples { folder, front_end, shape }))
}

fn read_npy(path: &Path) -> Result<Npy, Error> {
    let named = |e: escarp_media::Error| Error::Samples(e.in_file(path.display()).to_string());
    let bytes = read_file(path, LARGEST_ARRAY).map_err(|e| Error::Samples(e.to_string()))?;
    Npy::decode(&bytes).map_err(named)
}

/// An array `[samples, ...]` in ONNX's arrangement or in ours.
fn array(path: &Path, graph: &Graph) -> Result<InMemory, Error> {
    let named = |e: escarp_media::Error| Error::Samples(e.in_file(path.display()).to_string());
    let array = read_npy(path)?;
    let (front_end, shape) = (front_end_of(graph), input_shape(graph));
    let reader = InputReader::new(front_end::of(&front_end), shape).map_err(named)?;
    let values = reader.batch(&array).map_err(named)?;
    Ok(InMemory { values, sample_len: graph.sample_len(), labels: vec![], source: path.display().to_string() })
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
