//! A model beside its float meaning, in tract and here, and its int8 file on every kernel of this machine.
#![allow(dead_code, reason = "each test file uses its part")]

use escarp_converter::{
    Converted, Options, Samples, Wide,
    calibrate::Method,
    convert,
    eval::Evaluator,
    float_runner,
    measure::{answer, measure},
    read,
    refine::Refine,
    samples::InMemory,
};
use escarp_runtime::{
    Cpu, Dtype, Model, Port, Session, Tensor,
    frontend::{quantize, quantize_wide},
};

use crate::build::{Numbers, Onnx};

/// Float within 1e-4 of tract; int8 within `steps` output steps of float, on all of 24 samples, for every output.
pub fn check(onnx: Onnx, steps: f32) -> Converted {
    let bytes = onnx.bytes();
    let options = Options { name: "test".into(), ..Options::default() };
    let graph = read(&bytes, &options).unwrap();
    let samples = Numbers::new(7).samples(24, graph.sample_len());
    let float = float_runner(&bytes, &graph).unwrap();
    assert_eq!(float.doubt(), None);
    let mut evaluator = Evaluator::new(&graph);
    for i in 0..samples.len() {
        let sample = samples.get(i).unwrap();
        evaluator.run(&sample, |_, _| {});
        let theirs = float.run_all(&sample).unwrap();
        assert_eq!(graph.outputs.len(), theirs.len());
        for (output, theirs) in graph.outputs.iter().zip(&theirs) {
            let ours = evaluator.value(output.tensor);
            assert_eq!(ours.len(), theirs.len(), "{graph}");
            for (a, b) in ours.iter().zip(theirs) {
                let name = &output.name;
                assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{name}, sample {i}: ours {a}, tract {b}\n{graph}");
            }
        }
    }
    let converted = convert(&bytes, &samples, &options).unwrap();
    let picks: Vec<usize> = (0..samples.len()).collect();
    let scores = measure(&converted.file, &float, &samples, &picks, Cpu::PORTABLE, &|| {}).unwrap();
    assert_eq!((scores.total, scores.outputs.len()), (24, graph.outputs.len()));
    for i in 0..samples.len() {
        let sample = samples.get(i).unwrap();
        let portable = numbers(&converted, &sample, Cpu::PORTABLE);
        for cpu in escarp_detect::all() {
            assert_eq!(numbers(&converted, &sample, cpu), portable, "{} kernels against portable", cpu.isa().name());
        }
    }
    for (lost, output) in scores.outputs.iter().zip(&converted.plan.graph.outputs) {
        // Off what a softmax or sigmoid that was taken off makes of it, if one was.
        let unit = f64::from(converted.plan.graph.tensors[output.tensor].scale.scale);
        let off = lost.most / unit;
        assert!(off <= f64::from(steps), "output {}: {off} steps\n{}", lost.name, converted.plan.graph);
    }
    converted
}

/// Float within 1e-4 of what the operator is defined to give, inputs and the one output in ONNX's order; int8 within `steps` output steps
/// of float. Inputs may have any dimensions.
pub fn defined(onnx: Onnx, steps: f32, wanted: impl Fn(&[Vec<f32>]) -> Vec<f32>) -> Converted {
    let bytes = onnx.bytes();
    let options = Options { name: "test".into(), any_batch: true, ..Options::default() };
    let graph = read(&bytes, &options).unwrap();
    let samples = Numbers::new(7).samples(8, graph.sample_len());
    let converted = convert(&bytes, &samples, &options).unwrap();
    let mut evaluator = Evaluator::new(&graph);
    for i in 0..samples.len() {
        let sample = samples.get(i).unwrap();
        evaluator.run(&sample, |_, _| {});
        let mut rest = &sample[..];
        let inputs: Vec<Vec<f32>> = graph
            .inputs
            .iter()
            .map(|input| {
                let (ours, others) = rest.split_at(graph.len(input.tensor));
                rest = others;
                input.view.order().iter().map(|&place| ours[place]).collect()
            })
            .collect();
        let output = &graph.outputs[0];
        let float = evaluator.value(output.tensor);
        let ours: Vec<f32> = output.view.order().iter().map(|&place| float[place]).collect();
        let wanted = wanted(&inputs);
        assert_eq!(ours.len(), wanted.len(), "{graph}");
        for (at, (a, b)) in ours.iter().zip(&wanted).enumerate() {
            assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "sample {i}, value {at}: {a}, defined {b}\n{graph}");
        }
        let given = &answer(&converted.file, &sample, Cpu::PORTABLE).unwrap()[0];
        let unit = converted.plan.graph.tensors[converted.plan.graph.outputs[0].tensor].scale.scale;
        for (at, (a, b)) in given.iter().zip(float).enumerate() {
            let off = (a - b).abs() / unit;
            assert!(off <= steps, "sample {i}, value {at}: {off} steps, {a} for {b}\n{}", converted.plan.graph);
        }
    }
    converted
}

/// Samples that the steps of an int8 input hold exactly, if its range is all that is seen: in steps of 1/128, both ends of int8 among them.
pub fn exact_samples(sample_len: usize) -> InMemory {
    let mut samples = Numbers::new(7).samples(24, sample_len);
    samples.values.iter_mut().for_each(|v| *v = (*v * 128.0).floor() / 128.0);
    samples.values[..2].copy_from_slice(&[-1.0, 127.0 / 128.0]);
    samples
}

/// Converts with int16 where that is asked for and may be: all outputs at least so many decibels from float, and the same on every
/// kernel of this machine.
pub fn check_wide(onnx: Onnx, wide: Wide, decibels: f64) -> Converted {
    check_fine(onnx, wide, Wide::None, decibels)
}

/// [`check_wide`], with weights of two terms where that is asked for and may be.
pub fn check_fine(onnx: Onnx, wide: Wide, fine: Wide, decibels: f64) -> Converted {
    let bytes = onnx.bytes();
    let (method, refine) = (Method::MinMax, Refine::None);
    let options = Options { name: "test".into(), wide, fine, method, refine, ..Options::default() };
    let graph = read(&bytes, &options).unwrap();
    let samples = exact_samples(graph.sample_len());
    let float = float_runner(&bytes, &graph).unwrap();
    let converted = convert(&bytes, &samples, &options).unwrap();
    let picks: Vec<usize> = (0..samples.len()).collect();
    let scores = measure(&converted.file, &float, &samples, &picks, Cpu::PORTABLE, &|| {}).unwrap();
    for i in 0..samples.len() {
        let sample = samples.get(i).unwrap();
        let portable = numbers(&converted, &sample, Cpu::PORTABLE);
        for cpu in escarp_detect::all() {
            assert_eq!(numbers(&converted, &sample, cpu), portable, "{} kernels against portable", cpu.isa().name());
        }
    }
    for lost in &scores.outputs {
        eprintln!("{}: {:.1} dB", lost.name, lost.snr_db);
        assert!(lost.snr_db >= decibels, "{}: {:.1} dB\n{}", lost.name, lost.snr_db, converted.plan.graph);
    }
    converted
}

/// What the int8 file gives for a sample, as it is stored.
fn numbers(converted: &Converted, sample: &[f32], cpu: Cpu) -> Vec<Vec<i32>> {
    let model = Model::parse(&converted.file).unwrap();
    let mut arena = vec![0; model.buffer_len()];
    let mut session = Session::new(&model, &mut arena, cpu).unwrap();
    for mut step in sample.chunks_exact(converted.graph.step_len()) {
        for (at, port) in model.inputs().enumerate() {
            let (values, rest) = step.split_at(port.tensor.elements() as usize);
            let Tensor { scale, zero_point, dtype, .. } = port.tensor;
            if dtype == Dtype::I16 {
                let values: Vec<i16> = values.iter().map(|&v| quantize_wide(v, scale)).collect();
                session.set_input(at, &values).unwrap();
            } else {
                let values: Vec<i8> = values.iter().map(|&v| quantize(v, scale, zero_point)).collect();
                session.set_input(at, &values).unwrap();
            }
            step = rest;
        }
        session.infer().unwrap();
    }
    let output = |(at, port): (usize, Port)| match port.tensor.dtype {
        Dtype::I8 => session.output::<i8>(at).unwrap().iter().map(|&q| q.into()).collect(),
        Dtype::I16 => session.output::<i16>(at).unwrap().iter().map(|&q| q.into()).collect(),
        Dtype::I32 => session.output::<i32>(at).unwrap().to_vec(),
    };
    model.outputs().enumerate().map(output).collect()
}

pub fn weights(seed: u64, n: usize, scale: f32) -> Vec<f32> {
    Numbers::new(seed).take(n).iter().map(|w| w * scale).collect()
}

/// Adds what makes a vector of a map: the outputs of all tests are vectors.
pub fn pooled(onnx: Onnx, map: &str) -> Onnx {
    onnx.node("GlobalAveragePool", &[map], "pooled", vec![]).node("Flatten", &["pooled"], "y", vec![])
}
