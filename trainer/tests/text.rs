//! Texts from files to a model that needs nothing but its own file.

mod program;

use std::{io::Cursor, path::Path};

use escarp_converter::metadata::{FrontEnd, KEY, Metadata, Scores};
use escarp_trainer::{
    data::generate::{Counts, reviews},
    nets::{Arch, Net, Shape, presets::Preset},
    run::transfer,
};
use ndarray::{Array2, ArrayD};
use program::{run, says};
use prost::Message;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tract_onnx::{pb::ModelProto, prelude::*};

const TOKENS: usize = 16;

/// What the model's file says of itself.
fn metadata(onnx: &[u8]) -> Metadata {
    let model = ModelProto::decode(onnx).unwrap();
    let entry = model.metadata_props.iter().find(|p| p.key == KEY).unwrap();
    serde_json::from_str(&entry.value).unwrap()
}

/// What tract makes of rows of tokens: the name of the output and its numbers.
fn answers(onnx: &[u8], tokens: &Array2<i64>) -> (String, Vec<f32>) {
    let model = tract_onnx::onnx().model_for_read(&mut Cursor::new(onnx)).unwrap();
    let model = model.with_input_fact(0, i64::fact(tokens.shape()).into()).unwrap();
    let name = ModelProto::decode(onnx).unwrap().graph.unwrap().output[0].name.clone();
    let model = model.into_optimized().unwrap().into_runnable().unwrap();
    let input = Tensor::from_shape(tokens.shape(), tokens.as_slice().unwrap()).unwrap();
    let output = model.run(tvec!(input.into())).unwrap();
    (name, output[0].to_plain_array_view::<f32>().unwrap().iter().copied().collect())
}

/// What the trainer's own net makes of them, with the numbers of the run's best epoch.
fn own(run: &Path, vocabulary: usize, classes: usize, tokens: &Array2<i64>) -> Array2<f32> {
    let mut net = Preset::find("sentiment-gru").unwrap().net();
    net.set_hidden(8);
    let arch = Arch { input: Shape::Tokens([TOKENS, vocabulary]), classes, layers: net.layers };
    let mut net = Net::new(&arch, &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
    transfer::take(&run.join("best.ckpt"), &mut net).unwrap();
    let x = ArrayD::from_shape_vec(vec![tokens.nrows(), TOKENS], tokens.iter().map(|&t| t as f32).collect());
    net.predict(&x.unwrap()).unwrap()
}

const SMALL: [&str; 11] =
    ["text", "--net", "sentiment-gru", "--hidden", "8", "--tokens", "16", "--words", "60", "--epochs", "1"];

fn text(more: &[&str], folder: &Path, code: i32) -> String {
    run(&[&SMALL[..], more].concat(), folder, code)
}

#[test]
fn the_model_file_says_all_that_its_user_needs() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    run(&["generate", "text", "--out", ".", "--train", "30", "--test", "10"], here, 0);
    let said = text(&["--data", "train", "--test", "test", "--out", "run"], here, 0);
    says(&said, &["60 files of 2 classes", "54 training, 6 validation, 20 test samples", "a vocabulary of 60"]);
    says(&said, &["escarp-convert cannot pack this net yet", "`tokens` is of type int64", "model.onnx runs elsewhere"]);
    let onnx = std::fs::read(here.join("run/model.onnx")).unwrap();
    let metadata = metadata(&onnx);
    assert_eq!((metadata.labels, metadata.scores), (vec!["bad".into(), "good".into()], Scores::Binary));
    let FrontEnd::Text { tokens: 16, vocabulary } = metadata.front_end else { panic!("{:?}", metadata.front_end) };
    assert_eq!((vocabulary.len(), &vocabulary[..3]), (60, &["<padding>", "<unknown>", "the"].map(String::from)[..]));
    let lines = std::fs::read_to_string(here.join("run/vocabulary.txt")).unwrap();
    assert_eq!(lines.lines().collect::<Vec<_>>(), vocabulary);

    let rows = Array2::from_shape_fn((5, TOKENS), |(row, at)| if at < row { 0 } else { ((7 * row + at) % 60) as i64 });
    let (name, probabilities) = answers(&onnx, &rows);
    assert_eq!((name.as_str(), probabilities.len()), ("probability", 5));
    for (p, z) in probabilities.iter().zip(own(&here.join("run"), 60, 1, &rows)) {
        assert!((p - 1.0 / (1.0 + (-z).exp())).abs() < 1e-5, "{p} for {z}");
    }

    // The net of a run begins another.
    let again = ["--data", "train", "--init-from", "run/model.onnx", "--out", "again", "--repair"];
    says(&text(&again, here, 0), &["tensors taken"]);
    says(&std::fs::read_to_string(here.join("run/report.html")).unwrap(), &["embedding", "gru1"]);
}

#[test]
fn three_classes_are_told_apart_by_one_output_each() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    reviews::write(here, 0, Counts { train: 10, test: 0 }).unwrap();
    std::fs::create_dir(here.join("train/none")).unwrap();
    for i in 0..10 {
        std::fs::write(here.join(format!("train/none/{i}.txt")), "The film runs for two hours.").unwrap();
    }
    text(&["--data", "train", "--out", "run", "--label-smoothing", "0.1"], here, 0);
    let onnx = std::fs::read(here.join("run/model.onnx")).unwrap();
    let metadata = metadata(&onnx);
    assert_eq!((metadata.labels.join(" "), metadata.scores), ("bad good none".into(), Scores::Softmax));
    let FrontEnd::Text { vocabulary, .. } = metadata.front_end else { panic!("a text's") };
    let rows = Array2::from_shape_fn((2, TOKENS), |(row, at)| (row + at) as i64);
    let (name, logits) = answers(&onnx, &rows);
    assert_eq!(name, "logits");
    for (a, b) in logits.iter().zip(own(&here.join("run"), vocabulary.len(), 3, &rows)) {
        assert!((a - b).abs() < 1e-4, "{a} for {b}");
    }
}

#[test]
fn what_is_wrong_is_said_before_there_is_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    reviews::write(here, 0, Counts { train: 4, test: 2 }).unwrap();
    let refused = |more: &[&str], code: i32, wanted: &[&str]| {
        says(&text(&[&["--data", "train"], more].concat(), here, code), wanted);
        assert!(!here.join("runs").exists(), "{more:?} leaves a run folder");
    };
    refused(&["--label-smoothing", "0.1"], 2, &["--label-smoothing", "yes or no"]);
    refused(&["--mixup", "0.2"], 2, &["--mixup", "numbers of words"]);
    refused(&["--init-from", "x", "--qat"], 2, &["--qat", "texts"]);
    refused(&["--test", "nowhere"], 1, &["nowhere"]);
    let other = |net: &[&str], wanted: &[&str]| {
        says(&run(&[&["text", "--data", "train"], net].concat(), here, 2), wanted);
        assert!(!here.join("runs").exists());
    };
    other(&["--net", "resnet8"], &["--net", "takes maps", "texts, which are tokens"]);
    other(&["--net", "gru-tagger"], &["--net", "takes 64 frames of 32 numbers"]);
    other(&["--words", "2"], &["--words", "3 to 1000000"]);
    other(&["--tokens", "0"], &["--tokens", "1 to 65535"]);
    says(&run(&["image", "--data", "train", "--net", "sentiment-gru"], here, 2), &["--net", "200 tokens"]);
    says(&run(&["motion", "--net", "sentiment-gru"], here, 2), &["--net", "200 tokens"]);

    let file = |name: &str, bytes: &[u8]| {
        let path = here.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    file("test/good/0000.txt", b"caf\xe9");
    refused(&["--test", "test"], 1, &["test/good/0000.txt", "byte 3: not UTF-8"]);
    file("train/bad/0000.txt", b"\n");
    refused(&[], 1, &["train/bad/0000.txt", "no word in it"]);
    file("strange/odd/0.txt", b"odd");
    refused(&["--test", "strange"], 1, &["strange", "'odd' is not one of"]);
    file("one/only/0.txt", b"fine");
    refused(&["--exclude", "bad/*"], 1, &["`bad` has 0 training samples"]);
    says(&run(&["text", "--data", "one"], here, 1), &["two or more classes", "only `only`"]);
    says(&run(&["text", "--data", "one/only"], here, 1), &["no labels"]);
}
