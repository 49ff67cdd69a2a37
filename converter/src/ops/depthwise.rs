//! Depthwise convolution: `y[c] = clamp(bias[c] + sum over taps of w[c, tap] * x[tap, c])`. With one tap it is a scale and a shift for
//! each channel, which whatever makes `x` takes up if it can.

use std::sync::Arc;

use escarp_runtime::{
    ops::{ConvStep, DepthwiseStep, Groups, Runs, Step},
    quant::SHIFT_MIN_WIDE,
};

use super::{
    conv::{ONE_REST, REST},
    window::Geometry,
    written::{convolved, filters, limited, with_number},
};
use crate::{
    blocks::Block,
    epilogue::{Epilogue, Limits},
    error::Error,
    exporter::{Exported, Exporter},
    graph::{Channels, Cost, Factors, Map, Op, Pointwise, Products, ScaleRule, Widths},
    qgraph::{InPlace, Placed, QOp, State},
    rows::{FloatRows, Rows},
    scale::{Q12, Scale},
    shape::Shape,
    site::Site,
};

/// A depthwise convolution with its weights.
#[derive(Debug)]
pub struct Depthwise {
    /// Windows.
    pub geometry: Geometry,
    /// `[channel][tap]`
    pub weight: Vec<f32>,
    /// `[channel]`
    pub bias: Vec<f32>,
    /// After everything else.
    pub limits: Limits,
}

impl Depthwise {
    fn taps(&self) -> usize {
        self.geometry.kernel[0] * self.geometry.kernel[1]
    }

    fn rows(&self, input: Scale) -> FloatRows<'_> {
        FloatRows { weight: &self.weight, bias: &self.bias, input }
    }
}

impl Op for Depthwise {
    fn detail(&self) -> String {
        format!("{} clamp {}", self.geometry, self.limits)
    }

    fn weights(&self) -> Vec<(&'static str, &[f32])> {
        vec![("", &self.weight)]
    }

    fn cost(&self, [h, w, c]: Shape) -> Cost {
        let taps = self.taps();
        Cost {
            parameters: self.weight.len() + self.bias.len(),
            macs: (h * w * c * taps) as u64,
            packed: c.next_multiple_of(8).saturating_mul(taps),
            gathered: 0,
        }
    }

    fn state_len(&self) -> usize {
        0
    }

    fn eval(&self, inputs: &[Map], _: &mut [f32], out: &mut [f32], shape: Shape) {
        let (taps, channels, x) = (self.taps(), shape[2], inputs[0]);
        for (pixel, bias) in out.chunks_exact_mut(channels).map(|pixel| (pixel, &self.bias)) {
            pixel.copy_from_slice(bias);
        }
        for (i, place) in self.geometry.taps(x.shape, shape).enumerate() {
            let Some(place) = place else { continue };
            let (pixel, tap) = (&mut out[i / taps * channels..][..channels], i % taps);
            let values = &x.values[place * channels..][..channels];
            for ((y, x), w) in pixel.iter_mut().zip(values).zip(self.weight.iter().skip(tap).step_by(taps)) {
                *y += x * w;
            }
        }
        out.iter_mut().for_each(|y| *y = self.limits.clamp(*y));
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::OfValues
    }

    /// As of a convolution without residual.
    fn least_unit(&self, inputs: &[Scale], wide: bool) -> f64 {
        if wide { Q12 * self.rows(inputs[0]).least_unit(true) } else { self.rows(inputs[0]).least_unit(false) }
    }

    fn widths(&self) -> Widths {
        Widths::Each
    }

    fn room(&self, reach: f64) -> f64 {
        self.rows(Scale::int8(1.0, 0)).room(reach)
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        let (floats, output) = (self.rows(site.inputs[0]), f64::from(site.output.scale));
        let (unit, shift) = if site.fine { (output / Q12, SHIFT_MIN_WIDE) } else { (output, site.shift_min()) };
        let rows = floats.quantize(site, unit, shift)?;
        let rest = site.fine.then(|| floats.rest(site, &rows, output / REST)).transpose()?;
        let channels = u16::try_from(self.bias.len()).map_err(|_| site.wrong("more than 65535 channels"))?;
        let (geometry, limits) = (self.geometry, self.limits.quantized(site.output));
        Ok(Box::new(QDepthwise { geometry, channels, rows, rest, limits }))
    }

    fn products(&self, input: Shape, output: Shape) -> Option<Products<'_>> {
        let taps = self.geometry.taps(input, output).collect();
        Some(Products { weight: &self.weight, bias: &self.bias, groups: self.bias.len(), taps, limits: self.limits })
    }

    fn channels(&self) -> Channels {
        Channels { inputs: &[Factors::Weights], output: Factors::Weights, limits: self.limits }
    }

    fn scale_channels(&mut self, input: &[f32], output: &[f32]) {
        let taps = self.taps();
        for (c, (weights, bias)) in self.weight.chunks_exact_mut(taps).zip(&mut self.bias).enumerate() {
            weights.iter_mut().for_each(|w| *w *= output[c] / input[c]);
            *bias *= output[c];
        }
    }

    fn alone(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn follows(&self) -> Option<Epilogue<'_>> {
        let scale = self.geometry == Geometry::whole([1, 1, 1]) && self.limits == Limits::NONE;
        scale.then_some(Epilogue::Scale { scale: &self.weight, shift: &self.bias })
    }

    fn absorb(&mut self, next: &Epilogue) -> bool {
        match *next {
            Epilogue::Scale { scale, shift } if self.limits == Limits::NONE => {
                let taps = self.taps();
                for (c, (scale, shift)) in scale.iter().zip(shift).enumerate() {
                    self.weight[c * taps..][..taps].iter_mut().for_each(|w| *w *= scale);
                    self.bias[c] = self.bias[c] * scale + shift;
                }
            }
            Epilogue::Limits(limits) => self.limits = self.limits.then(limits),
            Epilogue::Scale { .. } | Epilogue::Sum(_) | Epilogue::Grid(_) => return false,
        }
        true
    }

    fn pointwise(&self) -> Option<Pointwise> {
        let (scale, shift, limits) = (*self.weight.first()?, *self.bias.first()?, self.limits);
        let one = self.geometry == Geometry::whole([1, 1, 1]);
        let alike = self.weight.iter().all(|w| *w == scale) && self.bias.iter().all(|b| *b == shift);
        (one && alike).then(|| Arc::new(move |values: &[f32]| limits.clamp(values[0] * scale + shift)) as Pointwise)
    }

    fn export(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        let ([kh, kw], x) = (self.geometry.kernel, site.input(0)?);
        // Alone among functions of one value, which is the same for all channels.
        if let (true, &[scale, ..], &[shift, ..]) = (site.rows.is_empty(), &self.weight[..], &self.bias[..])
            && self.pointwise().is_some()
        {
            let mut value = x.value.to_owned();
            if scale != 1.0 {
                value = with_number(to, site, "Mul", &value, scale);
            }
            if shift != 0.0 {
                value = with_number(to, site, "Add", &value, shift);
            }
            return Ok(limited(to, site, value, self.limits));
        }
        let filters = filters(to, site, (&self.weight, &self.bias), [1, kh, kw])?;
        let value = convolved(to, site, x, self.geometry, (self.bias.len(), &filters));
        Ok(limited(to, site, value, self.limits))
    }
}

/// A depthwise convolution in integers.
#[derive(Debug)]
struct QDepthwise {
    geometry: Geometry,
    /// One for each channel.
    rows: Rows,
    /// What those leave of the weights: a step of its own, to which theirs adds, a convolution in groups of one channel.
    rest: Option<Rows>,
    channels: u16,
    limits: (i16, i16),
}

impl QDepthwise {
    /// Each channel by itself; one alone is no group.
    fn groups(&self) -> Option<Groups> {
        (self.channels > 1).then_some(Groups { inputs: 1, outputs: 1 })
    }
}

impl QOp for QDepthwise {
    fn detail(&self) -> String {
        format!("{} clamp {}..{}", self.geometry, self.limits.0, self.limits.1)
    }

    fn rows(&self) -> Vec<(&'static str, &Rows)> {
        [("weight", &self.rows)].into_iter().chain(self.rest.as_ref().map(|rest| ("rest", rest))).collect()
    }

    /// Of two terms nothing is left to refine.
    fn refined(&mut self) -> Option<&mut Rows> {
        if self.rest.is_none() { Some(&mut self.rows) } else { None }
    }

    fn in_place(&self) -> InPlace {
        InPlace::No
    }

    fn states(&self) -> Vec<State> {
        vec![]
    }

    fn constants(&self) -> Result<Vec<Block>, Error> {
        let taps = self.geometry.kernel[0] * self.geometry.kernel[1];
        let Some(rest) = &self.rest else { return Ok(self.rows.lanes(taps).into()) };
        let rows = match self.groups() {
            None => self.rows.blocks(&self.rows.order(), taps, 1),
            Some(groups) => self.rows.grouped(taps, groups, Runs::new(Some(groups), self.channels)),
        };
        Ok(rest.lanes(taps).into_iter().chain(rows).collect())
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let (first, constants) = placed.constants.split_at(placed.constants.len().saturating_sub(2));
        let (g, two) = (self.geometry, self.rest.is_some());
        let [weights, params] = Placed { constants: if two { first } else { constants }, ..*placed }.constants()?;
        let (min, max) = if two { (i16::MIN, i16::MAX) } else { self.limits };
        let step = DepthwiseStep {
            input: placed.input(0)?.id,
            output: placed.output.id,
            kernel: placed.pair("kernel", g.kernel)?,
            stride: placed.pair("stride", g.stride)?,
            dilation: placed.pair("dilation", g.dilation)?,
            pad: placed.pair("padding", g.pad)?,
            weights,
            params,
            min,
            max,
        };
        if !two {
            return Ok(vec![step.into()]);
        }
        let DepthwiseStep { input, output, kernel, stride, dilation, pad, .. } = step;
        let ([weights, params], (min, max)) = (Placed { constants, ..*placed }.constants()?, self.limits);
        let (residual, groups) = (Some((0, ONE_REST)), self.groups());
        let second =
            ConvStep { input, output, kernel, stride, dilation, pad, weights, params, min, max, residual, groups };
        Ok(vec![step.into(), second.into()])
    }
}
