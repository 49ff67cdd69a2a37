//! From a list of layers to a graph of nodes: names, shapes, initial weights.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{
    Arch, NetError, Node, Shape,
    builder::{Builder, Place},
    ending,
};
use crate::engine::scalar::Scalar;

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
    let mut builder = Builder::new(arch.input, arch.classes, rng);
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
