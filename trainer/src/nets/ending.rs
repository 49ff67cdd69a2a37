//! What a net may end in: plain numbers, of any size and sign. The loss makes probabilities of them itself.
//!
//! A sigmoid under the loss's softmax leaves each class between `1 / (1 + (K - 1) e)` and `e / (e + K - 1)`, a ReLU under its
//! sigmoid answers yes to everything; dropout at the end erases answers. Nothing fails, and nothing is learned.

use super::{LayerSpec, NetError};
use crate::layers::activation::Function;

/// Refuses a list of layers that ends in something that bounds or drops its numbers, whatever shapes they have. A batch
/// normalization may end a net: it has a trained scale and shift of its own.
///
/// # Errors
/// [`NetError::Layer`] with the layer, the reason and what to do.
pub(crate) fn check(layers: &[LayerSpec]) -> Result<(), NetError> {
    // Pools and flattening keep the bounds of what they are given.
    let keeps = |layer: &LayerSpec| {
        matches!(
            layer,
            LayerSpec::Flatten(_)
                | LayerSpec::MaxPool(_)
                | LayerSpec::AveragePool(_)
                | LayerSpec::GlobalMaxPool(_)
                | LayerSpec::GlobalAveragePool(_)
        )
    };
    let Some((at, last)) = layers.iter().enumerate().rfind(|(_, layer)| !keeps(layer)) else { return Ok(()) };
    match reason(last) {
        Some(reason) => Err(NetError::Layer { layer: last.name_at(at), reason }),
        None => Ok(()),
    }
}

fn reason(last: &LayerSpec) -> Option<String> {
    let function = match last {
        LayerSpec::Activation(layer) => Some(layer.function),
        LayerSpec::Dense(layer) => layer.activation,
        LayerSpec::Convolution(layer) => layer.activation,
        LayerSpec::Add(layer) => layer.activation,
        LayerSpec::Residual(_) => {
            return Some(format!("ends the net in a ReLU, and {LOSS}; put a `dense` layer behind it"));
        }
        LayerSpec::Gru(_) | LayerSpec::Lstm(_) | LayerSpec::Rnn(_) => {
            return Some(format!(
                "ends the net in a state between -1 and 1, and {LOSS}; put a `dense` layer behind it"
            ));
        }
        LayerSpec::Dropout(_) => {
            let mend = "leave it out, or put it before the last layer with weights";
            return Some(format!("ends the net and would erase answers by chance; {mend}"));
        }
        _ => None,
    }?;
    let mend = match last {
        LayerSpec::Activation(_) => "leave this layer out",
        _ => "leave its `activation` out",
    };
    Some(format!("ends the net in {}, and {LOSS}; {mend}", name(function)))
}

const LOSS: &str = "the loss puts a softmax (of one number a sigmoid) of its own on what the last layer gives, which must \
                    be free to take any value: such a net hardly learns";

fn name(function: Function) -> &'static str {
    match function {
        Function::Relu => "a ReLU",
        Function::LeakyRelu => "a leaky ReLU",
        Function::Sigmoid => "a sigmoid",
        Function::Tanh => "a tanh",
        Function::Silu => "a SiLU",
        Function::HardSwish => "a hard-swish",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(layers: &str) -> Result<(), String> {
        let layers: Vec<LayerSpec> = serde_json::from_str(&format!("[{layers}]")).expect("layers");
        check(&layers).map_err(|e| e.to_string())
    }

    #[test]
    fn what_bounds_or_drops_the_answers_is_refused_with_layer_and_mend() {
        let pool = r#"{"kind": "global-average-pool"}"#;
        let dense = r#"{"kind": "dense", "name": "head"}"#;
        for (layers, says) in [
            (
                r#"{"kind": "dense", "name": "head", "activation": "sigmoid"}"#.to_owned(),
                ["`head`", "a sigmoid", "`activation`"],
            ),
            (
                format!(r#"{dense}, {{"kind": "activation", "function": "relu"}}"#),
                ["`activation2`", "a ReLU", "this layer"],
            ),
            (
                format!(r#"{dense}, {{"kind": "activation", "function": "tanh", "name": "end"}}"#),
                ["`end`", "a tanh", "loss"],
            ),
            (format!(r#"{dense}, {{"kind": "dropout"}}"#), ["`dropout2`", "by chance", "before the last"]),
            (
                format!(r#"{{"kind": "convolution", "outputs": 3, "activation": "silu"}}, {pool}"#),
                ["`convolution1`", "SiLU", "softmax"],
            ),
            (format!(r#"{{"kind": "residual", "outputs": 3}}, {pool}"#), ["`residual1`", "ReLU", "`dense`"]),
            (
                r#"{"kind": "residual", "outputs": 3}, {"kind": "max-pool"}, {"kind": "flatten"}"#.to_owned(),
                ["`residual1`", "ReLU", "`dense`"],
            ),
            (
                format!(r#"{dense}, {{"kind": "add", "of": "input", "activation": "leaky-relu"}}"#),
                ["`add2`", "leaky", "`activation`"],
            ),
            (r#"{"kind": "gru", "hidden": 3, "layers": 2}"#.to_owned(), ["`gru1`", "-1 and 1", "`dense`"]),
            (r#"{"kind": "rnn", "hidden": 3, "every_step": true}"#.to_owned(), ["`rnn1`", "-1 and 1", "`dense`"]),
        ] {
            let error = check_text(&layers).expect_err(&layers);
            says.iter().for_each(|word| assert!(error.contains(word), "`{word}` in: {error}"));
        }
        for layers in [
            dense.to_owned(),
            format!(r#"{dense}, {{"kind": "batch-norm"}}"#),
            format!(r#"{{"kind": "convolution", "outputs": 3}}, {pool}"#),
            format!(r#"{dense}, {{"kind": "add", "of": "input"}}"#),
        ] {
            assert_eq!(check_text(&layers), Ok(()), "{layers}");
        }
    }
}
