//! Values rounded to a scale that the file gives.

use crate::{
    epilogue::Epilogue,
    error::Error,
    exporter::{Exported, Exporter},
    graph::{Channels, Cost, Map, Op, Pointwise, Products, ScaleRule, Widths},
    ops::{table::QTable, written::with_number},
    qgraph::QOp,
    scale::Scale,
    shape::Shape,
    site::Site,
};

/// Values rounded to a scale: `factor * x + shift`.
#[derive(Debug)]
pub struct Rounding {
    /// What it is rounded to.
    pub scale: Scale,
    /// 1 where the scale is all.
    pub factor: f32,
    /// 0 where the scale is all.
    pub shift: f32,
}

impl Rounding {
    /// To that scale and nothing else.
    pub fn to(scale: Scale) -> Rounding {
        Rounding { scale, factor: 1.0, shift: 0.0 }
    }

    fn at(&self, x: f32) -> f32 {
        x * self.factor + self.shift
    }
}

impl Op for Rounding {
    fn detail(&self) -> String {
        format!("scale {} zero {}", self.scale.scale, self.scale.zero_point)
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

    fn eval(&self, inputs: &[Map], _: &mut [f32], out: &mut [f32], _: Shape) {
        for (y, &x) in out.iter_mut().zip(inputs[0].values) {
            *y = self.scale.dequantize(self.scale.quantize(self.at(x)));
        }
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::Fixed(self.scale)
    }

    fn least_unit(&self, _: &[Scale], _: bool) -> f64 {
        0.0
    }

    fn widths(&self) -> Widths {
        Widths::Each
    }

    fn room(&self, _: f64) -> f64 {
        i16::MAX.into()
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        Ok(Box::new(QTable::new(site, |x| self.at(x))))
    }

    fn products(&self, _: Shape, _: Shape) -> Option<Products<'_>> {
        None
    }

    fn channels(&self) -> Channels {
        Channels::FIXED
    }

    fn scale_channels(&mut self, _: &[f32], _: &[f32]) {}

    fn alone(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn follows(&self) -> Option<Epilogue<'_>> {
        ((self.factor, self.shift) == (1.0, 0.0)).then_some(Epilogue::Grid(self.scale))
    }

    fn absorb(&mut self, _: &Epilogue) -> bool {
        false
    }

    fn pointwise(&self) -> Option<Pointwise> {
        None
    }

    /// What it makes is rounded as every tensor is.
    fn export(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        let mut value = site.input(0)?.value.to_owned();
        for (operator, number, nothing) in [("Mul", self.factor, 1.0), ("Add", self.shift, 0.0)] {
            if number != nothing {
                value = with_number(to, site, operator, &value, number);
            }
        }
        Ok(value)
    }
}
