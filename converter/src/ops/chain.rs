//! Functions of one tensor, one after the other or put together: a table of what comes out in the end.

use std::{fmt, sync::Arc};

use super::table::QTable;
use crate::{
    epilogue::Epilogue,
    error::Error,
    exporter::{Exported, Exporter, Read},
    graph::{Channels, Cost, Map, Op, Pointwise, Products, ScaleRule, Widths},
    qgraph::QOp,
    scale::Scale,
    shape::Shape,
    site::Site,
};

/// One function of a chain.
#[derive(Clone)]
pub struct Link {
    /// What a dump calls it.
    pub name: String,
    /// Its meaning.
    pub function: Pointwise,
    /// The operation that means it.
    pub op: Arc<dyn Op>,
    /// What it reads: 0 is what the chain reads, `n` what its link `n` makes, the first being 1.
    pub inputs: Vec<usize>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.inputs)
    }
}

/// Functions that read one tensor and each other; the last one's result is the chain's.
#[derive(Clone, Debug)]
struct Chain {
    links: Vec<Link>,
}

/// A chain of at least one link, each of which reads earlier ones.
pub fn chained(links: Vec<Link>) -> Box<dyn Op> {
    Box::new(Chain { links })
}

impl Chain {
    /// Its value; `values` and `operands` are for what lies between.
    fn at(&self, x: f32, values: &mut Vec<f32>, operands: &mut Vec<f32>) -> f32 {
        values.clear();
        values.push(x);
        let mut last = x;
        for link in &self.links {
            operands.clear();
            operands.extend(link.inputs.iter().map(|&i| values[i]));
            last = (link.function)(operands);
            values.push(last);
        }
        last
    }
}

impl Op for Chain {
    fn detail(&self) -> String {
        self.links.iter().map(|link| format!("{link:?}")).collect::<Vec<_>>().join(" ")
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
        let (mut values, mut operands) = (vec![], vec![]);
        for (y, &x) in out.iter_mut().zip(inputs[0].values) {
            *y = self.at(x, &mut values, &mut operands);
        }
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::OfValues
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
        Ok(Box::new(QTable::new(site, |x| self.at(x, &mut vec![], &mut vec![]))))
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
        None
    }

    fn absorb(&mut self, _: &Epilogue) -> bool {
        false
    }

    fn pointwise(&self) -> Option<Pointwise> {
        let chain = self.clone();
        Some(Arc::new(move |values| chain.at(values[0], &mut vec![], &mut vec![])))
    }

    fn export(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        let first = site.input(0)?;
        let mut values = vec![first.value.to_owned()];
        // What lies between is not rounded.
        let fine = Scale::int8(f32::MIN_POSITIVE, 0);
        let scale = |at: usize| if at == 0 { first.scale } else { fine };
        for link in &self.links {
            let read: Option<Vec<Read>> = link
                .inputs
                .iter()
                .map(|&at| Some(Read { value: values.get(at)?, scale: scale(at), ..first }))
                .collect();
            let inputs = read.ok_or_else(|| site.wrong("a function reads one that comes later"))?;
            let made = link.op.export(to, &Exported { inputs: &inputs, rows: &[], ..*site })?;
            values.push(made);
        }
        values.pop().ok_or_else(|| site.wrong("a chain of no functions"))
    }
}
