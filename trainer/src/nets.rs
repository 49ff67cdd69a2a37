//! Nets: what to build ([`Arch`]), and its nodes with their numbers at work ([`Net`]).

mod activity;
mod arch;
mod backward;
mod batch;
mod build;
mod builder;
pub(crate) mod ending;
mod error;
pub mod export;
mod file;
mod jacobian;
pub mod kinds;
pub mod loss;
mod observe;
pub mod presets;
mod shape;
mod stand_in;

use ndarray::{Array2, ArrayD, Axis};
use rand_chacha::ChaCha8Rng;

pub use arch::Arch;
pub use batch::{Batch, StepStats};
pub use error::NetError;
pub use file::{NetFile, NetFileError};
pub use jacobian::StateJacobians;
pub use kinds::{HIDDEN, LAYERS, LayerSpec, WIDTHS};
pub use shape::Shape;
pub use stand_in::StandIn;

use crate::{
    engine::{
        interrupt,
        parameter::{Parameter, gradient_norm},
        scalar::Scalar,
    },
    layers::{
        Layer, Mode, Noise, Pass,
        conv::ConvBuffers,
        onnx::{Graph, Value},
    },
    nets::loss::{Loss, Targets, masked_loss},
};

/// One layer in its place.
#[derive(Debug)]
struct Node<T> {
    /// Path from the net's root: `stage2.block1.a`.
    name: String,
    /// The values it takes: 0 is the net's input, `i + 1` what node `i` gives.
    inputs: Vec<usize>,
    layer: Box<dyn Layer<T>>,
}

/// A net with its numbers.
#[derive(Debug)]
pub struct Net<T = f32> {
    arch: Arch,
    output: Shape,
    nodes: Vec<Node<T>>,
    /// What each node gave last, allocated once.
    values: Vec<ArrayD<T>>,
    /// The first node with something to train: no gradient goes further back.
    lowest: usize,
    /// Memory of gradients that have been used up.
    spare: Vec<ArrayD<T>>,
    conv: ConvBuffers<T>,
    noise: Noise,
    /// See [`Net::set_activity_penalty`].
    activity_penalty: f64,
    stand_in: Option<Box<dyn StandIn<T>>>,
}

/// Sees every layer's output and its gradient on their way back, see [`Net::gradients_watched`].
pub trait Watch<T: Scalar> {
    /// Node `name` gave `y`, and the loss's gradient by it is `dy`; the layer has not yet run backwards.
    fn node(&mut self, name: &str, layer: &dyn Layer<T>, y: &ArrayD<T>, dy: &ArrayD<T>);

    /// The same node, right after its layer has run backwards: now [`Layer::time_gradient_ratio`] is known.
    fn gone_back(&mut self, _name: &str, _layer: &dyn Layer<T>) {}
}

/// Samples evaluated together: bounds the memory of [`Net::predict`].
const EVALUATION_BATCH: usize = 64;

impl<T: Scalar> Net<T> {
    /// A fresh net; the same generator state gives the same numbers on every machine.
    ///
    /// # Errors
    /// [`NetError::Number`] and [`NetError::Fit`] name the layer.
    pub fn new(arch: &Arch, rng: &mut ChaCha8Rng) -> Result<Self, NetError> {
        let (nodes, output): (Vec<Node<T>>, _) = build::build(arch, rng)?;
        let values = nodes.iter().map(|_| ArrayD::zeros(vec![0])).collect();
        let (spare, conv, noise) = (Vec::new(), ConvBuffers::default(), Noise::default());
        let (arch, lowest, activity_penalty, stand_in) = (arch.clone(), 0, 0.0, None);
        Ok(Self { arch, output, nodes, values, lowest, spare, conv, noise, activity_penalty, stand_in })
    }

    /// Its shape.
    pub fn arch(&self) -> &Arch {
        &self.arch
    }

    /// Says which random numbers the next training step draws; each step after it draws the next ones.
    pub fn set_noise(&mut self, noise: Noise) {
        self.noise = noise;
    }

    /// Forward and backward through one batch in training mode: afterwards [`Net::trainable`] holds the gradients of
    /// the mean loss, and the batch-norm statistics have moved. A net that answers every frame takes the targets of all
    /// frames, sequence after sequence; what lies beyond the end of a sequence does not count, whatever its target.
    /// `label_smoothing` in 0..1 concerns classes.
    ///
    /// # Errors
    /// [`NetError`] if shapes or labels do not fit, and [`NetError::Interrupted`]: then gradients and batch-norm statistics
    /// may hold anything. A loss that is not finite is no error here: it is in the
    /// statistics, and [`crate::engine::parameter::first_non_finite`] names the layer.
    pub fn gradients<'a>(
        &mut self,
        batch: impl Into<Batch<'a, T>>,
        targets: Targets<'_>,
        label_smoothing: f32,
    ) -> Result<StepStats, NetError> {
        self.gradients_watched(batch, targets, label_smoothing, None)
    }

    /// [`Net::gradients`] under the eyes of `watch`.
    ///
    /// # Errors
    /// As [`Net::gradients`].
    pub fn gradients_watched<'a>(
        &mut self,
        batch: impl Into<Batch<'a, T>>,
        targets: Targets<'_>,
        label_smoothing: f32,
        watch: Option<&mut dyn Watch<T>>,
    ) -> Result<StepStats, NetError> {
        let batch = batch.into();
        let samples = self.check_input(batch)?;
        let rows = match self.output {
            Shape::Sequence([frames, _]) => frames * samples,
            _ => samples,
        };
        targets.check(rows, self.arch.classes)?;
        let seen = self.with_stand_in(|stand_in, net| stand_in.begin(net, batch)).transpose()?;
        let batch = Batch { x: seen.as_ref().unwrap_or(batch.x), ..batch };
        let loss = self.there_and_back(batch, targets, label_smoothing, watch);
        // Also of a pass that was cut short: the weights go back to what they were.
        self.with_stand_in(|stand_in, net| stand_in.end(net));
        let loss = loss?;
        self.noise.step += 1;
        let gradient_norm = gradient_norm(&self.trainable());
        let penalty = self.activity_loss(batch);
        Ok(StepStats {
            loss: loss.loss + penalty,
            penalty,
            correct: loss.correct,
            samples: loss.samples,
            gradient_norm,
        })
    }

    /// From the inputs to the loss and its gradients.
    fn there_and_back(
        &mut self,
        batch: Batch<'_, T>,
        targets: Targets<'_>,
        label_smoothing: f32,
        watch: Option<&mut dyn Watch<T>>,
    ) -> Result<Loss<T>, NetError> {
        self.forward(batch, Mode::Train)?;
        let counted: Option<Vec<bool>> = match (batch.lengths, self.output) {
            (Some(lengths), Shape::Sequence([frames, _])) => {
                Some(lengths.iter().flat_map(|&n| (0..frames).map(move |frame| frame < n)).collect())
            }
            _ => None,
        };
        let mut loss = masked_loss(self.outputs().view(), targets, label_smoothing, counted.as_deref());
        let shape = self.values.last().map(|v| v.raw_dim()).expect("a net has layers");
        let gradient = std::mem::replace(&mut loss.gradient, Array2::zeros((0, 0)))
            .into_shape_with_order(shape)
            .expect("as many numbers");
        self.backward(batch, gradient, Mode::Train, watch)?;
        Ok(loss)
    }

    /// Outputs `[batch, classes]` in evaluation mode, or `[batch * frames, classes]` of a net that answers every frame.
    ///
    /// # Errors
    /// [`NetError`] if shapes or lengths do not fit.
    pub fn predict<'a>(&mut self, batch: impl Into<Batch<'a, T>>) -> Result<Array2<T>, NetError> {
        let Batch { x, lengths } = batch.into();
        self.check_input(Batch { x, lengths })?;
        if let Some(logits) = self.with_stand_in(|stand_in, net| stand_in.predict(net, Batch { x, lengths })) {
            return logits;
        }
        let mut logits = Array2::zeros((0, self.arch.classes));
        for (i, part) in x.axis_chunks_iter(Axis(0), EVALUATION_BATCH).enumerate() {
            let lengths = lengths.map(|all| &all[i * EVALUATION_BATCH..][..part.shape()[0]]);
            self.forward(Batch { x: &part.as_standard_layout().into_owned(), lengths }, Mode::Evaluate)?;
            logits.append(Axis(0), self.outputs().view()).expect("the same classes");
        }
        Ok(logits)
    }

    /// Runs all nodes; what they give stays in `values`.
    ///
    /// # Errors
    /// [`NetError::Interrupted`]; then `values` holds anything.
    fn forward(&mut self, Batch { x, lengths }: Batch<'_, T>, mode: Mode) -> Result<(), NetError> {
        let mut pass = Pass { mode, lengths, noise: self.noise, conv: &mut self.conv };
        for (i, node) in self.nodes.iter_mut().enumerate() {
            let (before, rest) = self.values.split_at_mut(i);
            let inputs: Vec<&ArrayD<T>> = node.inputs.iter().map(|&v| value(x, before, v)).collect();
            node.layer.forward(&inputs, &mut rest[0], &mut pass);
            if let (Mode::Train, Some(stand_in)) = (mode, &mut self.stand_in) {
                stand_in.gave(i, &mut rest[0]);
            }
            // What a layer left undone must not reach the next.
            if interrupt::asked() {
                return Err(NetError::Interrupted);
            }
        }
        Ok(())
    }

    /// Shape of the outputs of one sample: a vector, or one for each frame.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// What the last node gave, `[rows, classes]`.
    fn outputs(&self) -> Array2<T> {
        let last = self.values.last().expect("a net has layers, checked when it was built");
        let (classes, rows) = (self.arch.classes, last.len() / self.arch.classes);
        last.clone().into_shape_with_order((rows, classes)).expect("so many numbers, checked when it was built")
    }

    /// How many samples a sound batch has.
    fn check_input(&self, Batch { x, lengths }: Batch<'_, T>) -> Result<usize, NetError> {
        let samples = x.shape().first().copied().unwrap_or(0);
        let expected = self.arch.input_shape(samples);
        if x.shape() != expected {
            return Err(NetError::Shape { got: x.shape().to_vec(), expected });
        }
        if samples == 0 {
            return Err(NetError::Empty);
        }
        if let Shape::Tokens([frames, vocabulary]) = self.arch.input {
            let fits = |token: f64| token >= 0.0 && token < vocabulary as f64 && token.fract() == 0.0;
            if let Some(at) = x.iter().position(|t| !fits(t.wide())) {
                let token = x.iter().nth(at).expect("found there").to_string();
                return Err(NetError::Token { sample: at / frames, frame: at % frames, token, vocabulary });
            }
        }
        let Some(lengths) = lengths else { return Ok(samples) };
        let (Shape::Sequence([frames, _]) | Shape::Tokens([frames, _])) = self.arch.input else {
            return Err(NetError::NoSequences { shape: self.arch.input });
        };
        if lengths.len() != samples {
            return Err(NetError::Lengths { lengths: lengths.len(), samples });
        }
        match lengths.iter().position(|&n| n == 0 || n > frames) {
            Some(sample) => Err(NetError::Length { sample, length: lengths[sample], frames }),
            None => Ok(samples),
        }
    }

    /// Everything an optimizer moves, from the input on.
    pub fn parameters(&mut self) -> Vec<Parameter<'_, T>> {
        let mut all = Vec::new();
        for node in &mut self.nodes {
            node.layer.parameters(&node.name, &mut all);
        }
        all
    }

    /// [`Net::parameters`] but for the frozen ones.
    pub fn trainable(&mut self) -> Vec<Parameter<'_, T>> {
        let mut all = self.parameters();
        all.retain(|p| !*p.frozen);
        all
    }

    /// Freezes the parameters whose name `frozen` says yes to, and thaws the others.
    pub fn freeze(&mut self, frozen: impl Fn(&str) -> bool) {
        self.parameters().into_iter().for_each(|p| *p.frozen = frozen(&p.name));
        let trains = |node: &mut Node<T>| {
            let mut all = Vec::new();
            node.layer.parameters(&node.name, &mut all);
            all.iter().any(|p| !*p.frozen)
        };
        self.lowest = self.nodes.iter_mut().position(trains).unwrap_or(self.nodes.len());
    }

    /// What training moves without an optimizer: batch-norm statistics, and what a stand-in has. A checkpoint needs them.
    pub fn buffers(&mut self) -> Vec<(String, &mut [T])> {
        let mut all = Vec::new();
        for node in &mut self.nodes {
            node.layer.buffers(&node.name, &mut all);
        }
        all.extend(self.stand_in.as_mut().map(|stand_in| stand_in.buffer()));
        all
    }

    /// Adds the ONNX nodes of all layers behind `input`; returns the input and the value that each layer gives.
    pub(crate) fn export(&self, input: Value, graph: &mut Graph) -> Vec<Value> {
        let mut values = vec![input];
        for node in &self.nodes {
            let inputs: Vec<Value> = node.inputs.iter().map(|&v| values[v].clone()).collect();
            values.push(node.layer.export(&node.name, &inputs, graph));
        }
        values
    }
}

fn value<'a, T>(x: &'a ArrayD<T>, values: &'a [ArrayD<T>], index: usize) -> &'a ArrayD<T> {
    if index == 0 { x } else { &values[index - 1] }
}
