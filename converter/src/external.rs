//! External data: weights in files beside the model, as models beyond 2 GB must have them and PyTorch's exporter likes to.
//!
//! A model is a stranger's file. It may name files of its own folder only, and reads no more of them than its tensors hold.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Component, Path},
};

use tract_onnx::pb::{
    self,
    tensor_proto::{DataLocation, DataType},
};

use crate::{budget::Budget, error::Error};

/// Most files that a model may name.
const FILES: usize = 4096;

/// Reads all external data of a graph into its tensors.
///
/// # Errors
/// [`Error::Onnx`] with the tensor: a place outside the folder, a file that cannot be read, lengths that contradict the tensor's
/// dimensions or the file's, more than the budget has.
pub fn load(graph: &mut pb::GraphProto, folder: &Path, budget: &Budget) -> Result<(), Error> {
    let mut files = Files { folder, budget, open: HashMap::new() };
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let constants = attributes.flat_map(|a| a.t.iter_mut().chain(&mut a.tensors));
    graph
        .initializer
        .iter_mut()
        .chain(constants)
        .try_for_each(|t| files.fill(t).map_err(|e| Error::Onnx(format!("external data of tensor `{}`: {e}", t.name))))
}

/// Bytes of an element on the wire.
fn width(t: &pb::TensorProto) -> Option<u64> {
    Some(match DataType::try_from(t.data_type).ok()? {
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Int8 | DataType::Uint8 | DataType::Bool => 1,
        _ => return None,
    })
}

struct Files<'a> {
    folder: &'a Path,
    budget: &'a Budget,
    /// Each with its length.
    open: HashMap<String, (File, u64)>,
}

impl Files<'_> {
    fn fill(&mut self, t: &mut pb::TensorProto) -> Result<(), String> {
        if t.data_location != Some(DataLocation::External as i32) {
            return Ok(());
        }
        let entry = |key: &str| t.external_data.iter().find(|e| e.key == key).map(|e| e.value.clone());
        let number = |key: &str| {
            let parse = |text: String| text.parse::<u64>().map_err(|_| format!("{key} = `{text}`; needed: a number"));
            entry(key).map(parse).transpose()
        };
        let location = entry("location").ok_or("it names no location")?;
        let (offset, given) = (number("offset")?.unwrap_or(0), number("length")?);
        let dims = t.dims.iter().map(|&d| u64::try_from(d).ok());
        let needed = dims.chain([width(t)]).try_fold(1u64, |n, d| n.checked_mul(d?));
        let needed = needed.ok_or_else(|| format!("{:?} of data type {} is not supported", t.dims, t.data_type))?;
        if let Some(given) = given.filter(|&given| given != needed) {
            return Err(format!("length = {given}; its dimensions {:?} need {needed} bytes", t.dims));
        }
        let (_, length) = self.file(&location)?;
        let end = offset.checked_add(needed).filter(|&end| end <= length);
        if end.is_none() {
            return Err(format!("`{location}` has {length} bytes; needed: {needed} from {offset} on"));
        }
        let bytes = usize::try_from(needed).map_err(|_| format!("{needed} bytes"))?;
        self.budget.take(needed)?;
        let (file, _) = self.file(&location)?;
        let mut data = vec![];
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.take(needed).read_to_end(&mut data));
        match read {
            Ok(n) if n == bytes => {}
            Ok(n) => return Err(format!("`{location}` ends {n} bytes after {offset}; needed: {needed}")),
            Err(e) => return Err(format!("`{location}`: {e}")),
        }
        t.raw_data = data;
        t.external_data.clear();
        t.data_location = None;
        Ok(())
    }

    /// A file of the folder, opened once, and its length.
    fn file(&mut self, location: &str) -> Result<(&mut File, u64), String> {
        if !self.open.contains_key(location) {
            if self.open.len() == FILES {
                return Err(format!("more than {FILES} files"));
            }
            let path = Path::new(location);
            let inside = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
            if !inside || location.is_empty() {
                return Err(format!("location = `{location}`; allowed: files in the model's folder, without `..`"));
            }
            let named = |e: std::io::Error| format!("`{location}`: {e}");
            let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { self.folder };
            let folder = folder.canonicalize().map_err(named)?;
            // A link may lead anywhere.
            let path = folder.join(path).canonicalize().map_err(named)?;
            if !path.starts_with(&folder) {
                return Err(format!("`{location}` is a link out of the model's folder; copy the file there"));
            }
            // Anything but a file (a pipe, a device) may never end.
            if !path.is_file() {
                return Err(format!("`{location}` is no file"));
            }
            let file = File::open(&path).map_err(named)?;
            let length = file.metadata().map_err(named)?.len();
            self.budget.grow(length);
            self.open.insert(location.into(), (file, length));
        }
        let (file, length) = self.open.get_mut(location).ok_or("not open")?;
        Ok((file, *length))
    }
}
