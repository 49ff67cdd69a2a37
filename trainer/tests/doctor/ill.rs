//! Ill runs: each illness is found, by its name, with its evidence, and not before it is there.

use escarp_trainer::{
    doctor::{
        record::{NonFinite, Observation},
        verdict::{Illness, Init, Prescription, Replacement, Severity, Verdict},
    },
    layers::kind::{Activation, LayerKind},
};

use crate::{
    SEEDS, diagnose,
    synthetic::{Synthetic, TEN_CLASSES, falling, flat, healthy},
};

/// A run that stays at the loss of a guess.
fn stuck(layers: usize) -> Synthetic {
    Synthetic { loss: flat(TEN_CLASSES), noise: 0.02, gradient: flat(0.3), ..healthy(layers) }
}

/// Draws with every seed, spoils, and demands one verdict of `illness`; returns the last.
fn found(illness: Illness, law: &Synthetic, spoil: impl Fn(&mut Vec<Observation>)) -> Verdict {
    let verdicts: Vec<Verdict> = SEEDS
        .map(|seed| {
            let mut log = law.draw(seed);
            spoil(&mut log);
            let mut verdicts = diagnose(&log);
            assert!(
                matches!(verdicts[..], [ref one] if one.illness == illness),
                "seed {seed}: {verdicts:#?} instead of {illness:?}"
            );
            verdicts.remove(0)
        })
        .collect();
    verdicts.into_iter().next_back().unwrap()
}

fn as_drawn(_: &mut Vec<Observation>) {}

fn lose(o: &mut Observation, layer: usize, what: NonFinite) {
    o.loss = Some(f64::NAN);
    o.gradient_norm = Some(f64::NAN);
    for (i, l) in o.layers.iter_mut().enumerate() {
        let reached = if what == NonFinite::Gradients { i <= layer } else { i >= layer };
        let gradients = if reached { Some(what) } else { Some(NonFinite::Gradients) };
        l.non_finite = if what == NonFinite::Gradients && !reached { None } else { gradients };
        l.gradient_norm = l.non_finite.map_or(l.gradient_norm, |_| Some(f64::NAN));
    }
}

#[test]
fn vanishing_through_depth() {
    let law = Synthetic { per_layer: 0.25, activation: Some(Activation::Sigmoid), gain: Some(1.0), ..stuck(20) };
    for law in [
        Synthetic { baseline: None, accuracy: false, planned: false, ..law },
        Synthetic { per_layer: 0.25, activation: Some(Activation::Sigmoid), ..stuck(20) },
    ] {
        let v = found(Illness::Vanishing, &law, as_drawn);
        assert_eq!((v.severity, v.since_step), (Severity::Ill, 0));
        assert!(v.layers.contains(&"layer0".into()) && !v.layers.contains(&"layer19".into()), "{v:?}");
        assert_eq!(v.prescriptions[0], Prescription::ReplaceActivation { to: Replacement::Relu });
    }
}

/// Layers without a gradient die of their biases: the root is named.
#[test]
fn vanishing_until_units_die() {
    let law = Synthetic {
        per_layer: 0.25,
        gain: Some(0.5),
        dead: Box::new(|t| if t < 0.05 { 0.3 } else { 1.0 }),
        gradient: Box::new(|t| if t < 0.05 { 0.3 } else { 0.0 }),
        ..stuck(20)
    };
    let v = found(Illness::Vanishing, &law, as_drawn);
    assert_eq!(v.prescriptions[0], Prescription::Reinitialize { init: Init::He });
}

#[test]
fn vanishing_through_time() {
    let law = Synthetic {
        kinds: vec![LayerKind::Rnn, LayerKind::Dense],
        activation: Some(Activation::Tanh),
        time_ratio: flat(1e-9),
        gain: Some(1.0),
        ..stuck(2)
    };
    let v = found(Illness::Vanishing, &law, as_drawn);
    assert_eq!(v.prescriptions[0], Prescription::GatedCell);
    assert_eq!(v.layers, ["layer0"]);
}

#[test]
fn exploding_through_depth() {
    let law = Synthetic { per_layer: 1.6, ..stuck(20) };
    let v = found(Illness::Exploding, &law, as_drawn);
    assert_eq!(v.layers, ["layer0"]);
    assert!(matches!(v.prescriptions[0], Prescription::ClipGlobalNorm { limit } if limit > 0.0));
}

/// The whole story is one verdict, and dated where it began.
#[test]
fn exploding_until_nan() {
    let law = Synthetic { per_layer: 1.6, ..stuck(20) };
    let v = found(Illness::Exploding, &law, |log| {
        log.truncate(40);
        let last = log.last_mut().unwrap();
        lose(last, 0, NonFinite::Gradients);
    });
    assert_eq!((v.severity, v.since_step), (Severity::Fatal, 0));
    assert!(v.evidence.contains("step 780"), "{}", v.evidence);
}

/// The first step saturates everything, and nothing is left to explode.
#[test]
fn exploding_once() {
    let law = Synthetic {
        kinds: vec![LayerKind::Rnn, LayerKind::Dense],
        activation: Some(Activation::Tanh),
        gain: Some(2.5),
        saturated: Box::new(|t| if t > 0.0 { 0.95 } else { 0.3 }),
        update: Box::new(|t| if t > 0.0 { 1e-3 } else { 1e4 }),
        ..stuck(2)
    };
    let v = found(Illness::Exploding, &law, |log| log[0].layers[0].gradient_norm = Some(4e7));
    assert!(matches!(v.prescriptions[0], Prescription::ClipGlobalNorm { .. }));
}

#[test]
fn exploding_in_time_by_spikes() {
    let law = Synthetic {
        kinds: vec![LayerKind::Rnn, LayerKind::Dense],
        activation: Some(Activation::Tanh),
        baseline: Some(1.0 / 6.0),
        loss: flat(0.2),
        noise: 0.3,
        accuracy: false,
        update: flat(1e-3),
        ..stuck(2)
    };
    let spikes = |log: &mut Vec<Observation>| {
        for o in log.iter_mut().skip(12).step_by(4) {
            o.gradient_norm = o.gradient_norm.map(|n| 3000.0 * n);
        }
    };
    let v = found(Illness::Exploding, &law, spikes);
    assert!(v.prescriptions.contains(&Prescription::GatedCell));
    let clipped = |log: &mut Vec<Observation>| {
        spikes(log);
        log.iter_mut().for_each(|o| o.clipped = true);
    };
    found(Illness::SlowConvergence, &law, clipped);
}

#[test]
fn dying_relu_at_once_and_later() {
    let v = found(Illness::DyingRelu, &Synthetic { dead: flat(0.9), ..stuck(8) }, as_drawn);
    assert_eq!(v.prescriptions[0], Prescription::Reinitialize { init: Init::He });
    let later = Synthetic {
        dead: Box::new(|t| if t < 0.3 { 0.1 } else { 1.0 }),
        loss: Box::new(|t| if t < 0.3 { 2.3 - 3.0 * t } else { TEN_CLASSES }),
        noise: 0.03,
        ..healthy(8)
    };
    let v = found(Illness::DyingRelu, &later, as_drawn);
    assert_eq!(v.prescriptions[0], Prescription::LowerRate { factor: 0.1 });
    assert_eq!(v.since_step, 720, "{v:?}");
}

/// Other trainers record no dead units; named ReLU layers with zero gradients are dead too.
#[test]
fn dying_relu_by_zero_gradients() {
    let v = found(Illness::DyingRelu, &stuck(8), |log| {
        for l in log.iter_mut().flat_map(|o| &mut o.layers) {
            (l.dead_units, l.zero_gradients) = (None, Some(0.95));
        }
    });
    assert_eq!(v.layers.len(), 7, "the last layer has no ReLU: {v:?}");
}

#[test]
fn saturation() {
    let tanh = || Synthetic { activation: Some(Activation::Tanh), gain: Some(1.0), ..stuck(6) };
    let v = found(Illness::Saturation, &Synthetic { saturated: flat(0.8), ..tanh() }, as_drawn);
    assert_eq!(v.prescriptions[0], Prescription::StandardizeInputs);
    assert!(!v.layers.contains(&"layer5".into()), "the output may be sure of itself");
    let later = Synthetic { saturated: Box::new(|t| if t < 0.2 { 0.1 } else { 0.9 }), ..tanh() };
    let v = found(Illness::Saturation, &later, as_drawn);
    assert_eq!(v.prescriptions[0], Prescription::LowerRate { factor: 0.1 });
    // Saturated layers also let no gradient through: the root is named.
    found(Illness::Saturation, &Synthetic { saturated: flat(0.8), per_layer: 0.1, ..tanh() }, as_drawn);
}

#[test]
fn nan_out_of_the_blue_names_layer_and_step() {
    let v = found(Illness::NonFinite, &healthy(6), |log| {
        log.truncate(50);
        lose(&mut log[49], 2, NonFinite::Activations);
    });
    assert_eq!((v.severity, v.since_step, v.layers), (Severity::Fatal, 980, vec!["layer2".to_owned()]));
    assert!(v.evidence.contains("activations of layer layer2") && v.evidence.contains("step 980"), "{}", v.evidence);
    assert_eq!(v.prescriptions[0], Prescription::CheckData);
}

/// Gradients spread towards the input: the last layer that is ill is where it began.
#[test]
fn nan_of_gradients_began_nearest_to_the_output() {
    let v = found(Illness::NonFinite, &healthy(6), |log| lose(&mut log[10], 4, NonFinite::Gradients));
    assert_eq!(v.layers, ["layer4"]);
}

#[test]
fn nan_in_the_very_first_step() {
    found(Illness::NonFinite, &healthy(3), |log| {
        log.truncate(1);
        lose(&mut log[0], 0, NonFinite::Activations);
    });
}

#[test]
fn oscillating_loss() {
    let swing = |t: f64| 1.0 + 0.8 * (t * 50.0).sin();
    let law = Synthetic { loss: Box::new(swing), noise: 0.05, observations: 300, ..healthy(6) };
    let v = found(Illness::OscillatingLoss, &law, as_drawn);
    assert!(matches!(v.prescriptions[0], Prescription::LowerRate { .. }));
    let fast = |t: f64| if ((t * 300.0).round() as u32).is_multiple_of(2) { 1.0 } else { 4.5 };
    found(Illness::OscillatingLoss, &Synthetic { loss: Box::new(fast), ..law }, as_drawn);
}

#[test]
fn slow_convergence() {
    let v = found(Illness::SlowConvergence, &Synthetic { update: flat(1e-7), ..stuck(6) }, as_drawn);
    // From 1e-7 to a tenth of the usual 1e-3.
    assert_eq!(v.prescriptions[0], Prescription::RaiseRate { factor: 1000.0 });
    let unknown = Synthetic { baseline: None, planned: false, update: flat(1e-3), ..stuck(6) };
    let v = found(Illness::SlowConvergence, &unknown, as_drawn);
    assert_eq!(v.prescriptions[0], Prescription::StandardizeInputs);
    // Words have no mean.
    let words = |log: &mut Vec<Observation>| log.iter_mut().for_each(|o| o.layers[0].kind = LayerKind::Embedding);
    let v = found(Illness::SlowConvergence, &unknown, words);
    assert_eq!(v.prescriptions[0], Prescription::AdaptiveOptimizer);
    let young = Synthetic { observations: 20, planned: false, ..stuck(6) }.draw(0);
    assert_eq!(diagnose(&young), [], "too young to be called slow");
}

#[test]
fn initial_weights_too_large() {
    let large = |law| Synthetic { gain: Some(6.0), loss: falling(60.0, 30.0, 3.0), noise: 0.5, ..law };
    let v = found(Illness::InitialWeightsTooLarge, &large(stuck(6)), as_drawn);
    assert_eq!(v.prescriptions[0], Prescription::Reinitialize { init: Init::He });
    // What follows from them does not hide them.
    found(Illness::InitialWeightsTooLarge, &Synthetic { per_layer: 3.0, ..large(stuck(8)) }, as_drawn);
    let tanh =
        Synthetic { activation: Some(Activation::Tanh), saturated: flat(0.9), per_layer: 0.2, ..large(stuck(6)) };
    let v = found(Illness::InitialWeightsTooLarge, &tanh, as_drawn);
    assert_eq!(v.prescriptions[0], Prescription::Reinitialize { init: Init::Glorot });
    // A normalization within the layers takes their scale out again, and is not prescribed a second time.
    let normalized = |log: &mut Vec<Observation>| {
        log.iter_mut().flat_map(|o| &mut o.layers).for_each(|l| l.normalized = true);
    };
    found(Illness::SlowConvergence, &Synthetic { gain: Some(6.0), ..stuck(6) }, normalized);
    // One in front of the net does not.
    let mut kinds = vec![LayerKind::Norm];
    kinds.resize(7, LayerKind::Dense);
    found(Illness::InitialWeightsTooLarge, &Synthetic { kinds, ..large(stuck(6)) }, as_drawn);
    let steep = Synthetic { per_layer: 0.25, activation: Some(Activation::Sigmoid), ..stuck(20) };
    assert!(found(Illness::Vanishing, &steep, as_drawn).prescriptions.contains(&Prescription::AddNorm));
    assert!(!found(Illness::Vanishing, &steep, normalized).prescriptions.contains(&Prescription::AddNorm));
    found(Illness::InitialWeightsTooLarge, &large(stuck(6)), |log| {
        log.truncate(5);
        lose(&mut log[4], 0, NonFinite::Weights);
    });
}

#[test]
fn learning_rate_too_high() {
    let long = || Synthetic { update: flat(0.4), noise: 0.3, loss: flat(3.0), ..stuck(6) };
    let v = found(Illness::LearningRateTooHigh, &long(), as_drawn);
    assert!(matches!(v.prescriptions[0], Prescription::LowerRate { factor } if factor < 1.0));
    let rising = Synthetic { loss: Box::new(|t| 2.3 + 30.0 * t), update: flat(0.4), ..stuck(6) };
    found(Illness::LearningRateTooHigh, &rising, as_drawn);
    // It ends in NaN, through gradients that grew because of it.
    found(Illness::LearningRateTooHigh, &long(), |log| {
        log.truncate(6);
        log[4].gradient_norm = Some(1e9);
        lose(&mut log[5], 0, NonFinite::Weights);
    });
    // Long steps have killed or saturated the units.
    let dead = Synthetic {
        update: Box::new(|t| if t < 0.1 { 0.5 } else { 0.0 }),
        dead: Box::new(|t| if t < 0.1 { 0.1 } else { 1.0 }),
        ..stuck(6)
    };
    found(Illness::LearningRateTooHigh, &dead, as_drawn);
    let saturated = Synthetic { dead: flat(0.0), saturated: Box::new(|t| if t < 0.1 { 0.1 } else { 0.9 }), ..dead };
    found(Illness::LearningRateTooHigh, &saturated, as_drawn);
    // Nobody says how long the steps are, but the loss rose and stays up.
    let unsaid = Synthetic { loss: Box::new(|t| 2.3 + 8.0 * t.sqrt()), ..stuck(6) };
    found(Illness::LearningRateTooHigh, &unsaid, |log| {
        log.iter_mut().flat_map(|o| &mut o.layers).for_each(|l| l.update_ratio = None);
    });
}
