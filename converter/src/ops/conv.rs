//! Conv: `y[o] = clamp(bias[o] + sum over taps and channels of w[o, tap, c] * x[tap, c] (+ residual))`. With it every matrix
//! product: a vector is a map of one pixel.

mod import;
mod transposed;

use escarp_runtime::{
    ops::{ConvStep, Groups, LinearStep, RATIO_MAX, Runs, Step, WIDE_RATIO_MAX},
    quant::SHIFT_MIN_WIDE,
};
use ndarray::{ArrayView2, ArrayViewMut2, linalg::general_mat_mul, s};

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
        let weights = ArrayView2::from_shape((channels, depth), &self.weight).expect("weights are channels x depth");
        let mut y = ArrayViewMut2::from_shape((pixels, channels), &mut *out).expect("out is pixels x channels");
        for group in 0..self.groups {
            let mut columns = vec![0.0f32; pixels * depth];
            for (column, tap) in columns.chunks_exact_mut(self.inputs).zip(self.geometry.taps(x.shape, shape)) {
                if let Some(p) = tap {
                    column.copy_from_slice(&x.values[p * x.shape[2] + group * self.inputs..][..self.inputs]);
                }
            }
            let a = ArrayView2::from_shape((pixels, depth), &columns).expect("im2col is pixels x depth");
            let of_group = group * made..(group + 1) * made;
            let b = weights.slice(s![of_group.clone(), ..]);
            general_mat_mul(1.0, &a, &b.t(), 1.0, &mut y.slice_mut(s![.., of_group]));
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
        self.rows(inputs[0]).least_unit(wide)
    }

    fn widths(&self) -> Widths {
        if self.residual { Widths::Over(1) } else { Widths::Each }
    }

    fn room(&self, reach: f64) -> f64 {
        self.rows(Scale::int8(1.0, 0)).room(reach)
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        let output = f64::from(site.output.scale);
        let unit = if self.residual { output / Q12 } else { output };
        let smallest_shift = if self.residual { SHIFT_MIN_WIDE } else { site.shift_min() };
        let rows = self.rows(site.inputs[0]).quantize(site, unit, smallest_shift)?;
        let rest = site.fine.then(|| self.rows(site.inputs[0]).rest(site, &rows)).transpose()?;
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

/// The residual operand of a step that adds to what its output holds: zero point, and 1 in Q20.
pub const ONTO: (i8, i32) = (0, 1 << 20);

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
    /// What those leave of the weights: a second step adds it.
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
        Ok([&self.rows].into_iter().chain(&self.rest).flat_map(blocks).collect())
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let (g, x, output) = (self.geometry, placed.input(0)?, placed.output.id);
        let (constants, rest) = placed.constants.split_at(placed.constants.len().min(2));
        let [weights, params] = Placed { constants, ..*placed }.constants()?;
        // Of two steps, the second has the limits.
        let (min, max) = if self.rest.is_some() { (i16::MIN, i16::MAX) } else { self.limits };
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
        let linear = LinearStep { input: x.id, output, weights, params, min, max };
        let first = match whole && self.residual.is_none() && self.groups.is_none() {
            true => linear.into(),
            false => step.into(),
        };
        if self.rest.is_none() {
            return Ok(vec![first]);
        }
        let [weights, params] = Placed { constants: rest, ..*placed }.constants()?;
        let (min, max) = self.limits;
        Ok(vec![first, ConvStep { weights, params, min, max, residual: Some(ONTO), ..step }.into()])
    }
}
