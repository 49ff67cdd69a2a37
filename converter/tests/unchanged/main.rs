//! A model that converted once converts to the same bytes ever after: of each model here, `golden.txt` beside this file has a
//! checksum of the file's constants, of the texts of the graph, the quantized graph and the plan, and of what the portable
//! runtime answers. A model that is refused has the reason there.
//!
//! Whoever changes what a conversion gives, and means to, writes the goldens anew with
//! `ESCARP_GOLDEN=write cargo test --workspace --test unchanged`, and says in the commit why they changed. A model of `../shared`
//! is left as it stands there where that folder is absent.

#[path = "../build/mod.rs"]
mod build;
mod nets;

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};

use build::Numbers;
use escarp_converter::{
    Error, Options,
    calibrate::{Method, calibrate},
    graph::Graph,
    pack::{About, pack},
    plan::plan,
    quantize::{quantize, ranges},
    read,
    scale::Scale,
};
use escarp_runtime::{Cpu, Model, Session};

/// Samples that calibrate, and samples that are run.
const SAMPLES: usize = 3;

/// Steps of a sequence whose length a model leaves open.
const FRAMES: usize = 64;

/// The models of `../shared/models`, folder by folder.
const FOLDERS: [&str; 4] = ["mlperf-tiny", "real", "rnn", "torchvision"];

/// Ranges for a graph, the same on every machine: sums of floats depend on the order in which a CPU takes them, so all but ten
/// bits of an end are rounded off.
fn rounded_ranges(graph: &Graph, samples: &dyn escarp_converter::Samples) -> Result<Vec<(f32, f32)>, Error> {
    let picks: Vec<usize> = (0..SAMPLES).collect();
    let seen = calibrate(graph, samples, &picks)?;
    let round = |v: f32| f32::from_bits((v.to_bits() + (1 << 12)) & !((1 << 13) - 1));
    let found = ranges(graph, &seen, None, Method::MinMax);
    Ok(found.into_iter().map(|(low, high)| (round(low), round(high))).collect())
}

/// What the portable runtime answers to every step of the samples, one checksum over all.
fn answers(file: &[u8], graph: &Graph, samples: &[f32]) -> u32 {
    let model = Model::parse(file).expect("the converter has checked it");
    let mut arena = vec![0; model.buffer_len()];
    let mut session = Session::new(&model, &mut arena, Cpu::PORTABLE).expect("the arena fits");
    let mut all = vec![];
    for sample in samples.chunks_exact(graph.sample_len()) {
        session.reset();
        for mut step in sample.chunks_exact(graph.step_len()) {
            for (at, port) in model.inputs().enumerate() {
                let (values, rest) = step.split_at(port.tensor.elements() as usize);
                let scale = Scale::int8(port.tensor.scale, port.tensor.zero_point);
                let values: Vec<i8> = values.iter().map(|&v| scale.quantize(v)).collect();
                session.set_input(at, &values).expect("the step fits");
                step = rest;
            }
            session.infer().expect("all inputs are set");
            for at in 0..model.outputs().len() {
                let answer = session.output::<i8>(at).expect("int8 outputs");
                all.extend(answer.iter().map(|q| q.cast_unsigned()));
            }
        }
    }
    crc32fast::hash(&all)
}

fn constants(file: &[u8]) -> &[u8] {
    let model = Model::parse(file).expect("the converter has checked it");
    let header = model.header();
    &file[header.consts_at as usize..][..header.consts_len as usize]
}

/// A model's line in the goldens, after its name.
fn converted(onnx: &[u8]) -> Result<String, Error> {
    let graph = read(onnx, &Options { frames: Some(FRAMES), ..Options::default() })?;
    let samples = Numbers::new(7).samples(SAMPLES, graph.sample_len());
    let ranges = rounded_ranges(&graph, &samples)?;
    let plan = plan(quantize(&graph, &ranges)?)?;
    let file = pack(&plan, &About::default())?;
    Ok(format!(
        "{} bytes of constants {:08x}, graph {:08x}, qgraph {:08x}, plan {:08x}, answers {:08x}",
        constants(&file).len(),
        crc32fast::hash(constants(&file)),
        crc32fast::hash(graph.to_string().as_bytes()),
        crc32fast::hash(plan.graph.to_string().as_bytes()),
        crc32fast::hash(plan.to_string().as_bytes()),
        answers(&file, &graph, &samples.values),
    ))
}

fn line(onnx: &[u8]) -> String {
    match converted(onnx) {
        Ok(line) => line,
        // The list of operators that are supported grows; that is no change to this model.
        Err(Error::Operator { node, operator, .. }) => format!("refused: node `{node}`: operator {operator}"),
        Err(e) => {
            let text = e.to_string();
            let reasons: Vec<&str> = text.lines().filter(|line| !line.starts_with("supported operators")).collect();
            format!("refused: {}", reasons.join(" "))
        }
    }
}

fn onnx_files(folder: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = all.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "onnx"));
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Every model with its name; `None`, loudly, for those of `../shared` where it is absent.
fn models() -> (Vec<(String, Vec<u8>)>, bool) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<(String, Vec<u8>)> = nets::all().into_iter().map(|(name, net)| (name, net.bytes())).collect();
    for file in onnx_files(&here.join("../tests/models")) {
        all.push((format!("tests/{}", name(&file)), std::fs::read(file).unwrap()));
    }
    let shared = here.join("../../shared/models");
    let there = shared.exists();
    if there {
        for file in FOLDERS.iter().flat_map(|folder| onnx_files(&shared.join(folder))) {
            all.push((format!("shared/{}", name(&file)), std::fs::read(file).unwrap()));
        }
    } else {
        assert!(std::env::var("ESCARP_SHARED").as_deref() != Ok("required"), "{} is absent", shared.display());
        // Not `eprintln!`: the harness would swallow it.
        writeln!(std::io::stderr(), "SKIPPED: {} is absent, its models were not checked", shared.display()).ok();
    }
    (all, there)
}

#[test]
fn every_model_converts_to_the_same_bytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/unchanged/golden.txt");
    let write = std::env::var("ESCARP_GOLDEN").as_deref() == Ok("write");
    let (models, shared) = models();
    let mut found = String::new();
    for (name, onnx) in &models {
        writeln!(found, "{name}: {}", line(onnx)).unwrap();
    }
    if write {
        assert!(shared, "goldens are written where ../shared is");
        std::fs::write(&path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    let wanted: Vec<&str> = golden.lines().filter(|line| shared || !line.starts_with("shared/")).collect();
    let found: Vec<&str> = found.lines().collect();
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!(found, wanted);
    }
    assert_eq!(found.len(), wanted.len(), "models, and lines of {}", path.display());
}
