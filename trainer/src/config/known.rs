//! What is known to the doctor of a run of ours: its settings and its net.

use std::path::Path;

use crate::{
    config::{
        Config, Settings,
        bounds::{BATCHES, HIGHEST_RATE},
    },
    doctor::{
        known::Known,
        record::Observation,
        verdict::{self, Prescription, Replacement, WARM_UP},
    },
    layers::{activation::Function, init::Init},
    nets::LayerSpec,
    optim::{Rule, clip::Clip, schedule::Shape},
    run::folder::{HEALTH, RunFolder},
};

/// Settings and net of the run that is watched.
#[derive(Clone, Debug)]
pub struct KnownRun {
    /// How it is trained.
    pub settings: Settings,
    /// The layers of its net.
    pub net: Vec<LayerSpec>,
}

impl KnownRun {
    /// Of a run's configuration.
    pub fn of(config: &Config) -> Self {
        Self { settings: config.settings.clone(), net: config.task.net().to_vec() }
    }

    /// Of the run whose folder, or whose log, `log` is; `None` if there is no `config.json` beside it, as with other
    /// trainers' logs.
    ///
    /// # Errors
    /// In words, that there is one and what is wrong with it.
    pub fn beside(log: &Path) -> Result<Option<Self>, String> {
        let folder = match log.is_dir() {
            true => log,
            false if log.file_name().is_some_and(|name| name == HEALTH) => log.parent().unwrap_or(Path::new("")),
            false => return Ok(None),
        };
        let config = RunFolder::settings::<Config>(folder).map_err(|e| e.to_string())?;
        Ok(config.as_ref().map(Self::of))
    }
}

impl Known for KnownRun {
    fn rules_out(&self, prescription: &Prescription, seen: &Observation) -> bool {
        let Self { settings, net } = self;
        let hidden = net.split_last().map_or(&[][..], |(_, hidden)| hidden);
        match *prescription {
            // Any rate can be lower, and no program knows all that may be wrong with data.
            Prescription::LowerRate { .. } | Prescription::CheckData => false,
            Prescription::RaiseRate { .. } => settings.rate >= HIGHEST_RATE,
            Prescription::WarmUp => {
                let rises = match settings.schedule.shape {
                    Shape::OneCycle { rise } => f64::from(rise) * seen.planned_steps.unwrap_or(0) as f64,
                    _ => 0.0,
                };
                settings.schedule.warm_up >= WARM_UP || rises >= WARM_UP as f64
            }
            Prescription::ClipGlobalNorm { limit } => {
                matches!(settings.clip, Clip::GlobalNorm { limit: now } if f64::from(now) <= limit)
            }
            Prescription::AdaptiveOptimizer => matches!(settings.rule, Rule::Adam { .. } | Rule::AdamW { .. }),
            // A step that has fewer samples than it may have has all there are.
            Prescription::LargerBatch { .. } => {
                let all = seen.batch.is_some_and(|batch| (batch as usize) < settings.batch);
                all || settings.batch >= *BATCHES.end()
            }
            // Of every task.
            Prescription::StandardizeInputs => true,
            Prescription::ReplaceActivation { to } => !hidden.iter().filter_map(function).any(|f| replaced(f, to)),
            // Of a single sample there is nothing to normalize by.
            Prescription::AddNorm => settings.batch < 2 || (0..net.len()).all(|at| normalized(net, at)),
            Prescription::AddShortcuts => !lacks_shortcuts(net),
            Prescription::GatedCell => !net.iter().any(|layer| matches!(layer, LayerSpec::Rnn(_))),
            Prescription::Reinitialize { init } => starts_as(net, init),
        }
    }
}

/// Whether a repair would put another function in the place of `function`.
pub(crate) fn replaced(function: Function, to: Replacement) -> bool {
    match to {
        Replacement::Relu => matches!(function, Function::Sigmoid | Function::Tanh),
        Replacement::LeakyRelu => function == Function::Relu,
    }
}

/// What a layer ends in, if the net's author chose it.
fn function(layer: &LayerSpec) -> Option<Function> {
    match layer {
        LayerSpec::Activation(layer) => Some(layer.function),
        LayerSpec::Dense(layer) => layer.activation,
        LayerSpec::Convolution(layer) => layer.activation,
        LayerSpec::Add(layer) => layer.activation,
        _ => None,
    }
}

/// Whether what layer `at` gives is normalized, or is not to be: only convolutions, and dense layers but the last, are.
pub(crate) fn normalized(net: &[LayerSpec], at: usize) -> bool {
    let behind = matches!(net.get(at + 1), Some(LayerSpec::BatchNorm(_)));
    match &net[at] {
        LayerSpec::Convolution(layer) => layer.normalize || behind,
        LayerSpec::Residual(layer) => layer.normalize,
        LayerSpec::Dense(_) => behind || at + 1 == net.len(),
        _ => true,
    }
}

/// Whether residual blocks have theirs switched off, or two layers follow each other around which there is none.
fn lacks_shortcuts(net: &[LayerSpec]) -> bool {
    if net.iter().any(|layer| matches!(layer, LayerSpec::Residual(layer) if !layer.shortcut)) {
        return true;
    }
    // Around the last layer, which changes the shape to that of the answers, there is none.
    let hidden = net.split_last().map_or(&[][..], |(_, hidden)| hidden);
    let (mut row, mut longest) = (0, 0);
    for layer in hidden {
        match layer {
            LayerSpec::Dense(_) | LayerSpec::Convolution(_) => row += 1,
            LayerSpec::Gru(layer) => row += layer.layers,
            LayerSpec::Lstm(layer) => row += layer.layers,
            LayerSpec::Rnn(layer) => row += layer.layers,
            LayerSpec::Residual(_) | LayerSpec::Add(_) => row = 0,
            _ => {}
        }
        longest = longest.max(row);
    }
    // What an `add` ends is counted before it: a row of three with a sum behind it has its shortcut.
    let most = if hidden.iter().any(|layer| matches!(layer, LayerSpec::Add(_))) { 3 } else { 1 };
    longest > most
}

/// Whether all layers begin with such weights. No activation follows the last one: Glorot's suit it whatever the others
/// have. Orthogonal ones are for the states of recurrent layers, which have them unless told; then it is enough that no
/// other layer begins with weights of another scale.
fn starts_as(net: &[LayerSpec], init: verdict::Init) -> bool {
    use verdict::Init::{Glorot, He, Orthogonal};
    let states = init == Orthogonal && net.iter().any(|layer| recurrent(layer).is_some());
    let sound = |now: &Init| {
        [He, Glorot, Orthogonal].into_iter().any(|init| kin(now, init))
            || matches!(now, Init::LecunUniform | Init::LecunNormal)
    };
    net.iter().enumerate().all(|(at, layer)| match (recurrent(layer), weights(layer)) {
        (Some([inputs, states]), _) => inputs.is_none_or(sound) && states.is_none_or(|now| kin(now, Orthogonal)),
        (None, Some(now)) if states => sound(&now),
        (None, Some(now)) => kin(&now, init) || (at + 1 == net.len() && kin(&now, Glorot)),
        (None, None) => true,
    })
}

/// What the inputs' and the state's matrices of a recurrent layer start as, if the net says so.
fn recurrent(layer: &LayerSpec) -> Option<[Option<&Init>; 2]> {
    match layer {
        LayerSpec::Gru(layer) => Some([layer.init.as_ref(), layer.recurrent_init.as_ref()]),
        LayerSpec::Lstm(layer) => Some([layer.init.as_ref(), layer.recurrent_init.as_ref()]),
        LayerSpec::Rnn(layer) => Some([layer.init.as_ref(), layer.recurrent_init.as_ref()]),
        _ => None,
    }
}

/// What a layer's weights start as, if it has some and is not recurrent.
fn weights(layer: &LayerSpec) -> Option<Init> {
    match layer {
        LayerSpec::Dense(layer) => Some(layer.init.clone().unwrap_or_default()),
        LayerSpec::Convolution(layer) => Some(layer.init.clone().unwrap_or_default()),
        LayerSpec::Residual(layer) => Some(layer.init.clone().unwrap_or_default()),
        _ => None,
    }
}

/// Whether weights are drawn as prescribed: uniform and normal alike.
pub(crate) fn kin(init: &Init, prescribed: verdict::Init) -> bool {
    match prescribed {
        verdict::Init::He => matches!(init, Init::HeUniform | Init::HeNormal),
        verdict::Init::Glorot => matches!(init, Init::GlorotUniform | Init::GlorotNormal),
        // With another gain they do not keep a state's norm.
        verdict::Init::Orthogonal => matches!(init, Init::Orthogonal { gain } if (gain - 1.0).abs() < 1e-9),
    }
}
