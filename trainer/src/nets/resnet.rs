//! Residual nets for small images (He et al., CVPR 2016, section 4.2).
//!
//! ```text
//! stem: conv 3x3 - norm - relu
//! block: y = relu( norm(conv3x3( relu(norm(conv3x3 x)) )) + shortcut(x) )
//! head: global average pool - dense
//! ```
//!
//! The shortcut is `x` itself (identity block) where the shape stays, else `norm(conv1x1 x)` (convolution block). The
//! gradient of `x` always contains that of `y` unchanged, whatever the convolutions do: it cannot vanish with depth.

use ndarray::{Array2, Array4};
use rand::Rng;

use super::Arch;
use crate::init::he;
use crate::layers::add::add_relu;
use crate::layers::batch_norm::{BatchNorm, BatchStatistics, Mode, mask_by_relu};
use crate::layers::conv::{Conv, ConvBuffers, InputGradient};
use crate::layers::dense::Dense;
use crate::layers::pool;
use crate::loss::{Targets, softmax_cross_entropy};
use crate::parameter::Parameter;
use crate::scalar::Scalar;

/// Convolution and its normalization.
#[derive(Clone, Debug)]
pub struct ConvNorm<T> {
    /// The convolution.
    pub conv: Conv<T>,
    /// What normalizes its output.
    pub norm: BatchNorm<T>,
}

/// What a [`ConvNorm`] keeps from forward to backward.
#[derive(Clone, Debug, Default)]
struct Trace<T> {
    convolved: Array4<T>,
    out: Array4<T>,
    statistics: BatchStatistics,
    /// Of the output on the way back, then of `convolved`.
    gradient: Array4<T>,
}

impl<T: Scalar> ConvNorm<T> {
    fn new(inputs: usize, outputs: usize, kernel: usize, stride: usize, rng: &mut impl Rng) -> Self {
        let taps = kernel * kernel;
        let weight = he(taps * inputs * outputs, taps * inputs, rng);
        Self { conv: Conv::new(weight, inputs, outputs, kernel, stride), norm: BatchNorm::new(outputs) }
    }

    fn forward(&self, x: &Array4<T>, relu: bool, mode: Mode, trace: &mut Trace<T>, buffers: &mut ConvBuffers<T>) {
        self.conv.forward(x, &mut trace.convolved, buffers);
        self.norm.forward(&trace.convolved, &mut trace.out, relu, mode, &mut trace.statistics);
    }

    /// From `trace.gradient` (of the output) to the parameters' gradients and the input's.
    fn backward(
        &mut self,
        x: &Array4<T>,
        relu: bool,
        dx: InputGradient<'_, T>,
        trace: &mut Trace<T>,
        buffers: &mut ConvBuffers<T>,
    ) {
        let out = relu.then_some(&trace.out);
        self.norm.backward(&trace.convolved, out, &mut trace.gradient, &trace.statistics);
        self.norm.update_running(&trace.statistics);
        self.conv.backward(x, &trace.gradient, dx, buffers);
    }

    fn parameters<'a>(&'a mut self, name: &str, all: &mut Vec<Parameter<'a, T>>) {
        all.push(self.conv.weight.parameter(format!("{name}.conv.weight"), true));
        all.push(self.norm.gamma.parameter(format!("{name}.norm.gamma"), false));
        all.push(self.norm.beta.parameter(format!("{name}.norm.beta"), false));
    }

    fn buffers<'a>(&'a mut self, name: &str, all: &mut Vec<(String, &'a mut [T])>) {
        all.push((format!("{name}.norm.mean"), &mut self.norm.mean));
        all.push((format!("{name}.norm.variance"), &mut self.norm.variance));
    }
}

/// Identity block, or convolution block if it has a projection.
#[derive(Clone, Debug)]
pub struct Block<T> {
    /// Its name: `stage1.block1`.
    pub name: String,
    /// First convolution; carries the stride.
    pub a: ConvNorm<T>,
    /// Second convolution.
    pub b: ConvNorm<T>,
    /// 1x1 convolution of the shortcut where the shape changes.
    pub projection: Option<ConvNorm<T>>,
}

#[derive(Clone, Debug, Default)]
struct BlockTrace<T> {
    a: Trace<T>,
    b: Trace<T>,
    projection: Trace<T>,
}

impl<T: Scalar> Block<T> {
    fn new(name: String, inputs: usize, outputs: usize, stride: usize, rng: &mut impl Rng) -> Self {
        let changes = stride != 1 || inputs != outputs;
        Self {
            name,
            a: ConvNorm::new(inputs, outputs, 3, stride, rng),
            b: ConvNorm::new(outputs, outputs, 3, 1, rng),
            projection: changes.then(|| ConvNorm::new(inputs, outputs, 1, stride, rng)),
        }
    }

    fn forward(&self, x: &Array4<T>, mode: Mode, trace: &mut BlockTrace<T>, buffers: &mut ConvBuffers<T>) {
        self.a.forward(x, true, mode, &mut trace.a, buffers);
        self.b.forward(&trace.a.out, false, mode, &mut trace.b, buffers);
        if let Some(projection) = &self.projection {
            projection.forward(x, false, mode, &mut trace.projection, buffers);
            add_relu(&mut trace.b.out, &trace.projection.out);
        } else {
            add_relu(&mut trace.b.out, x);
        }
    }

    /// From `trace.b.gradient` (of the block's output) to `dx`.
    fn backward(&mut self, x: &Array4<T>, dx: &mut Array4<T>, trace: &mut BlockTrace<T>, buffers: &mut ConvBuffers<T>) {
        mask_by_relu(&trace.b.out, &mut trace.b.gradient);
        if let Some(projection) = &mut self.projection {
            trace.projection.gradient.clone_from(&trace.b.gradient);
            projection.backward(x, false, InputGradient::Write(dx), &mut trace.projection, buffers);
        } else {
            dx.clone_from(&trace.b.gradient);
        }
        let da = InputGradient::Write(&mut trace.a.gradient);
        self.b.backward(&trace.a.out, false, da, &mut trace.b, buffers);
        self.a.backward(x, true, InputGradient::Add(dx), &mut trace.a, buffers);
    }

    /// Its convolutions with their names, as data flows.
    fn each(&mut self) -> impl Iterator<Item = (String, &mut ConvNorm<T>)> {
        let name = &self.name;
        let branches = [("a", Some(&mut self.a)), ("b", Some(&mut self.b)), ("shortcut", self.projection.as_mut())];
        branches.into_iter().filter_map(move |(branch, unit)| Some((format!("{name}.{branch}"), unit?)))
    }
}

/// A residual net.
#[derive(Clone, Debug)]
pub struct ResNet<T> {
    arch: Arch,
    /// First convolution.
    pub stem: ConvNorm<T>,
    /// All blocks, stage after stage.
    pub blocks: Vec<Block<T>>,
    /// Classifier.
    pub head: Dense<T>,
    memory: Memory<T>,
}

/// Activations of one pass, allocated once.
#[derive(Clone, Debug, Default)]
struct Memory<T> {
    stem: Trace<T>,
    blocks: Vec<BlockTrace<T>>,
    conv: ConvBuffers<T>,
}

impl<T: Scalar> ResNet<T> {
    /// He normal kernels, Glorot head, zero biases. `arch` must be a checked [`Arch::ResNet`].
    ///
    /// # Panics
    /// If `arch` is of another kind.
    pub fn new(arch: &Arch, rng: &mut impl Rng) -> Self {
        let &Arch::ResNet { blocks, width, input: [_, _, channels], classes } = arch else {
            panic!("a ResNet from {arch:?}")
        };
        let stem = ConvNorm::new(channels, width, 3, 1, rng);
        let mut all = Vec::new();
        let mut inputs = width;
        for stage in 0..3 {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let name = format!("stage{}.block{}", stage + 1, block + 1);
                all.push(Block::new(name, inputs, width << stage, stride, rng));
                inputs = width << stage;
            }
        }
        let head = Dense::new(inputs, classes, rng);
        Self { arch: arch.clone(), stem, blocks: all, head, memory: Memory::default() }
    }

    /// Its shape.
    pub fn arch(&self) -> &Arch {
        &self.arch
    }

    fn forward(&self, x: &Array4<T>, mode: Mode, memory: &mut Memory<T>) -> Array2<T> {
        let Memory { stem, blocks, conv } = memory;
        self.stem.forward(x, true, mode, stem, conv);
        blocks.resize_with(self.blocks.len(), Default::default);
        let mut x = &stem.out;
        for (block, trace) in self.blocks.iter().zip(blocks) {
            block.forward(x, mode, trace, conv);
            x = &trace.b.out;
        }
        pool::forward(x)
    }

    /// Logits `[batch, classes]` with the running statistics.
    pub fn predict(&self, x: &Array4<T>) -> Array2<T> {
        let pooled = self.forward(x, Mode::Evaluate, &mut Memory::default());
        self.head.forward(pooled.view())
    }

    /// Mean loss and right answers of a batch; leaves the gradients in the parameters and moves the statistics.
    pub fn gradients(&mut self, x: &Array4<T>, targets: Targets<'_>, label_smoothing: f32) -> (f64, usize) {
        let mut memory = std::mem::take(&mut self.memory);
        let pooled = self.forward(x, Mode::Train, &mut memory);
        let logits = self.head.forward(pooled.view());
        let loss = softmax_cross_entropy(logits.view(), targets, label_smoothing, targets.len());

        let mut gradient = vec![T::zero(); self.head.size()];
        let d = self.head.backward(pooled.view(), loss.gradient.view(), &mut gradient);
        self.head.set_gradient(&gradient);

        let Memory { stem, blocks, conv } = &mut memory;
        if let Some(BlockTrace { b, .. }) = blocks.last_mut() {
            let [_, h, w, _] = *b.out.shape() else { unreachable!("four axes by type") };
            pool::backward(&d, [h, w], &mut b.gradient);
        }
        for i in (0..blocks.len()).rev() {
            let (before, rest) = blocks.split_at_mut(i);
            let below = before.last_mut().map_or(&mut *stem, |trace| &mut trace.b);
            self.blocks[i].backward(&below.out, &mut below.gradient, &mut rest[0], conv);
        }
        self.stem.backward(x, true, InputGradient::Unused, stem, conv);
        self.memory = memory;
        (loss.loss, loss.correct)
    }

    /// Everything an optimizer moves, from the input on.
    pub fn parameters(&mut self) -> Vec<Parameter<'_, T>> {
        let mut all = Vec::new();
        self.stem.parameters("stem", &mut all);
        for (name, unit) in self.blocks.iter_mut().flat_map(Block::each) {
            unit.parameters(&name, &mut all);
        }
        self.head.parameters(&mut all);
        all
    }

    /// The batch-norm statistics.
    pub fn buffers(&mut self) -> Vec<(String, &mut [T])> {
        let mut all = Vec::new();
        self.stem.buffers("stem", &mut all);
        for (name, unit) in self.blocks.iter_mut().flat_map(Block::each) {
            unit.buffers(&name, &mut all);
        }
        all
    }
}
