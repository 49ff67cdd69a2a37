//! From a list of layers to a graph of nodes: names, shapes, initial weights.

use rand::Rng;

use super::arch::{Arch, HIDDEN, LayerSpec, WIDTHS, within};
use super::{NetError, Node, Shape};
use crate::init::{glorot, he};
use crate::layers::Layer;
use crate::layers::add::AddRelu;
use crate::layers::conv::Conv;
use crate::layers::conv_norm::ConvNorm;
use crate::layers::dense::Dense;
use crate::layers::gru::Gru;
use crate::layers::pool::GlobalAveragePool;
use crate::layers::recurrent::Recurrent;
use crate::scalar::Scalar;

/// The nodes of `arch` in the order in which they run; the last gives the net's outputs.
pub(super) fn build<T: Scalar>(arch: &Arch, rng: &mut impl Rng) -> Result<Vec<Node<T>>, NetError> {
    arch.check()?;
    let mut builder =
        Builder { nodes: Vec::new(), at: Place { value: 0, shape: arch.input, name: "the input".into() }, rng };
    for (i, layer) in arch.layers.iter().enumerate() {
        builder.layer(layer, i, arch)?;
    }
    let Place { shape, name, .. } = builder.at;
    if shape != Shape::Vector(arch.classes) {
        let takes = format!("the loss takes a vector of {} numbers", arch.classes);
        return Err(NetError::Fit { takes, below: name, shape });
    }
    Ok(builder.nodes)
}

/// A value of the graph: 0 is the input, `i + 1` what node `i` gives.
#[derive(Clone, Debug)]
struct Place {
    value: usize,
    shape: Shape,
    /// Of the layer that gives it, for messages.
    name: String,
}

/// A convolution to be built.
#[derive(Clone, Copy)]
struct Convolution {
    outputs: usize,
    kernel: usize,
    stride: usize,
    normalize: bool,
    relu: bool,
}

struct Builder<'r, T, R> {
    nodes: Vec<Node<T>>,
    at: Place,
    rng: &'r mut R,
}

impl<T: Scalar, R: Rng> Builder<'_, T, R> {
    fn layer(&mut self, spec: &LayerSpec, index: usize, arch: &Arch) -> Result<(), NetError> {
        let named = |name: &Option<String>, kind: &str| match name {
            Some(name) => name.clone(),
            None => format!("{kind}{}", index + 1),
        };
        match spec {
            LayerSpec::Convolution { name, outputs, kernel, stride, normalize, relu } => {
                let unit = Convolution {
                    outputs: *outputs,
                    kernel: *kernel,
                    stride: *stride,
                    normalize: *normalize,
                    relu: *relu,
                };
                self.convolution(&named(name, "convolution"), unit)
            }
            &LayerSpec::Residual { ref name, outputs, blocks, stride, convolutions, shortcut } => {
                let name = named(name, "residual");
                within(&name, "blocks", blocks, 1..=64)?;
                within(&name, "convolutions", convolutions, 2..=3)?;
                for block in 0..blocks {
                    let stride = if block == 0 { stride } else { 1 };
                    self.block(&format!("{name}.block{}", block + 1), outputs, stride, convolutions, shortcut)?;
                }
                Ok(())
            }
            LayerSpec::GlobalAveragePool { name } => {
                let name = named(name, "pool");
                let [_, _, channels] = self.map(&name)?;
                self.push(name, GlobalAveragePool, Shape::Vector(channels));
                Ok(())
            }
            LayerSpec::Dense { name, outputs } => {
                let name = named(name, "dense");
                let outputs = outputs.unwrap_or(arch.classes);
                within(&name, "outputs", outputs, 1..=65_536)?;
                let (inputs, shape) = match self.at.shape {
                    Shape::Vector(n) => (n, Shape::Vector(outputs)),
                    Shape::Sequence([frames, n]) => (n, Shape::Sequence([frames, outputs])),
                    Shape::Map(_) => return Err(self.misfit(&name, "a vector or a sequence")),
                };
                let weight = glorot(inputs * outputs, inputs, outputs, self.rng);
                self.push(name, Dense::new(weight, inputs, outputs), shape);
                Ok(())
            }
            &LayerSpec::Gru { ref name, hidden, every_step } => {
                let name = named(name, "gru");
                within(&name, "hidden", hidden, HIDDEN)?;
                let Shape::Sequence([frames, inputs]) = self.at.shape else {
                    return Err(self.misfit(&name, "a sequence"));
                };
                let cell = Gru::new(inputs, hidden, self.rng);
                let shape = if every_step { Shape::Sequence([frames, hidden]) } else { Shape::Vector(hidden) };
                self.push(name, Recurrent::new(cell, every_step), shape);
                Ok(())
            }
        }
    }

    fn convolution(&mut self, name: &str, unit: Convolution) -> Result<(), NetError> {
        let Convolution { outputs, kernel, stride, normalize, relu } = unit;
        within(name, "outputs", outputs, 1..=*WIDTHS.end() * 4)?;
        within(name, "kernel", kernel, 1..=31)?;
        within(name, "stride", stride, 1..=16)?;
        let [h, w, inputs] = self.map(name)?;
        let padding = kernel / 2;
        if h + 2 * padding < kernel || w + 2 * padding < kernel {
            return Err(self.misfit(name, "maps that are no smaller than its kernel"));
        }
        let taps = kernel * kernel;
        let weight = he(taps * inputs * outputs, taps * inputs, self.rng);
        let conv = Conv::new(weight, inputs, outputs, kernel, stride);
        let size = |n: usize| (n + 2 * padding - kernel) / stride + 1;
        self.push(name.into(), ConvNorm::new(conv, normalize, relu), Shape::Map([size(h), size(w), outputs]));
        Ok(())
    }

    /// `relu(F(x) + shortcut(x))`: the convolutions `a`, `b` (and `c`), then the projection if the shape changes, then
    /// the sum. Without shortcut the last convolution ends in the ReLU.
    fn block(
        &mut self,
        name: &str,
        outputs: usize,
        stride: usize,
        convolutions: usize,
        shortcut: bool,
    ) -> Result<(), NetError> {
        let x = self.at.clone();
        let unit = |outputs, kernel, stride, relu| Convolution { outputs, kernel, stride, normalize: true, relu };
        let inner = (outputs / 4).max(1);
        let units = match convolutions {
            2 => vec![unit(outputs, 3, stride, true), unit(outputs, 3, 1, !shortcut)],
            // The stride is on the 3x3, as in PyTorch's ResNet-50 ("v1.5"): on the 1x1 it would skip three pixels of four.
            _ => vec![unit(inner, 1, 1, true), unit(inner, 3, stride, true), unit(outputs, 1, 1, !shortcut)],
        };
        for (unit, branch) in units.into_iter().zip(["a", "b", "c"]) {
            self.convolution(&format!("{name}.{branch}"), unit)?;
        }
        if !shortcut {
            return Ok(());
        }
        let sum = self.at.clone();
        let other = if x.shape == sum.shape {
            x
        } else {
            self.at = x;
            self.convolution(&format!("{name}.shortcut"), unit(outputs, 1, stride, false))?;
            self.at.clone()
        };
        let inputs = vec![sum.value, other.value];
        self.node(name.into(), inputs, Box::new(AddRelu), sum.shape);
        Ok(())
    }

    fn map(&self, name: &str) -> Result<[usize; 3], NetError> {
        match self.at.shape {
            Shape::Map(map) => Ok(map),
            _ => Err(self.misfit(name, "maps (height, width, channels)")),
        }
    }

    fn misfit(&self, name: &str, takes: &str) -> NetError {
        let Place { shape, name: below, .. } = &self.at;
        NetError::Fit { takes: format!("layer `{name}` takes {takes}"), below: below.clone(), shape: *shape }
    }

    fn push(&mut self, name: String, layer: impl Layer<T> + 'static, shape: Shape) {
        self.node(name, vec![self.at.value], Box::new(layer), shape);
    }

    fn node(&mut self, name: String, inputs: Vec<usize>, layer: Box<dyn Layer<T>>, shape: Shape) {
        self.nodes.push(Node { name: name.clone(), inputs, layer });
        self.at = Place { value: self.nodes.len(), shape, name: format!("layer `{name}`") };
    }
}
