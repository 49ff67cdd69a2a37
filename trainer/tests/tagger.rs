//! Nets that answer every frame, from recordings with a class in every row to a model.

mod program;

use std::{io::Cursor, path::Path};

use escarp_converter::metadata::{FrontEnd, KEY, Metadata};
use escarp_media::{Folder, Kind};
use escarp_trainer::{
    data::{
        Samples,
        answers::Answers,
        batch, columns,
        generate::{Counts, recordings},
        lengths,
        tagged::Tagged,
    },
    fit::evaluate::evaluate,
    nets::{Arch, Batch, Net, Shape, presets::Preset},
    run::transfer,
};
use ndarray::{ArrayD, Axis, Slice};
use program::{run, says};
use prost::Message;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tract_onnx::{pb::ModelProto, prelude::*};

const FRAMES: usize = 40;

fn net(preset: &str, classes: usize) -> Net {
    let mut net = Preset::find(preset).unwrap().net();
    net.set_hidden(6);
    let arch = Arch { input: Shape::Sequence([FRAMES, 3]), classes, layers: net.layers };
    Net::new(&arch, &mut ChaCha8Rng::seed_from_u64(3)).unwrap()
}

fn tagged(folder: &Path, test: bool) -> Tagged {
    recordings::write(folder, 0, Counts { train: 6, test: 3 }).unwrap();
    let part = folder.join(if test { "test" } else { "train" });
    let listing = Folder::open(part, Kind::Table).unwrap();
    let read = columns::read(&listing, "label", &[]).unwrap();
    Tagged::cut(&listing, "label", &read.tables, FRAMES, None).unwrap().0
}

fn bits(net: &mut Net) -> Vec<u32> {
    net.parameters().iter().flat_map(|p| p.gradient.iter().map(|g| g.to_bits())).collect()
}

/// Whatever lies behind a sequence's end, loss, gradients and evaluation are the same, to the bit.
#[test]
fn what_lies_behind_the_end_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let samples = tagged(folder.path(), false);
    let all: Vec<u32> = (0..samples.count() as u32).collect();
    let (x, classes) = batch(&samples, &all, None);
    let lengths = lengths(&samples, &all).unwrap();
    assert!(lengths.iter().any(|&n| n < FRAMES) && lengths.contains(&FRAMES), "some end early: {lengths:?}");
    let counted: usize = lengths.iter().sum();
    let mut strange = x.clone();
    for (mut sample, &length) in strange.outer_iter_mut().zip(&lengths) {
        sample.slice_axis_mut(Axis(0), Slice::from(length..)).fill(f32::NAN);
    }
    for preset in ["gru-tagger", "lstm-tagger", "rnn-tagger"] {
        let mut both = [&x, &strange].map(|x: &ArrayD<f32>| {
            let mut net = net(preset, recordings::LABELS.len());
            let answers = Answers::new(classes.clone(), recordings::LABELS.len());
            let stats = net.gradients(Batch { x, lengths: Some(&lengths) }, answers.targets(), 0.05).unwrap();
            assert_eq!(stats.samples, counted, "every frame counts once");
            (stats.loss.to_bits(), stats.correct, bits(&mut net))
        });
        assert!(both[0].2.iter().any(|&g| f32::from_bits(g) != 0.0), "{preset}");
        let second = std::mem::take(&mut both[1].2);
        assert_eq!((both[0].0, both[0].1, &both[0].2), (both[1].0, both[1].1, &second), "{preset}");
    }
    let mut net = net("gru-tagger", recordings::LABELS.len());
    let evaluation = evaluate(&mut net, &samples, &all).unwrap();
    assert_eq!((evaluation.total, evaluation.unit.to_string()), (counted, "frames".into()));
    assert_eq!(evaluation.witnesses, 6, "recordings");
}

#[test]
fn the_model_answers_every_frame_as_the_trainer_does() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    run(&["generate", "tagged-motion", "--out", ".", "--train", "8", "--test", "3"], here, 0);
    let small = ["motion", "--data", "train", "--test", "test", "--frames", "40", "--hidden", "6", "--epochs", "1"];
    for preset in ["gru-tagger", "lstm-tagger", "rnn-tagger"] {
        let said = run(&[&small[..], &["--net", preset, "--out", preset, "--batch", "8"]].concat(), here, 0);
        let reason = if preset == "gru-tagger" { "not one for each step" } else { "is not supported" };
        says(&said, &["escarp-convert cannot pack this net yet", reason]);
        says(&said, &["reading 8 recordings", "% of frames", " frames  ", "accuracy and loss are of frames"]);
        let onnx = std::fs::read(here.join(preset).join("model.onnx")).unwrap();
        let model = ModelProto::decode(onnx.as_slice()).unwrap();
        let entry = model.metadata_props.iter().find(|p| p.key == KEY).unwrap();
        let metadata: Metadata = serde_json::from_str(&entry.value).unwrap();
        assert_eq!(metadata.labels, recordings::LABELS);
        assert!(metadata.provenance["test accuracy"].ends_with(" frames)"), "{:?}", metadata.provenance);
        let FrontEnd::Sensor { frames: 40, mean, std, .. } = metadata.front_end else { panic!("a sensor's") };

        let samples = tagged(&here.join(format!("{preset}-again")), true);
        let first: ArrayD<f32> = batch(&samples, &[0, 1], None).0;
        let x = ArrayD::from_shape_fn(first.raw_dim(), |i| (first[&i] - mean[i[2]]) / std[i[2]]);
        let mut own = net(preset, recordings::LABELS.len());
        transfer::take(&here.join(preset).join("best.ckpt"), &mut own).unwrap();
        let expected = own.predict(&x).unwrap();
        let graph = tract_onnx::onnx().model_for_read(&mut Cursor::new(onnx)).unwrap();
        let graph = graph.with_input_fact(0, f32::fact(x.shape()).into()).unwrap();
        let graph = graph.into_optimized().unwrap().into_runnable().unwrap();
        let input = Tensor::from_shape(x.shape(), x.as_slice().unwrap()).unwrap();
        let output = graph.run(tvec!(input.into())).unwrap();
        let logits = output[0].to_plain_array_view::<f32>().unwrap();
        assert_eq!(logits.shape(), [2, FRAMES, recordings::LABELS.len()]);
        for (a, b) in logits.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-4, "{preset}: {a} for {b}");
        }
    }
    let again = ["--net", "gru-tagger", "--init-from", "gru-tagger/model.onnx", "--repair", "--out", "again"];
    says(&run(&[&small[..], &again].concat(), here, 0), &["6 of 6 tensors taken"]);
    says(&run(&["doctor", "gru-tagger", "--jacobians"], here, 0), &["outputs by inputs", "gru1"]);
}

/// A fifth of a second of 8 kHz, 16 bits.
fn silence() -> Vec<u8> {
    let data = vec![0u8; 3200];
    let (riff, size) = ((36 + data.len() as u32).to_le_bytes(), (data.len() as u32).to_le_bytes());
    let format = [16u32.to_le_bytes(), [1, 0, 1, 0], 8000u32.to_le_bytes(), 16_000u32.to_le_bytes(), [2, 0, 16, 0]];
    [b"RIFF", &riff[..], b"WAVE", b"fmt ", &format.concat(), b"data", &size, &data].concat()
}

#[test]
fn what_is_wrong_is_said_before_there_is_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let file = |name: &str, text: &str| {
        let path = here.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let refused = |arguments: &str, code: i32, wanted: &[&str]| {
        let arguments: Vec<&str> = format!("motion {arguments}").leak().split(' ').collect();
        says(&run(&arguments, here, code), wanted);
        assert!(!here.join("runs").exists(), "{arguments:?} leaves a run folder");
    };
    let rows = |labels: [&str; 2]| {
        let row = |i: usize| format!("{},{},{}\n", i * 7 % 5, i % 3, labels[i / 10]);
        (0..20).map(row).fold("x,y,label\n".to_owned(), |text, row| text + &row)
    };
    file("rows/1.csv", &rows(["run", "walk"]));
    file("rows/2.csv", &rows(["walk", "run"]));
    let tagger = "--data rows --net gru-tagger --frames 8 --epochs 1";
    refused("--data rows --net gru --frames 8", 1, &["rows/1.csv", "column `label`", "--net gru-tagger"]);
    refused(&format!("{tagger} --label-column gait"), 1, &["rows/1.csv", "column 3 is 'run'"]);
    refused(&format!("{tagger} --mixup 0.2"), 2, &["--mixup", "every frame"]);
    refused(&format!("{tagger} --init-from x --qat"), 2, &["--qat", "every frame"]);
    refused("--net gru-tagger --label-column gait", 2, &["--data builtin", "--label-column"]);
    file("classes/a/1.csv", &"1,2\n2,1\n".repeat(10));
    file("classes/b/1.csv", &"1,2\n2,1\n".repeat(10));
    refused("--data classes --net lstm-tagger --frames 8", 1, &["a/1.csv", "no column `label`", "--label-column"]);
    file("test/1.csv", &rows(["walk", "jump"]));
    refused(&format!("{tagger} --test test"), 1, &["test/1.csv", "line 12", "`jump`", "run, walk"]);
    file("one/1.csv", &rows(["run", "run"]));
    refused("--data one --net rnn-tagger --frames 8", 1, &["two or more classes", "only `run`"]);
    refused(&format!("{tagger} --exclude *.csv"), 1, &["no recordings"]);
    file("rows/2.csv", "x,y,label\n1,2,run\n1,2,\n");
    refused(tagger, 1, &["rows/2.csv", "line 3", "label is empty"]);
    file("rows/2.csv", "x,label\n1,run\n");
    refused(tagger, 1, &["rows/2.csv", "1 columns", "2"]);

    // What answers every frame is for recordings alone.
    says(&run(&["text", "--data", "x", "--net", "gru-tagger"], here, 2), &["--net", "texts"]);
    says(&run(&["image", "--data", "x", "--net", "gru-tagger"], here, 2), &["--net", "images"]);
    file("mine.toml", "[[layer]]\nkind = \"gru\"\nhidden = 2\nevery_step = true\n[[layer]]\nkind = \"dense\"\n");
    let mine = |task: &str, data: &str, code: i32, wanted: &[&str]| {
        says(&run(&[task, "--data", data, "--net", "mine.toml"], here, code), wanted);
        assert!(!here.join("runs").exists(), "{task} leaves a run folder");
    };
    mine("image", "builtin", 2, &["layer `gru1` takes", "the input gives maps"]);
    mine("text", "builtin", 2, &["layer `gru1` takes", "the input gives 30 tokens"]);
    for class in ["a", "b"] {
        std::fs::create_dir_all(here.join("clips").join(class)).unwrap();
        (0..4).for_each(|i| std::fs::write(here.join(format!("clips/{class}/{i}.wav")), silence()).unwrap());
    }
    mine("sound", "clips", 2, &["--net", "sound trains nets that give one vector"]);
}
