//! Refinement: the function stays, its errors shrink, and nothing depends on the machine.

mod build;
mod compare;

use build::{Numbers, Onnx, attribute, ints};
use compare::{check, pooled, weights};
use escarp_converter::{
    Converted, Options, Samples, calibrate::Method, convert, eval::Evaluator, read, refine::Refine, samples::InMemory,
};
use escarp_runtime::Model;
use tract_onnx::pb::attribute_proto::AttributeType;

fn float(name: &str, f: f32) -> tract_onnx::pb::AttributeProto {
    tract_onnx::pb::AttributeProto { r#type: AttributeType::Float as i32, f, ..attribute(name) }
}

fn options(refine: Refine) -> Options {
    Options { name: "test".into(), refine, ..Options::default() }
}

fn converted(onnx: &[u8], samples: &dyn Samples, refine: Refine) -> Converted {
    convert(onnx, samples, &options(refine)).unwrap()
}

/// Weights of which each output's reach far differs: outputs 1, 1/2, 1/4 ... as far, over and over.
fn uneven(seed: u64, rows: usize, depth: usize, scale: f32) -> Vec<f32> {
    let mut all = weights(seed, rows * depth, scale);
    for (row, part) in all.chunks_exact_mut(depth).enumerate() {
        part.iter_mut().for_each(|w| *w *= 0.5f32.powi((row % 7) as i32));
    }
    all
}

/// Convolution, ReLU6, depthwise convolution, PRelu, a convolution whose result is added to what an earlier one made, pool, scores.
fn net() -> Onnx {
    Onnx::new(&[1, 3, 8, 8], &[1, 5])
        .floats("w0", &[12, 3, 3, 3], uneven(1, 12, 27, 0.8))
        .floats("b0", &[12], weights(2, 12, 0.2))
        .node("Conv", &["x", "w0", "b0"], "c0", vec![ints("pads", &[1; 4])])
        .floats("low", &[], vec![0.0])
        .floats("high", &[], vec![6.0])
        .node("Clip", &["c0", "low", "high"], "r0", vec![])
        .floats("w1", &[12, 1, 3, 3], uneven(3, 12, 9, 0.9))
        .node("Conv", &["r0", "w1"], "c1", vec![build::int("group", 12), ints("pads", &[1; 4])])
        .floats("slope", &[12, 1, 1], weights(4, 12, 0.3))
        .node("PRelu", &["c1", "slope"], "r1", vec![])
        .floats("w2", &[12, 12, 1, 1], uneven(5, 12, 12, 0.7))
        .node("Conv", &["r1", "w2"], "c2", vec![])
        .node("Add", &["c2", "r0"], "s", vec![])
        .node("Relu", &["s"], "r2", vec![])
        .node("MaxPool", &["r2"], "m", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])])
        .floats("w3", &[16, 12, 3, 3], weights(6, 16 * 108, 0.3))
        .node("Conv", &["m", "w3"], "c3", vec![])
        .node("LeakyRelu", &["c3"], "r3", vec![float("alpha", 0.1)])
        .node("GlobalAveragePool", &["r3"], "p", vec![])
        .node("Flatten", &["p"], "f", vec![])
        .floats("w4", &[16, 5], weights(7, 80, 0.9))
        .node("MatMul", &["f", "w4"], "y", vec![])
}

#[test]
fn channels_come_together_and_the_function_stays() {
    let onnx = net().bytes();
    let samples = Numbers::new(7).samples(32, 192);
    let fitted = converted(&onnx, &samples, Refine::Bias);
    assert!(fitted.notes.iter().any(|n| n.starts_with("channels of ")), "{:?}", fitted.notes);
    let plain = read(&onnx, &options(Refine::None)).unwrap();
    let (mut ours, mut theirs) = (Evaluator::new(&fitted.graph), Evaluator::new(&plain));
    for i in 0..samples.len() {
        let sample = samples.get(i).unwrap();
        for (a, b) in ours.run(&sample, |_, _| {}).iter().zip(theirs.run(&sample, |_, _| {})) {
            assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{a} {b}");
        }
    }
    // What the network takes and gives is what it was.
    let scale = |c: &Converted| c.plan.graph.tensors[c.plan.graph.inputs[0]].scale;
    assert_eq!(scale(&fitted), scale(&converted(&onnx, &samples, Refine::None)));
    // The whole network stands the comparison with tract, too.
    check(net(), 12.0);
}

/// A function of other than each channel by itself must see what it saw.
#[test]
fn channels_that_must_not_change_do_not() {
    let through = |operator: &str| {
        let onnx = Onnx::new(&[1, 3, 6, 6], &[1, 12])
            .floats("w", &[12, 3, 3, 3], uneven(1, 12, 27, 0.8))
            .node("Conv", &["x", "w"], "c", vec![])
            .node(operator, &["c"], "s", vec![])
            .floats("v", &[12, 12, 3, 3], weights(2, 12 * 108, 0.3))
            .node("Conv", &["s", "v"], "d", vec![]);
        let samples = Numbers::new(3).samples(32, 108);
        let converted = converted(&pooled(onnx, "d").bytes(), &samples, Refine::Round);
        converted.notes.iter().any(|n| n.starts_with("channels of "))
    };
    for operator in ["Sigmoid", "Tanh", "HardSwish"] {
        assert!(!through(operator), "{operator}");
    }
    assert!(through("Relu"), "nothing is brought together where it may be");
}

#[test]
fn threads_change_no_byte() {
    let onnx = net().bytes();
    let samples = Numbers::new(7).samples(40, 192);
    let file = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| converted(&onnx, &samples, Refine::Round).file)
    };
    let one = file(1);
    assert!(one == file(2) && one == file(5), "files differ");
    // Nor do the kernels that ran the steps.
    let portable = Options { cpu: escarp_runtime::Cpu::PORTABLE, ..options(Refine::Round) };
    assert!(one == convert(&onnx, &samples, &portable).unwrap().file, "files differ");
}

#[test]
fn what_a_file_has_quantized_is_kept() {
    let onnx = Onnx::open(&[1, 3, 6, 6])
        .floats("s", &[], vec![0.01])
        .bytes_int8("z", &[], &[3])
        .node("QuantizeLinear", &["x", "s", "z"], "q", vec![])
        .node("DequantizeLinear", &["q", "s", "z"], "d", vec![])
        .floats("w", &[8, 3, 3, 3], weights(1, 216, 0.5))
        .node("Conv", &["d", "w"], "c", vec![]);
    let onnx = pooled(onnx, "c").bytes();
    let samples = Numbers::new(5).samples(24, 108);
    let [none, round] = [Refine::None, Refine::Round].map(|refine| converted(&onnx, &samples, refine));
    assert!(none.file == round.file);
    assert!(!round.notes.iter().any(|n| n.contains("refined")), "{:?}", round.notes);
}

#[test]
fn sequences_and_several_inputs_and_outputs() {
    let two = Onnx::open(&[1, 3, 6, 6])
        .input("z", &[1, 3, 6, 6])
        .floats("w", &[8, 3, 3, 3], uneven(1, 8, 27, 0.5))
        .node("Conv", &["x", "w"], "a", vec![])
        .floats("v", &[8, 3, 3, 3], uneven(2, 8, 27, 0.5))
        .node("Conv", &["z", "v"], "b", vec![])
        .node("Add", &["a", "b"], "s", vec![])
        .node("GlobalAveragePool", &["s"], "y", vec![])
        .node("Relu", &["s"], "second", vec![])
        .output("second");
    let converted = check(two, 4.0);
    assert!(converted.notes.iter().any(|n| n.starts_with("refined on 24 samples")), "{:?}", converted.notes);
    let steps = Onnx::open(&[1, 6, 5])
        .floats("w", &[1, 24, 5], weights(1, 120, 0.6))
        .floats("r", &[1, 24, 8], weights(2, 192, 0.5))
        .node("Transpose", &["x"], "t", vec![ints("perm", &[1, 0, 2])])
        .node("GRU", &["t", "w", "r"], "h,last", vec![build::int("hidden_size", 8)])
        .node("Squeeze", &["last", "axis"], "l", vec![])
        .ints("axis", &[0])
        .floats("v", &[8, 4], weights(3, 32, 0.9))
        .node("MatMul", &["l", "v"], "y", vec![]);
    let converted = check(steps, 6.0);
    assert!(converted.graph.steps == 6 && converted.notes.iter().any(|n| n.starts_with("refined on 24 samples")));
}

/// Nothing to learn, or too much: still a file, and never a worse excuse than without refinement.
#[test]
fn hostile_weights_and_samples() {
    let small = |scale: f32, dead: bool| {
        let mut w = weights(1, 8 * 27, scale);
        if dead {
            w[27..81].fill(0.0);
        }
        let onnx = Onnx::new(&[1, 3, 5, 5], &[1, 8])
            .floats("w", &[8, 3, 3, 3], w)
            .node("Conv", &["x", "w"], "c", vec![])
            .node("Relu", &["c"], "r", vec![])
            .floats("v", &[8, 8, 1, 1], weights(2, 64, 0.5))
            .node("Conv", &["r", "v"], "d", vec![]);
        pooled(onnx, "d").bytes()
    };
    let some = |count: usize| Numbers::new(9).samples(count, 75);
    let of = |values: Vec<f32>| InMemory { values, sample_len: 75, labels: vec![], source: "made".into() };
    let mut far = some(20);
    far.values[100] = 1e30;
    let samples = [some(1), some(2), of(vec![0.0; 75 * 4]), of(vec![0.7; 75 * 4]), of(vec![-1e-30; 75]), far];
    for (scale, dead) in [(0.5, false), (0.5, true), (0.0, false), (1e-30, true), (1e-7, false), (1e6, true)] {
        let onnx = small(scale, dead);
        for (at, samples) in samples.iter().enumerate() {
            for method in [Method::Mse, Method::Entropy, Method::Percentile(99.99), Method::MinMax] {
                let [none, round] = [Refine::None, Refine::Round]
                    .map(|refine| convert(&onnx, samples, &Options { method, ..options(refine) }));
                match (none, round) {
                    (Ok(_), Ok(made)) => assert!(Model::parse(&made.file).is_ok(), "{scale} {at}"),
                    (Err(none), Err(round)) => assert_eq!(none.to_string(), round.to_string(), "{scale} {at}"),
                    (none, round) => panic!("{scale} {at} {method:?}: {:?}, {:?}", none.err(), round.err()),
                }
            }
        }
    }
}
