//! MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool: the largest value or the mean of windows, and sums of whole maps.

mod import;

use escarp_runtime::{
    format::PARAMS_ALIGN,
    ops::{Divisor, PoolStep, Step},
    quant::SHIFT_MIN_WIDE,
};

use super::{
    window::Geometry,
    written::{limited, windowed, with_number},
};
use crate::{
    blocks::Block,
    epilogue::{Epilogue, Limits},
    error::Error,
    exporter::{Exported, Exporter},
    graph::{Channels, Cost, Factors, Map, Op, Pointwise, Products, ScaleRule, Widths},
    importer::Importer,
    onnx::Node,
    proto::int,
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::{SMALLEST_FACTOR, Scale, multiplier},
    shape::{Shape, TensorId},
    site::Site,
    view::View,
};

pub use import::ONNX;

/// Most values in an average: as many differences of at most 255 fit the runtime's i32.
const MOST_AVERAGED: usize = i32::MAX as usize / 255;
/// As many numbers of int16.
const MOST_AVERAGED_WIDE: usize = i32::MAX as usize / 32768;
/// Most values of a window in an average of those inside the map: as many factors has a step of the runtime.
const MOST_COUNTED: usize = 4096;

/// What is made of the values of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The largest inside the map.
    Maximum,
    /// The mean of all; those outside the map are zeros.
    Mean,
    /// The mean of those inside the map.
    MeanInside,
    /// The sum of all.
    Sum,
}

/// Windows' maximum, mean or sum, for each channel.
#[derive(Debug)]
struct Pool {
    /// Windows, each with a pixel inside the map; dilation is 1.
    geometry: Geometry,
    kind: Kind,
    limits: Limits,
}

impl Pool {
    /// Taps of a window.
    fn count(&self) -> usize {
        self.geometry.kernel[0] * self.geometry.kernel[1]
    }

    /// What the sum of a window is divided by, at least and at most.
    fn divisors(&self) -> [usize; 2] {
        match self.kind {
            Kind::Mean => [self.count(); 2],
            Kind::MeanInside => [1, self.count()],
            Kind::Maximum | Kind::Sum => [1; 2],
        }
    }
}

impl Op for Pool {
    fn detail(&self) -> String {
        match self.kind {
            Kind::Maximum | Kind::Mean => self.geometry.to_string(),
            kind => format!("{} {kind:?}", self.geometry),
        }
    }

    fn weights(&self) -> Vec<(&'static str, &[f32])> {
        vec![]
    }

    fn cost(&self, _: Shape) -> Cost {
        Cost::NONE
    }

    fn state_len(&self) -> usize {
        0
    }

    fn eval(&self, inputs: &[Map], _: &mut [f32], out: &mut [f32], out_shape: Shape) {
        let Map { values: x, shape } = inputs[0];
        let (channels, count) = (shape[2], self.count());
        out.fill(if self.kind == Kind::Maximum { f32::NEG_INFINITY } else { 0.0 });
        let whole = if self.kind == Kind::Mean { count as f32 } else { 1.0 };
        let mut inside = 0;
        for (i, tap) in self.geometry.taps(shape, out_shape).enumerate() {
            let pixel = &mut out[i / count * channels..][..channels];
            if let Some(p) = tap {
                inside += 1;
                for (y, &x) in pixel.iter_mut().zip(&x[p * channels..][..channels]) {
                    *y = if self.kind == Kind::Maximum { y.max(x) } else { *y + x / whole };
                }
            }
            if i % count == count - 1 {
                if self.kind == Kind::MeanInside {
                    pixel.iter_mut().for_each(|y| *y /= inside as f32);
                }
                inside = 0;
            }
        }
        out.iter_mut().for_each(|y| *y = self.limits.clamp(*y));
    }

    /// A maximum is one of its inputs and keeps their scale.
    fn scale_rule(&self) -> ScaleRule {
        if self.kind == Kind::Maximum { ScaleRule::OfInput } else { ScaleRule::OfValues }
    }

    /// The epilogue takes factors up to 2^14 from the sum's unit to the output's.
    fn least_unit(&self, inputs: &[Scale], _: bool) -> f64 {
        f64::from(inputs[0].scale) / self.divisors()[0] as f64 / f64::from(1 << 14)
    }

    fn widths(&self) -> Widths {
        match self.kind {
            Kind::Maximum => Widths::Together,
            _ if self.count() > MOST_AVERAGED_WIDE => Widths::Int8,
            _ => Widths::Each,
        }
    }

    fn room(&self, _: f64) -> f64 {
        i16::MAX.into()
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        let factor = |divisor: usize| {
            let step = f64::from(site.inputs[0].scale) / divisor as f64;
            let factor = (step / f64::from(site.output.scale)).max(SMALLEST_FACTOR);
            multiplier(factor, SHIFT_MIN_WIDE).ok_or_else(|| site.wrong(format!("a factor of {factor}")))
        };
        let average = match (self.kind, self.divisors()) {
            (Kind::Maximum, _) => QDivisor::None,
            (Kind::Mean | Kind::Sum, [_, all]) => QDivisor::All(factor(all)?),
            (Kind::MeanInside, [least, most]) => {
                QDivisor::Inside((least..=most).map(factor).collect::<Result<_, _>>()?)
            }
        };
        Ok(Box::new(QPool { geometry: self.geometry, average, limits: self.limits.quantized(site.output) }))
    }

    fn products(&self, _: Shape, _: Shape) -> Option<Products<'_>> {
        None
    }

    fn channels(&self) -> Channels {
        Channels { inputs: &[Factors::Through], output: Factors::Through, limits: self.limits }
    }

    fn scale_channels(&mut self, _: &[f32], _: &[f32]) {}

    fn alone(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn follows(&self) -> Option<Epilogue<'_>> {
        None
    }

    fn absorb(&mut self, next: &Epilogue) -> bool {
        let Epilogue::Limits(limits) = next else { return false };
        self.limits = self.limits.then(*limits);
        true
    }

    fn pointwise(&self) -> Option<Pointwise> {
        None
    }

    fn export(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        let (x, g) = (site.input(0)?, self.geometry);
        let whole = g == Geometry::whole(x.shape);
        let value = match self.kind {
            Kind::Maximum if g == Geometry::whole([1, 1, 1]) => x.value.to_owned(),
            Kind::Maximum if whole => to.node("GlobalMaxPool", site.node, &[x.value], vec![]),
            Kind::Maximum => windowed(to, site, x, g, ("MaxPool", vec![])),
            _ if whole => to.node("GlobalAveragePool", site.node, &[x.value], vec![]),
            kind => {
                let zeros = usize::from(kind != Kind::MeanInside);
                windowed(to, site, x, g, ("AveragePool", vec![int("count_include_pad", zeros)]))
            }
        };
        let value = match self.kind {
            Kind::Sum => with_number(to, site, "Mul", &value, self.count() as f32),
            _ => value,
        };
        Ok(limited(to, site, value, self.limits))
    }
}

/// What a window's sum is multiplied with: multiplier and shift.
#[derive(Debug)]
enum QDivisor {
    /// It has none: maximum.
    None,
    /// One for all.
    All((i32, u8)),
    /// For 1, 2 ... values inside the map.
    Inside(Vec<(i32, u8)>),
}

/// A pool in integers.
#[derive(Debug)]
struct QPool {
    geometry: Geometry,
    average: QDivisor,
    limits: (i16, i16),
}

impl QOp for QPool {
    fn detail(&self) -> String {
        let average = match &self.average {
            QDivisor::None => "None".into(),
            QDivisor::All(factor) => format!("Some({factor:?})"),
            QDivisor::Inside(factors) => format!("{} factors", factors.len()),
        };
        format!("{} {average} clamp {}..{}", self.geometry, self.limits.0, self.limits.1)
    }

    fn rows(&self) -> Vec<(&'static str, &Rows)> {
        vec![]
    }

    fn refined(&mut self) -> Option<&mut Rows> {
        None
    }

    fn in_place(&self) -> InPlace {
        InPlace::No
    }

    fn states(&self) -> Vec<State> {
        vec![]
    }

    fn constants(&self) -> Result<Vec<Block>, Error> {
        let QDivisor::Inside(factors) = &self.average else { return Ok(vec![]) };
        let bytes = factors.iter().flat_map(|&(multiplier, shift)| Divisor::emit(multiplier, shift)).collect();
        Ok(vec![Block { bytes, alignment: PARAMS_ALIGN, weights: None }])
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let (g, x, (min, max)) = (self.geometry, placed.input(0)?, self.limits);
        let [h, w, _] = x.shape;
        // What a larger window has beyond the map is outside it wherever the window stands: no maximum sees it.
        let kernel = [g.kernel[0].min(h + g.pad[0]), g.kernel[1].min(w + g.pad[1])];
        let step = PoolStep {
            input: x.id,
            output: placed.output.id,
            kernel: placed.pair("window", kernel)?,
            stride: placed.pair("stride", g.stride)?,
            pad: placed.pair("padding", g.pad)?,
            average: match self.average {
                QDivisor::None => None,
                QDivisor::All((multiplier, shift)) => Some(Divisor::All(multiplier, shift)),
                QDivisor::Inside(_) => {
                    let [factors] = placed.constants()?;
                    Some(Divisor::Inside(factors))
                }
            },
            min,
            max,
        };
        Ok(vec![step.into()])
    }
}

/// Adds a pool over a whole tensor, of windows that each have a pixel inside the map, their dilation being 1.
///
/// # Errors
/// If it takes the mean of too many values.
pub fn pooled(
    importer: &mut Importer,
    node: &Node,
    x: &View,
    (geometry, kind): (Geometry, Kind),
    [oh, ow]: [usize; 2],
) -> Result<TensorId, Error> {
    // The mean or sum of one value is that value.
    let kind = if geometry.kernel == [1, 1] { Kind::Maximum } else { kind };
    let pool = Pool { geometry, kind, limits: Limits::NONE };
    let most = match kind {
        Kind::Maximum => usize::MAX,
        Kind::Mean | Kind::Sum => MOST_AVERAGED,
        Kind::MeanInside => MOST_COUNTED,
    };
    if pool.count() > most {
        let [h, w] = geometry.kernel;
        return Err(node.wrong(format!("an average over {h}x{w} values; allowed: {most}")));
    }
    importer.emit(node, pool, vec![x.tensor], [oh, ow, x.shape[2]])
}
