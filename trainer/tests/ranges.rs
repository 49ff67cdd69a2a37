//! Ranges and outlier channels travel from training to the converter, and it says what they tell.

use escarp_converter::{
    Converted, Options, calibrate, convert,
    metadata::{FrontEnd, Metadata},
    read,
    samples::InMemory,
};
use escarp_trainer::{
    data::{
        Samples, batch,
        images::Images,
        motion::{Motion, Recorded},
    },
    fit::ranges::{activations, spread},
    nets::{Arch, Net, export::export, loss::Targets},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Standardized pictures or gestures and a net that has taken some steps on them.
fn trained(arch: impl Fn([usize; 2]) -> Arch, samples: &dyn Samples) -> Net {
    let shape = samples.shape();
    let mut net = Net::new(&arch([shape[0], shape[1]]), &mut ChaCha8Rng::seed_from_u64(4)).expect("a sound net");
    for step in 0..12 {
        let indices: Vec<u32> = (0..16).map(|i| (step * 16 + i) % samples.classes().len() as u32).collect();
        let (x, classes) = batch(samples, &indices, None);
        net.gradients(&x, Targets::Classes(&classes), 0.0).expect("shapes fit");
        for p in net.parameters() {
            p.value.iter_mut().zip(p.gradient).for_each(|(w, g)| *w -= 0.05 * *g);
        }
    }
    net
}

fn images() -> Images {
    let mut images = Images::builtin(0, 0, 10);
    let standard = images.statistics(&all(&images));
    images.prepare(&standard, None);
    images
}

fn resnet(samples: &dyn Samples) -> Net {
    trained(|[h, w]| Arch::resnet(1, 4, [h, w, 3], 8), samples)
}

fn all(samples: &dyn Samples) -> Vec<u32> {
    (0..samples.classes().len() as u32).collect()
}

/// The same samples as the converter takes them, every value times `factor`.
fn converters(samples: &dyn Samples, factor: f32) -> InMemory {
    let values = batch(samples, &all(samples), None).0.iter().map(|v| v * factor).collect();
    let labels = samples.classes().iter().map(|&c| usize::from(c)).collect();
    InMemory { values, sample_len: samples.shape().iter().product(), labels, source: "samples".into() }
}

fn exported(net: &mut Net, samples: &dyn Samples) -> (Vec<u8>, Metadata) {
    let metadata = Metadata {
        labels: (0..8).map(|i| format!("class {i}")).collect(),
        front_end: FrontEnd::Raw,
        activations: activations(net, samples, &spread(&all(samples))).expect("samples fit"),
        ..Metadata::default()
    };
    (export(net, &metadata).expect("a sound net"), metadata)
}

fn converted(onnx: &[u8], samples: &InMemory) -> Converted {
    convert(onnx, samples, &Options::default()).expect("a net that packs")
}

#[test]
fn the_converter_reads_the_ranges_that_it_would_have_found_itself() {
    let (images, mut motion) = (images(), Motion::builtin(0, 0, 10));
    let standard = motion.statistics(&all(&motion));
    motion.prepare(&standard, false);
    let gru = trained(|[frames, inputs]| Arch::gru(inputs, 12, 2, frames, 8), &motion);
    for (mut net, samples) in [(resnet(&images), &images as &dyn Samples), (gru, &motion)] {
        let (onnx, metadata) = exported(&mut net, samples);
        let graph = read(&onnx, &Options::default()).expect("a net that packs");
        assert_eq!(graph.metadata.as_ref(), Some(&metadata), "to the bit through JSON");
        let picks: Vec<usize> = (0..samples.classes().len()).collect();
        let seen = calibrate::calibrate(&graph, &converters(samples, 1.0), &picks).expect("samples fit");
        let mut found = 0;
        let made = graph.nodes.iter().filter(|n| n.operator != "GRU").map(|n| n.output);
        for id in made.chain([graph.input()]) {
            let name = &graph.tensors[id].name;
            let known = metadata.activations.iter().find(|a| a.tensor == *name);
            let known = known.unwrap_or_else(|| panic!("nothing is known of `{name}`"));
            // Behind a recurrent layer the converter's graph answers every frame, the net the last alone.
            let within = graph.steps > 1 && id != graph.input();
            for (ours, theirs) in [(-known.min, -seen[id].min), (known.max, seen[id].max)] {
                let (away, least) = (ours - theirs, 1e-4 * theirs.abs().max(1.0));
                assert!(away <= least && (within || away >= -least), "{name}: {ours}, converter {theirs}");
            }
            found += 1;
        }
        assert!(found >= 2, "{found}");
        let said = converted(&onnx, &converters(samples, 1.0)).warnings;
        assert_eq!(said, [""; 0], "nothing is wrong with this net");
    }
}

#[test]
fn samples_unlike_those_of_training_are_noticed() {
    let images = images();
    let (onnx, _) = exported(&mut resnet(&images), &images);
    let warnings = |factor| converted(&onnx, &converters(&images, factor)).warnings.join("\n");
    let (far, near) = (warnings(5.0), warnings(0.1));
    let one = "far beyond the range seen in training in ";
    assert!(far.contains(one) && far.contains("`head` ") && !far.contains("far below"), "{far}");
    assert!(near.contains("far below the range seen in training") && near.contains("`image` 0.10 times"), "{near}");
    let strict = Options { strict: true, ..Options::default() };
    let error = convert(&onnx, &converters(&images, 5.0), &strict).expect_err("strict").to_string();
    assert!(error.contains(one), "{error}");
}

#[test]
fn a_planted_outlier_channel_is_named() {
    let images = images();
    let mut net = resnet(&images);
    let planted = net.parameters().into_iter().find(|p| p.name == "stage2.block1.a.norm.gamma").expect("a layer");
    planted.value[3] = 60.0;
    let (onnx, _) = exported(&mut net, &images);
    let warnings = converted(&onnx, &converters(&images, 1.0)).warnings;
    let line = warnings.iter().find(|w| w.starts_with("layer `stage2.block1.a.conv`: in training, channel 3 "));
    assert!(line.is_some_and(|l| l.contains("times as far as the median channel")), "{warnings:?}");
    assert!(warnings.iter().all(|w| !w.contains("samples")), "the samples are the same: {warnings:?}");
}

#[test]
fn the_samples_looked_at_are_spread_evenly() {
    let many: Vec<u32> = (0..5000).map(|i| i * 2).collect();
    let some = spread(&many);
    assert_eq!((some.len(), some[0], some[1], some[499]), (500, 0, 20, 9980));
    assert_eq!(spread(&many[..7]), many[..7]);
    assert!(spread(&[]).is_empty());
}
