//! Exported nets say the same in tract, and in onnxruntime (golden outputs, made by `golden/onnxruntime_outputs.py`),
//! as the trainer itself.

mod common;

use std::{
    io::Cursor,
    path::{Path, PathBuf},
};

use escarp_converter::metadata::{KEY, Metadata};
use escarp_trainer::{
    layers::onnx::ExportError,
    nets::{Arch, Net, Shape, export::export, loss::Targets},
};
use ndarray::{Array2, ArrayD};
use prost::Message;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tract_onnx::prelude::*;

const TOLERANCE: f32 = 1e-4;
const SAMPLES: usize = 3;

fn architectures() -> Vec<(&'static str, Arch)> {
    let resnet = |blocks, width, input| Arch::resnet(blocks, width, input, 10);
    let gru = |layers, hidden| Arch::gru(6, hidden, layers, 12, 5);
    // The second of two layers hands on its last state, the first every one.
    let recurrent = |layer: &str| {
        let layers = format!(r#"[{{{layer}, "hidden": 7, "layers": 2}}, {{"kind": "dense"}}]"#);
        let layers = serde_json::from_str(&layers).expect("layers as users write them");
        Arch { input: Shape::Sequence([12, 6]), classes: 5, layers }
    };
    let mut all = vec![
        ("resnet8", resnet(1, 16, [32, 32, 3])),
        ("resnet14-odd", resnet(2, 4, [15, 18, 1])),
        ("gru", gru(1, 24)),
        ("gru-stacked", gru(3, 10)),
        ("gru-both", recurrent(r#""kind": "gru", "bidirectional": true"#)),
        ("gru-before", recurrent(r#""kind": "gru", "reset": "before""#)),
        ("gru-before-both", recurrent(r#""kind": "gru", "reset": "before", "bidirectional": true"#)),
        ("lstm", recurrent(r#""kind": "lstm""#)),
        ("lstm-both", recurrent(r#""kind": "lstm", "bidirectional": true"#)),
        ("rnn", recurrent(r#""kind": "rnn""#)),
        ("rnn-both", recurrent(r#""kind": "rnn", "bidirectional": true"#)),
    ];
    all.extend(common::nets());
    all
}

/// A net that two training steps took away from its symmetric start, and an input for it.
fn trained(arch: &Arch) -> (Net, ArrayD<f32>) {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut net = Net::new(arch, &mut rng).expect("a sound architecture");
    let x = common::samples(arch, SAMPLES, &mut rng);
    for _ in 0..2 {
        net.gradients(&x, Targets::Classes(&[0, 1, 2]), 0.0).expect("shapes fit");
        for p in net.parameters() {
            p.value.iter_mut().zip(p.gradient).for_each(|(w, g)| *w -= 0.1 * *g);
        }
    }
    (net, x)
}

/// Images as ONNX has them: channels before pixels.
fn onnx_input(x: &ArrayD<f32>) -> ArrayD<f32> {
    let x = if x.ndim() == 4 { x.view().permuted_axes(vec![0, 3, 1, 2]) } else { x.view() };
    x.as_standard_layout().into_owned()
}

fn assert_close(name: &str, got: &[f32], expected: &Array2<f32>) {
    assert_eq!(got.len(), expected.len(), "{name}");
    let error = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(error < TOLERANCE, "{name}: {error:e} away");
    eprintln!("{name}: within {error:e}");
}

#[test]
fn tract_agrees() {
    for (name, arch) in architectures() {
        let (mut net, x) = trained(&arch);
        let bytes = export(&net, &Metadata::default()).expect("a sound net");
        let input = onnx_input(&x);
        let model = tract_onnx::onnx().model_for_read(&mut Cursor::new(bytes)).expect("tract reads it");
        let values = input.as_slice().expect("row-major");
        let (fact, tensor) = match arch.input {
            Shape::Tokens(_) => {
                let tokens: Vec<i64> = values.iter().map(|&v| v as i64).collect();
                (i64::fact(input.shape()), Tensor::from_shape(input.shape(), &tokens))
            }
            _ => (f32::fact(input.shape()), Tensor::from_shape(input.shape(), values)),
        };
        let model = model.with_input_fact(0, fact.into()).expect("one input");
        let model = model.into_optimized().expect("tract knows its operators").into_runnable().expect("a plan");
        let output = model.run(tvec!(tensor.expect("a tensor").into())).expect("it runs");
        let logits = output[0].to_plain_array_view::<f32>().expect("floats");
        assert_eq!(logits.shape(), [SAMPLES, arch.classes]);
        assert_close(name, logits.as_slice().expect("row-major"), &net.predict(&x).expect("shapes fit"));
    }
}

/// Where the models that onnxruntime has run lie.
fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Little-endian floats.
fn floats(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[test]
fn onnxruntime_agrees() {
    for (name, arch) in architectures() {
        let (mut net, x) = trained(&arch);
        assert_close(name, &floats(&golden().join(format!("{name}.out.f32"))), &net.predict(&x).expect("shapes fit"));
    }
}

/// Writes what the script reads: run with `ESCARP_GOLDEN=DIR` and `-- --ignored`, then the script on that folder.
#[test]
#[ignore = "writes the inputs of golden/onnxruntime_outputs.py"]
fn write_golden_inputs() {
    let folder = PathBuf::from(std::env::var("ESCARP_GOLDEN").expect("ESCARP_GOLDEN names a folder"));
    for (name, arch) in architectures() {
        let (net, x) = trained(&arch);
        let write = |end: &str, bytes: Vec<u8>| {
            std::fs::write(folder.join(format!("{name}.{end}")), bytes).expect("a folder to write to");
        };
        write("onnx", export(&net, &Metadata::default()).expect("a sound net"));
        write("in.f32", onnx_input(&x).iter().flat_map(|v| v.to_le_bytes()).collect());
    }
}

#[test]
fn metadata_comes_back_and_names_are_readable() {
    let (net, _) = trained(&architectures()[0].1);
    let metadata = Metadata { labels: (0..10).map(|i| format!("class {i}")).collect(), ..Default::default() };
    let bytes = export(&net, &metadata).expect("a sound net");
    let model = tract_onnx::pb::ModelProto::decode(&bytes[..]).expect("protobuf");
    assert_eq!(model.metadata_props.len(), 1);
    assert_eq!(model.metadata_props[0].key, KEY);
    assert_eq!(serde_json::from_str::<Metadata>(&model.metadata_props[0].value).expect("JSON"), metadata);
    let graph = model.graph.expect("a graph");
    assert!(graph.node.iter().any(|n| n.name == "stage2.block1.shortcut.conv" && n.op_type == "Conv"));
    assert!(graph.node.iter().all(|n| n.op_type != "BatchNormalization"));
}

#[test]
fn refuses_wrong_labels_and_diverged_nets() {
    let (mut net, _) = trained(&architectures()[2].1);
    let two = Metadata { labels: vec!["a".into(), "b".into()], ..Default::default() };
    assert!(matches!(export(&net, &two), Err(ExportError::Labels { labels: 2, classes: 5 })));
    net.parameters()[1].value[3] = f32::NAN;
    let refused = export(&net, &Metadata::default()).expect_err("a NaN must not be exported");
    assert!(refused.to_string().contains("gru1.R"), "{refused}");
}
