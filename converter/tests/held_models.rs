//! The bars: foreign models on real data, from `../shared` beside the repository.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use escarp_converter::{
    Converted, Options, convert, files, float_runner, front_end,
    measure::{Scores, measure},
    read,
    refine::Refine,
    wide::Target,
};

/// `None`, loudly, where the material is not there; with ESCARP_SHARED=required that is a failure.
fn shared(part: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(part);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("ESCARP_SHARED").as_deref() != Ok("required"), "{} is required and absent", path.display());
    // Not `eprintln!`: the harness would swallow it.
    writeln!(std::io::stderr(), "SKIPPED: {} is absent, nothing was checked", path.display()).ok();
    None
}

fn run(model: &Path, samples: &Path, test: &Path, labels: Option<&Path>, options: &Options) -> (Converted, Scores) {
    let onnx = std::fs::read(model).unwrap();
    let graph = read(&onnx, options).unwrap();
    let samples = files::open(samples, &graph, &[]).unwrap();
    let mut test = files::open(test, &graph, &[]).unwrap();
    if let (files::Source::Array(array), Some(labels)) = (&mut test, labels) {
        files::label_array(array, labels, graph.len(graph.output())).unwrap();
    }
    let converted = convert(&onnx, samples.samples(), options).unwrap();
    let float = float_runner(&onnx, &graph).unwrap();
    let picks: Vec<usize> = (0..test.samples().len()).collect();
    let scores = measure(&converted.file, &float, test.samples(), &picks, options.cpu, &|| {}).unwrap();
    (converted, scores)
}

#[test]
fn resnet8_on_cifar10() {
    let (Some(model), Some(samples), Some(test)) = (
        shared("models/mlperf-tiny/resnet8-cifar10.onnx"),
        shared("data/cifar10/train.tar"),
        shared("data/cifar10/test.tar"),
    ) else {
        return;
    };
    let options =
        Options { front_end: front_end::parse_pixels("0..255", 3).ok().map(|p| p.front_end), ..Options::default() };
    let (converted, scores) = run(&model, &samples, &test, None, &options);
    eprintln!("int8 {} float {} agree {} of {}", scores.int8_correct, scores.float_correct, scores.agree, scores.total);
    assert_eq!((scores.total, scores.labelled, converted.picks.len()), (5000, 5000, 500));
    assert!(scores.int8_correct >= 3815, "{}", scores.int8_correct);
    assert!(scores.agree >= 4915, "{}", scores.agree);
    assert!(converted.file.len() <= 92_000, "{}", converted.file.len());
    assert!(converted.plan.arena_len <= 40_960, "{}", converted.plan.arena_len);
}

/// 99 of 100 answers are float's, if that is asked: 16 bits and weights of two terms where they tell most.
#[test]
fn resnet8_agrees_as_asked() {
    let (Some(model), Some(samples), Some(test)) = (
        shared("models/mlperf-tiny/resnet8-cifar10.onnx"),
        shared("data/cifar10/train.tar"),
        shared("data/cifar10/test.tar"),
    ) else {
        return;
    };
    let front_end = front_end::parse_pixels("0..255", 3).ok().map(|p| p.front_end);
    // Not refined: that would take the test minutes, and would need less of it.
    let (target, refine) = (Some(Target::Agree(99.0)), Refine::None);
    let options = Options { front_end, target, refine, ..Options::default() };
    let (converted, scores) = run(&model, &samples, &test, None, &options);
    eprintln!("agree {} of {}; {:?}", scores.agree, scores.total, converted.notes);
    assert!(scores.agree >= 4950, "{}", scores.agree);
}

#[test]
fn grus_on_spoken_digits_lose_nothing() {
    for (name, right) in [("gru-h64", 249), ("gru-h64-dyn", 249), ("gru-h128", 250)] {
        let part = |file: &str| shared(&format!("models/rnn/{file}"));
        let (Some(model), Some(samples), Some(test), Some(labels)) = (
            part(&format!("{name}.onnx")),
            part("fsdd-calib100.features.npy"),
            part("fsdd-test250.features.npy"),
            part("fsdd-test250.labels.npy"),
        ) else {
            return;
        };
        let options = Options { frames: Some(64), ..Options::default() };
        let (converted, scores) = run(&model, &samples, &test, Some(&labels), &options);
        eprintln!("{name}: int8 {} float {} agree {}", scores.int8_correct, scores.float_correct, scores.agree);
        assert_eq!((scores.total, scores.float_correct), (250, right), "{name}");
        assert!(scores.int8_correct >= right && scores.agree >= 249, "{name}");
        assert_eq!(converted.graph.steps, 64);
    }
}

/// MobileNet and DS-CNN: the means over all probabilities are at most half of those that the official int8 files of the same weights
/// have (`../shared/models/README.md`).
#[test]
fn networks_of_depthwise_convolutions() {
    for (name, calibration, bar) in
        [("kws-dscnn", "kws-dscnn.calib125.npy", 0.0009), ("vww-mobilenetv1", "vww-mobilenetv1.in.npy", 0.01025)]
    {
        let part = |file: &str| shared(&format!("models/mlperf-tiny/{file}"));
        let (Some(model), Some(samples), Some(test)) =
            (part(&format!("{name}.onnx")), part(calibration), part(&format!("{name}.in.npy")))
        else {
            return;
        };
        let (converted, scores) = run(&model, &samples, &test, None, &Options::default());
        let lost = &scores.outputs[0];
        eprintln!(
            "{name}: mean error {:.5}, {:.1} dB, agree {} of {}",
            lost.mean, lost.snr_db, scores.agree, scores.total
        );
        assert!(lost.mean <= bar && scores.agree == scores.total, "{name}: {}", lost.mean);
        assert_eq!(converted.plan.arena_len - converted.plan.totals.scratch, converted.plan.lower_bound, "{name}");
    }
}

/// The other held models need what we do not have yet; each must say so with its node.
#[test]
fn models_we_lack_operators_for_say_so() {
    for (file, says) in [
        ("models/rnn/lstm-h128.onnx", "operator LSTM is not supported"),
        ("models/rnn/bigru-h64.onnx", "direction = bidirectional; supported: forward"),
    ] {
        let Some(path) = shared(file) else { return };
        let onnx = std::fs::read(path).unwrap();
        let message = read(&onnx, &Options::default()).unwrap_err().to_string();
        assert!(message.starts_with("node `") && message.contains(says), "{file}: {message}");
    }
}
