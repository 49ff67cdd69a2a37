//! Quantization-aware training: what it computes is what the runtime computes, to the bit, and its gradients are those of
//! the net.

use escarp_converter::{
    Options, convert,
    metadata::{FrontEnd, Metadata},
    samples::InMemory,
};
use escarp_runtime::{Model, Session, frontend::quantize};
use escarp_trainer::{
    data::{
        Samples, batch,
        images::Images,
        motion::{Motion, Recorded},
    },
    engine::parameter::first_non_finite,
    fit::{qat::Quantizer, ranges::activations},
    layers::Layer,
    nets::{Arch, LayerSpec, Net, Shape, Watch, export::export, loss::Targets, presets::Preset},
    run::transfer::take,
};
use ndarray::ArrayD;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const CLASSES: usize = 8;

fn fresh(arch: &Arch) -> Net {
    Net::new(arch, &mut ChaCha8Rng::seed_from_u64(4)).expect("a sound net")
}

fn all(samples: &dyn Samples) -> Vec<u32> {
    (0..samples.classes().len() as u32).collect()
}

/// Some steps of plain descent.
fn train(net: &mut Net, samples: &dyn Samples, steps: u32, rate: f32) -> Vec<f64> {
    let step = |step| {
        let indices: Vec<u32> = (0..16).map(|i| (step * 16 + i) % samples.classes().len() as u32).collect();
        let (x, classes) = batch(samples, &indices, None);
        let stats = net.gradients(&x, Targets::Classes(&classes), 0.0).expect("shapes fit");
        for p in net.trainable() {
            p.value.iter_mut().zip(p.gradient).for_each(|(w, g)| *w -= rate * *g);
        }
        stats.loss
    };
    (0..steps).map(step).collect()
}

/// What the last node gave.
#[derive(Default)]
struct Scores(Option<ArrayD<f32>>);

impl Watch<f32> for Scores {
    fn node(&mut self, _: &str, _: &dyn Layer<f32>, y: &ArrayD<f32>, _: &ArrayD<f32>) {
        self.0.get_or_insert_with(|| y.clone());
    }
}

/// Everything that a hand-over needs.
struct Case {
    name: &'static str,
    samples: Box<dyn Samples>,
    front_end: FrontEnd,
    net: Net,
}

impl Case {
    /// A trained net with its normalizations folded into the convolutions.
    fn new(name: &'static str, arch: &Arch, samples: Box<dyn Samples>, front_end: FrontEnd) -> Self {
        let mut float = fresh(arch);
        train(&mut float, &*samples, 12, 0.05);
        let mut settled = arch.clone();
        settled.layers.iter_mut().for_each(LayerSpec::settle);
        let mut net = fresh(&settled);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("float.onnx");
        std::fs::write(&path, export(&float, &Metadata::default()).expect("a sound net")).expect("a file");
        take(&path, &mut net).expect("our own file");
        Self { name, samples, front_end, net }
    }

    fn quantize(&mut self) {
        let mut quantizer = Quantizer::new(&mut self.net).expect("a net that packs");
        let indices = all(&*self.samples);
        quantizer.calibrate(&self.net, &self.front_end, &*self.samples, &indices).expect("sound samples");
        self.net.set_stand_in(Box::new(quantizer));
    }

    fn images() -> (Box<dyn Samples>, FrontEnd) {
        let mut images = Images::builtin(0, 0, 8);
        let standard = images.statistics(&all(&images));
        images.prepare(&standard, None);
        (Box::new(images), FrontEnd::Pixels { mean: standard.mean, std: standard.std })
    }

    fn residual() -> Self {
        let (images, front_end) = Self::images();
        let [h, w] = [images.shape()[0], images.shape()[1]];
        Self::new("ResNet", &Arch::resnet(1, 4, [h, w, 3], CLASSES), images, front_end)
    }

    /// With branches, pools, activations behind a bias, dropout and a flattened map.
    fn mixed() -> Self {
        let (images, front_end) = Self::images();
        let layers = r#"[{"kind": "convolution", "name": "a", "outputs": 5, "stride": 2, "normalize": true},
            {"kind": "max-pool", "name": "b", "kernel": 3, "stride": 2, "padding": 1},
            {"kind": "convolution", "outputs": 5, "activation": "relu", "normalize": true},
            {"kind": "dropout", "rate": 0.3},
            {"kind": "add", "of": "b", "activation": "relu"},
            {"kind": "average-pool", "kernel": 2, "stride": 2},
            {"kind": "flatten"}, {"kind": "dense", "outputs": 9, "activation": "relu"}, {"kind": "dense"}]"#;
        let layers = serde_json::from_str(layers).expect("layers as users write them");
        let shape = images.shape();
        let arch = Arch { input: Shape::Map([shape[0], shape[1], 3]), classes: CLASSES, layers };
        Self::new("mixed", &arch, images, front_end)
    }

    /// What mobile nets are made of: convolutions in groups, curved functions, gates, means of windows that reach over the edge.
    fn mobile() -> Self {
        let (images, front_end) = Self::images();
        let layers = r#"[
            {"kind": "convolution", "init": "he-normal", "outputs": 12, "stride": 2, "normalize": true,
                "activation": "hard-swish"},
            {"kind": "convolution", "init": "he-normal", "outputs": 12, "groups": 12, "normalize": true, "activation": "relu"},
            {"kind": "convolution", "init": "he-normal", "outputs": 20, "groups": 2, "normalize": true, "name": "groups"},
            {"kind": "convolution", "init": "he-normal", "outputs": 20, "kernel": 1, "normalize": true, "activation": "silu"},
            {"kind": "convolution", "init": "he-normal", "outputs": 20, "kernel": 5, "groups": 20, "normalize": true,
                "activation": "leaky-relu"},
            {"kind": "convolution", "init": "he-normal", "outputs": 20, "kernel": 1, "activation": "sigmoid"},
            {"kind": "add", "of": "groups"},
            {"kind": "squeeze-excitation", "init": "he-normal", "reduction": 2, "activation": "silu", "gate": "hard-sigmoid"},
            {"kind": "average-pool", "kernel": 3, "stride": 2, "padding": 1, "name": "mean"},
            {"kind": "convolution", "init": "he-normal", "outputs": 40, "groups": 20, "normalize": true},
            {"kind": "convolution", "init": "he-normal", "outputs": 20, "kernel": 1, "normalize": true},
            {"kind": "add", "of": "mean", "activation": "hard-swish"},
            {"kind": "squeeze-excitation", "init": "he-normal"},
            {"kind": "average-pool", "kernel": 3, "stride": 1, "padding": 1, "include_padding": true},
            {"kind": "global-average-pool"}, {"kind": "dense"}]"#;
        let layers = serde_json::from_str(layers).expect("layers as users write them");
        let shape = images.shape();
        let arch = Arch { input: Shape::Map([shape[0], shape[1], 3]), classes: CLASSES, layers };
        Self::new("mobile", &arch, images, front_end)
    }

    fn recurrent(reset: &str) -> Self {
        let mut motion = Motion::builtin(0, 0, 8);
        let standard = motion.statistics(&all(&motion));
        motion.prepare(&standard, false);
        let layers = format!(
            r#"[{{"kind": "gru", "hidden": 11, "layers": 2, "reset": "{reset}"}}, {{"kind": "dense", "outputs": 7,
            "activation": "relu"}}, {{"kind": "dense"}}]"#
        );
        let layers = serde_json::from_str(&layers).expect("layers as users write them");
        let input = Shape::Sequence([motion.shape()[0], motion.shape()[1]]);
        let front_end =
            FrontEnd::Sensor { rate: 50.0, frames: 64, mean: standard.mean, std: standard.std, columns: vec![] };
        Self::new("GRU", &Arch { input, classes: CLASSES, layers }, Box::new(motion), front_end)
    }

    fn cases() -> [Self; 5] {
        [Self::residual(), Self::mixed(), Self::mobile(), Self::recurrent("after"), Self::recurrent("before")]
    }
}

/// Bytes of the runtime for each sample, and what they mean.
fn runtime(file: &[u8], x: &ArrayD<f32>) -> (Vec<i8>, Vec<f32>) {
    let model = Model::parse(file).expect("the converter's file");
    let mut arena = vec![0; model.buffer_len()];
    let mut session = Session::new(&model, &mut arena, Options::default().cpu).expect("memory");
    let (input, output) = (model.input(), model.output());
    let values = x.as_slice().expect("row-major");
    let mut bytes = Vec::new();
    for sample in values.chunks_exact(values.len() / x.shape()[0]) {
        session.reset();
        let mut last = Vec::new();
        for frame in sample.chunks_exact(input.elements() as usize) {
            let frame: Vec<i8> = frame.iter().map(|&v| quantize(v, input.scale, input.zero_point)).collect();
            last = session.run(&frame).expect("a frame").to_vec();
        }
        bytes.extend(last);
    }
    let real = |&q: &i8| output.scale * (f32::from(q) - f32::from(output.zero_point));
    let scores = bytes.iter().map(real).collect();
    (bytes, scores)
}

#[test]
fn the_forward_pass_is_the_runtime_on_the_converted_file_to_the_bit() {
    for mut case in Case::cases() {
        case.quantize();
        let before = case.net.parameters().iter().map(|p| p.value.to_vec()).collect::<Vec<_>>();
        train(&mut case.net, &*case.samples, 5, 0.01);
        let after = case.net.parameters().iter().map(|p| p.value.to_vec()).collect::<Vec<_>>();
        assert!(before.iter().zip(&after).all(|(a, b)| a != b), "{}: all weights move", case.name);
        let (x, classes) = batch(&*case.samples, &all(&*case.samples), None);
        let mut scores = Scores::default();
        case.net.gradients_watched(&x, Targets::Classes(&classes), 0.0, Some(&mut scores)).expect("shapes fit");
        let ours = scores.0.expect("the last node was seen");
        assert_eq!(case.net.predict(&x).expect("shapes fit").into_dyn(), ours, "{}: evaluation", case.name);

        // The hand-over: a file, and calibration samples that would give other ranges.
        let metadata = Metadata {
            front_end: case.front_end.clone(),
            activations: activations(&mut case.net, &*case.samples, &all(&*case.samples)).expect("samples fit"),
            ..Metadata::default()
        };
        let onnx = export(&case.net, &metadata).expect("a sound net");
        let values: Vec<f32> = x.iter().take(20 * x.len() / x.shape()[0]).map(|v| v * 0.7).collect();
        let sample_len = x.len() / x.shape()[0];
        let other = InMemory { values, sample_len, labels: vec![], source: "others".into() };
        let converted = convert(&onnx, &other, &Options::default()).expect("a net that packs");
        assert!(converted.notes.iter().any(|n| n.starts_with("trained for int8")), "{:?}", converted.notes);
        let (bytes, real) = runtime(&converted.file, &x);
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&real), bits(ours.as_slice().expect("row-major")), "{}: scores", case.name);
        let distinct = bytes.iter().collect::<std::collections::HashSet<_>>().len();
        assert!(distinct > 20, "{}: only {distinct} different scores prove little", case.name);

        // Without the ranges the converter would have made another file.
        let plain = Metadata { activations: vec![], ..metadata };
        let onnx = export(&case.net, &plain).expect("a sound net");
        let plain = convert(&onnx, &other, &Options::default()).expect("a net that packs");
        assert_ne!(runtime(&plain.file, &x).0, bytes, "{}", case.name);
    }
}

#[test]
fn gradients_point_where_those_of_the_float_net_do() {
    for mut case in Case::cases() {
        let (x, classes) = batch(&*case.samples, &all(&*case.samples), None);
        let gradients = |net: &mut Net| -> Vec<(String, Vec<f32>)> {
            net.gradients(&x, Targets::Classes(&classes), 0.0).expect("shapes fit");
            net.parameters().into_iter().map(|p| (p.name, p.gradient.to_vec())).collect()
        };
        let float = gradients(&mut case.net);
        case.quantize();
        let int8 = gradients(&mut case.net);
        for ((name, float), (_, int8)) in float.iter().zip(&int8) {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            let cosine = dot(float, int8) / (dot(float, float) * dot(int8, int8)).sqrt();
            assert!(cosine > 0.8, "{}: {name}: cosine {cosine}", case.name);
        }
    }
}

#[test]
fn clipped_values_pass_no_gradient_back() {
    let mut case = Case::residual();
    let (x, classes) = batch(&*case.samples, &all(&*case.samples), None);
    case.quantize();
    let norm = |net: &mut Net| {
        net.gradients(&x, Targets::Classes(&classes), 0.0).expect("shapes fit");
        let stem = net.parameters().into_iter().find(|p| p.name == "stem.conv.weight").expect("a layer");
        stem.gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt()
    };
    let before = norm(&mut case.net);
    // Ranges so narrow that hardly a value lies inside.
    for (name, values) in case.net.buffers() {
        assert_eq!(name, "quantization.ranges");
        values.iter_mut().for_each(|v| *v *= 1e-3);
    }
    let after = norm(&mut case.net);
    assert!(before > 1e-4 && after < 0.2 * before, "{before} and {after}");
}

#[test]
fn the_loss_falls() {
    for (mut case, rate) in [(Case::residual(), 0.05), (Case::mobile(), 0.3), (Case::recurrent("after"), 0.05)] {
        case.quantize();
        let losses = train(&mut case.net, &*case.samples, 60, rate);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&losses[..8]), mean(&losses[52..]));
        assert!(last < 0.95 * first, "{}: {first} to {last}", case.name);
        assert_eq!(first_non_finite(&case.net.parameters()), None);
    }
}

#[test]
fn the_mobile_preset_learns_and_keeps_its_answers_in_int8() {
    let (samples, front_end) = Case::images();
    let shape = samples.shape();
    let layers = Preset::find("mobilenet-small").expect("a preset").net().layers;
    let arch = Arch { input: Shape::Map([shape[0], shape[1], 3]), classes: CLASSES, layers };
    let mut net = fresh(&arch);
    let losses = train(&mut net, &*samples, 40, 0.05);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert!(mean(&losses[32..]) < 0.9 * mean(&losses[..8]), "{losses:?}");

    let (x, _) = batch(&*samples, &all(&*samples), None);
    let onnx = export(&net, &Metadata { front_end, ..Metadata::default() }).expect("a sound net");
    let (sample_len, values) = (x.len() / x.shape()[0], x.iter().copied().collect());
    let calibration = InMemory { values, sample_len, labels: vec![], source: "images".into() };
    let converted = convert(&onnx, &calibration, &Options::default()).expect("a net that packs");
    let (_, int8) = runtime(&converted.file, &x);
    let best = |scores: &[f32]| scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| class);
    let float = net.predict(&x).expect("shapes fit");
    let agree = float.rows().into_iter().zip(int8.chunks_exact(CLASSES));
    let agree = agree.filter(|(float, int8)| best(float.as_slice().expect("row-major")) == best(int8)).count();
    assert!(10 * agree >= 9 * x.shape()[0], "{agree} of {} samples", x.shape()[0]);
}

#[test]
fn what_cannot_be_quantized_is_refused_by_name() {
    let arch = |layers: &str| Arch {
        input: Shape::Sequence([6, 3]),
        classes: 3,
        layers: serde_json::from_str(layers).expect("layers as users write them"),
    };
    let error = |layers: &str| Quantizer::new(&mut fresh(&arch(layers))).map(|_| ()).expect_err("refused").to_string();
    let lstm = error(r#"[{"kind": "lstm", "name": "memory", "hidden": 4}, {"kind": "dense"}]"#);
    assert!(lstm.contains("node `memory`") && lstm.contains("LSTM"), "{lstm}");
    let norm = error(r#"[{"kind": "gru", "hidden": 4}, {"kind": "batch-norm", "name": "scale"}, {"kind": "dense"}]"#);
    assert!(norm.contains("`scale` is a normalization"), "{norm}");
}
