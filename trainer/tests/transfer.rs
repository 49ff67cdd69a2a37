//! Fine-tuning: numbers of a trained net taken from a checkpoint or an ONNX file, and a body that stays to the bit.

use std::path::{Path, PathBuf};

use escarp_converter::{Options, convert, files, float_runner, measure::measure, metadata::Metadata};
use escarp_trainer::{
    app,
    config::{Config, Settings, Task, freeze::Freeze},
    data::{
        generate::{Counts, gestures, images},
        source::Source,
    },
    error::TrainError,
    fit::Outcome,
    nets::{Arch, LayerSpec, Net, Shape, export::export, loss::Targets},
    optim::{
        Rule,
        clip::Clip,
        penalty::Penalty,
        schedule::{Schedule, Shape as Curve},
    },
    run::{checkpoint::Checkpoint, transfer::take},
};
use ndarray::ArrayD;
use prost::Message;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tract_onnx::pb::ModelProto;

fn fresh(arch: &Arch, seed: u64) -> Net {
    Net::new(arch, &mut ChaCha8Rng::seed_from_u64(seed)).expect("a sound architecture")
}

fn inputs(arch: &Arch) -> ArrayD<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    ArrayD::from_shape_fn(arch.input_shape(4), |_| match arch.input {
        Shape::Tokens([_, count]) => rng.random_range(0..count) as f32,
        _ => rng.random_range(-1.5f32..1.5),
    })
}

/// A net whose weights and statistics have left their start.
fn trained(arch: &Arch) -> Net {
    let (mut net, x) = (fresh(arch, 11), inputs(arch));
    for _ in 0..3 {
        net.gradients(&x, Targets::Classes(&[0, 1, 2, 0]), 0.0).expect("shapes fit");
        for p in net.parameters() {
            p.value.iter_mut().zip(p.gradient).for_each(|(w, g)| *w -= 0.1 * *g);
        }
    }
    net
}

fn arch(layers: &str) -> Arch {
    let layers = serde_json::from_str(layers).expect("layers as users write them");
    Arch { input: Shape::Sequence([9, 4]), classes: 3, layers }
}

fn recurrent(keys: &str) -> Arch {
    arch(&format!(r#"[{{{keys}, "hidden": 7, "layers": 2}}, {{"kind": "dense"}}]"#))
}

fn write(net: &Net, folder: &Path) -> PathBuf {
    let path = folder.join("model.onnx");
    std::fs::write(&path, export(net, &Metadata::default()).expect("a sound net")).expect("a file");
    path
}

#[test]
fn a_net_from_our_onnx_computes_what_the_exporting_net_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = r#"[{"kind": "convolution", "outputs": 5, "kernel": 3}, {"kind": "residual", "outputs": 8, "stride": 2,
        "convolutions": 3}, {"kind": "global-average-pool"}, {"kind": "dense"}]"#;
    let convolutions = Arch { input: Shape::Map([8, 7, 2]), ..arch(plain) };
    let frames = arch(
        r#"[{"kind": "lstm", "hidden": 6, "every_step": true}, {"kind": "dense", "outputs": 5}, {"kind":
        "gru", "hidden": 4}, {"kind": "dense"}]"#,
    );
    let mixed = r#"[{"kind": "convolution", "outputs": 6, "kernel": 3}, {"kind": "convolution", "outputs": 6, "kernel": 3,
        "groups": 6, "normalize": true}, {"kind": "batch-norm"}, {"kind": "convolution", "outputs": 4, "kernel": 1, "groups":
        2}, {"kind": "max-pool"}, {"kind": "flatten"}, {"kind": "dense", "outputs": 5}, {"kind": "batch-norm"}, {"kind":
        "dropout", "rate": 0.1}, {"kind": "dense"}]"#;
    let mixed = Arch { input: Shape::Map([8, 7, 2]), ..arch(mixed) };
    let normalized = arch(r#"[{"kind": "batch-norm"}, {"kind": "gru", "hidden": 4}, {"kind": "dense"}]"#);
    let words = r#"[{"kind": "embedding", "outputs": 5}, {"kind": "gru", "hidden": 4}, {"kind": "dense"}]"#;
    let words = Arch { input: Shape::Tokens([9, 20]), ..arch(words) };
    let gated = r#"[{"kind": "convolution", "outputs": 16, "normalize": true}, {"kind": "squeeze-excitation", "reduction": 2,
        "activation": "silu", "gate": "hard-sigmoid"}, {"kind": "convolution", "outputs": 8}, {"kind":
        "squeeze-excitation"}, {"kind": "global-average-pool"}, {"kind": "dense"}]"#;
    let gated = Arch { input: Shape::Map([8, 7, 2]), ..arch(gated) };
    for arch in [
        mixed,
        gated,
        words,
        normalized,
        Arch::resnet(2, 4, [12, 9, 3], 3),
        convolutions,
        frames,
        recurrent(r#""kind": "gru""#),
        recurrent(r#""kind": "gru", "bidirectional": true"#),
        recurrent(r#""kind": "gru", "reset": "before""#),
        recurrent(r#""kind": "lstm", "bidirectional": true"#),
        recurrent(r#""kind": "rnn""#),
    ] {
        let (mut donor, mut net, x) = (trained(&arch), fresh(&arch, 5), inputs(&arch));
        let before = net.predict(&x).expect("shapes fit");
        let line = take(&write(&donor, folder.path()), &mut net).expect("our own file");
        assert!(line.ends_with("tensors taken"), "{line}");
        let (got, expected) = (net.predict(&x).expect("shapes fit"), donor.predict(&x).expect("shapes fit"));
        let away = |a: &ndarray::Array2<f32>| (a - &expected).iter().fold(0.0f32, |m, d| m.max(d.abs()));
        assert!(away(&got) < 1e-5, "{arch:?}: {:e} away", away(&got));
        assert!(away(&before) > 1e-2, "{arch:?}: a fresh net says the same, which proves nothing");
    }
}

#[test]
fn what_does_not_fit_starts_fresh_or_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let arch = recurrent(r#""kind": "gru""#);
    let path = write(&trained(&arch), folder.path());
    // A head for other classes.
    let other = Arch { classes: 4, ..arch.clone() };
    let mut net = fresh(&other, 5);
    let line = take(&path, &mut net).expect("the body fits");
    let rest = "; starts fresh: dense2.weight (7 x 4; the file's is 7 x 3), dense2.bias (4; the file's is 3)";
    assert!(line.ends_with(rest), "{line}");
    // Nothing in common.
    let names = |mut net: Net| net.parameters().into_iter().map(|p| p.value.to_vec()).collect::<Vec<_>>();
    let images = Arch::resnet(1, 2, [8, 8, 3], 4);
    let mut net = fresh(&images, 5);
    let error = take(&path, &mut net).expect_err("nothing fits").to_string();
    assert!(error.contains("model.onnx") && error.contains("gru1") && error.contains("stem.conv.weight"), "{error}");
    assert_eq!(names(net), names(fresh(&images, 5)), "a refused file leaves the net alone");
    // Files of others.
    let refused = |edit: &dyn Fn(&mut ModelProto), words: &[&str]| {
        let mut model = ModelProto::decode(&std::fs::read(&path).expect("a file")[..]).expect("protobuf");
        edit(&mut model);
        let edited = folder.path().join("edited.onnx");
        std::fs::write(&edited, model.encode_to_vec()).expect("a file");
        let error = take(&edited, &mut fresh(&arch, 5)).expect_err("not ours").to_string();
        assert!(words.iter().all(|w| error.contains(w)), "{error}");
    };
    refused(&|m| m.graph.as_mut().expect("a graph").node[0].op_type = "Softmax".into(), &["(Softmax)", "edited.onnx"]);
    let gemm = |m: &mut ModelProto| m.graph.as_mut().expect("a graph").node.last_mut().expect("a head").name.clear();
    refused(&gemm, &["node `logits` (Gemm)", "input 1"]);
    refused(&|m| m.graph.as_mut().expect("a graph").initializer[0].raw_data.truncate(8), &["(GRU)", "raw floats"]);
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "no net").expect("a file");
    let error = take(&text, &mut fresh(&arch, 5)).expect_err("not a net").to_string();
    assert!(error.contains("neither a checkpoint"), "{error}");
}

fn config(task: Task, data: &Path, test: Option<&Path>) -> Config {
    let settings = Settings {
        epochs: 20,
        batch: 16,
        rate: 0.01,
        schedule: Schedule { shape: Curve::OneCycle { rise: 0.3 }, warm_up: 0 },
        minutes: None,
        seed: 3,
        validation: 0.0,
        label_smoothing: 0.05,
        rule: Rule::adam_w(0.01),
        clip: Clip::GlobalNorm { limit: 1.0 },
        penalty: Penalty { l1: 1e-5, ..Penalty::default() },
        average: Some(0.9),
        mixup: None,
        watch: 5,
        repair: false,
        init_from: None,
        freeze: Freeze::default(),
        qat: false,
    };
    let source = Source { data: data.into(), test: test.map(Into::into), ..Source::default() };
    Config { version: "test".into(), task, source, settings, repairs: Vec::new() }
}

fn head_only() -> Freeze {
    Freeze { freeze: vec!["*".into()], thaw: vec!["head.*".into()] }
}

/// Weights and statistics of a checkpoint that are not the head's, the averages of the weights left aside.
fn body(run: &Path) -> Vec<(String, Vec<u32>)> {
    let checkpoint = Checkpoint::<serde_json::Value>::load(&run.join("best.ckpt")).expect("a checkpoint");
    let ours = |name: &str| (name.starts_with("weights/") || name.starts_with("statistics/")) && !name.contains("head");
    let arrays = checkpoint.arrays.into_iter().filter(|(name, _)| ours(name));
    arrays.map(|(name, values)| (name, values.into_iter().map(f32::to_bits).collect())).collect()
}

fn layers(net: &Arch) -> Vec<LayerSpec> {
    net.layers.clone()
}

#[test]
fn a_gesture_net_learns_two_new_classes_from_a_handful_of_samples() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    gestures::write(&at("many"), 1, Counts { train: 150, test: 0 }).expect("gestures");
    gestures::write(&at("few"), 2, Counts { train: 6, test: 60 }).expect("gestures");
    for class in ["figure-eight", "turn-over"] {
        std::fs::remove_dir_all(at("many/train").join(class)).expect("a class");
    }
    let task = || {
        let net = layers(&Arch::gru(3, 32, 1, 64, 8));
        Task::Motion { rate: 50.0, frames: 64, net, augment: true }
    };
    let accuracy = |config: &Config, run: &str| match app::train(config, &at(run), &|_| false).expect("a run") {
        Outcome::Finished { test: Some(test), .. } => test.accuracy(),
        other => panic!("{other:?}"),
    };
    let mut six = config(task(), &at("many/train"), None);
    six.settings.average = None;
    app::train(&six, &at("six"), &|_| false).expect("a run");
    let eight = config(task(), &at("few/train"), Some(&at("few/test")));
    let scratch = accuracy(&eight, "scratch");
    for file in ["best.ckpt", "model.onnx"] {
        let mut tuned = eight.clone();
        tuned.settings.init_from = Some(at("six").join(file));
        tuned.settings.freeze = head_only();
        let run = format!("tuned-{file}");
        let reached = accuracy(&tuned, &run);
        eprintln!(
            "{file}: {:.1} % of 8 classes with the body of 6; {:.1} % from scratch",
            100.0 * reached,
            100.0 * scratch
        );
        assert!(reached > scratch + 0.15, "{file}: {reached}, from scratch {scratch}");
        assert_eq!(body(&at("six")), body(&at(&run)), "the body has not moved");
    }
}

#[test]
fn a_frozen_residual_body_keeps_weights_and_statistics_and_goes_on_exactly() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    images::write(&at("data"), 1, Counts { train: 6, test: 0 }).expect("images");
    let task = Task::Image { net: layers(&Arch::resnet(1, 2, [16; 3], 8)), size: Some(16), augmentation: None };
    let mut config = config(task, &at("data/train"), None);
    config.settings.epochs = 2;
    app::train(&config, &at("first"), &|_| false).expect("a run");
    config.settings.init_from = Some(at("first/best.ckpt"));
    config.settings.average = None;
    config.settings.freeze = head_only();
    let outcome = app::train(&config, &at("whole"), &|_| false).expect("a run");
    // The averages of the first run are what was taken, so two runs that took them are compared.
    app::train(&config, &at("pieces"), &|step| step == 1).expect("a run");
    assert_eq!(app::resume(&at("pieces"), "image", &|_| false).expect("a run"), outcome);
    let bytes = |run: &str| std::fs::read(at(run).join("model.onnx")).expect("a model");
    assert_eq!(bytes("whole"), bytes("pieces"));
    let mut net = fresh(&Arch::resnet(1, 2, [16, 16, 3], 8), 0);
    take(&at("first/best.ckpt"), &mut net).expect("a checkpoint");
    let mut given: Vec<(String, Vec<f32>)> =
        net.parameters().into_iter().map(|p| (format!("weights/{}", p.name), p.value.to_vec())).collect();
    given.extend(net.buffers().into_iter().map(|(name, v)| (format!("statistics/{name}"), v.to_vec())));
    given.retain(|(name, _)| !name.contains("head"));
    let given: Vec<(String, Vec<u32>)> =
        given.into_iter().map(|(name, v)| (name, v.into_iter().map(f32::to_bits).collect())).collect();
    assert_eq!(given, body(&at("whole")));
    assert_ne!(given, body(&at("first")), "the averages, not the latest weights");
    // Without freezing all of it moves.
    config.settings.freeze = Freeze::default();
    app::train(&config, &at("free"), &|_| false).expect("a run");
    for ((name, frozen), (_, free)) in given.iter().zip(body(&at("free"))) {
        assert_ne!(*frozen, free, "{name}");
    }
}

#[test]
fn a_run_for_int8_goes_on_exactly_and_reports_what_the_runtime_gets_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    images::write(&at("data"), 1, Counts { train: 20, test: 12 }).expect("images");
    let task = Task::Image { net: layers(&Arch::resnet(1, 4, [16; 3], 8)), size: Some(16), augmentation: None };
    let mut config = config(task, &at("data/train"), Some(&at("data/test")));
    config.settings.epochs = 4;
    app::train(&config, &at("float"), &|_| false).expect("a run");
    config.settings.epochs = 1;
    config.settings.init_from = Some(at("float/best.ckpt"));
    config.settings.qat = true;
    let unsettled =
        app::train(&config, &at("unsettled"), &|_| false).expect_err("normalizations are there").to_string();
    assert!(unsettled.contains("--qat") && unsettled.contains("`stem.norm` is a normalization"), "{unsettled}");
    config.task.net_mut().iter_mut().for_each(LayerSpec::settle);
    let outcome = app::train(&config, &at("whole"), &|_| false).expect("a run");
    app::train(&config, &at("pieces"), &|step| step == 4).expect("a run");
    assert_eq!(app::resume(&at("pieces"), "image", &|_| false).expect("a run"), outcome);
    let onnx = std::fs::read(at("whole/model.onnx")).expect("a model");
    assert_eq!(onnx, std::fs::read(at("pieces/model.onnx")).expect("a model"));
    // What the run says it gets right is what the converted file gets right.
    let Outcome::Finished { test: Some(test), .. } = outcome else { panic!("{outcome:?}") };
    let options = Options::default();
    let graph = escarp_converter::read(&onnx, &options).expect("a net that packs");
    let labels = &graph.metadata.as_ref().expect("ours").labels;
    let open = |part| files::open(&at(part), &graph, labels).expect("images");
    let (train, tests) = (open("data/train"), open("data/test"));
    let converted = convert(&onnx, train.samples(), &options).expect("a net that packs");
    let float = float_runner(&onnx, &graph).expect("a sound net");
    let picks: Vec<usize> = (0..tests.samples().len()).collect();
    let scores = measure(&converted.file, &float, tests.samples(), &picks, options.cpu, &|| ()).expect("samples");
    assert_eq!((scores.int8_correct, scores.labelled), (test.correct, test.total));
}

/// A frozen layer in the middle hands the gradient on as evaluation computes: checked by finite differences.
#[test]
fn gradients_pass_a_frozen_normalization() {
    let arch = Arch::resnet(1, 2, [6, 6, 2], 3);
    let mut net = Net::<f64>::new(&arch, &mut ChaCha8Rng::seed_from_u64(1)).expect("a sound architecture");
    let x = inputs(&arch).mapv(f64::from);
    let targets = Targets::Classes(&[0, 1, 2, 0]);
    for _ in 0..3 {
        net.gradients(&x, targets, 0.0).expect("shapes fit"); // moves the statistics
    }
    net.freeze(|name| !name.starts_with("stem.conv"));
    let mut loss = |nudge: f64| {
        net.trainable()[0].value[3] += nudge;
        let loss = net.gradients(&x, targets, 0.0).expect("shapes fit").loss;
        let gradient = net.trainable()[0].gradient[3];
        net.trainable()[0].value[3] -= nudge;
        (loss, gradient)
    };
    let (up, down, exact) = (loss(1e-6).0, loss(-1e-6).0, loss(0.0).1);
    let slope = (up - down) / 2e-6;
    assert!(exact.abs() > 1e-4 && (slope - exact).abs() < 1e-5 * exact.abs().max(0.1), "{slope} and {exact}");
}

#[test]
fn freezing_nothing_or_everything_is_refused() {
    let freeze = |freeze: &[&str], thaw: &[&str]| {
        let strings = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let freeze = Freeze { freeze: strings(freeze), thaw: strings(thaw) };
        freeze.apply(&mut fresh(&Arch::gru(3, 4, 1, 8, 2), 0))
    };
    let error = |result: Result<_, TrainError>| result.map(|_: Option<String>| ()).expect_err("refused");
    let none = error(freeze(&["stem.*"], &[]));
    assert_eq!(none.exit_code(), 2);
    assert!(none.to_string().contains("`stem.*`; there are: gru1.weight"), "{none}");
    assert!(error(freeze(&["*"], &["hat.*"])).to_string().starts_with("--thaw: no parameter"));
    assert!(error(freeze(&["*"], &[])).to_string().contains("nothing is left"));
    let line = freeze(&["*"], &["head.*"]).expect("a head");
    assert_eq!(line.as_deref(), Some("10 of 118 numbers are trained, the others frozen"));
    assert_eq!(freeze(&[], &[]).expect("nothing to do"), None);
}
