//! Networks written as ONNX again: read back they are the same network in int8, and others run them.

mod build;

use std::fmt::Debug;

use build::{Numbers, Onnx, int, ints, text};
use escarp_converter::{Converted, Options, convert, export::export, float_runner, measure::answer, read};
use prost::Message;
use tract_onnx::pb;

fn converted(onnx: &[u8], options: &Options, seed: u64) -> (Converted, Vec<f32>) {
    let graph = read(onnx, options).unwrap();
    let samples = Numbers::new(seed).samples(40, graph.sample_len());
    (convert(onnx, &samples, options).unwrap(), samples.values)
}

/// Steps of each output between what two say, at most.
fn apart(converted: &Converted, ours: &[Vec<f32>], theirs: &[Vec<f32>]) -> f32 {
    let mut most = 0.0f32;
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert_eq!(ours.len(), theirs.len(), "output {at}");
        let step = converted.plan.graph.tensors[converted.plan.graph.outputs[at].tensor].scale.scale;
        most = ours.iter().zip(theirs).map(|(a, b)| ((a - b) / step).abs()).fold(most, f32::max);
    }
    most
}

/// A sample of one reading as another one wants it.
fn arranged_as(first: &Converted, second: &Converted, sample: &[f32]) -> Vec<f32> {
    let mut made = vec![];
    for step in sample.chunks_exact(first.graph.step_len()) {
        let mut rest = step;
        for (a, b) in first.graph.inputs.iter().zip(&second.graph.inputs) {
            let (from, to) = (a.view.order(), b.view.order());
            let (values, behind) = rest.split_at(from.len());
            let mut input = vec![0.0; to.len()];
            from.iter().zip(&to).for_each(|(&from, &to)| input[to] = values[from]);
            made.extend(input);
            rest = behind;
        }
    }
    made
}

/// Outputs in ONNX's order.
fn outputs_of(converted: &Converted, outputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let ordered = |(o, values): (&escarp_converter::graph::Output, &Vec<f32>)| {
        o.view.order().iter().map(|&place| values[place]).collect()
    };
    converted.graph.outputs.iter().zip(outputs).map(ordered).collect()
}

/// A model converts; exported it reads back as the same network, within `again` steps of each output, and runs in float, within `float`.
fn holds(what: &dyn Debug, onnx: &[u8], options: &Options, [again, float]: [f32; 2]) -> Vec<u8> {
    let (first, samples) = converted(onnx, options, 3);
    let written = export(&first.graph, &first.plan.graph).unwrap();
    let shape = |bytes: &[u8]| {
        let graph = pb::ModelProto::decode(bytes).unwrap().graph.unwrap();
        let names = |ports: &[pb::ValueInfoProto]| ports.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
        (names(&graph.input), names(&graph.output))
    };
    assert_eq!(shape(onnx), shape(&written.bytes), "{what:?}");
    let plain = Options::default();
    let (second, _) = converted(&written.bytes, &plain, 3);
    let lengths = |c: &Converted| {
        let inputs: Vec<_> = c.graph.inputs.iter().map(|i| i.view.lengths()).collect();
        (inputs, c.graph.outputs.iter().map(|o| o.view.lengths()).collect::<Vec<_>>())
    };
    assert_eq!(lengths(&first), lengths(&second), "{what:?}");
    let runner = float_runner(&written.bytes, &second.graph).unwrap();
    assert_eq!(runner.doubt(), None, "{what:?}");
    let original = float_runner(onnx, &first.graph).unwrap();
    let (len, mut most) = (first.graph.sample_len(), [0.0f32; 2]);
    for sample in samples.chunks_exact(len).take(10) {
        // Whose readings may arrange the same inputs and outputs in other orders.
        let theirs = arranged_as(&first, &second, sample);
        let ours = answer(&first.file, sample, options.cpu).unwrap();
        let again = outputs_of(&second, &answer(&second.file, &theirs, options.cpu).unwrap());
        let taken: Vec<Vec<f32>> = ours.iter().enumerate().map(|(i, o)| original.as_original(i, o)).collect();
        most[0] = most[0].max(apart(&first, &outputs_of(&first, &ours), &again));
        let run = outputs_of(&second, &runner.run_all(&theirs).unwrap());
        most[1] = most[1].max(apart(&first, &outputs_of(&first, &taken), &run));
    }
    eprintln!("{what:?}: {most:?} steps");
    // A half may round either way.
    assert!(most[0] <= again + 0.01 && most[1] <= float + 0.01, "{what:?}: {most:?} steps apart");
    written.bytes
}

fn of_opset(opset: i64, mut onnx: Onnx) -> Onnx {
    onnx.opset = opset;
    onnx
}

fn conv(onnx: Onnx, input: &str, output: &str, [o, i, k]: [i64; 3], attributes: Vec<pb::AttributeProto>) -> Onnx {
    let (w, b) = (format!("{output}_w"), format!("{output}_b"));
    let mut numbers = Numbers::new(u64::from(output.as_bytes()[0]) + 40);
    onnx.floats(&w, &[o, i, k, k], numbers.take((o * i * k * k) as usize))
        .floats(&b, &[o], numbers.take(o as usize))
        .node("Conv", &[input, &w, &b], output, attributes)
}

#[test]
fn a_classifier_with_a_residual() {
    let pads = || vec![ints("pads", &[1, 1, 1, 1])];
    let mut onnx =
        conv(Onnx::new(&[1, 3, 9, 7], &[1, 5]), "x", "a", [8, 3, 3], pads()).node("Relu", &["a"], "ar", vec![]);
    onnx = conv(onnx, "ar", "b", [8, 8, 3], pads()).node("Add", &["b", "ar"], "s", vec![]);
    onnx = onnx.node("Relu", &["s"], "sr", vec![]);
    onnx = conv(onnx, "sr", "d", [8, 1, 3], [pads(), vec![int("group", 8), ints("strides", &[2, 2])]].concat());
    onnx = onnx.floats("low", &[], vec![0.0]).floats("high", &[], vec![1.0]);
    onnx = onnx.node("Clip", &["d", "low", "high"], "dc", vec![]);
    onnx = conv(onnx, "dc", "g", [6, 4, 1], vec![int("group", 2)]);
    let onnx = onnx
        .node("GlobalAveragePool", &["g"], "p", vec![])
        .node("Flatten", &["p"], "f", vec![])
        .floats("fc", &[6, 5], Numbers::new(6).take(30))
        .node("MatMul", &["f", "fc"], "m", vec![])
        .node("Softmax", &["m"], "y", vec![]);
    let written = holds(&"classifier", &onnx.bytes(), &Options::default(), [1.0, 2.0]);
    let graph = pb::ModelProto::decode(&written[..]).unwrap().graph.unwrap();
    let weights = graph.initializer.iter().filter(|t| t.data_type == pb::tensor_proto::DataType::Int8 as i32);
    assert_eq!(weights.filter(|t| t.dims.len() == 4).count(), 5, "all weights are int8");
    assert_eq!(graph.node.last().unwrap().output, ["y"]);
}

#[test]
fn functions_of_one_tensor() {
    let plain = ["Sigmoid", "Tanh", "HardSwish", "Elu", "Selu", "Celu", "Softplus", "Softsign", "Exp", "Erf", "Abs"];
    let more = ["Neg", "Sign", "Floor", "Ceil", "Round", "LeakyRelu", "HardSigmoid", "ThresholdedRelu", "Mish", "Gelu"];
    for function in plain.into_iter().chain(more) {
        let onnx = of_opset(20, conv(Onnx::open(&[1, 2, 3, 3]), "x", "c", [2, 2, 1], vec![]));
        let onnx = onnx.node(function, &["c"], "f", vec![]);
        let onnx = conv(onnx, "f", "y", [2, 2, 1], vec![]);
        holds(&function, &onnx.bytes(), &Options::default(), [1.0, 2.0]);
    }
    // Not everywhere defined: the samples ask where they are.
    for function in ["Sqrt", "Log", "Reciprocal"] {
        let onnx = Onnx::open(&[1, 2, 3, 3])
            .node("Abs", &["x"], "a", vec![])
            .floats("half", &[], vec![0.5])
            .node("Add", &["a", "half"], "s", vec![])
            .node(function, &["s"], "f", vec![]);
        holds(&function, &conv(onnx, "f", "y", [2, 2, 1], vec![]).bytes(), &Options::default(), [1.0, 2.0]);
    }
    let tanh = vec![text("approximate", "tanh")];
    let onnx = of_opset(20, Onnx::open(&[1, 2, 3, 3])).node("Gelu", &["x"], "y", tanh);
    holds(&"Gelu tanh", &onnx.bytes(), &Options::default(), [1.0, 1.0]);
    let silu = conv(Onnx::open(&[1, 2, 3, 3]), "x", "c", [2, 2, 1], vec![])
        .node("Sigmoid", &["c"], "g", vec![])
        .node("Mul", &["c", "g"], "f", vec![])
        .floats("two", &[], vec![2.0])
        .node("Pow", &["f", "two"], "p", vec![]);
    holds(&"SiLU", &conv(silu, "p", "y", [2, 2, 1], vec![]).bytes(), &Options::default(), [1.0, 2.0]);
}

#[test]
fn pools_and_arithmetic() {
    let (kernel, stride) = (ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]));
    let pads = ints("pads", &[1, 1, 1, 1]);
    for (operator, more) in [
        ("MaxPool", vec![pads.clone()]),
        ("MaxPool", vec![int("ceil_mode", 1)]),
        ("AveragePool", vec![pads.clone(), int("count_include_pad", 1)]),
        ("AveragePool", vec![pads.clone()]),
        ("AveragePool", vec![int("ceil_mode", 1)]),
    ] {
        let all = [vec![kernel.clone(), stride.clone()], more.clone()].concat();
        let onnx = Onnx::open(&[1, 3, 8, 7]).node(operator, &["x"], "y", all);
        holds(&(operator, more), &onnx.bytes(), &Options::default(), [1.0, 1.0]);
    }
    for operator in ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2"] {
        for axes in [&[2, 3][..], &[1], &[3]] {
            let onnx = Onnx::open(&[1, 3, 4, 5]);
            let onnx = match operator {
                "ReduceSum" => onnx.ints("axes", axes).node(operator, &["x", "axes"], "y", vec![]),
                _ => onnx.node(operator, &["x"], "y", vec![ints("axes", axes)]),
            };
            holds(&(operator, axes), &onnx.bytes(), &Options::default(), [1.0, 2.0]);
        }
    }
    for operator in ["Add", "Sub", "Mul", "Max", "Min"] {
        for gate in [&[1, 3, 4, 5], &[1, 3, 1, 1]] {
            let onnx = Onnx::open(&[1, 3, 4, 5]).input("z", gate).node(operator, &["x", "z"], "a", vec![]);
            let onnx = onnx.node(operator, &["z", "a"], "y", vec![]);
            holds(&(operator, gate), &onnx.bytes(), &Options::default(), [1.0, 2.0]);
        }
    }
    let onnx =
        Onnx::open(&[1, 3, 4, 5]).floats("s", &[3, 1, 1], vec![0.5, -2.0, 0.1]).node("Mul", &["x", "s"], "y", vec![]);
    holds(&"scale", &onnx.bytes(), &Options::default(), [1.0, 1.0]);
}

#[test]
fn moves() {
    let onnx = |operator: &str, attributes| Onnx::open(&[1, 4, 6, 5]).node(operator, &["x"], "y", attributes);
    let depth = || vec![int("blocksize", 2)];
    let models = [
        ("transpose", onnx("Transpose", vec![ints("perm", &[0, 3, 1, 2])])),
        ("depth to space", onnx("DepthToSpace", depth())),
        ("crd", onnx("DepthToSpace", [depth(), vec![text("mode", "CRD")]].concat())),
        (
            "shuffle",
            conv(
                Onnx::open(&[1, 4, 3, 5])
                    .ints("cut", &[1, 2, 2, 3, 5])
                    .ints("whole", &[1, 4, 3, 5])
                    .node("Reshape", &["x", "cut"], "c", vec![])
                    .node("Transpose", &["c"], "t", vec![ints("perm", &[0, 2, 1, 3, 4])])
                    .node("Reshape", &["t", "whole"], "s", vec![]),
                "s",
                "y",
                [3, 4, 1],
                vec![],
            ),
        ),
        (
            "concat",
            Onnx::open(&[1, 2, 3, 4]).input("z", &[1, 3, 3, 4]).node(
                "Concat",
                &["x", "z", "x"],
                "y",
                vec![int("axis", 1)],
            ),
        ),
        ("concat of rows", Onnx::open(&[1, 2, 3, 4]).node("Concat", &["x", "x"], "y", vec![int("axis", 2)])),
        (
            "slices",
            Onnx::open(&[1, 4, 6, 5]).ints("s", &[1, 0]).ints("e", &[6, 3]).ints("a", &[2, 1]).ints("d", &[2, 1]).node(
                "Slice",
                &["x", "s", "e", "a", "d"],
                "y",
                vec![],
            ),
        ),
        (
            "backwards",
            Onnx::open(&[1, 4, 6, 5]).ints("s", &[-1]).ints("e", &[-100]).ints("a", &[3]).ints("d", &[-1]).node(
                "Slice",
                &["x", "s", "e", "a", "d"],
                "y",
                vec![],
            ),
        ),
        (
            "pad",
            Onnx::open(&[1, 2, 3, 4]).ints("p", &[0, 0, 1, 2, 0, 1, 0, 1]).floats("v", &[], vec![0.5]).node(
                "Pad",
                &["x", "p", "v"],
                "y",
                vec![],
            ),
        ),
        (
            "reflect",
            Onnx::open(&[1, 2, 3, 4]).ints("p", &[0, 0, 1, 2, 0, 0, 0, 1]).node(
                "Pad",
                &["x", "p"],
                "y",
                vec![text("mode", "reflect")],
            ),
        ),
        ("expand", Onnx::open(&[1, 2, 1, 4]).ints("n", &[1, 2, 3, 4]).node("Expand", &["x", "n"], "y", vec![])),
        (
            "transposed convolution",
            Onnx::open(&[1, 2, 4, 3]).floats("w", &[2, 3, 3, 3], Numbers::new(8).take(54)).node(
                "ConvTranspose",
                &["x", "w"],
                "y",
                vec![ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1])],
            ),
        ),
    ];
    for (what, onnx) in models {
        let written = holds(&what, &onnx.bytes(), &Options::default(), [1.0, 1.0]);
        let graph = pb::ModelProto::decode(&written[..]).unwrap().graph.unwrap();
        let gathered = graph.node.iter().any(|n| n.op_type == "Gather");
        assert_eq!(gathered, ["backwards", "reflect", "expand"].contains(&what), "{what}");
    }
}

#[test]
fn resizes() {
    for (mode, coordinates) in [
        ("nearest", "asymmetric"),
        ("nearest", "half_pixel"),
        ("linear", "half_pixel"),
        ("linear", "align_corners"),
        ("linear", "pytorch_half_pixel"),
        ("linear", "half_pixel_symmetric"),
    ] {
        for scales in [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 1.5, 0.75]] {
            let attributes = vec![text("mode", mode), text("coordinate_transformation_mode", coordinates)];
            let onnx = of_opset(19, Onnx::open(&[1, 2, 4, 4])).floats("s", &[4], scales.to_vec());
            let onnx = onnx.node("Resize", &["x", "", "s"], "y", attributes);
            holds(&(mode, coordinates, scales), &onnx.bytes(), &Options::default(), [1.0, 1.0]);
        }
    }
}

#[test]
fn arrangements_of_inputs_and_outputs() {
    // Rows of numbers, channels last, several outputs, softmax of each pixel, numbers of classes.
    let onnx = Onnx::open(&[1, 6])
        .floats("w", &[6, 4], Numbers::new(2).take(24))
        .node("MatMul", &["x", "w"], "m", vec![])
        .node("Relu", &["m"], "y", vec![])
        .output("s")
        .node("Sigmoid", &["m"], "s", vec![]);
    holds(&"vectors", &onnx.bytes(), &Options::default(), [1.0, 1.0]);
    let onnx = conv(
        Onnx::open(&[1, 4, 5, 3]).node("Transpose", &["x"], "t", vec![ints("perm", &[0, 3, 1, 2])]),
        "t",
        "c",
        [2, 3, 3],
        vec![],
    )
    .node("Transpose", &["c"], "y", vec![ints("perm", &[0, 2, 3, 1])])
    .output("p")
    .node("Softmax", &["c"], "p", vec![int("axis", 1)])
    .output("k")
    .node("ArgMax", &["c"], "k", vec![int("axis", 1)]);
    holds(&"maps", &onnx.bytes(), &Options::default(), [1.0, 1.0]);
    let onnx = conv(Onnx::open(&[1, 3, 4, 5]), "x", "y", [2, 3, 3], vec![]).bytes();
    holds(&"blue, green, red", &onnx, &Options { bgr: true, ..Options::default() }, [1.0, 1.0]);
}

#[test]
fn sequences() {
    let mut numbers = Numbers::new(12);
    let onnx = Onnx::open(&[7, 1, 5])
        .floats("w", &[1, 12, 5], numbers.take(60))
        .floats("r", &[1, 12, 4], numbers.take(48))
        .floats("b", &[1, 24], numbers.take(24))
        .node("GRU", &["x", "w", "r", "b"], ",h", vec![int("hidden_size", 4), int("linear_before_reset", 1)])
        .ints("axes", &[0])
        .node("Squeeze", &["h", "axes"], "q", vec![])
        .floats("fc", &[4, 3], numbers.take(12))
        .node("MatMul", &["q", "fc"], "y", vec![])
        .bytes();
    let options = Options::default();
    let (first, _) = converted(&onnx, &options, 3);
    let written = export(&first.graph, &first.plan.graph).unwrap();
    assert!(written.notes.iter().any(|n| n.contains("computes in float")), "{:?}", written.notes);
    holds(&"GRU", &onnx, &options, [2.0, 4.0]);
}

/// Constants are the same bytes: nothing is rounded twice.
#[test]
fn what_is_read_back_has_the_same_weights() {
    let onnx = conv(Onnx::open(&[1, 3, 6, 6]), "x", "c", [8, 3, 3], vec![]).node("Relu", &["c"], "r", vec![]);
    let onnx = conv(onnx, "r", "y", [4, 8, 1], vec![]).bytes();
    let (first, _) = converted(&onnx, &Options::default(), 3);
    let written = export(&first.graph, &first.plan.graph).unwrap();
    let (second, _) = converted(&written.bytes, &Options::default(), 9);
    let rows = |c: &Converted| -> Vec<Vec<i8>> {
        c.plan.graph.nodes.iter().flat_map(|n| n.op.rows().into_iter().map(|(_, r)| r.weight.clone())).collect()
    };
    assert_eq!(rows(&first), rows(&second));
    let scales = |c: &Converted| -> Vec<_> {
        let graph = &c.plan.graph;
        graph.nodes.iter().map(|n| graph.tensors[n.output].scale).collect()
    };
    assert_eq!(scales(&first), scales(&second));
}
