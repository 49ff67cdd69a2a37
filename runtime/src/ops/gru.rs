//! One time step of a gated recurrent unit (Cho et al. 2014), in the arithmetic of ONNX's `GRU`.
//!
//! ```text
//! gx = sat16(requantize(W x + b))       gh = sat16(requantize(U h8 + c))       Q3.12, each for the gates z, r, n
//! z = sigma(sat16(gx_z + gh_z))         r = sigma(sat16(gx_r + gh_r))          Q0.15
//! n = tanh(sat16(gx_n + ((r * gh_n + 2^14) >> 15)))                            reset after the product
//! n = tanh(sat16(gx_n + gh_n)),  gh_n from U_n rh8,  rh = (r * h + 2^14) >> 15  reset before the product
//! h' = n + ((z * (h - n) + 2^14) >> 15)                                        Q0.15
//! h8 = min(127, (h + 128) >> 8)                                                what U and later layers read
//! ```
//!
//! `|z * (h - n)| <= 32767 * 65535` and the half added stay below 2^31; `h'` lies between `n` and `h`, so it fits int16.

use super::{
    Cost, Operator, Reads, Record, Run, Tensors,
    check::{Check, value},
    field::{FLAGS, INPUT, OUTPUT},
};
use crate::{
    bytes::{array_at, as_i8, as_i16_mut, as_i32_mut, u8_at},
    error::{Error, Field, StepError},
    format::{ARENA_ALIGN, Tensor},
    id::{ConstOffset, TensorId},
    kernels::{Kernels, MULTIPLIERS_AT, PARAM_BLOCK, SHIFTS_AT},
    quant::{SHIFT_MIN_WIDE, requantize, sat16},
    tables::{sigmoid, tanh},
};

/// Where its own numbers stand.
mod field {
    use crate::bytes::Slot;

    pub const STATE: Slot<u16> = Slot::at(10);
    pub const HIDDEN: Slot<u16> = Slot::at(12);
    pub const INPUT_WEIGHTS: Slot<u32> = Slot::at(16);
    pub const INPUT_PARAMS: Slot<u32> = Slot::at(20);
    pub const STATE_WEIGHTS: Slot<u32> = Slot::at(24);
    pub const STATE_PARAMS: Slot<u32> = Slot::at(28);
}

/// The flag of a reset after the product.
const RESET_AFTER: u16 = 1;

/// ONNX GRU, forward, one layer. Weights `[n8][k8][8][8]` over the rows of the gates in ONNX's order z, r, n (there: h),
/// each gate padded to a multiple of 8 rows; parameters of 72 bytes a block bring the sums to Q3.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GruStep {
    /// One frame, any shape, int8.
    pub input: TensorId,
    /// `[1, 1, H]`: int8 copy of the new state, scale 1/128, zero point 0.
    pub output: TensorId,
    /// `[1, 1, H]`: int16 Q0.15 (scale 1/32768, zero point 0), a state.
    pub state: TensorId,
    /// `H`.
    pub hidden: u16,
    /// true: `n = tanh(Wx + r * (Uh + c))` (ONNX linear_before_reset = 1). false: `n = tanh(Wx + U(r * h) + c)`.
    pub reset_after: bool,
    /// W, 64-byte aligned.
    pub input_weights: ConstOffset,
    /// For W and b, 8-byte aligned.
    pub input_params: ConstOffset,
    /// U, 64-byte aligned.
    pub state_weights: ConstOffset,
    /// For U and c, 8-byte aligned.
    pub state_params: ConstOffset,
}

impl GruStep {
    /// Real value of one unit of the output: the int8 copy of the state, in [-1, 1).
    pub const OUTPUT_SCALE: f32 = 1.0 / 128.0;
    /// Real value of one unit of the state, Q0.15.
    pub const STATE_SCALE: f32 = 1.0 / 32768.0;

    /// Rows of a gate, padded.
    pub const fn gate_rows(&self) -> usize {
        (self.hidden as usize).next_multiple_of(8)
    }

    /// Bytes of W, packed.
    pub const fn input_weights_len(&self, input: &Tensor) -> u64 {
        input.padded_elements().saturating_mul(3 * self.gate_rows() as u64)
    }

    /// Bytes of U, packed.
    pub const fn state_weights_len(&self) -> u64 {
        3 * self.gate_rows() as u64 * self.gate_rows() as u64
    }

    /// Bytes of parameter blocks, for W as for U.
    pub const fn params_len(&self) -> u64 {
        (3 * self.gate_rows() / 8 * PARAM_BLOCK) as u64
    }

    /// The new state from the pre-activations of the gates.
    #[expect(clippy::cast_possible_truncation, reason = "h' lies between n and h")]
    fn update(&self, gx: &[i32], gh: &[i32], h: &mut [i16]) {
        let rows = self.gate_rows();
        let gate = |g: usize| gx.iter().skip(g * rows).zip(gh.iter().skip(g * rows));
        for (((h, (&xz, &hz)), (&xr, &hr)), (&xn, &hn)) in h.iter_mut().zip(gate(0)).zip(gate(1)).zip(gate(2)) {
            let z = sigmoid(sat16(xz + hz)) as i32;
            let hn = if self.reset_after {
                let r = sigmoid(sat16(xr + hr)) as i32;
                (r * hn + (1 << 14)) >> 15
            } else {
                hn
            };
            let n = tanh(sat16(xn + hn)) as i32;
            *h = (n + ((z * (*h as i32 - n) + (1 << 14)) >> 15)) as i16;
        }
    }
}

impl Operator for GruStep {
    const KIND: u16 = 4;
    const NAME: &'static str = "gru";

    fn parse(record: &Record) -> GruStep {
        GruStep {
            input: INPUT.read(record),
            output: OUTPUT.read(record),
            state: field::STATE.read(record),
            hidden: field::HIDDEN.read(record),
            reset_after: FLAGS.read(record) & RESET_AFTER != 0,
            input_weights: field::INPUT_WEIGHTS.read(record),
            input_params: field::INPUT_PARAMS.read(record),
            state_weights: field::STATE_WEIGHTS.read(record),
            state_params: field::STATE_PARAMS.read(record),
        }
    }

    fn emit(&self, record: &mut Record) {
        FLAGS.write(record, if self.reset_after { RESET_AFTER } else { 0 });
        INPUT.write(record, self.input);
        OUTPUT.write(record, self.output);
        field::STATE.write(record, self.state);
        field::HIDDEN.write(record, self.hidden);
        field::INPUT_WEIGHTS.write(record, self.input_weights);
        field::INPUT_PARAMS.write(record, self.input_params);
        field::STATE_WEIGHTS.write(record, self.state_weights);
        field::STATE_PARAMS.write(record, self.state_params);
    }

    fn reads(&self) -> Reads {
        Reads::one(self.input)
    }

    /// Multiply-accumulates of the two products, without padding. Work: both products, padding included, and the gates.
    /// Scratch: gx and gh, and the int8 copy of r * h if the reset comes before the product; a step is not split.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        let (input, rows) = (tensors.tensor(self.input)?, self.gate_rows() as u64);
        let scratch = 2 * 3 * rows * size_of::<i32>() as u64 + if self.reset_after { 0 } else { rows };
        Some(Cost {
            macs: (input.elements() + self.hidden as u64).saturating_mul(3 * self.hidden as u64),
            work: input.padded_elements().saturating_add(rows + 1).saturating_mul(3 * rows),
            scratch: scratch.next_multiple_of(ARENA_ALIGN as u64),
            worker_scratch: 0,
        })
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.activation(self.input)?, check.activation(self.output)?);
        let state = check.state(self.state)?;
        check.apart(self.input, self.output)?;
        value(Field::Hidden, self.hidden, 1..=u16::MAX as i64)?;
        for (id, tensor, unit) in [(self.output, output, Self::OUTPUT_SCALE), (self.state, state, Self::STATE_SCALE)] {
            if tensor.shape() != [1, 1, self.hidden] {
                return Err(StepError::Shape { id });
            }
            if tensor.zero_point != 0 || tensor.scale != unit {
                return Err(StepError::Quantization { id });
            }
        }
        let blocks = 3 * self.gate_rows() as u64 / 8;
        check.weights(Field::Weights, self.input_weights, self.input_weights_len(&input))?;
        check.params(Field::Parameters, self.input_params, blocks, SHIFT_MIN_WIDE)?;
        check.weights(Field::StateWeights, self.state_weights, self.state_weights_len())?;
        check.params(Field::StateParameters, self.state_params, blocks, SHIFT_MIN_WIDE)
    }

    #[expect(clippy::cast_possible_truncation, reason = "|r * h| <= 32767 * 32768 and its half, >> 15")]
    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let [input, output, state] = [run.tensor(self.input)?, run.tensor(self.output)?, run.tensor(self.state)?];
        let rows = self.gate_rows();
        let w = Product {
            kernels: run.kernels,
            weights: as_i8(run.consts(self.input_weights, self.input_weights_len(&input))?),
            params: run.consts(self.input_params, self.params_len())?.as_chunks().0,
        };
        let u = Product {
            kernels: run.kernels,
            weights: as_i8(run.consts(self.state_weights, self.state_weights_len())?),
            params: run.consts(self.state_params, self.params_len())?.as_chunks().0,
        };
        let ([x, h8, h], scratch) = run.memory.tensors([&input, &output, &state])?;
        let h = as_i16_mut(h);
        let (gates, rh8) = scratch.split_at_mut_checked(2 * 3 * rows * size_of::<i32>()).ok_or(Error::Kernel)?;
        let (gx, gh) = as_i32_mut(gates).split_at_mut_checked(3 * rows).ok_or(Error::Kernel)?;
        w.gates(x, 0, gx)?;
        // The output's bytes may have served others since the last frame: make the copy of the old state anew.
        round_to_i8(h, h8);
        if self.reset_after {
            u.gates(h8, 0, gh)?;
        } else {
            let (zr, n) = gh.split_at_mut_checked(2 * rows).ok_or(Error::Kernel)?;
            u.gates(h8, 0, zr)?;
            let rh8 = rh8.get_mut(..rows).ok_or(Error::Kernel)?;
            let r = gx.iter().zip(zr.iter()).skip(rows);
            for ((rh8, &h), (&gx, &gh)) in rh8.iter_mut().zip(h.iter()).zip(r) {
                let r = sigmoid(sat16(gx + gh)) as i32;
                *rh8 = to_i8(((r * h as i32 + (1 << 14)) >> 15) as i16);
            }
            u.gates(rh8, 2 * rows, n)?;
        }
        self.update(gx, gh, h);
        round_to_i8(h, h8);
        Ok(())
    }
}

/// Weights with what brings their sums to Q3.12.
struct Product<'a> {
    kernels: &'static Kernels,
    weights: &'a [i8],
    params: &'a [[u8; PARAM_BLOCK]],
}

impl Product<'_> {
    /// `gates = sat16(requantize(rows from first on, times x, plus bias))`, one int16 value in each int32.
    fn gates(&self, x: &[i8], first: usize, gates: &mut [i32]) -> Result<(), Error> {
        let weights = self.weights.get(first * x.len()..).and_then(|w| w.get(..gates.len() * x.len()));
        self.kernels.gemv(x, weights.ok_or(Error::Kernel)?, gates)?;
        let params = self.params.get(first / 8..).ok_or(Error::Kernel)?;
        for (gates, params) in gates.as_chunks_mut::<8>().0.iter_mut().zip(params) {
            for (lane, gate) in gates.iter_mut().enumerate() {
                let bias = i32::from_le_bytes(array_at(params, 4 * lane));
                let multiplier = i32::from_le_bytes(array_at(params, MULTIPLIERS_AT + 4 * lane));
                let shift = u8_at(params, SHIFTS_AT + lane);
                *gate = sat16(requantize(gate.wrapping_add(bias), multiplier, shift)) as i32;
            }
        }
        Ok(())
    }
}

/// Q0.15 to scale 1/128: one rounding, and 127 where 128 would come out.
#[expect(clippy::cast_possible_truncation, reason = "-128 to 127")]
fn to_i8(h: i16) -> i8 {
    ((h as i32 + 128) >> 8).min(127) as i8
}

fn round_to_i8(h: &[i16], h8: &mut [i8]) {
    for (h8, &h) in h8.iter_mut().zip(h) {
        *h8 = to_i8(h);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_to_i8() {
        assert_eq!([0, 127, 128, -128, -129, 32_767, -32_768].map(to_i8), [0, 0, 1, 0, -1, 127, -128]);
    }
}
