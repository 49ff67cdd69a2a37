//! A net under construction: what the kinds of layers add their nodes to.

use std::collections::HashMap;

use rand_chacha::ChaCha8Rng;

use super::{NetError, Node, Shape, error::within};
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
    /// In the order in which they run.
    pub nodes: Vec<Node<T>>,
    /// What the next layer is put on.
    pub at: Place,
    /// What the layers so far give, by name.
    pub places: HashMap<String, Place>,
    /// Classes to tell apart.
    pub classes: usize,
    /// Weights of all layers so far.
    weights: usize,
    /// Draws the initial weights, layer after layer.
    pub rng: &'r mut ChaCha8Rng,
}

impl<'r, T: Scalar> Builder<'r, T> {
    /// One that has no layer yet.
    pub fn new(input: Shape, classes: usize, rng: &'r mut ChaCha8Rng) -> Self {
        let at = Place { value: 0, shape: input, name: "the input".into() };
        let places = HashMap::from([("input".to_owned(), at.clone())]);
        Self { nodes: Vec::new(), at, places, classes, weights: 0, rng }
    }

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
