//! Any bytes as an ONNX model: imported and folded, and what is small also converted, loaded and run beside the float net.

use escarp_converter::{Options, convert, float_runner, read, samples::InMemory};
use escarp_runtime::Model;

/// Values of all tensors, over all steps, of networks that are converted here.
const LARGEST: usize = 1 << 14;

/// Length of sequences that the model leaves open.
const FRAMES: usize = 5;

/// The target.
pub fn run(data: &[u8]) {
    let options = Options { frames: Some(FRAMES), ..Options::default() };
    let Ok(graph) = read(data, &options) else { return };
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
    let _ = float_runner(data, &graph);
}
