//! The steps of a model: fixed-size records that say what runs, on which tensors, with which constants.

/// Index of a tensor record.
pub type TensorId = u16;

/// A byte range of the constants section is named by its start; its length follows from the step.
pub type ConstOffset = u32;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// 2-D convolution, any kernel, stride, dilation and padding, group 1.
    Conv(ConvStep),
    /// Matrix times vector.
    Linear(LinearStep),
    /// Element-wise sum, in place in its first operand or into a third tensor.
    Add(AddStep),
    /// Maximum or average over windows.
    Pool(PoolStep),
    /// One time step of a GRU.
    Gru(GruStep),
}

/// `output[y, x, :] = epilogue(sum over taps, channels)`. Padding at bottom and right follows from the output's size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvStep {
    pub input: TensorId,
    pub output: TensorId,
    /// kernel height, width
    pub kernel: [u8; 2],
    pub stride: [u8; 2],
    pub dilation: [u8; 2],
    /// padding at top, left
    pub pad: [u8; 2],
    /// `[blocks][taps][groups][8][8]`
    pub weights: ConstOffset,
    /// `[blocks]` x 72 bytes
    pub params: ConstOffset,
    pub min: i8,
    pub max: i8,
    /// `Some((zero_point, multiplier Q12))`: the output tensor's bytes hold the residual operand before the step.
    pub residual: Option<(i8, i32)>,
}

/// `output = epilogue(W x)`; the input is a flat tensor (1 x 1 x k).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearStep {
    pub input: TensorId,
    pub output: TensorId,
    pub weights: ConstOffset,
    pub params: ConstOffset,
    pub min: i8,
    pub max: i8,
}

/// See `kernels::Add`. `output` may be the same tensor (or the same place) as `a`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AddStep {
    pub a: TensorId,
    pub b: TensorId,
    pub output: TensorId,
    pub multipliers: [i32; 2],
    pub min: i8,
    pub max: i8,
}

/// Maximum keeps scale and zero point. Average: `requantize(sum - count * zero_point, m, s) + zero_point_out`, 1/count in m;
/// windows of an average lie inside the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolStep {
    pub input: TensorId,
    pub output: TensorId,
    pub kernel: [u16; 2],
    pub stride: [u8; 2],
    pub pad: [u8; 2],
    /// `None`: maximum. `Some((multiplier, shift))`: average.
    pub average: Option<(i32, u8)>,
    pub min: i8,
    pub max: i8,
}

/// ONNX GRU, forward, gates z r n (ONNX order z, r, h). Weights `[n8][k8][8][8]` over 3H rows padded to 8 each gate;
/// parameters of 72 bytes a block: pre-activations to Q3.12.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GruStep {
    pub input: TensorId,
    /// int8 copy of the new state, scale 1/128, zero point 0
    pub output: TensorId,
    /// int16 Q0.15, lives for ever
    pub state: TensorId,
    pub hidden: u16,
    /// true: n = tanh(Wx + r * (Uh + b)) (ONNX linear_before_reset = 1). false: n = tanh(Wx + U(r * h) + b)
    pub reset_after: bool,
    pub input_weights: ConstOffset,
    pub input_params: ConstOffset,
    pub state_weights: ConstOffset,
    pub state_params: ConstOffset,
}
