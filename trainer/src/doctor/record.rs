//! What is observed in one training step: one line of JSON in `health.jsonl`.
//!
//! Everything but the step and the layers' names may be left out: the doctor says what it can from what it
//! gets, and other trainers (see `trainer/callbacks`) measure less. A key that is not listed here is refused,
//! because a misspelt one would otherwise silently take its evidence away.
//!
//! JSON has no NaN and no infinity, and these are what the doctor is most interested in: they are written as the
//! strings `"NaN"`, `"inf"` and `"-inf"`. Other numbers are written with six digits, enough for ratios and norms.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};

mod histogram;
mod number;

use crate::layers::kind::{Activation, LayerKind};
pub use histogram::Histogram;

/// One observed step. Norms are Euclidean; shares run from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// Steps done before this one, from 0.
    pub step: u64,
    /// Counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
    /// Samples in the batch. In a small one units are idle by chance and not dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// Steps that the whole run is to have. Without it nobody can say that learning is too slow for the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_steps: Option<u64>,
    /// Loss of the best answer that does not look at the input: the entropy of the class frequencies (`ln K` for `K`
    /// equal classes, with label smoothing too), the variance of the targets. Tells a net
    /// that has only learned the average from one that learns.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number")]
    pub baseline_loss: Option<f64>,
    /// Mean loss of the batch without penalties, or a running mean of it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number")]
    pub loss: Option<f64>,
    /// Share of the batch (or a running mean) that was right.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub accuracy: Option<f64>,
    /// Learning rate of the step.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number")]
    pub rate: Option<f64>,
    /// Norm of all gradients together, before clipping.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub gradient_norm: Option<f64>,
    /// Whether this step's gradients were clipped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not", deserialize_with = "or_default")]
    pub clipped: bool,
    /// Latest loss on the validation data.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number")]
    pub validation_loss: Option<f64>,
    /// Layers with weights, from the input to the output; 32,768 at most.
    #[serde(default, deserialize_with = "layers")]
    pub layers: Vec<LayerHealth>,
}

/// One layer in one step. Gradients are those of the loss that training descends, before clipping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerHealth {
    /// Path from the net's root: `stage2.block1.a.conv`.
    pub name: String,
    /// What it computes.
    #[serde(default, deserialize_with = "or_default")]
    pub kind: LayerKind,
    /// What its output goes through; of a recurrent layer that of its new state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// Whether it ends in a normalization that is not listed as a layer of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not", deserialize_with = "or_default")]
    pub normalized: bool,
    /// Norm of its weights, biases left out.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub weight_norm: Option<f64>,
    /// Standard deviation of its weights times the root of the inputs that each output sums: by how much a linear
    /// layer would scale its input. 1 by LeCun, 1.41 by He, about 1 by Glorot. With several matrices the largest.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub weight_gain: Option<f64>,
    /// Norm of the gradient of its weights, biases left out.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub gradient_norm: Option<f64>,
    /// Share of its weights whose gradient is below [`ZERO_GRADIENT`].
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub zero_gradients: Option<f64>,
    /// Norm of the step's change of its weights over the norm of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub update_ratio: Option<f64>,
    /// Largest magnitude among its weights.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub largest_weight: Option<f64>,
    /// Mean of its output after the activation.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number")]
    pub activation_mean: Option<f64>,
    /// Standard deviation of its output after the activation.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub activation_std: Option<f64>,
    /// Share of its outputs that are exactly zero.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub activation_zeros: Option<f64>,
    /// Share of its sigmoid and tanh outputs, gates included, within [`SATURATED`](crate::layers::kind::SATURATED) of an end of their range.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub activation_saturated: Option<f64>,
    /// Share of its units (dense) or channels (convolution) that are zero on the whole batch.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub dead_units: Option<f64>,
    /// Norm of the gradient of the loss by its output.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub activation_gradient_norm: Option<f64>,
    /// Of a recurrent layer: norm of the gradient by its state after the first step over that after the last.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::size")]
    pub time_gradient_ratio: Option<f64>,
    /// What of it is NaN or infinite; the earliest in the order weights, activations, gradients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub non_finite: Option<NonFinite>,
    /// Magnitudes of its weights' gradients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_histogram: Option<Histogram>,
}

/// A gradient of smaller magnitude counts as zero.
pub const ZERO_GRADIENT: f64 = 1e-12;

/// Which numbers of a layer are not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NonFinite {
    /// Before the step.
    Weights,
    /// Of the forward pass.
    Activations,
    /// Of the backward pass.
    Gradients,
}

impl NonFinite {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Activations => "activations",
            Self::Gradients => "gradients",
        }
    }
}

/// Layers of an observation. Eleven bytes of a line make one of hundreds in memory.
const MOST_LAYERS: usize = 1 << 15;

/// Reads as many layers as there may be; `null` as what is left out.
fn layers<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<LayerHealth>, D::Error> {
    struct Layers;

    impl<'d> Visitor<'d> for Layers {
        type Value = Vec<LayerHealth>;

        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("a list of layers")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'d>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut layers = Vec::new();
            while let Some(layer) = list.next_element()? {
                if layers.len() == MOST_LAYERS {
                    return Err(A::Error::custom(format!("more than {MOST_LAYERS} layers")));
                }
                layers.push(layer);
            }
            Ok(layers)
        }
    }

    from.deserialize_any(Layers)
}

/// Reads `null` as what is left out.
fn or_default<'d, T: Default + Deserialize<'d>, D: Deserializer<'d>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl Observation {
    /// Named values for TensorBoard's event file: `health/FIGURE/LAYER`.
    pub fn scalars(&self) -> Vec<(String, f64)> {
        let layers = self.layers.iter().flat_map(|layer| {
            let figures = [
                ("gradient_norm", layer.gradient_norm),
                ("update_ratio", layer.update_ratio),
                ("weight_norm", layer.weight_norm),
                ("zero_gradients", layer.zero_gradients),
                ("activation_std", layer.activation_std),
                ("activation_saturated", layer.activation_saturated),
                ("dead_units", layer.dead_units),
                ("activation_gradient_norm", layer.activation_gradient_norm),
            ];
            let named = move |(figure, value): (&str, Option<f64>)| {
                value.map(|value| (format!("health/{figure}/{}", layer.name), value))
            };
            figures.into_iter().filter_map(named)
        });
        layers.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_lacks_survive_it() {
        let mut layer = LayerHealth { name: "a".into(), kind: LayerKind::Dense, ..LayerHealth::default() };
        layer.gradient_norm = Some(f64::INFINITY);
        layer.weight_norm = Some(f64::NAN);
        layer.activation_mean = Some(f64::NEG_INFINITY);
        layer.activation = Some(Activation::LeakyRelu);
        layer.non_finite = Some(NonFinite::Weights);
        let observation = Observation { step: 7, loss: Some(0.25), layers: vec![layer], ..Observation::default() };
        let text = serde_json::to_string(&observation).unwrap();
        assert!(text.contains(r#""gradient_norm":"inf""#) && text.contains(r#""weight_norm":"NaN""#), "{text}");
        let read: Observation = serde_json::from_str(&text).unwrap();
        assert!(read.layers[0].weight_norm.unwrap().is_nan());
        assert_eq!(read.layers[0].activation_mean, Some(f64::NEG_INFINITY));
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }

    #[test]
    fn only_step_and_names_are_required() {
        let read: Observation = serde_json::from_str(
            r#"{"step": 3, "loss": null, "clipped": null, "layers": [{"name": "x", "kind": null}]}"#,
        )
        .unwrap();
        assert_eq!(read.layers[0], LayerHealth { name: "x".into(), ..LayerHealth::default() });
        assert_eq!((read.step, read.loss), (3, None));
        assert!(serde_json::from_str::<Observation>(r#"{"loss": 3}"#).is_err());
        assert!(serde_json::from_str::<Observation>(r#"{"step": 3, "layers": [{}]}"#).is_err());
        let kind: LayerKind = serde_json::from_str(r#""attention""#).unwrap();
        assert_eq!(kind, LayerKind::Other);
    }

    #[test]
    fn tensorboard_gets_what_is_there() {
        let layer = |name: &str| LayerHealth { name: name.into(), update_ratio: Some(1e-3), ..LayerHealth::default() };
        let observation = Observation { layers: vec![layer("a"), layer("b")], ..Observation::default() };
        let expected = ["a", "b"].map(|name| (format!("health/update_ratio/{name}"), 1e-3));
        assert_eq!(observation.scalars(), expected);
    }
}
