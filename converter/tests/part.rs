//! Parts of a model, shapes that are given, weights in other files and of other types: what float and int8 say is the same network.

mod build;
mod compare;

use build::{Numbers, Onnx, ints, value};
use compare::weights;
use escarp_converter::{
    Error, FloatRunner, Options, Samples,
    eval::Evaluator,
    float_runner,
    graph::Graph,
    part::{Part, parse_inputs},
    read,
};
use prost::Message;
use tract_onnx::pb::{
    self,
    tensor_proto::{DataLocation, DataType},
};

/// A backbone, two heads, and behind them what nobody converts.
fn detector() -> Onnx {
    let onnx = Onnx::new(&[0, 3, 0, 0], &[0, 4])
        .floats("w", &[4, 3, 3, 3], weights(1, 108, 0.3))
        .floats("boxes w", &[4, 4, 1, 1], weights(2, 16, 0.5))
        .floats("scores w", &[2, 4, 1, 1], weights(3, 8, 0.5))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Relu", &["c"], "feature/map", vec![])
        .node("Conv", &["feature/map", "boxes w"], "boxes", vec![])
        .node("Conv", &["feature/map", "scores w"], "scores", vec![]);
    onnx.node("NonMaxSuppression", &["boxes", "scores"], "kept", vec![]).node("Hardmax", &["kept"], "y", vec![])
}

fn options(outputs: &[&str], inputs: &str) -> Options {
    let inputs = if inputs.is_empty() { vec![] } else { parse_inputs(inputs).unwrap() };
    let outputs = outputs.iter().map(|name| name.to_string()).collect();
    Options { part: Part { outputs, inputs }, ..Options::default() }
}

/// All outputs of ours are tract's.
fn same(bytes: &[u8], options: &Options) -> Graph {
    let graph = read(bytes, options).unwrap();
    let float: FloatRunner = float_runner(bytes, &graph).unwrap();
    let samples = Numbers::new(7).samples(3, graph.sample_len());
    let mut evaluator = Evaluator::new(&graph);
    for i in 0..3 {
        let sample = samples.get(i).unwrap();
        evaluator.run(&sample, |_, _| {});
        for (output, theirs) in graph.outputs.iter().zip(float.run_all(&sample).unwrap()) {
            let ours = evaluator.value(output.tensor);
            assert_eq!(ours.len(), theirs.len());
            let near = ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 1e-4 * (1.0 + b.abs()));
            assert!(near, "{}: {ours:?}, {theirs:?}\n{graph}", output.name);
        }
    }
    graph
}

fn refuse(onnx: &[u8], options: &Options) -> String {
    read(onnx, options).expect_err("this must be refused").to_string()
}

#[test]
fn a_graph_is_cut_before_its_post_processing() {
    let bytes = detector().bytes();
    let graph = same(&bytes, &options(&["scores", "boxes"], "x=1x3x6x8"));
    assert_eq!(graph.outputs.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["scores", "boxes"]);
    assert_eq!(graph.inputs[0].view.lengths(), [1, 3, 6, 8]);
    let graph = same(&bytes, &options(&["boxes"], "x=1x3x4x4"));
    assert_eq!(graph.nodes.len(), 2, "the other head is gone: {graph}");
    let message = refuse(&bytes, &options(&["boxs"], "x=1x3x4x4"));
    assert_eq!(message, "model: output `boxs` is made by no node; similar: `boxes`");
    let message = refuse(&bytes, &options(&["boxes", "boxes"], "x=1x3x4x4"));
    assert!(message.contains("supported: each output once"), "{message}");
    assert!(refuse(&bytes, &options(&["x"], "x=1x3x4x4")).contains("no node is left"));
}

#[test]
fn shapes_are_given() {
    let bytes = detector().bytes();
    let message = refuse(&bytes, &options(&["boxes"], ""));
    assert!(message.contains("give --inputs x=1x3xLENGTHxLENGTH"), "{message}");
    let message = refuse(&bytes, &options(&["boxes"], "x=1x3x8"));
    assert_eq!(message, "model: input `x` has 4 dimensions in the file; 3 are given: [1, 3, 8]");
    let message = refuse(&bytes, &options(&["boxes"], "image=1x3x8x8"));
    assert!(message.starts_with("model: input `image` is no tensor of the graph"), "{message}");
    assert_eq!(refuse(&bytes, &options(&["boxes"], "w=4x3x3x3")), "model: input `w` is a constant of the file");
    // A fixed batch.
    let batch =
        Onnx::new(&[8, 5], &[8, 2]).floats("w", &[5, 2], weights(4, 10, 1.0)).node("MatMul", &["x", "w"], "y", vec![]);
    let batch = batch.bytes();
    let message = refuse(&batch, &Options::default());
    let says = "the batch is fixed at 8; supported: 1 or symbolic; export with one of these, or give --inputs x=1x5";
    assert_eq!(message, format!("model: input `x` [8, 5]: {says}"));
    same(&batch, &options(&[], "x=1x5"));
}

#[test]
fn a_network_begins_inside_the_graph() {
    let bytes = detector().bytes();
    let graph = same(&bytes, &options(&["boxes", "scores"], "feature/map=1x4x5x5"));
    assert_eq!((graph.inputs.len(), graph.nodes.len()), (1, 2));
    let message = refuse(&bytes, &options(&["boxes"], "feature/map"));
    assert_eq!(message, "model: input `feature/map` has no shape in the file; give it: feature/map=1x...");
    let mut model = pb::ModelProto::decode(&bytes[..]).unwrap();
    model.graph.as_mut().unwrap().value_info.push(value("feature/map", &[1, 4, 3, 7]));
    let graph = same(&model.encode_to_vec(), &options(&["boxes"], "feature/map"));
    assert_eq!(graph.inputs[0].view.lengths(), [1, 4, 3, 7]);
}

/// As files of opset 8 and older must have it.
#[test]
fn weights_that_are_listed_as_inputs_are_weights() {
    let bytes = classifier();
    let mut model = pb::ModelProto::decode(&bytes[..]).unwrap();
    let graph = model.graph.as_mut().unwrap();
    graph.input.insert(0, value("w", &[6, 3]));
    model.opset_import[0].version = 7;
    let graph = same(&model.encode_to_vec(), &Options::default());
    assert_eq!(graph.inputs.len(), 1);
}

fn classifier() -> Vec<u8> {
    let onnx =
        Onnx::new(&[0, 6], &[0, 3]).floats("w", &[6, 3], weights(5, 18, 0.5)).floats("b", &[3], weights(6, 3, 0.5));
    onnx.node("Gemm", &["x", "w", "b"], "y", vec![]).bytes()
}

/// The same model with its weights as another type's bits, and the type of its input.
fn retyped(kind: DataType, bits: impl Fn(f32) -> Vec<u8>) -> Vec<u8> {
    let mut model = pb::ModelProto::decode(&classifier()[..]).unwrap();
    let graph = model.graph.as_mut().unwrap();
    for t in &mut graph.initializer {
        t.raw_data = t.float_data.drain(..).flat_map(&bits).collect();
        t.data_type = kind as i32;
    }
    model.encode_to_vec()
}

#[test]
fn halves_and_doubles_are_floats() {
    let brain = retyped(DataType::Bfloat16, |v| v.to_bits().to_le_bytes()[2..].to_vec());
    // Normal numbers, truncated.
    let half = retyped(DataType::Float16, |v| {
        let bits = v.to_bits();
        let small = ((bits >> 13 & 0x3ff) | ((bits >> 23 & 0xff).saturating_sub(112) << 10)) as u16;
        (small | (bits >> 16) as u16 & 0x8000).to_le_bytes().to_vec()
    });
    let double = retyped(DataType::Double, |v| f64::from(v).to_le_bytes().to_vec());
    for bytes in [&brain, &half, &double] {
        same(bytes, &Options::default());
    }
    let sums = [classifier(), half].map(|bytes| {
        let graph = read(&bytes, &Options::default()).unwrap();
        graph.nodes[0].op.weights()[0].1.iter().map(|w| w.abs()).sum::<f32>()
    });
    assert!((sums[0] - sums[1]).abs() < 2e-3 * sums[0], "{sums:?}");
}

#[test]
fn other_types_than_floats_are_no_inputs() {
    let mut model = pb::ModelProto::decode(&classifier()[..]).unwrap();
    let kind = model.graph.as_mut().unwrap().input[0].r#type.as_mut().unwrap();
    if let Some(pb::type_proto::Value::TensorType(tensor)) = &mut kind.value {
        tensor.elem_type = DataType::Int32 as i32;
    }
    let message = refuse(&model.encode_to_vec(), &Options::default());
    assert_eq!(message, "model: input `x` is of type int32; supported: float, int8, uint8");
}

/// The classifier with `w` in another file.
fn outside(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut model = pb::ModelProto::decode(&classifier()[..]).unwrap();
    let t = &mut model.graph.as_mut().unwrap().initializer[0];
    t.float_data.clear();
    t.data_location = Some(DataLocation::External as i32);
    let entry = |&(key, value): &(&str, &str)| pb::StringStringEntryProto { key: key.into(), value: value.into() };
    t.external_data = entries.iter().map(entry).collect();
    model.encode_to_vec()
}

#[test]
fn weights_lie_in_files_beside_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { folder: Some(folder.path().into()), ..Options::default() };
    let inside = read(&classifier(), &Options::default()).unwrap();
    let data: Vec<u8> = weights(5, 18, 0.5).iter().flat_map(|w| w.to_le_bytes()).collect();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/w.bin"), [vec![7; 16], data].concat()).unwrap();
    std::fs::write(folder.path().join("other"), [1; 72]).unwrap();
    let place = ("location", "data/w.bin");
    let bytes = outside(&[place, ("offset", "16"), ("length", "72")]);
    let graph = same(&bytes, &options);
    assert_eq!(graph.nodes[0].op.weights(), inside.nodes[0].op.weights());
    same(&outside(&[place, ("offset", "16"), ("checksum", "is not looked at")]), &options);
    assert!(refuse(&bytes, &Options::default()).contains("`w` lies in another file"));
    let absolute = folder.path().join("other").to_string_lossy().into_owned();
    for (entries, says) in [
        (&[("offset", "16")][..], "it names no location"),
        (&[place, ("offset", "-1")], "offset = `-1`; needed: a number"),
        (&[place, ("offset", "17")], "`data/w.bin` has 88 bytes; needed: 72 from 17 on"),
        (&[place, ("offset", "18446744073709551615")], "needed: 72 from 18446744073709551615 on"),
        (&[place, ("length", "71")], "length = 71; its dimensions [6, 3] need 72 bytes"),
        (&[("location", "absent")], "`absent`: "),
        (&[("location", "data")], "`data` is no file"),
        (&[("location", "../x")], "allowed: files in the model's folder, without `..`"),
        (&[("location", "data/../other")], "allowed: files in the model's folder, without `..`"),
        (&[("location", "")], "allowed: files in the model's folder, without `..`"),
        (&[("location", &absolute)], "allowed: files in the model's folder, without `..`"),
    ] {
        let message = refuse(&outside(entries), &options);
        assert!(message.starts_with("ONNX: external data of tensor `w`: ") && message.contains(says), "{message}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("w"), [1; 72]).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("w"), folder.path().join("link")).unwrap();
    assert!(refuse(&outside(&[("location", "link")]), &options).contains("is a link out of the model's folder"));
    // Lengths that no memory holds are refused before any is taken.
    let mut model = pb::ModelProto::decode(&outside(&[place])[..]).unwrap();
    model.graph.as_mut().unwrap().initializer[0].dims = vec![1 << 40, 1 << 40];
    let error = read(&model.encode_to_vec(), &options).unwrap_err();
    assert!(matches!(&error, Error::Onnx(e) if e.contains("is not supported")), "{error}");
}

/// Inputs of any form, for tests of operators.
#[test]
fn batches_are_dimensions_where_that_is_asked_for() {
    let any = Options { any_batch: true, ..Options::default() };
    for shape in [&[3, 4, 5][..], &[2, 3, 4, 5], &[7], &[2, 3, 2, 3, 2], &[5, 4], &[1, 4]] {
        let bytes = Onnx::new(shape, shape).node("Sigmoid", &["x"], "y", vec![]).bytes();
        let graph = same(&bytes, &any);
        let lengths: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
        assert_eq!(graph.inputs[0].view.lengths(), lengths);
    }
    let bytes = Onnx::new(&[1, 4], &[2]).node("Shape", &["x"], "y", vec![]).bytes();
    assert!(refuse(&bytes, &Options::default()).contains("output `y` is a constant"));
    let graph = read(&bytes, &any).unwrap();
    assert!(graph.outputs.is_empty() && graph.constants[0].0 == "y");
}
