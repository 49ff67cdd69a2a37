//! Rows of int8 weights: made of floats, with the proof that no sum leaves its accumulator, and packed as the loader wants
//! them, layout N8C8. Every operator with weights uses these.

use escarp_runtime::{
    format::{PARAMS_ALIGN, SECTION_ALIGN},
    kernels::{Groups, PARAM_BLOCK, Runs},
    quant::{SHIFT_MIN, SHIFT_MIN_WIDE},
};

use crate::{
    blocks::Block,
    error::Error,
    scale::{SMALLEST_FACTOR, Scale, least_unit, multiplier, narrow, nearest_i8, nearest_i64},
    site::Site,
};

/// Rows of int8 weights and what turns their sums into the next numbers.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// `[row][tap][channel]`, in [-127, 127]
    pub weight: Vec<i8>,
    /// `[row]`, with `-zero_point * sum(w)` folded in
    pub bias: Vec<i32>,
    /// `[row]`, in [2^30, 2^31)
    pub multiplier: Vec<i32>,
    /// `[row]`
    pub shift: Vec<u8>,
    /// `[row]` real value of one unit of weight
    pub scale: Vec<f32>,
    /// How large, in size, what they are multiplied with is at most: of int16 one more than its largest number, as of int8.
    pub reach: i64,
}

/// Units of what is left of a weight in a unit of its int8: what is left is up to a half. With the fewest, its sums need little more room
/// than those of the weights themselves; with the most it fills int8.
const FINE: [f64; 3] = [254.0, 127.0, 64.0];

/// What sums of int16 numbers may take of i32: a sixteenth is left to weights that are rounded otherwise.
const ROOM: f64 = (1u64 << 31) as f64 * 15.0 / 16.0;

/// Float rows and what they read.
#[derive(Clone, Copy, Debug)]
pub struct FloatRows<'a> {
    /// `[row][tap][channel]`
    pub weight: &'a [f32],
    /// `[row]`
    pub bias: &'a [f32],
    /// Scale of what they are multiplied with.
    pub input: Scale,
}

impl FloatRows<'_> {
    /// Weights of a row.
    fn depth(&self) -> usize {
        self.weight.len() / self.bias.len()
    }

    /// Real value of one unit of weight, for each row.
    pub fn scales(&self) -> Vec<f64> {
        self.weight
            .chunks_exact(self.depth())
            .zip(self.bias)
            .map(|(row, bias)| {
                let largest = f64::from(row.iter().fold(0.0f32, |m, w| m.max(w.abs())));
                // The bias is counted in the same units and must leave half of i32 to the products.
                let largest = on_grid(row, largest);
                let for_bias = f64::from(bias.abs()) / f64::from(self.input.scale) / 2f64.powi(30);
                largest.max(for_bias).max(1e-30)
            })
            .collect()
    }

    /// The smallest unit of an output, `wide` for an int16 one, that a plain epilogue makes of their sums; see [`least_unit`]. Two units
    /// of a sum or less lose nothing.
    pub fn least_unit(&self, wide: bool) -> f64 {
        least_unit(wide) * f64::from(self.input.scale) * self.scales().into_iter().fold(0.0, f64::max)
    }

    /// The largest number, of an int16 input whose values are up to `reach` in size, for which no sum leaves i32: with `L` units for
    /// `reach`, weights `w` and a bias `b` in units of the weights, `L * (sum|w| + |b| / reach)`; beyond half of i32 the bias coarsens
    /// the weights instead, see [`FloatRows::scales`].
    pub fn room(&self, reach: f64) -> f64 {
        let rows = self.weight.chunks_exact(self.depth()).zip(self.bias).map(|(row, bias)| {
            let largest = f64::from(row.iter().fold(0.0f32, |m, w| m.max(w.abs())));
            let unit = on_grid(row, largest).max(1e-30);
            let terms = row.iter().map(|&w| {
                let steps = f64::from(w) / unit;
                (steps.round().abs(), ((steps - steps.round()) * FINE[2]).round().abs())
            });
            let (sum, fine) = terms.fold((0.0, 0.0), |sums, terms| (sums.0 + terms.0, sums.1 + terms.1));
            let sum = f64::max(sum, fine);
            let bias = f64::from(bias.abs()) / (unit * reach.max(1e-30));
            (ROOM / (sum + bias).max(1.0)).max((ROOM - 2f64.powi(30)) / sum.max(1.0))
        });
        rows.fold(i16::MAX.into(), f64::min)
    }

    /// int8 rows with biases and factors: `scale[row] * input scale / unit` turns a sum into units of `unit`.
    ///
    /// # Errors
    /// [`Error::Overflow`] if a row's sums cannot be proved to stay inside i32, [`Error::Node`] if a factor is outside the
    /// fixed-point range with shifts from `smallest_shift` on.
    pub fn quantize(&self, site: &Site, unit: f64, smallest_shift: u8) -> Result<Rows, Error> {
        let reach = if self.input.is_wide() { i64::from(self.input.ends().1) + 1 } else { 128 };
        let mut rows = Rows { reach, ..Rows::default() };
        let input = f64::from(self.input.scale);
        for (channel, (row, mut scale)) in self.weight.chunks_exact(self.depth()).zip(self.scales()).enumerate() {
            // Rows of (nearly) nothing: the smallest factor that the epilogue takes is far below one output step.
            scale = scale.max(unit / input * SMALLEST_FACTOR);
            let ints: Vec<i8> = row.iter().map(|&w| nearest_i8((f64::from(w) / scale).clamp(-127.0, 127.0))).collect();
            let sum: i64 = ints.iter().map(|&w| i64::from(w)).sum();
            let whole = nearest_i64(f64::from(self.bias[channel]) / (input * scale))
                .saturating_sub(i64::from(self.input.zero_point) * sum);
            let whole = proved(&ints, whole, reach).map_err(|bound| Error::Overflow {
                node: site.node.into(),
                channel,
                bound,
            })?;
            let (m, shift) = multiplier(input * scale / unit, smallest_shift).ok_or_else(|| {
                site.wrong(format!(
                    "channel {channel}: the factor from sums to outputs is outside the fixed-point range"
                ))
            })?;
            rows.weight.extend(ints);
            rows.bias.push(whole);
            rows.multiplier.push(m);
            rows.shift.push(shift);
            rows.scale.push(narrow(scale));
        }
        Ok(rows)
    }
}

impl FloatRows<'_> {
    /// What int8 rows, made by [`FloatRows::quantize`] of these, leave of the weights, in parts of their units as small as the sums have
    /// room for: a sum becomes units of `unit`.
    ///
    /// # Errors
    /// As [`FloatRows::quantize`].
    pub fn rest(&self, site: &Site, rows: &Rows, unit: f64) -> Result<Rows, Error> {
        let mut rest = Rows { reach: rows.reach, ..Rows::default() };
        let input = f64::from(self.input.scale);
        let all = self.weight.chunks_exact(self.depth()).zip(rows.weight.chunks_exact(self.depth())).zip(&rows.scale);
        for (channel, ((row, ints), &scale)) in all.enumerate() {
            let left = |parts: f64| {
                let part = f64::from(scale) / parts;
                let of = |(&w, &q): (&f32, &i8)| {
                    nearest_i8(((f64::from(w) - f64::from(q) * f64::from(scale)) / part).clamp(-127.0, 127.0))
                };
                let ints: Vec<i8> = row.iter().zip(ints).map(of).collect();
                let sum: i64 = ints.iter().map(|&w| i64::from(w)).sum();
                let bias = proved(&ints, -i64::from(self.input.zero_point) * sum, rest.reach);
                bias.map(|bias| (part, ints, bias))
            };
            let mut made = left(FINE[0]);
            for &parts in &FINE[1..] {
                made = made.or_else(|_| left(parts));
            }
            let (part, ints, bias) =
                made.map_err(|bound| Error::Overflow { node: site.node.into(), channel, bound })?;
            let (m, shift) = multiplier((input * part / unit).max(SMALLEST_FACTOR), SHIFT_MIN_WIDE)
                .ok_or_else(|| site.wrong(format!("channel {channel}: a factor outside the fixed-point range")))?;
            rest.weight.extend(ints);
            rest.bias.push(bias);
            rest.multiplier.push(m);
            rest.shift.push(shift);
            rest.scale.push(narrow(part));
        }
        Ok(rest)
    }
}

/// The bias of a row, if with it no sum of numbers up to `most` leaves i32: `sum|w| * most + |bias| < 2^31`.
///
/// # Errors
/// That sum if it is too large.
fn proved(ints: &[i8], bias: i64, most: i64) -> Result<i32, i64> {
    let reach: i64 = ints.iter().map(|&w| i64::from(w).abs()).sum();
    // A bias beyond i64 has become its end: nothing may be added to that unchecked.
    let bound = bias.saturating_abs().saturating_add(reach * most);
    i32::try_from(bias).ok().filter(|_| bound < 1 << 31).ok_or(bound)
}

/// The unit of a row whose largest weight is `largest`: 1/127 of that, unless all weights are multiples of a larger part, as those of
/// a file that was quantized before are: then that keeps them exactly.
fn on_grid(row: &[f32], largest: f64) -> f64 {
    let fits = |steps: i32| {
        let unit = largest / f64::from(steps);
        row.iter().all(|&w| {
            let steps = f64::from(w) / unit;
            (steps - steps.round()).abs() <= 1e-4
        })
    };
    let steps = if largest > 0.0 { (1..=127).rev().find(|&steps| fits(steps)) } else { None };
    largest / f64::from(steps.unwrap_or(127))
}

impl Rows {
    /// Gives a row other weights, with the same bias; `false`, unchanged, if they are the same, or its sums could not be proved any
    /// more to stay inside i32.
    pub fn replace(&mut self, row: usize, ints: &[i8], zero_point: i8) -> bool {
        let old = &mut self.weight[row * ints.len()..][..ints.len()];
        let sum = |ints: &[i8]| ints.iter().map(|&w| i64::from(w)).sum::<i64>();
        let whole = i64::from(self.bias[row]) + i64::from(zero_point) * (sum(old) - sum(ints));
        let Ok(whole) = proved(ints, whole, self.reach) else { return false };
        if old == ints {
            return false;
        }
        old.copy_from_slice(ints);
        self.bias[row] = whole;
        true
    }

    /// Adds to the bias of each row, in units of its sums; one whose sums could not be proved any more stays as it is.
    pub fn shift(&mut self, by: &[f64]) {
        let depth = self.weight.len() / self.bias.len().max(1);
        let reach = self.reach;
        for ((bias, by), row) in self.bias.iter_mut().zip(by).zip(self.weight.chunks_exact(depth.max(1))) {
            if let Ok(whole) = proved(row, i64::from(*bias).saturating_add(nearest_i64(*by)), reach) {
                *bias = whole;
            }
        }
    }

    /// All rows, in their order.
    pub fn order(&self) -> Vec<Option<usize>> {
        (0..self.bias.len()).map(Some).collect()
    }

    /// `W[block][tap][group][8 rows][8 inputs]`, and 72 bytes of parameters for each block. `order` names the rows; `None` and
    /// rows beyond the end are padding: zero weights, factor 0.
    pub fn blocks(&self, order: &[Option<usize>], taps: usize, inputs: usize) -> [Block; 2] {
        let weight = |_: usize, row: usize, tap: usize, k: usize| {
            self.weight.get((row * taps + tap) * inputs + k).copied().filter(|_| k < inputs)
        };
        self.packed(order, taps, inputs, weight)
    }

    /// [`Rows::blocks`] of a convolution in groups: a block reads a run of channels, and each row its own group's among them.
    pub fn grouped(&self, taps: usize, groups: Groups, runs: Runs) -> [Block; 2] {
        let [inputs, outputs] = [groups.inputs, groups.outputs].map(usize::from);
        let weight = |block: usize, row: usize, tap: usize, k: usize| {
            let within =
                (runs.start(block) + k).checked_sub(row / outputs * inputs).filter(|&within| within < inputs)?;
            self.weight.get((row * taps + tap) * inputs + within).copied()
        };
        self.packed(&self.order(), taps, runs.span(), weight)
    }

    /// `weight(block, row, tap, input)`, 0 for none.
    fn packed(
        &self,
        order: &[Option<usize>],
        taps: usize,
        inputs: usize,
        weight: impl Fn(usize, usize, usize, usize) -> Option<i8>,
    ) -> [Block; 2] {
        let groups = inputs.div_ceil(8);
        let mut weights = Vec::with_capacity(order.len().next_multiple_of(8) * taps * groups * 8);
        for (at, block) in order.chunks(8).enumerate() {
            for (tap, group) in (0..taps).flat_map(|t| (0..groups).map(move |g| (t, g))) {
                for lane in 0..8 {
                    let row = block.get(lane).copied().flatten();
                    let of = |k: usize| row.and_then(|row| weight(at, row, tap, k)).unwrap_or(0).cast_unsigned();
                    weights.extend((8 * group..8 * group + 8).map(of));
                }
            }
        }
        [self.weights(weights), self.params(order)]
    }

    /// Depthwise rows as the loader wants them, a tap of eight channels after the other: `[row / 8][tap][8]`, and their parameters.
    pub fn lanes(&self, taps: usize) -> [Block; 2] {
        let rows = self.bias.len();
        let mut weights = Vec::with_capacity(rows.next_multiple_of(8) * taps);
        for (block, tap) in (0..rows.div_ceil(8)).flat_map(|b| (0..taps).map(move |t| (b, t))) {
            let weight = |row: usize| self.weight.get(row * taps + tap).copied().unwrap_or(0).cast_unsigned();
            weights.extend((8 * block..8 * block + 8).map(weight));
        }
        [self.weights(weights), self.params(&self.order())]
    }

    fn weights(&self, bytes: Vec<u8>) -> Block {
        Block { bytes, alignment: SECTION_ALIGN, weights: Some(self.weight.len()) }
    }

    /// 72 bytes for each block of rows.
    fn params(&self, order: &[Option<usize>]) -> Block {
        let mut params = Vec::with_capacity(order.len().div_ceil(8) * PARAM_BLOCK);
        for block in order.chunks(8) {
            let lane = |i: usize| block.get(i).copied().flatten();
            params.extend((0..8).flat_map(|i| lane(i).map_or(0, |r| self.bias[r]).to_le_bytes()));
            params.extend((0..8).flat_map(|i| lane(i).map_or(0, |r| self.multiplier[r]).to_le_bytes()));
            params.extend((0..8).map(|i| lane(i).map_or(SHIFT_MIN, |r| self.shift[r])));
        }
        debug_assert_eq!(params.len(), order.len().div_ceil(8) * PARAM_BLOCK);
        Block { bytes: params, alignment: PARAMS_ALIGN, weights: None }
    }
}
