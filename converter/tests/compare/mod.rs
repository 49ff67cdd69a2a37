//! A model beside its float meaning, in tract and here, and its int8 file on every kernel of this machine.
#![allow(dead_code, reason = "each test file uses its part")]

use escarp_converter::{
    Options, Samples, convert,
    eval::Evaluator,
    float_runner,
    measure::{Scores, measure},
    read,
};

use escarp_runtime::Cpu;

use crate::build::{Numbers, Onnx};

/// Float within 1e-4 of tract; int8 within `steps` output steps of float, on all of 24 samples.
pub fn check(onnx: Onnx, steps: f32) -> escarp_converter::Converted {
    let bytes = onnx.bytes();
    let options = Options { name: "test".into(), ..Options::default() };
    let graph = read(&bytes, &options).unwrap();
    let samples = Numbers::new(7).samples(24, graph.sample_len());
    let float = float_runner(&bytes, &graph).unwrap();
    let mut evaluator = Evaluator::new(&graph);
    for i in 0..samples.len() {
        let sample = samples.get(i).unwrap();
        let (ours, theirs) = (evaluator.run(&sample, |_, _| {}).to_vec(), float.run(&sample).unwrap());
        assert_eq!(ours.len(), theirs.len());
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "sample {i}: ours {a}, tract {b}\n{graph}");
        }
    }
    let converted = convert(&bytes, &samples, &options).unwrap();
    let picks: Vec<usize> = (0..samples.len()).collect();
    let on = |cpu| measure(&converted.file, &float, &samples, &picks, cpu, &|| {}).unwrap();
    let portable = on(Cpu::PORTABLE);
    assert_eq!(portable.total, 24);
    let int8 = |s: &Scores| s.answers.iter().map(|a| a.int8.clone()).collect::<Vec<_>>();
    for cpu in escarp_detect::all() {
        assert_eq!(int8(&on(cpu)), int8(&portable), "{} kernels against portable", cpu.isa().name());
    }
    let unit = converted.plan.graph.tensors[converted.plan.graph.outputs[0].tensor].scale.scale;
    for answer in &portable.answers {
        for (float, int8) in answer.float.iter().zip(&answer.int8) {
            let off = (float - int8).abs() / unit;
            assert!(off <= steps, "float {float}, int8 {int8}: {off} steps\n{}", converted.plan.graph);
        }
    }
    converted
}

pub fn weights(seed: u64, n: usize, scale: f32) -> Vec<f32> {
    Numbers::new(seed).take(n).iter().map(|w| w * scale).collect()
}

/// Adds what makes a vector of a map: the outputs of all tests are vectors.
pub fn pooled(onnx: Onnx, map: &str) -> Onnx {
    onnx.node("GlobalAveragePool", &[map], "pooled", vec![]).node("Flatten", &["pooled"], "y", vec![])
}
