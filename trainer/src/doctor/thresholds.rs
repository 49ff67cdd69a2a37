//! Where health ends: every number that a verdict depends on, with its meaning and its source.
//!
//! The list below is the only home of these numbers; a test holds the table in `trainer/doctor.md` to it.

/// One threshold, for tables.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The field of [`Thresholds`].
    pub name: &'static str,
    /// What the doctor uses.
    pub value: f64,
    /// What is compared with it.
    pub meaning: &'static str,
    /// Who says so, or why.
    pub source: &'static str,
}

macro_rules! thresholds {
    ($($name:ident = $value:literal, $meaning:literal, $source:literal;)*) => {
        /// What each sign is compared with. `Thresholds::default()` is documented in `trainer/doctor.md`.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Thresholds {
            $(#[doc = $meaning] pub $name: f64,)*
        }

        impl Default for Thresholds {
            fn default() -> Self {
                Self { $($name: $value,)* }
            }
        }

        /// The defaults with their meanings and sources.
        pub const ROWS: &[Row] =
            &[$(Row { name: stringify!($name), value: $value, meaning: $meaning, source: $source }),*];
    };
}

thresholds! {
    vanishing_ratio = 1e-3,
        "Vanishing: gradient norm of the first layer over that of the last, below this.",
        "AutoTrainer, beta 1";
    vanishing_first = 1e-4,
        "Vanishing: and the gradient norm of the first layer below this.",
        "AutoTrainer, beta 2";
    vanishing_time_ratio = 1e-3,
        "Vanishing over time: gradient by a recurrent layer's first state over that by its last, below this.",
        "beta 1, applied to steps in place of layers";
    small_gain = 0.7,
        "Vanishing is blamed on the initial weights first if the median of their gains is below this, and not at all if above.",
        "ours: below Glorot's and LeCun's 1, half of He's";
    exploding_ratio = 70.0,
        "Exploding: gradient norm of the first layer over that of the last, or of the first state over the last, above this.",
        "AutoTrainer, beta 3";
    exploding_first = 1.0,
        "Exploding: and the gradient norm of the first layer above this.",
        "ours: a large ratio of two small gradients throws nothing";
    spike = 100.0,
        "Exploding: an unclipped gradient norm above so many times the median of those before ...",
        "ours; Pascanu et al. 2013 describe the cliffs, and clip relative to the average norm";
    spike_start = 10.0,
        "... and above so many times that of the first steps.",
        "ours: a single hard sample after convergence is such a spike, and harmless";
    spikes = 3.0,
        "Exploding: at least so many spikes among the last 16 observations.",
        "ours: one is an accident";
    diverged = 10.0,
        "Diverged: at least 3 of the last 8 losses above so many times the first ones.",
        "ours; AutoTrainer takes any loss of 1e5 for infinite, which depends on the units of the targets";
    dying = 0.7,
        "Dying ReLU: share of a ReLU layer's units that are zero on the whole batch, at least this; without that figure, share of zero gradients.",
        "AutoTrainer, gamma, for zero gradients of the net; by layer, because one dead layer blocks all before it";
    dead_layer = 0.99,
        "Dying ReLU: from this share on the layer is dead, and no flat loss is asked for.",
        "ours: nothing passes";
    dead_batch = 16.0,
        "Dying ReLU: batches of fewer samples show no dead units, only dead layers.",
        "ours: a unit that is active on half of the samples is idle on 4 of them in 1 of 16 cases";
    saturated = 0.5,
        "Saturation: share of a hidden layer's sigmoid and tanh outputs (or gates) at an end of their range, at least this.",
        "ours; Glorot and Bengio 2010 show the top hidden layer saturating as training stalls";
    large_gain = 3.0,
        "Initial weights too large: gain of the weights of at least half of the layers, above this (He: 1.41).",
        "ours: twice He's; signals then grow 2.1 times in each ReLU layer, 1700 times in ten";
    large_weight = 5.0,
        "Initial weights too large, without gains: largest weight of at least half of the layers, above this.",
        "AutoTrainer's code";
    signal_growth = 100.0,
        "Initial weights too large, whatever the gains: deviation of a layer's output over that of the first layer's, above this.",
        "ours: a factor of 1.6 in each of ten layers";
    swollen = 10.0,
        "Learning rate too high, or in a recurrent net exploding: a layer's weights when numbers were lost, over those at the observation before, above this.",
        "ours: no step of usual length does that to weights";
    large_update = 0.1,
        "Learning rate too high: median over the layers of the update-to-weight ratio, at least this.",
        "ours; about 1e-3 is usual (CS231n notes), a hundred times that renews the weights in ten steps";
    small_update = 1e-5,
        "Slow convergence is blamed on the learning rate if the same median is below this.",
        "ours: a hundredth of the usual; a run of 10,000 steps then moves its weights by a tenth at most";
    worse = 1.5,
        "Learning rate too high: mean loss of late over the first losses and over the baseline, above this by 3 standard errors.",
        "ours";
    swing = 0.1,
        "Oscillation: a rise and fall of the mean loss by at least this share of the baseline loss, and 5 standard errors.",
        "ours; AutoTrainer's zeta is a swing of 0.03 in the accuracy of an epoch";
    fast_swing = 1.0,
        "Oscillation: or, in a run that has not learned, rises and falls of single losses by at least this share of it.",
        "ours: batches of few samples swing by less";
    swings = 0.2,
        "Oscillation: such swings over the means of epochs (or of 8 observations), at least this share.",
        "AutoTrainer, eta";
    accuracy_swing = 0.03,
        "Oscillation: and the accuracy, if known, swings by at least this at the same share of means.",
        "AutoTrainer, zeta";
    learned = 0.1,
        "Learning: the loss is below the baseline by at least this share. A run that learns is not ill.",
        "ours; AutoTrainer asks for an accuracy of 0.7, which depends on the task";
    learned_crippled = 0.3,
        "The same, while the gradient vanishes in depth, or explodes and is not clipped: a last layer on its own learns something too.",
        "ours: sigmoid nets whose first layers stand still came 15 % below the baseline";
    learned_unsure = 0.5,
        "The same where neither baseline loss nor accuracy is known: below the first losses.",
        "ours: the first losses fall by much just by learning the average";
    accuracy_gain = 0.02,
        "The same where only the accuracy is known: gained since the first observations, and 3 standard errors.",
        "AutoTrainer, delta, is 0.01 between two epochs";
    satisfied = 0.7,
        "The same: an accuracy of this is learning whatever it was at first.",
        "AutoTrainer, Theta";
    patience = 0.3,
        "Slow convergence: only after this share of the planned steps; without a plan after 30 observations.",
        "AutoTrainer, judgment point";
}

/// The table of `trainer/doctor.md`.
#[cfg(test)]
fn table() -> String {
    let mut text = "| threshold | value | meaning | source |\n|---|---|---|---|\n".to_owned();
    for Row { name, value, meaning, source } in ROWS {
        let value = if *value < 0.01 { format!("{value:e}") } else { value.to_string() };
        text += &format!("| `{name}` | {value} | {meaning} | {source} |\n");
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_documented_table_is_the_one_in_use() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("doctor.md");
        let document = std::fs::read_to_string(path).unwrap();
        let table = super::table();
        assert!(document.contains(&table), "put this table into trainer/doctor.md:\n{table}");
    }
}
