//! What a net may end in: plain numbers, of any size and sign. The loss makes probabilities of them itself.
//!
//! A sigmoid under the loss's softmax leaves each class between `1 / (1 + (K - 1) e)` and `e / (e + K - 1)`, a ReLU under its
//! sigmoid answers yes to everything; dropout at the end erases answers. Nothing fails, and nothing is learned.

use std::collections::HashMap;

use super::{LayerSpec, NetError};
use crate::layers::activation::Function;

/// Refuses a list of layers that ends in something that bounds or drops its numbers, whatever shapes they have. A batch
/// normalization may end a net: it has a trained scale and shift of its own. Branches are followed to what they go back to;
/// a sum is free if one of its two sides is.
///
/// # Errors
/// [`NetError::Layer`] with the layer, the reason and what to do.
pub(crate) fn check(layers: &[LayerSpec]) -> Result<(), NetError> {
    let Some(last) = layers.len().checked_sub(1) else { return Ok(()) };
    if matches!(layers[last], LayerSpec::Branch(_)) {
        let reason = "ends the net, and goes back to an earlier layer for nothing; put behind it what is to follow, or leave \
                      it out";
        return Err(NetError::Layer { layer: layers[last].name_at(last), reason: reason.into() });
    }
    // Of what each layer gives, the layer that bounds it. Names that nobody has are refused when the net is built.
    let mut bound: Vec<Option<usize>> = Vec::with_capacity(layers.len());
    let mut places = HashMap::new();
    for (at, layer) in layers.iter().enumerate() {
        let above = bound.last().copied().flatten();
        let earlier = |name: &String| places.get(name).and_then(|&at: &usize| bound[at]);
        let now = match layer {
            // Pools, flattening and gates keep the bounds of what they are given.
            LayerSpec::Flatten(_)
            | LayerSpec::SqueezeExcitation(_)
            | LayerSpec::MaxPool(_)
            | LayerSpec::AveragePool(_)
            | LayerSpec::GlobalMaxPool(_)
            | LayerSpec::GlobalAveragePool(_) => above,
            LayerSpec::Branch(branch) => earlier(&branch.from),
            LayerSpec::Add(add) if add.activation.is_none() => above.and(earlier(&add.of)),
            _ => reason(layer).map(|_| at),
        };
        bound.push(now);
        places.insert(layer.name_at(at), at);
    }
    let end = bound[last].and_then(|at| Some((layers[at].name_at(at), reason(&layers[at])?)));
    end.map_or(Ok(()), |(layer, reason)| Err(NetError::Layer { layer, reason }))
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
        Function::HardSigmoid => "a hard sigmoid",
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
            (
                // `head` is free, but what is branched off from is not.
                format!(
                    r#"{{"kind": "dense", "name": "a", "activation": "tanh"}}, {dense}, {{"kind": "branch", "from": "a"}},
                    {{"kind": "flatten"}}"#
                ),
                ["`a`", "a tanh", "`activation`"],
            ),
            (
                r#"{"kind": "dense", "name": "a", "activation": "relu"}, {"kind": "dense", "name": "b", "activation":
                "sigmoid"}, {"kind": "add", "of": "a"}"#
                    .to_owned(),
                ["`a`", "a ReLU", "`activation`"],
            ),
            (
                format!(
                    r#"{{"kind": "convolution", "outputs": 3, "activation": "hard-sigmoid"}},
                    {{"kind": "squeeze-excitation"}}, {pool}"#
                ),
                ["`convolution1`", "a hard sigmoid", "`activation`"],
            ),
            (format!(r#"{dense}, {{"kind": "branch", "from": "head"}}"#), ["`branch2`", "goes back", "leave it out"]),
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
            format!(r#"{{"kind": "dense", "name": "a", "activation": "relu"}}, {dense}, {{"kind": "add", "of": "a"}}"#),
        ] {
            assert_eq!(check_text(&layers), Ok(()), "{layers}");
        }
    }
}
