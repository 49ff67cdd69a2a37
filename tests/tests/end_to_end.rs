//! The whole chain on data that the trainer draws: train, convert, run on the host and as every board's CPU.

use std::path::{Path, PathBuf};

use escarp_detect::detect;
use escarp_run::{Decision, Runner};
use escarp_runtime::Model;
use escarp_tests::{boards, outputs, program, run, succeed};

/// Draws data, trains a small network on it, converts it; returns the model file and the test files.
fn chain(folder: &Path, task: &str, data: &str, network: &[&str]) -> (PathBuf, Vec<String>) {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (train, test) = (path("data/train"), path("data/test"));
    let escarp_train = program("escarp-train");
    succeed(&escarp_train, ["generate", data, "--train", "24", "--test", "4", "--out", &path("data")]);
    let (out, onnx) = (path("run"), path("run/model.onnx"));
    let mut arguments = vec![task, "--data", &train, "--test", &test, "--epochs", "2", "--seed", "7", "--out", &out];
    arguments.extend(network);
    succeed(&escarp_train, arguments);
    let model = path("model.escarp");
    succeed(&program("escarp-convert"), [&onnx, "--samples", &train, "--test", &test, "-o", &model].map(String::from));
    let mut files = Vec::new();
    for class in std::fs::read_dir(&test).unwrap() {
        for file in std::fs::read_dir(class.unwrap().path()).unwrap() {
            files.push(file.unwrap().path().to_str().unwrap().to_owned());
        }
    }
    files.sort();
    assert_eq!(files.len(), 4 * 8, "four files of each of eight classes");
    (model.into(), files)
}

/// In this process, in the host's program with every kernel the host has, and as every CPU: the same bytes.
fn same_everywhere(model: &Path, files: &[String]) {
    let bytes = std::fs::read(model).unwrap();
    let parsed = Model::parse(&bytes).unwrap();
    let mut arena = vec![0xa5u8.cast_signed(); parsed.buffer_len()];
    let mut runner = Runner::new(&parsed, &mut arena, detect()).unwrap();
    let mut here: Vec<Vec<i64>> = Vec::new();
    for file in files {
        let see = |decision: Decision| {
            here.push(decision.outputs[0].numbers.iter().map(|&q| q.into()).collect());
            Ok(())
        };
        runner.decide(&[(file, &std::fs::read(file).unwrap())], see).unwrap();
    }
    assert_eq!(here.len(), files.len());
    assert!(here.iter().any(|output| output != &here[0]), "the network tells inputs apart");

    let arguments = |isa: &str| {
        let mut all: Vec<String> = ["run", "--json", "--isa", isa].map(String::from).into();
        all.push(model.to_str().unwrap().into());
        all.extend(files.iter().cloned());
        all
    };
    for isa in ["portable", detect().isa().name()] {
        let said = run(&program("escarp-run"), arguments(isa));
        assert_eq!(outputs(&said, std::env::consts::ARCH, isa), here, "host, {isa}");
    }
    for board in boards().unwrap_or_default() {
        for isa in ["portable", "neon"] {
            assert_eq!(outputs(&board.run(arguments(isa)), "aarch64", isa), here, "{}, {isa}", board.cpu);
        }
    }
}

#[test]
fn images() {
    let folder = tempfile::tempdir().unwrap();
    let (model, files) = chain(folder.path(), "image", "images", &["--width", "8"]);
    same_everywhere(&model, &files);
}

#[test]
fn motion() {
    let folder = tempfile::tempdir().unwrap();
    let (model, files) = chain(folder.path(), "motion", "motion", &["--hidden", "20", "--layers", "2"]);
    same_everywhere(&model, &files);
}
