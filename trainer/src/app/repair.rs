//! From a verdict to a run that goes on: `--repair`.
//!
//! The first prescription that changes anything is applied to the run's settings. What only concerns the coming steps
//! goes on from the last healthy checkpoint, if the illness had not begun before it; what concerns the beginning (weights,
//! layers, the batches) begins again. All of it is written into `config.json`, so that an interrupted repaired run
//! continues as any other, and what was measured before is kept beside.
//!
//! A repair changes two files, the settings and the state to go on from, and a run that is killed between them must not go on
//! with a mixture, nor begin again with settings that came later. So the new settings are first written down in `repair.json`;
//! from then on the repair counts as made, and whoever continues the run finishes it: [`finish`].

use std::mem::discriminant;

use crate::{
    config::{
        Config, Repair,
        bounds::{BATCHES, HIGHEST_RATE},
        known::{kin, normalized, replaced},
    },
    doctor::verdict::{self, Illness, Prescription, Replacement, Verdict, WARM_UP},
    error::TrainError,
    layers::{activation::Function, init::Init},
    nets::{
        LayerSpec,
        kinds::{Activation, BatchNorm, Gru, Rnn},
    },
    optim::{Rule, clip::Clip},
    run::{
        checkpoint::Checkpoint,
        files::{remove, write_atomically},
        folder::RunFolder,
    },
};

/// Repairs of one run: who is not well after so many is not helped by another.
pub const MOST: usize = 5;

/// Usual rate of AdamW.
const ADAPTIVE_RATE: f32 = 1e-3;

/// Applies the first of the remedies that changes anything to the run in `folder`; says whether it goes on from `last.ckpt` (true) or begins again.
///
/// # Errors
/// [`TrainError::Incurable`] if nothing is left to try; files that cannot be read or written.
pub fn treat(
    config: &mut Config,
    folder: &RunFolder,
    verdict: &Verdict,
    remedies: &[Prescription],
) -> Result<bool, TrainError> {
    let incurable = |end| TrainError::Incurable {
        end,
        illness: verdict.illness.name(),
        evidence: verdict.evidence.clone(),
        repairs: config.repairs.len(),
        cures: verdict.advice().iter().map(|sentence| format!("\n  {sentence}")).collect(),
    };
    if config.repairs.len() >= MOST {
        return Err(incurable("that is the most there may be"));
    }
    let mut changed = config.clone();
    let applied = in_order(remedies, verdict.illness, &config.repairs).into_iter().find(|p| apply(&mut changed, p));
    let prescription = applied.ok_or_else(|| incurable("nothing is left to try that a program can do"))?;
    folder.set_aside(config.repairs.len() + 1)?;
    let healthy = Checkpoint::<serde_json::Value>::load(&folder.healthy())?;
    let step = healthy.header["plan"]["step"].as_u64().unwrap_or(0);
    // What fell ill again after a repair was not as healthy as it looked.
    let failed = config.repairs.iter().any(|repair| repair.from_step == step);
    let goes_on = continues(&prescription) && step > 0 && step <= verdict.since_step && !failed;
    changed.repairs.push(Repair {
        illness: verdict.illness,
        evidence: verdict.evidence.clone(),
        prescription,
        from_step: if goes_on { step } else { 0 },
    });
    folder.plan_repair(&changed)?;
    make(&changed, folder)?;
    *config = changed;
    Ok(goes_on)
}

/// The remedies in the order in which they are to be tried: as they come, but behind those that were not, what was tried
/// against this illness before and has not helped. Rates are changed twice before that: the right one may be further away.
fn in_order(remedies: &[Prescription], illness: Illness, repairs: &[Repair]) -> Vec<Prescription> {
    let tried = |remedy: &Prescription| {
        let same = |made: &&Repair| made.illness == illness && discriminant(&made.prescription) == discriminant(remedy);
        repairs.iter().filter(same).count()
    };
    let spent = |remedy: &Prescription| match remedy {
        Prescription::LowerRate { .. } | Prescription::RaiseRate { .. } => tried(remedy) / 2,
        _ => tried(remedy),
    };
    let mut all = remedies.to_vec();
    all.sort_by_key(spent); // stable
    all
}

/// Makes the repair during which the run in `folder` was killed, if it was; `config` holds the settings that were found.
///
/// # Errors
/// Files that cannot be read or written.
pub fn finish(config: &mut Config, folder: &RunFolder) -> Result<(), TrainError> {
    if let Some(planned) = folder.planned_repair()? {
        make(&planned, folder)?;
        *config = planned;
    }
    Ok(())
}

/// Puts the state to go on from, and the settings, in their places. May be done again from any point.
fn make(planned: &Config, folder: &RunFolder) -> Result<(), TrainError> {
    let (healthy, last) = (folder.healthy(), folder.last());
    if planned.repairs.last().is_some_and(|repair| repair.from_step > 0) {
        let state = std::fs::read(&healthy).map_err(TrainError::io(&healthy))?;
        write_atomically(&last, &state)?;
    } else {
        remove(&last)?;
    }
    folder.rewrite(planned)?;
    folder.repair_made()
}

/// Whether a prescription concerns only the steps to come.
fn continues(prescription: &Prescription) -> bool {
    use Prescription::{ClipGlobalNorm, LowerRate, RaiseRate};
    matches!(prescription, LowerRate { .. } | RaiseRate { .. } | ClipGlobalNorm { .. })
}

/// Changes the settings or the net; false if that changes nothing or is not for a program to do.
fn apply(config: &mut Config, prescription: &Prescription) -> bool {
    let before = config.clone();
    let settings = &mut config.settings;
    match *prescription {
        Prescription::LowerRate { factor } | Prescription::RaiseRate { factor } => {
            settings.rate = (settings.rate * factor as f32).min(HIGHEST_RATE);
        }
        Prescription::WarmUp => settings.schedule.warm_up = settings.schedule.warm_up.max(WARM_UP),
        Prescription::ClipGlobalNorm { limit } => match settings.clip {
            Clip::GlobalNorm { limit: now } if f64::from(now) <= limit => {}
            _ => settings.clip = Clip::GlobalNorm { limit: limit as f32 },
        },
        Prescription::AdaptiveOptimizer => {
            if !matches!(settings.rule, Rule::Adam { .. } | Rule::AdamW { .. }) {
                (settings.rule, settings.rate) = (Rule::adam_w(1e-2), ADAPTIVE_RATE);
            }
        }
        Prescription::LargerBatch { factor } => settings.batch = (settings.batch * factor as usize).min(*BATCHES.end()),
        Prescription::ReplaceActivation { to } => {
            // The last layer's is what the task asks for.
            if let Some((_, hidden)) = config.task.net_mut().split_last_mut() {
                hidden.iter_mut().for_each(|layer| replace(layer, to));
            }
        }
        // Of a single sample there is nothing to normalize by.
        Prescription::AddNorm if settings.batch > 1 => normalize(config.task.net_mut()),
        Prescription::AddShortcuts => {
            for layer in config.task.net_mut() {
                if let LayerSpec::Residual(layer) = layer {
                    layer.shortcut = true;
                }
            }
        }
        Prescription::GatedCell => {
            for layer in config.task.net_mut() {
                if let LayerSpec::Rnn(rnn) = layer {
                    let Rnn { name, layers, bidirectional, every_step, .. } = rnn.clone();
                    *layer = LayerSpec::Gru(Gru { name, layers, bidirectional, every_step, ..Gru::new(rnn.hidden) });
                }
            }
        }
        // What begins with a trained net's weights has no others to begin with.
        Prescription::Reinitialize { .. } if settings.init_from.is_some() => {}
        Prescription::Reinitialize { init } => {
            let (head, layers) =
                config.task.net_mut().split_last_mut().map_or((None, &mut [][..]), |(l, r)| (Some(l), r));
            layers.iter_mut().for_each(|layer| reinitialize(layer, init));
            // No activation follows the last layer: what suits one does not suit it.
            head.into_iter().for_each(|layer| reinitialize(layer, verdict::Init::Glorot));
        }
        // The inputs of every task are standardized.
        Prescription::AddNorm | Prescription::StandardizeInputs | Prescription::CheckData => {}
    }
    *config != before
}

/// ReLU for what saturates, LeakyReLU for what dies.
fn replace(layer: &mut LayerSpec, to: Replacement) {
    let other = |function| match to {
        _ if !replaced(function, to) => function,
        Replacement::Relu => Function::Relu,
        Replacement::LeakyRelu => Function::LeakyRelu,
    };
    match layer {
        LayerSpec::Activation(layer) => layer.function = other(layer.function),
        LayerSpec::Dense(layer) => layer.activation = layer.activation.map(other),
        LayerSpec::Convolution(layer) => layer.activation = layer.activation.map(other),
        LayerSpec::Add(layer) => layer.activation = layer.activation.map(other),
        _ => {}
    }
}

/// Batch normalization behind every convolution and every dense layer but the last, before the activation. Dense layers
/// of nets with branches are left: what is branched off from them would be another value.
fn normalize(layers: &mut Vec<LayerSpec>) {
    let branched = layers.iter().any(|layer| matches!(layer, LayerSpec::Branch(_) | LayerSpec::Add(_)));
    let bare: Vec<bool> = (0..layers.len()).map(|at| !normalized(layers, at)).collect();
    for (layer, _) in layers.iter_mut().zip(&bare).filter(|(_, bare)| **bare) {
        match layer {
            LayerSpec::Convolution(layer) => layer.normalize = true,
            LayerSpec::Residual(layer) => layer.normalize = true,
            _ => {}
        }
    }
    let to_insert: Vec<bool> = layers
        .iter()
        .zip(bare)
        .map(|(layer, bare)| bare && !branched && matches!(layer, LayerSpec::Dense(_)))
        .collect();
    if !to_insert.contains(&true) {
        return;
    }
    // Automatic names count places, and flags and files may go by them.
    layers.iter_mut().enumerate().for_each(|(at, layer)| layer.pin_name(at));
    for at in (0..to_insert.len()).rev().filter(|&at| to_insert[at]) {
        layers.insert(at + 1, LayerSpec::BatchNorm(BatchNorm { name: None }));
        if let LayerSpec::Dense(dense) = &mut layers[at]
            && let Some(function) = dense.activation.take()
        {
            layers.insert(at + 2, LayerSpec::Activation(Activation { name: None, function, slope: None }));
        }
    }
}

fn initializer(init: verdict::Init) -> Init {
    match init {
        verdict::Init::He => Init::HeNormal,
        verdict::Init::Glorot => Init::GlorotUniform,
        verdict::Init::Orthogonal => Init::Orthogonal { gain: 1.0 },
    }
}

/// Other initial weights, unless the layer's are of that kind, whether uniform or normal. Recurrent layers get their own:
/// Glorot's, and orthogonal ones for the state.
fn reinitialize(layer: &mut LayerSpec, to: verdict::Init) {
    let usual = |init: &mut Option<Init>, recurrent: &mut Option<Init>| (*init, *recurrent) = (None, None);
    match layer {
        LayerSpec::Gru(layer) => return usual(&mut layer.init, &mut layer.recurrent_init),
        LayerSpec::Lstm(layer) => return usual(&mut layer.init, &mut layer.recurrent_init),
        LayerSpec::Rnn(layer) => return usual(&mut layer.init, &mut layer.recurrent_init),
        _ => {}
    }
    let key = match layer {
        LayerSpec::Dense(layer) => &mut layer.init,
        LayerSpec::Convolution(layer) => &mut layer.init,
        LayerSpec::Residual(layer) => &mut layer.init,
        _ => return,
    };
    if !kin(&key.clone().unwrap_or_default(), to) {
        *key = Some(initializer(to));
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Config, Illness, LayerSpec, Prescription, Replacement, apply, in_order, normalize, reinitialize, replace,
        verdict,
    };
    use crate::{
        cli::{self, Request},
        config::{Repair, known::KnownRun},
        doctor::{known::Known, record::Observation},
    };

    fn layers(text: &str) -> Vec<LayerSpec> {
        serde_json::from_str(text).expect("layers")
    }

    #[test]
    fn norm_goes_between_sum_and_activation_once() {
        let mut net = layers(
            r#"[{"kind": "dense", "outputs": 9, "activation": "tanh"}, {"kind": "dense", "outputs": 8}, {"kind": "dense"}]"#,
        );
        normalize(&mut net);
        let names: Vec<String> = net.iter().enumerate().map(|(at, layer)| layer.name_at(at)).collect();
        assert_eq!(names, ["dense1", "batch-norm2", "activation3", "dense2", "batch-norm5", "dense3"]);
        let once = net.clone();
        normalize(&mut net);
        assert_eq!(net, once);
    }

    #[test]
    fn convolutions_are_normalized_in_residual_blocks_too() {
        let text = r#"[{"kind": "convolution", "outputs": 4}, {"kind": "residual", "outputs": 4, "normalize": false}]"#;
        let mut net = layers(text);
        normalize(&mut net);
        let wanted =
            r#"[{"kind": "convolution", "outputs": 4, "normalize": true}, {"kind": "residual", "outputs": 4}]"#;
        assert_eq!(net, layers(wanted));
    }

    #[test]
    fn only_what_is_ill_of_it_is_replaced() {
        let text = r#"[{"kind": "activation", "function": "leaky-relu", "slope": 0.2}, {"kind": "dense", "activation": "tanh"},
            {"kind": "activation", "function": "relu"}]"#;
        let replaced = |to| {
            let mut net = layers(text);
            net.iter_mut().for_each(|layer| replace(layer, to));
            net
        };
        assert_eq!(replaced(Replacement::Relu), layers(&text.replace("tanh", "relu")));
        assert_eq!(replaced(Replacement::LeakyRelu), layers(&text.replace("\"relu\"", "\"leaky-relu\"")));
    }

    #[test]
    fn what_has_not_helped_comes_last() {
        let lower = Prescription::LowerRate { factor: 0.3 };
        let [clip, warm, gates] =
            [Prescription::ClipGlobalNorm { limit: 1.0 }, Prescription::WarmUp, Prescription::GatedCell];
        let made = |illness, prescription| Repair { illness, evidence: String::new(), prescription, from_step: 0 };
        let order = |repairs: &[Repair]| in_order(&[clip, lower, warm, gates], Illness::Exploding, repairs);
        let mut repairs = vec![made(Illness::Vanishing, clip)];
        assert_eq!(order(&repairs), [clip, lower, warm, gates]);
        repairs.push(made(Illness::Exploding, Prescription::ClipGlobalNorm { limit: 0.5 }));
        assert_eq!(order(&repairs)[0], lower);
        repairs.push(made(Illness::Exploding, lower));
        assert_eq!(order(&repairs)[0], lower);
        repairs.push(made(Illness::Exploding, lower));
        assert_eq!(order(&repairs), [warm, gates, clip, lower]);
    }

    #[test]
    fn what_starts_so_already_is_left() {
        let mut net = layers(r#"[{"kind": "dense"}, {"kind": "dense", "init": "zeros"}]"#);
        net.iter_mut().for_each(|layer| reinitialize(layer, verdict::Init::Glorot));
        assert_eq!(net, layers(r#"[{"kind": "dense"}, {"kind": "dense", "init": "glorot-uniform"}]"#));
    }

    /// All there are; the match fails to compile when one is added that is not listed.
    fn all() -> Vec<Prescription> {
        use crate::doctor::verdict::Init::{Glorot, He, Orthogonal};
        use Prescription::*;
        let listed = vec![
            LowerRate { factor: 0.1 },
            RaiseRate { factor: 10.0 },
            WarmUp,
            ClipGlobalNorm { limit: 1.0 },
            Reinitialize { init: He },
            Reinitialize { init: Glorot },
            Reinitialize { init: Orthogonal },
            ReplaceActivation { to: Replacement::Relu },
            ReplaceActivation { to: Replacement::LeakyRelu },
            AddNorm,
            AddShortcuts,
            GatedCell,
            AdaptiveOptimizer,
            LargerBatch { factor: 2 },
            StandardizeInputs,
            CheckData,
        ];
        match listed[0] {
            LowerRate { .. } | RaiseRate { .. } | WarmUp | ClipGlobalNorm { .. } | Reinitialize { .. } => {}
            ReplaceActivation { .. } | AddNorm | AddShortcuts | GatedCell | AdaptiveOptimizer | LargerBatch { .. } => {}
            StandardizeInputs | CheckData => {}
        }
        listed
    }

    /// Runs of every kind, by the flags that begin them.
    fn configs() -> Vec<Config> {
        let nets = [
            r#"[{"kind": "flatten"}, {"kind": "dense", "outputs": 9, "activation": "tanh"}, {"kind": "dense", "outputs": 8,
                "activation": "relu", "init": "he-uniform"}, {"kind": "dense"}]"#,
            r#"[{"kind": "flatten"}, {"kind": "dense", "outputs": 9, "init": {"kind": "normal", "std": 5}}, {"kind": "dense"}]"#,
            r#"[{"kind": "rnn", "hidden": 9, "layers": 2}, {"kind": "dense"}]"#,
            r#"[{"kind": "gru", "hidden": 9, "recurrent_init": {"kind": "orthogonal", "gain": 3}}, {"kind": "dense"}]"#,
            r#"[{"kind": "convolution", "outputs": 4, "activation": "sigmoid"}, {"kind": "batch-norm"}, {"kind": "residual",
                "outputs": 4, "shortcut": false, "normalize": false}, {"kind": "global-average-pool"}, {"kind": "dense"}]"#,
            r#"[{"kind": "convolution", "outputs": 3, "normalize": true}, {"kind": "add", "of": "input", "activation":
                "tanh"}, {"kind": "global-average-pool"}, {"kind": "dense", "init": "he-normal"}]"#,
        ];
        let of = |flags: &str, net: &str| {
            let command = format!("escarp-train {flags} --out x");
            let Ok(Request::Train { mut config, .. }) = cli::read(&command) else { panic!("{command}") };
            *config.task.net_mut() = layers(net);
            *config
        };
        let flags = [
            "motion",
            "motion --warm-up 600 --clip 0.5 --batch 4096 --schedule constant",
            "motion --optimizer sgd --no-clip --warm-up 3 --batch 1 --lr 100",
            "motion --optimizer adam --clip-norm 1 --lr 0.01",
            "motion --optimizer rmsprop --clip 7",
        ];
        flags.iter().flat_map(|flags| nets.iter().map(move |net| of(flags, net))).collect()
    }

    /// The two homes of what a prescription means say the same: what is ruled out changes nothing, and what was done is
    /// ruled out.
    #[test]
    fn what_a_run_does_already_is_what_a_repair_leaves_as_it_is() {
        let seen = Observation { batch: Some(4096), planned_steps: Some(900), ..Observation::default() };
        let rules_out = |config: &Config, p: &Prescription| KnownRun::of(config).rules_out(p, &seen);
        let (mut ruled_out, mut allowed) = (0, 0);
        for config in configs() {
            for p in all() {
                let mut changed = config.clone();
                let changes = apply(&mut changed, &p);
                // Of a recurrent net's other layers a repair makes orthogonal what is good enough.
                let both = p != Prescription::Reinitialize { init: verdict::Init::Orthogonal };
                if rules_out(&config, &p) {
                    ruled_out += 1;
                    assert!(!(changes && both), "{p:?} is ruled out and changes {config:?}");
                    continue;
                }
                allowed += 1;
                let by_steps = matches!(
                    p,
                    Prescription::LowerRate { .. } | Prescription::RaiseRate { .. } | Prescription::LargerBatch { .. }
                );
                // Dense layers beside sums are a person's to normalize, and so are shortcuts that no residual block has.
                if changes && !by_steps && p != Prescription::AddShortcuts {
                    assert!(rules_out(&changed, &p), "{p:?} again after {changed:?}");
                }
            }
        }
        assert!(ruled_out > 100 && allowed > 100, "{ruled_out} ruled out, {allowed} allowed");
    }
}
