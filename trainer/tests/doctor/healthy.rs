//! Healthy runs, the awkward ones too: none may be called ill at any moment.

use escarp_trainer::{
    doctor::{diagnose::Doctor, thresholds::Thresholds},
    layers::kind::{Activation, LayerKind},
};

use crate::{
    SEEDS,
    synthetic::{Synthetic, TEN_CLASSES, falling, flat, healthy},
};

/// Named laws, each of something that a careless threshold would call ill.
fn laws() -> Vec<(&'static str, Synthetic)> {
    let recurrent = |kind, layers: usize| {
        let mut kinds = vec![kind; layers];
        kinds.push(LayerKind::Dense);
        Synthetic { kinds, activation: Some(Activation::Tanh), gain: Some(1.0), ..healthy(layers + 1) }
    };
    let norm = |n: usize| (0..n).flat_map(|_| [LayerKind::Convolution, LayerKind::Norm]).chain([LayerKind::Dense]);
    let peak = |t: f64| (1.0 - (4.0 * (t - 0.25)).abs()).max(1.0 - t).max(0.02);
    vec![
        ("plain", healthy(6)),
        ("deep, gradients growing a little in each layer", Synthetic { per_layer: 1.12, ..healthy(30) }),
        ("deep, gradients shrinking a little in each layer", Synthetic { per_layer: 0.82, ..healthy(30) }),
        ("one layer", healthy(1)),
        ("tiny net of two layers, batches of a few samples", Synthetic { noise: 0.6, ..healthy(2) }),
        ("a short run", Synthetic { observations: 12, ..healthy(4) }),
        ("without plan or baseline", Synthetic { planned: false, baseline: None, ..healthy(6) }),
        (
            "nothing but losses",
            Synthetic { planned: false, baseline: None, accuracy: false, kinds: vec![], ..healthy(6) },
        ),
        (
            "converged to a loss of 1e-6, gradients with it",
            Synthetic {
                loss: falling(2.3, 1e-6, 0.2),
                gradient: falling(1.0, 1e-7, 0.2),
                noise: 1.0,
                update: falling(1e-3, 1e-9, 0.2),
                ..healthy(5)
            },
        ),
        (
            "the same without a baseline, one layer's gradients far smaller than another's",
            Synthetic {
                loss: falling(2.3, 1e-6, 0.2),
                gradient: falling(1.0, 1e-5, 0.2),
                per_layer: 0.2,
                baseline: None,
                accuracy: false,
                planned: false,
                ..healthy(6)
            },
        ),
        (
            "batch normalization",
            Synthetic { kinds: norm(8).collect(), per_layer: 1.15, update: falling(2e-2, 2e-4, 1.0), ..healthy(0) },
        ),
        (
            "one cycle with a high peak: noisy at the top, quiet at the end",
            Synthetic {
                loss: Box::new(move |t| 2.3 * (1.0 - t).powi(2) + 0.05 + 0.25 * peak(t)),
                noise: 0.2,
                update: Box::new(move |t| 0.05 * peak(t)),
                rate: Box::new(peak),
                ..healthy(20)
            },
        ),
        (
            "a peak so high that the loss rises for a while",
            Synthetic {
                loss: Box::new(|t| 2.3 * (-4.0 * t).exp() + 0.9 * (-(t - 0.3) * (t - 0.3) / 0.01).exp() + 0.1),
                update: Box::new(move |t| 0.09 * peak(t)),
                ..healthy(8)
            },
        ),
        (
            "long updates at first, as Adam takes them from small weights",
            Synthetic { update: falling(0.3, 2e-3, 0.5), ..healthy(4) },
        ),
        ("a GRU through which little of the gradient gets back", {
            Synthetic { time_ratio: flat(1e-4), per_layer: 0.3, ..recurrent(LayerKind::Gru, 2) }
        }),
        ("an LSTM that opens its gates only after a plateau", {
            let loss = |t: f64| if t < 0.2 { 0.167 } else { 0.167 * (-12.0 * (t - 0.2)).exp() + 0.001 };
            Synthetic {
                loss: Box::new(loss),
                baseline: Some(1.0 / 6.0),
                accuracy: false,
                time_ratio: Box::new(|t| if t < 0.2 { 1e-14 } else { 0.1 }),
                saturated: falling(0.05, 0.4, 1.0),
                ..recurrent(LayerKind::Lstm, 1)
            }
        }),
        ("gates that have closed in a net that learned", {
            Synthetic { saturated: falling(0.1, 0.8, 0.3), ..recurrent(LayerKind::Gru, 1) }
        }),
        ("a floor of label smoothing", Synthetic { loss: falling(2.4, 0.75, 0.3), noise: 0.05, ..healthy(9) }),
        (
            "a floor of label smoothing, no baseline, no accuracy",
            Synthetic {
                loss: falling(2.4, 0.75, 0.3),
                noise: 0.05,
                baseline: None,
                accuracy: false,
                planned: false,
                ..healthy(9)
            },
        ),
        ("ReLU layers with many units that are idle", Synthetic { dead: falling(0.2, 0.85, 0.5), ..healthy(7) }),
        (
            "fine-tuning from a low loss",
            Synthetic { loss: falling(0.4, 0.3, 0.5), update: flat(1e-5), baseline: Some(TEN_CLASSES), ..healthy(10) },
        ),
        (
            "fine-tuning from a low loss, without a baseline",
            Synthetic { loss: falling(0.4, 0.35, 0.5), update: flat(1e-5), baseline: None, ..healthy(10) },
        ),
        (
            "a hard problem that falls slowly",
            Synthetic { loss: Box::new(|t| 2.3 - 0.9 * t), noise: 0.08, gradient: flat(0.6), ..healthy(12) },
        ),
        ("weights of a large scale that normalization takes out", {
            Synthetic { kinds: norm(6).collect(), gain: Some(4.0), ..healthy(0) }
        }),
        ("hard batches after convergence, whose gradients stand far above the others", {
            let hard = |t: f64| (t * 120.0).round() as u32 % 7 == 6 && t > 0.5;
            Synthetic {
                loss: Box::new(move |t| if hard(t) { 0.3 } else { 2.3 * (-8.0 * t).exp() + 1e-3 }),
                gradient: Box::new(move |t| if hard(t) { 3.0 } else { (-12.0 * t).exp() + 1e-3 }),
                ..healthy(5)
            }
        }),
    ]
}

#[test]
fn healthy_runs_are_called_healthy_at_every_moment() {
    let laws = laws();
    assert!(laws.len() >= 20);
    let mut alarms = Vec::new();
    for (name, law) in &laws {
        for seed in SEEDS {
            let mut doctor = Doctor::new(Thresholds::default());
            for observation in law.draw(seed) {
                doctor.observe(&observation);
                if let Some(verdict) = doctor.verdicts().first() {
                    let (step, illness) = (observation.step, verdict.illness.name());
                    alarms.push(format!("{name}, seed {seed}, step {step}: {illness}: {}", verdict.evidence));
                    break;
                }
            }
        }
    }
    assert!(alarms.is_empty(), "{} false alarms:\n{}", alarms.len(), alarms.join("\n"));
}
