//! From a list of layers to a graph of nodes: names, shapes, initial weights.

use std::collections::HashMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Arch, NetError, Node, Shape, ending, error::within};
use crate::{
    engine::scalar::Scalar,
    layers::{
        Layer,
        activation::{Activation, Function},
    },
};

/// Weights of one layer, and of all layers together: 1 GiB of them, ten times those of the largest preset. More is a slip
/// of the pen.
const MOST_WEIGHTS: usize = 1 << 28;

/// Of a layer's name: a checkpoint counts those of its tensors, which are longer, in 16 bits.
const LONGEST_NAME: usize = 200;

impl Arch {
    /// Whether the last layer gives something for each frame of a sequence. The layers are built and thrown away.
    ///
    /// # Errors
    /// [`NetError`] of layers that do not fit each other.
    pub fn answers_every_frame(&self) -> Result<bool, NetError> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let builder = layers::<f32>(self, &mut rng)?;
        Ok(matches!(builder.at.shape, Shape::Sequence(_)))
    }
}

/// The nodes of `arch` in the order in which they run, and the shape that the last gives: the net's outputs.
pub(super) fn build<T: Scalar>(arch: &Arch, rng: &mut ChaCha8Rng) -> Result<(Vec<Node<T>>, Shape), NetError> {
    let builder = layers(arch, rng)?;
    let Place { shape, name, .. } = builder.at;
    if matches!(shape, Shape::Map(_) | Shape::Tokens(_)) || shape.channels() != arch.classes {
        let takes = format!("the loss takes a vector of {} numbers, or one for each frame", arch.classes);
        return Err(NetError::Fit { takes, below: name, shape });
    }
    // What the last layer gives goes to the loss; of a list that ends in a branch that is what it branches off from.
    for value in (1..=builder.nodes.len()).filter(|&value| value != builder.at.value) {
        if builder.nodes.iter().all(|node| !node.inputs.contains(&value)) {
            let layer = builder.nodes[value - 1].name.clone();
            return Err(NetError::Layer { layer, reason: "no layer takes what it gives".into() });
        }
    }
    ending::check(&arch.layers)?;
    Ok((builder.nodes, shape))
}

/// All layers of `arch`, whatever the last gives.
pub(super) fn layers<'r, T: Scalar>(arch: &Arch, rng: &'r mut ChaCha8Rng) -> Result<Builder<'r, T>, NetError> {
    arch.check()?;
    let at = Place { value: 0, shape: arch.input, name: "the input".into() };
    let places = HashMap::from([("input".to_owned(), at.clone())]);
    let mut builder = Builder { nodes: Vec::new(), at, places, classes: arch.classes, weights: 0, rng };
    for (i, layer) in arch.layers.iter().enumerate() {
        let name = layer.name_at(i);
        // What a layer is made of is named `layer.part`: a dot in a name could make two tensors of one name.
        if name.is_empty() || name.contains('.') || name.len() > LONGEST_NAME {
            let reason = format!("a name is not empty, has no dot and is no longer than {LONGEST_NAME} bytes");
            return Err(NetError::Layer { layer: name.chars().take(40).collect(), reason });
        }
        layer.build(&name, &mut builder)?;
        // Two layers of one name would share their place in a checkpoint.
        if builder.places.insert(name.clone(), builder.at.clone()).is_some() {
            return Err(NetError::Name { name });
        }
    }
    if builder.nodes.is_empty() {
        return Err(NetError::NoLayers);
    }
    Ok(builder)
}

/// A value of the graph.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// 0 is the input, `i + 1` what node `i` gives.
    pub value: usize,
    /// Of one sample.
    pub shape: Shape,
    /// Of the layer that gives it, for messages.
    pub name: String,
}

/// A graph under construction.
pub(super) struct Builder<'r, T> {
    nodes: Vec<Node<T>>,
    /// What the next layer is put on.
    pub at: Place,
    /// What the layers so far give, by name.
    places: HashMap<String, Place>,
    /// Classes to tell apart.
    pub classes: usize,
    /// Weights of all layers so far.
    weights: usize,
    /// Draws the initial weights, layer after layer.
    pub rng: &'r mut ChaCha8Rng,
}

impl<T: Scalar> Builder<'_, T> {
    /// Height, width and channels of the maps that layer `name` is put on.
    pub fn map(&self, name: &str) -> Result<[usize; 3], NetError> {
        match self.at.shape {
            Shape::Map(map) => Ok(map),
            _ => Err(self.misfit(name, "maps (height, width, channels)")),
        }
    }

    /// What the earlier layer `other` gives, for layer `name`.
    pub fn find(&self, name: &str, other: &str) -> Result<Place, NetError> {
        self.places.get(other).cloned().ok_or_else(|| {
            let reason = format!("there is no layer `{other}` before it");
            NetError::Layer { layer: name.to_owned(), reason }
        })
    }

    /// Refuses more than [`MOST_WEIGHTS`] in layer `name`, or in all up to it, before memory is asked for them; `factors`
    /// are the sizes of their axes.
    pub fn weights(&mut self, name: &str, factors: &[usize]) -> Result<(), NetError> {
        let count = factors.iter().fold(1usize, |n, &f| n.saturating_mul(f));
        within(name, "weights", count, 1..=MOST_WEIGHTS)?;
        self.weights = self.weights.saturating_add(count);
        within(name, "weights of the net up to here", self.weights, 1..=MOST_WEIGHTS)
    }

    /// The number that the next node will have.
    pub fn place(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// The error of a layer that takes something else than it is put on.
    pub fn misfit(&self, name: &str, takes: &str) -> NetError {
        let Place { shape, name: below, .. } = &self.at;
        NetError::Fit { takes: format!("layer `{name}` takes {takes}"), below: below.clone(), shape: *shape }
    }

    /// Adds a layer of one input that gives `shape`.
    pub fn push(&mut self, name: &str, layer: impl Layer<T> + 'static, shape: Shape) {
        self.node(name, vec![self.at.value], Box::new(layer), shape);
    }

    /// Adds what a layer named `of` ends in, as a layer of its own.
    pub fn activation(&mut self, of: &str, function: Option<Function>) {
        if let Some(function) = function {
            self.push(&format!("{of}.activation"), Activation::from(function), self.at.shape);
        }
    }

    /// Adds a layer that takes the values `inputs` and gives `shape`.
    pub fn node(&mut self, name: &str, inputs: Vec<usize>, layer: Box<dyn Layer<T>>, shape: Shape) {
        self.nodes.push(Node { name: name.to_owned(), inputs, layer });
        self.at = Place { value: self.nodes.len(), shape, name: format!("layer `{name}`") };
    }
}
