//! The cases: a folder or a tar of `CASE/model.onnx` and `CASE/test_data_set_0/input_N.pb`, `output_N.pb`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use prost::Message;
use tract_onnx::pb;

/// Longest file of a case, bytes.
const LONGEST: u64 = 64 << 20;

/// Where a case's values lie.
const DATA: &str = "test_data_set_0";

/// A test of ONNX's.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its folder.
    pub name: String,
    /// The operator that it is about.
    pub operator: String,
    /// Where the index puts it; empty without one.
    pub group: String,
    /// Of one node, usually.
    pub model: pb::ModelProto,
    /// A value for each of the model's inputs.
    pub inputs: Vec<pb::TensorProto>,
    /// What it must give.
    pub outputs: Vec<pb::TensorProto>,
}

/// Reads all cases, in the order of their names. A table of tab-separated values beside them, of the same name with `.tsv`, whose
/// columns `case`, `op` and `group` are looked at, tells what each belongs to.
///
/// # Errors
/// What cannot be read, with its name.
pub fn cases(path: &Path) -> Result<Vec<Case>, String> {
    let files = if path.is_dir() { of_folder(path)? } else { of_tar(path)? };
    let index = index(&path.with_extension("tsv"))?;
    let mut folders: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for (name, bytes) in files {
        if let Some((case, file)) = name.split_once('/') {
            folders.entry(case.into()).or_default().insert(file.into(), bytes);
        }
    }
    let whole = folders.into_iter().filter(|(_, files)| files.contains_key("model.onnx"));
    let all: Vec<Case> = whole.map(|(name, files)| case(name, &files, &index)).collect::<Result<_, _>>()?;
    if all.is_empty() {
        return Err(format!("{}: no case; a case is a folder with a model.onnx", path.display()));
    }
    Ok(all)
}

fn case(
    name: String,
    files: &BTreeMap<String, Vec<u8>>,
    index: &BTreeMap<String, [String; 2]>,
) -> Result<Case, String> {
    let wrong = |file: &str, e: prost::DecodeError| format!("{name}/{file}: {e}");
    let model = files.get("model.onnx").map_or(&[][..], |bytes| bytes);
    let model = pb::ModelProto::decode(model).map_err(|e| wrong("model.onnx", e))?;
    let tensors = |kind: &str| -> Result<Vec<pb::TensorProto>, String> {
        let file = |n: usize| format!("{DATA}/{kind}_{n}.pb");
        let found = (0..).map(file).map_while(|file| Some((files.get(&file)?, file)));
        found.map(|(bytes, file)| pb::TensorProto::decode(&bytes[..]).map_err(|e| wrong(&file, e))).collect()
    };
    let first = || model.graph.as_ref().and_then(|g| g.node.first()).map_or_else(String::new, |n| n.op_type.clone());
    let [operator, group] = index.get(&name).cloned().unwrap_or_else(|| [first(), String::new()]);
    Ok(Case { inputs: tensors("input")?, outputs: tensors("output")?, operator, group, model, name })
}

/// Operator and group of each case.
fn index(path: &Path) -> Result<BTreeMap<String, [String; 2]>, String> {
    if !path.is_file() {
        return Ok(BTreeMap::new());
    }
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut lines = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let head = lines.next().unwrap_or_default();
    let column = |name: &str| {
        head.iter().position(|h| *h == name).ok_or_else(|| format!("{}: no column `{name}`", path.display()))
    };
    let places = [column("case")?, column("op")?, column("group")?];
    let row = |line: Vec<&str>| {
        let [case, op, group] = places.map(|place| line.get(place).copied().unwrap_or_default().to_owned());
        (case, [op, group])
    };
    Ok(lines.map(row).collect())
}

fn read(name: &str, mut from: impl Read, length: u64) -> Result<Vec<u8>, String> {
    if length > LONGEST {
        return Err(format!("{name}: {length} bytes; allowed: {LONGEST}"));
    }
    let mut bytes = vec![];
    from.read_to_end(&mut bytes).map_err(|e| format!("{name}: {e}"))?;
    Ok(bytes)
}

fn of_tar(path: &Path) -> Result<Vec<(String, Vec<u8>)>, String> {
    let named = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut tar = tar::Archive::new(BufReader::new(File::open(path).map_err(named)?));
    let mut files = vec![];
    for entry in tar.entries().map_err(named)? {
        let entry = entry.map_err(named)?;
        if entry.header().entry_type().is_file() {
            let name = entry.path().map_err(named)?.to_string_lossy().trim_start_matches("./").to_owned();
            let length = entry.size();
            files.push((name.clone(), read(&name, entry, length)?));
        }
    }
    Ok(files)
}

/// Folders two deep.
fn of_folder(path: &Path) -> Result<Vec<(String, Vec<u8>)>, String> {
    let list = |path: &Path| -> Result<Vec<PathBuf>, String> {
        let entries = std::fs::read_dir(path).and_then(|all| all.map(|e| Ok(e?.path())).collect());
        entries.map_err(|e: std::io::Error| format!("{}: {e}", path.display()))
    };
    let mut files = vec![];
    for case in list(path)?.iter().filter(|p| p.is_dir()) {
        for file in [case.join("model.onnx")].into_iter().chain(list(&case.join(DATA)).unwrap_or_default()) {
            let name = file.strip_prefix(path).unwrap_or(&file).to_string_lossy().into_owned();
            if let Ok(open) = File::open(&file) {
                let length = open.metadata().map_err(|e| format!("{name}: {e}"))?.len();
                files.push((name.clone(), read(&name, open, length)?));
            }
        }
    }
    Ok(files)
}
