//! Conv: `y[o] = clamp(bias[o] + sum over taps and channels of w[o, tap, c] * x[tap, c] (+ residual))`. With it every matrix
//! product: a vector is a map of one pixel.

mod import;
mod transposed;

use escarp_runtime::{
    kernels::WIDE_BITS,
    ops::{ConvStep, Groups, LinearStep, RATIO_MAX, Runs, Step, WIDE_RATIO_MAX},
    quant::SHIFT_MIN_WIDE,
};

use super::{
    window::Geometry,
    written::{convolved, filters, limited},
};
use crate::{
    blocks::Block,
    epilogue::{Epilogue, Limits},
    error::Error,
    exporter::{Exported, Exporter},
    graph::{Channels, Cost, Factors, Map, Op, Pointwise, Products, ScaleRule, Widths},
    importer::{Hint, Import},
    product::{self, Columns, Weights},
    qgraph::{InPlace, Placed, QOp, State},
    rows::{FloatRows, Rows},
    scale::{Q12, Q20, Scale, nearest_i32},
    shape::Shape,
    site::Site,
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("Conv", Import::new(import::import).hint(|_| Hint::ChannelsFirst)),
    ("ConvTranspose", Import::new(transposed::import).hint(|_| Hint::ChannelsFirst)),
];

/// Pixels whose windows are gathered at a time.
const GATHERED: usize = 96;

/// A convolution with its weights.
#[derive(Debug)]
pub struct Conv {
    /// Windows.
    pub geometry: Geometry,
    /// Input channels that an output channel reads: all, or those of its group.
    pub inputs: usize,
    /// Groups of channels, 1 for all.
    pub groups: usize,
    /// `[output channel][tap][input channel of the group]`
    pub weight: Vec<f32>,
    /// `[output channel]`
    pub bias: Vec<f32>,
    /// After everything else.
    pub limits: Limits,
    /// The second input is added before the limits, in place.
    pub residual: bool,
}

impl Conv {
    /// Products for one output value.
    fn depth(&self) -> usize {
        self.geometry.kernel[0] * self.geometry.kernel[1] * self.inputs
    }

    fn rows(&self, input: Scale) -> FloatRows<'_> {
        FloatRows { weight: &self.weight, bias: &self.bias, input }
    }

    /// Nothing but products and bias so far: what comes next may change the weights.
    fn open(&self) -> bool {
        self.limits == Limits::NONE && !self.residual
    }
}

impl Op for Conv {
    fn detail(&self) -> String {
        format!("{} clamp {}", self.geometry, self.limits)
    }

    fn weights(&self) -> Vec<(&'static str, &[f32])> {
        vec![("", &self.weight)]
    }

    fn cost(&self, [h, w, c]: Shape) -> Cost {
        let [kh, kw] = self.geometry.kernel;
        let [outputs, inputs] = [c, self.inputs].map(|n| n.next_multiple_of(8));
        Cost {
            parameters: self.weight.len() + self.bias.len(),
            macs: (h * w * c * self.depth()) as u64,
            // A block of a convolution in groups reads a group's channels, and up to 14 more on both sides.
            packed: outputs.saturating_mul(if self.groups > 1 { inputs + 16 } else { inputs }).saturating_mul(kh * kw),
            gathered: (h * w) as u64 * self.depth() as u64,
        }
    }

    fn state_len(&self) -> usize {
        0
    }

    fn eval(&self, inputs: &[Map], _: &mut [f32], out: &mut [f32], shape: Shape) {
        let (depth, channels, x) = (self.depth(), shape[2], inputs[0]);
        let (pixels, made) = (shape[0] * shape[1], channels / self.groups);
        if self.residual {
            out.copy_from_slice(inputs[1].values);
        } else {
            out.fill(0.0);
        }
        // Where every window is a pixel and none is left out, the input is what would be gathered.
        let pixelwise = self.geometry == Geometry::whole([1, 1, 1]) && x.shape[..2] == shape[..2];
        let plain = self.groups == 1 && (pixelwise || pixels == 1 && self.geometry == Geometry::whole(x.shape));
        let mut gathered = vec![0.0; if plain { 0 } else { pixels.min(GATHERED) * depth }];
        for group in 0..self.groups {
            let rows = &self.weight[group * made * depth..][..made * depth];
            let weights = Weights::new(rows, depth, pixels);
            let columns = Columns { first: group * made, count: made, stride: channels };
            let mut taps = self.geometry.taps(x.shape, shape);
            for first in (0..pixels).step_by(GATHERED) {
                let count = GATHERED.min(pixels - first);
                let y = &mut out[first * channels..][..count * channels];
                if plain {
                    product::add(&x.values[first * depth..][..count * depth], &weights, y, columns);
                    continue;
                }
                let gathered = &mut gathered[..count * depth];
                for (column, tap) in gathered.chunks_exact_mut(self.inputs).zip(&mut taps) {
                    match tap {
                        Some(p) => {
                            column.copy_from_slice(&x.values[p * x.shape[2] + group * self.inputs..][..self.inputs])
                        }
                        None => column.fill(0.0),
                    }
                }
                product::add(gathered, &weights, y, columns);
            }
        }
        for pixel in out.chunks_exact_mut(channels) {
            for (y, b) in pixel.iter_mut().zip(&self.bias) {
                *y = self.limits.clamp(*y + b);
            }
        }
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::OfValues
    }

    fn least_unit(&self, inputs: &[Scale], wide: bool) -> f64 {
        if self.residual {
            let operand = f64::from(inputs[1].scale);
            return match wide {
                true => (operand * Q20 / f64::from(WIDE_RATIO_MAX)).max(Q12 * self.rows(inputs[0]).least_unit(true)),
                false => operand * Q12 / f64::from(RATIO_MAX),
            };
        }
        // So that an int16 output may be a sum of two steps: then a quarter of a unit of a sum is its least.
        if wide { Q12 * self.rows(inputs[0]).least_unit(true) } else { self.rows(inputs[0]).least_unit(false) }
    }

    fn widths(&self) -> Widths {
        if self.residual { Widths::Over(1) } else { Widths::Each }
    }

    fn room(&self, reach: f64) -> f64 {
        self.rows(Scale::int8(1.0, 0)).room(reach)
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        let output = f64::from(site.output.scale);
        let adds = self.residual || site.fine;
        let unit = if adds { output / Q12 } else { output };
        let smallest_shift = if adds { SHIFT_MIN_WIDE } else { site.shift_min() };
        let rows = self.rows(site.inputs[0]).quantize(site, unit, smallest_shift)?;
        let rest = site
            .fine
            .then(|| self.rows(site.inputs[0]).rest(site, &rows, if self.residual { unit } else { output / REST }))
            .transpose()?;
        let limits = self.limits.quantized(site.output);
        let one = if site.output.is_wide() { Q20 } else { Q12 };
        let residual = self.residual.then(|| (nearest_i32(f64::from(site.inputs[1].scale) / output * one), one));
        let groups = (self.groups > 1).then(|| {
            let [inputs, outputs] = [self.inputs, self.bias.len() / self.groups].map(u16::try_from);
            Ok(Groups {
                inputs: inputs.map_err(|_| site.wrong("groups of more than 65535 channels"))?,
                outputs: outputs.map_err(|_| site.wrong("groups of more than 65535 channels"))?,
            })
        });
        let groups = groups.transpose()?;
        let channels = u16::try_from(self.inputs * self.groups).map_err(|_| site.wrong("more than 65535 channels"))?;
        let runs = Runs::new(groups, channels);
        let (geometry, inputs) = (self.geometry, self.inputs);
        Ok(Box::new(QConv { geometry, inputs, groups, runs, rows, rest, limits, residual }))
    }

    fn products(&self, input: Shape, output: Shape) -> Option<Products<'_>> {
        let taps = self.geometry.taps(input, output).collect();
        Some(Products { weight: &self.weight, bias: &self.bias, groups: self.groups, taps, limits: self.limits })
    }

    fn channels(&self) -> Channels {
        Channels { inputs: &[Factors::Weights, Factors::Through], output: Factors::Weights, limits: self.limits }
    }

    fn scale_channels(&mut self, input: &[f32], output: &[f32]) {
        let (taps, made) = (self.depth() / self.inputs, self.bias.len() / self.groups);
        for (row, (weights, bias)) in self.weight.chunks_exact_mut(taps * self.inputs).zip(&mut self.bias).enumerate() {
            let input = &input[row / made * self.inputs..][..self.inputs];
            for (i, w) in weights.iter_mut().enumerate() {
                *w *= output[row] / input[i % self.inputs];
            }
            *bias *= output[row];
        }
    }

    fn alone(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn follows(&self) -> Option<Epilogue<'_>> {
        None
    }

    fn absorb(&mut self, next: &Epilogue) -> bool {
        match *next {
            Epilogue::Scale { scale, shift } if self.open() => {
                let depth = self.depth();
                for (c, (scale, shift)) in scale.iter().zip(shift).enumerate() {
                    self.weight[c * depth..][..depth].iter_mut().for_each(|w| *w *= scale);
                    self.bias[c] = self.bias[c] * scale + shift;
                }
            }
            Epilogue::Sum(limits) if self.open() => (self.residual, self.limits) = (true, limits),
            Epilogue::Limits(limits) => self.limits = self.limits.then(limits),
            Epilogue::Scale { .. } | Epilogue::Sum(_) | Epilogue::Grid(_) => return false,
        }
        true
    }

    fn pointwise(&self) -> Option<Pointwise> {
        None
    }

    fn export(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        let ([kh, kw], x) = (self.geometry.kernel, site.input(0)?);
        let filters = filters(to, site, (&self.weight, &self.bias), [self.inputs, kh, kw])?;
        let mut value = convolved(to, site, x, self.geometry, (self.groups, &filters));
        if self.residual {
            value = to.node("Add", site.node, &[&value, site.input(1)?.value], vec![]);
        }
        Ok(limited(to, site, value, self.limits))
    }
}

/// The factor of an int16 operand in the output's units.
const ONE: i32 = 1 << WIDE_BITS;

/// Units of what a step makes of the rest of the weights in a unit of the output, so that it is not rounded twice.
pub const REST: f64 = 16.0;

/// The factor of an operand in these.
pub const ONE_REST: i32 = ONE / 16;

/// A convolution in integers; over a whole map it is a matrix times a vector.
#[derive(Debug)]
struct QConv {
    geometry: Geometry,
    /// Input channels of an output channel.
    inputs: usize,
    groups: Option<Groups>,
    /// Which channels a block of outputs reads.
    runs: Runs,
    /// One for each output channel.
    rows: Rows,
    /// What those leave of the weights: a step of its own, to which theirs adds.
    rest: Option<Rows>,
    limits: (i16, i16),
    /// The second input lies in the output's bytes: its scale over the output's, and 1 in units of that.
    residual: Option<(i32, f64)>,
}

impl QOp for QConv {
    fn detail(&self) -> String {
        let residual = self.residual.map_or(String::new(), |(m, one)| format!(" residual * {m} / {one}"));
        let groups = self.groups.map_or(String::new(), |g| format!(" groups of {} to {}", g.inputs, g.outputs));
        format!("{}{groups} clamp {}..{}{residual}", self.geometry, self.limits.0, self.limits.1)
    }

    fn rows(&self) -> Vec<(&'static str, &Rows)> {
        [("weight", &self.rows)].into_iter().chain(self.rest.as_ref().map(|rest| ("rest", rest))).collect()
    }

    /// Of two terms nothing is left to refine.
    fn refined(&mut self) -> Option<&mut Rows> {
        if self.rest.is_none() { Some(&mut self.rows) } else { None }
    }

    fn in_place(&self) -> InPlace {
        if self.residual.is_some() { InPlace::Always(1) } else { InPlace::No }
    }

    fn states(&self) -> Vec<State> {
        vec![]
    }

    fn constants(&self) -> Result<Vec<Block>, Error> {
        let taps = self.geometry.kernel[0] * self.geometry.kernel[1];
        let blocks = |rows: &Rows| match self.groups {
            None => rows.blocks(&rows.order(), taps, self.inputs),
            Some(groups) => rows.grouped(taps, groups, self.runs),
        };
        Ok(self.rest.iter().chain([&self.rows]).flat_map(blocks).collect())
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let (g, x, output) = (self.geometry, placed.input(0)?, placed.output.id);
        let (rest, constants) = placed.constants.split_at(placed.constants.len().saturating_sub(2));
        let ([weights, params], (min, max)) = (Placed { constants, ..*placed }.constants()?, self.limits);
        let [h, w, _] = x.shape;
        let whole = g.kernel == [h, w] && g.pad == [0, 0] && placed.output.shape[..2] == [1, 1];
        let operand = |(m, _)| Ok((placed.input(1)?.scale.zero_point, m));
        let step = ConvStep {
            input: x.id,
            output,
            kernel: placed.pair("kernel", g.kernel)?,
            stride: placed.pair("stride", g.stride)?,
            dilation: placed.pair("dilation", g.dilation)?,
            pad: placed.pair("padding", g.pad)?,
            weights,
            params,
            min,
            max,
            residual: self.residual.map(operand).transpose()?,
            groups: self.groups,
        };
        if self.rest.is_some() {
            // The first step has the operand and no limits; its results are the operand of the second.
            let [weights, params] = Placed { constants: rest, ..*placed }.constants()?;
            let first = ConvStep { weights, params, min: i16::MIN, max: i16::MAX, ..step };
            let operand = if self.residual.is_some() { ONE } else { ONE_REST };
            return Ok(vec![first.into(), ConvStep { residual: Some((0, operand)), ..step }.into()]);
        }
        if whole && self.residual.is_none() && self.groups.is_none() {
            return Ok(vec![LinearStep { input: x.id, output, weights, params, min, max }.into()]);
        }
        Ok(vec![step.into()])
    }
}
