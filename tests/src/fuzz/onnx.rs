//! Any bytes as an ONNX model: imported and folded, and what is small also converted, loaded and run beside the float net.

use escarp_converter::{
    Options, Samples, convert,
    eval::Evaluator,
    float_runner,
    graph::{Graph, Meaning},
    read,
    samples::InMemory,
};
use escarp_runtime::Model;

/// Values of all tensors, over all steps, of networks that are converted here.
const LARGEST: usize = 1 << 14;

/// Length of sequences that the model leaves open.
const FRAMES: usize = 5;

/// The target.
pub fn run(data: &[u8]) {
    let options = Options { frames: Some(FRAMES), ..Options::default() };
    let Ok(graph) = read(data, &options) else { return any(data) };
    let held = (0..graph.tensors.len()).fold(0usize, |sum, id| sum.saturating_add(graph.len(id)));
    if held.saturating_mul(graph.steps) > LARGEST {
        return;
    }
    let len = graph.sample_len();
    let values = (0..2 * len).map(|i| ((i * 37 % 101) as f32 - 50.0) / 40.0).collect();
    let samples = InMemory { values, sample_len: len, labels: vec![], source: "numbers".into() };
    if let Ok(converted) = convert(data, &samples, &options) {
        Model::parse(&converted.file).expect("what the converter writes, the runtime takes");
    }
    let Ok(float) = float_runner(data, &graph) else { return };
    let sample = samples.get(0).expect("two samples");
    if let Ok(theirs) = float.run(&sample)
        && std::env::var_os("ESCARP_FUZZ_COMPARE").is_some()
    {
        compare(&graph, &sample, &theirs);
    }
}

/// What is refused as one sample at a time may be a network of other dimensions.
fn any(data: &[u8]) {
    let Ok(graph) = read(data, &Options { any_batch: true, ..Options::default() }) else { return };
    let held = (0..graph.tensors.len()).fold(0usize, |sum, id| sum.saturating_add(graph.len(id)));
    if held <= LARGEST && graph.steps == 1 && !graph.outputs.is_empty() {
        let sample = vec![0.5; graph.sample_len()];
        Evaluator::new(&graph).run(&sample, |_, _| {});
    }
}

/// Our f32 meaning of the graph beside tract's, where both give ordinary numbers and a last Softmax or Sigmoid is no matter.
fn compare(graph: &Graph, sample: &[f32], theirs: &[f32]) {
    const ORDINARY: f32 = 1e4;
    if graph.outputs[0].meaning != Meaning::Plain {
        return;
    }
    let mut ordinary = true;
    let mut evaluator = Evaluator::new(graph);
    let ours = evaluator.run(sample, |_, values| ordinary &= values.iter().all(|v| v.abs() < ORDINARY)).to_vec();
    let weights = theirs.iter().all(|v| v.is_finite());
    if ordinary && weights && ours.len() == theirs.len() {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-2 * (1.0 + b.abs());
        assert!(ours.iter().zip(theirs).all(near), "ours {ours:?}, tract's {theirs:?}");
    }
}
