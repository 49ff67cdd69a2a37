//! Real models on real data: the same output bytes on the host and as every board's CPU, on 200 images and 50 clips.

use std::path::{Path, PathBuf};

use escarp_media::{Folder, Kind, Npy};
use escarp_tests::{boards, outputs, program, run, shared, succeed};

/// `count` samples spread evenly over a tar, as files.
fn unpack(tar: &Path, kind: Kind, count: usize, folder: &Path) -> Vec<String> {
    let samples = Folder::open(tar, kind).unwrap();
    let every = samples.len() / count;
    let write = |i: usize| {
        let sample = samples.read(i * every).unwrap();
        let path = folder.join(sample.name.replace('/', "_"));
        std::fs::write(&path, &sample.bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    (0..count).map(write).collect()
}

/// Converts, then runs everywhere; returns the host's outputs.
fn same_everywhere(model: &Path, files: &[String]) -> Vec<Vec<i64>> {
    let isa = escarp_detect::detect().isa().name();
    let mut arguments: Vec<String> = vec!["run".into(), "--json".into(), model.to_str().unwrap().into()];
    arguments.extend(files.iter().cloned());
    let host = outputs(&run(&program("escarp-run"), &arguments), std::env::consts::ARCH, isa);
    for board in boards().unwrap_or_default() {
        assert_eq!(outputs(&board.run(&arguments), "aarch64", "neon"), host, "{}", board.cpu);
    }
    host
}

fn convert(onnx: &Path, samples: &Path, more: &[&str], folder: &Path) -> PathBuf {
    let model = folder.join("model.escarp");
    let [onnx, samples, out] = [onnx, samples, &model].map(|p| p.to_str().unwrap());
    let mut arguments = vec![onnx, "--samples", samples, "-o", out];
    arguments.extend(more);
    succeed(&program("escarp-convert"), arguments);
    model
}

#[test]
fn resnet8_on_200_images() {
    let (Some(onnx), Some(test)) = (shared("models/mlperf-tiny/resnet8-cifar10.onnx"), shared("data/cifar10/test.tar"))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let model = convert(&onnx, &test, &["--pixels", "0..255"], folder.path());
    let files = unpack(&test, Kind::Image, 200, folder.path());
    assert_eq!(same_everywhere(&model, &files).len(), 200);
}

/// PCM in, so that the log-mel front end, which runs on floats, is compared too.
#[test]
fn gru_on_50_clips() {
    let Some(clips) = shared("data/fsdd/fsdd.tar") else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let [clips_path, run_path] = [&clips, &run].map(|p| p.to_str().unwrap());
    let train = ["sound", "--data", clips_path, "--epochs", "1", "--hidden", "64", "--out", run_path];
    succeed(&program("escarp-train"), train);
    let model = convert(&run.join("model.onnx"), &clips, &[], folder.path());
    let files = unpack(&clips, Kind::Sound, 50, folder.path());
    // One window each, but for the few clips that are longer than what the net takes.
    let windows = same_everywhere(&model, &files).len();
    assert!((50..100).contains(&windows), "{windows}");
}

/// A foreign GRU on features in one array.
#[test]
fn gru_h64_on_features() {
    let (Some(onnx), Some(features), Some(labels)) = (
        shared("models/rnn/gru-h64.onnx"),
        shared("models/rnn/fsdd-test250.features.npy"),
        shared("models/rnn/fsdd-test250.labels.npy"),
    ) else {
        return;
    };
    let Some(samples) = shared("models/rnn/fsdd-calib100.features.npy") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = convert(&onnx, &samples, &[], folder.path());
    let outputs = same_everywhere(&model, &[features.to_str().unwrap().into()]);
    let labels = Npy::decode(&std::fs::read(labels).unwrap()).unwrap().to_f32();
    let best = |output: &Vec<i64>| (0..output.len()).rev().max_by_key(|&i| output[i]).unwrap() as f32;
    let right = outputs.iter().zip(&labels).filter(|(output, label)| best(output) == **label).count();
    assert!(right >= 245, "{right} of 250 right; float has 249");
}

/// Networks that people use: depthwise convolutions, joins, resizing, several outputs, arithmetic of maps.
#[test]
fn foreign_networks() {
    let nets = [
        ("mlperf-tiny/kws-dscnn.onnx", "mlperf-tiny/kws-dscnn.in.npy", &[][..]),
        ("mlperf-tiny/vww-mobilenetv1.onnx", "mlperf-tiny/vww-mobilenetv1.in.npy", &[]),
        ("torchvision/mobilenet_v2.onnx", "torchvision/inputs-224.npy", &[]),
        ("real/yunet_n_320.onnx", "real/faces", &["--pixels", "bgr:0..255"]),
        (
            "real/rfb320.onnx",
            "real/faces",
            &["--pixels", "mean=0.498039,0.498039,0.498039,std=0.501961,0.501961,0.501961"],
        ),
        ("real/fastestdet.onnx", "real/photos", &["--pixels", "bgr:0..1"]),
        // Activations of 16 bits, weights of two terms, an input of 16 bits.
        ("mlperf-tiny/kws-dscnn.onnx", "mlperf-tiny/kws-dscnn.in.npy", &["--snr", "45"]),
    ];
    for (net, samples, more) in nets {
        let Some((net, samples)) = shared(&format!("models/{net}")).zip(shared(&format!("models/{samples}"))) else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let model = convert(&net, &samples, more, folder.path());
        let files = match samples.is_dir() {
            false => vec![samples.to_str().unwrap().into()],
            // Two pictures: under QEMU each takes a second.
            true => {
                let all = std::fs::read_dir(&samples).unwrap().map(|entry| entry.unwrap().path());
                let mut all: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|e| e == "jpg")).collect();
                all.sort();
                all.iter().take(2).map(|path| path.to_str().unwrap().into()).collect()
            }
        };
        assert!(!same_everywhere(&model, &files).is_empty(), "{}", net.display());
    }
}
