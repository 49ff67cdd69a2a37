//! A net that begins with the numbers of another: `--init-from`, from a checkpoint or an ONNX file of `escarp-train`.
//!
//! A tensor is taken if the net has one of the same name, of as many numbers and with as many outputs. What is left (a
//! head for other classes) keeps its fresh start. A normalization that the net lacks becomes part of the convolution before
//! it. Of a run with averaged weights the averages are taken: they are what
//! was evaluated and exported.

mod onnx;

use std::path::Path;

use escarp_converter::metadata::Metadata;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    engine::parameter::Parameter,
    error::TrainError,
    nets::{Arch, Net, export::export},
    run::{
        average::Average,
        checkpoint::{Checkpoint, MAGIC},
    },
};

/// A tensor under the name that a checkpoint has for it.
#[derive(Debug)]
struct Tensor {
    name: String,
    /// In the order of the layer.
    values: Vec<f32>,
    /// Length of the last axis of a matrix or kernel, 1 for a vector.
    units: usize,
}

impl Tensor {
    fn size(&self) -> String {
        size(self.values.len(), self.units)
    }
}

fn size(numbers: usize, units: usize) -> String {
    if units == 1 { numbers.to_string() } else { format!("{} x {units}", numbers / units) }
}

/// What of a checkpoint's header is needed to know its tensors.
#[derive(Serialize, Deserialize)]
struct Header {
    arch: Arch,
}

/// Gives `net` the numbers of the file that fit; says in a line which, and what starts fresh.
///
/// # Errors
/// [`TrainError::Io`], and [`TrainError::Checkpoint`] for a file that is damaged, of another program, or fits nowhere.
pub fn take(path: &Path, net: &mut Net) -> Result<String, TrainError> {
    let bytes = std::fs::read(path).map_err(TrainError::io(path))?;
    let bad = |reason: String| TrainError::Checkpoint { path: path.into(), reason };
    let names: Vec<String> = net.parameters().into_iter().map(|p| p.name).collect();
    let wanted = |name: &str| names.iter().any(|n| n == name);
    let donor = match bytes.starts_with(MAGIC) {
        true => {
            let mut donor = checkpoint(path)?;
            // The export folds normalizations that the net does not have.
            let layer = |p: &Parameter<'_>| p.name.strip_suffix(".norm.gamma").map(str::to_owned);
            match donor.parameters().iter().filter_map(layer).any(|l| wanted(&format!("{l}.conv.bias"))) {
                true => onnx::read(&export(&donor, &Metadata::default())?, &wanted).map_err(bad)?,
                false => tensors(&mut donor),
            }
        }
        false => onnx::read(&bytes, &wanted).map_err(bad)?,
    };
    let (mut taken, mut matrices, mut fresh, mut used) = (0, 0, Vec::new(), vec![false; donor.len()]);
    let mut give = |name: &str, values: &mut [f32], units: usize| {
        let Some(at) = donor.iter().position(|t| t.name == name) else {
            return fresh.push(name.to_owned());
        };
        used[at] = true;
        let tensor = &donor[at];
        if tensor.values.len() != values.len() || tensor.units != units {
            let (ours, theirs) = (size(values.len(), units), tensor.size());
            return fresh.push(format!("{name} ({ours}; the file's is {theirs})"));
        }
        values.copy_from_slice(&tensor.values);
        taken += 1;
        matrices += usize::from(units > 1);
    };
    net.parameters().into_iter().for_each(|p| give(&p.name, p.value, p.units));
    net.buffers().into_iter().for_each(|(name, values)| give(&name, values, 1));
    // A vector that fits by chance, such as the biases of as many classes, is no beginning.
    if matrices == 0 {
        let holds = list(donor.iter().map(|t| format!("{} ({})", t.name, t.size())).collect());
        return Err(bad(format!(
            "no matrix or kernel in it fits this net; it holds {holds}; the net has {}",
            list(fresh)
        )));
    }
    let mut line = format!("{}: {taken} of {} tensors taken", path.display(), taken + fresh.len());
    let unused = donor.iter().zip(used).filter(|(_, used)| !used).map(|(t, _)| t.name.clone()).collect();
    for (what, names) in [("starts fresh", fresh), ("not used", unused)] {
        if !names.is_empty() {
            line += &format!("; {what}: {}", list(names));
        }
    }
    Ok(line)
}

/// The names, of many the first.
fn list(names: Vec<String>) -> String {
    const MOST: usize = 8;
    match names.len() {
        0 => "nothing".to_owned(),
        n if n <= MOST => names.join(", "),
        n => format!("{} and {} more", names[..MOST].join(", "), n - MOST),
    }
}

/// A checkpoint's net; with averaged weights if it has them.
pub(crate) fn checkpoint(path: &Path) -> Result<Net, TrainError> {
    let checkpoint = Checkpoint::<Header>::load(path)?;
    // Every number is replaced, so the generator does not matter.
    let mut net = Net::new(&checkpoint.header.arch, &mut ChaCha8Rng::seed_from_u64(0))?;
    for p in net.parameters() {
        checkpoint.restore(path, &format!("weights/{}", p.name), p.value)?;
    }
    for (name, values) in net.buffers() {
        checkpoint.restore(path, &format!("statistics/{name}"), values)?;
    }
    if checkpoint.arrays.iter().any(|(name, _)| name.starts_with("average/")) {
        let mut average = Average::new(0.0, &mut net);
        average.restore(&checkpoint, path)?;
        average.swap(&mut net);
    }
    Ok(net)
}

/// All tensors of a net.
fn tensors(net: &mut Net) -> Vec<Tensor> {
    let tensor = |name, values: &[f32], units| Tensor { name, values: values.to_vec(), units };
    let mut all: Vec<Tensor> = net.parameters().into_iter().map(|p| tensor(p.name, p.value, p.units)).collect();
    all.extend(net.buffers().into_iter().map(|(name, values)| tensor(name, values, 1)));
    all
}
