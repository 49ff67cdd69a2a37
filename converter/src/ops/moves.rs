//! Values moved to other places: for a view that is no form of what an operator reads, and for Concat and Pad. One tensor is made of
//! parts of others, and of one value where no part goes.

mod written;

use escarp_runtime::{
    ConstOffset,
    format::PARAMS_ALIGN,
    ops::{CopyStep, Step},
};

use crate::{
    blocks::Block,
    epilogue::Epilogue,
    error::Error,
    exporter::{Exported, Exporter},
    graph::{Channels, Cost, Map, Op, Pointwise, Products, ScaleRule, Widths},
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::Scale,
    shape::Shape,
    site::Site,
    view::Loop,
};

/// Values that go from one of the inputs into the output.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which input.
    pub input: usize,
    /// Its shape.
    pub shape: Shape,
    /// Row, column, channel of the first value, in the input.
    pub from: [usize; 3],
    /// The same in the output.
    pub to: [usize; 3],
    /// Outermost first.
    pub loops: Vec<Loop>,
}

/// A tensor put together.
#[derive(Debug)]
pub struct Move {
    /// One after the other.
    pub parts: Vec<Part>,
    /// What no part writes; finite.
    pub fill: f32,
    /// Of the output.
    pub shape: Shape,
}

/// Elements of a map from one row, column, channel to the next.
type Strides = [usize; 3];

/// Of a map in f32.
fn strides([_, w, c]: Shape) -> Strides {
    [w * c, c, 1]
}

/// Of a map as the runtime stores it, its channels padded to eights.
fn stored([h, w, c]: Shape) -> Strides {
    strides([h, w, c.next_multiple_of(8)])
}

fn element(place: [usize; 3], strides: Strides) -> usize {
    place.iter().zip(strides).map(|(p, s)| p * s).sum()
}

/// A loop's step, in elements.
fn distance(step: [isize; 3], strides: Strides) -> isize {
    step.iter().zip(strides).map(|(&d, s)| d * s.cast_signed()).sum()
}

impl Part {
    /// Calls `each` with the places of all values, in elements.
    fn each(&self, from: Strides, to: Strides, mut each: impl FnMut(usize, usize)) {
        let loops: Vec<(usize, isize, isize)> =
            self.loops.iter().map(|l| (l.count, distance(l.from, from), distance(l.to, to))).collect();
        let start = (element(self.from, from).cast_signed(), element(self.to, to).cast_signed());
        let total: usize = loops.iter().map(|l| l.0).product();
        for index in 0..total {
            let (mut rest, (mut a, mut b)) = (index, start);
            for &(count, from, to) in loops.iter().rev() {
                let at = (rest % count).cast_signed();
                (rest, a, b) = (rest / count, a + at * from, b + at * to);
            }
            each(a.cast_unsigned(), b.cast_unsigned());
        }
    }
}

impl Op for Move {
    fn detail(&self) -> String {
        format!("{} parts", self.parts.len())
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
        out.fill(self.fill);
        for part in &self.parts {
            let values = inputs[part.input].values;
            part.each(strides(part.shape), strides(self.shape), |from, to| out[to] = values[from]);
        }
    }

    /// What comes from one tensor keeps its scale, which has a zero.
    fn scale_rule(&self) -> ScaleRule {
        let one = self.parts.iter().all(|part| part.input == 0);
        if one && self.fill == 0.0 { ScaleRule::OfInput } else { ScaleRule::OfValues }
    }

    fn least_unit(&self, _: &[Scale], _: bool) -> f64 {
        0.0
    }

    fn widths(&self) -> Widths {
        if self.fill == 0.0 { Widths::Together } else { Widths::Int8 }
    }

    fn room(&self, _: f64) -> f64 {
        i16::MAX.into()
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        let table = |part: &Part| {
            let input = site.inputs[part.input];
            let entry = |q: i8| site.output.quantize(input.dequantize(q));
            match input == site.output {
                true => Ok(None),
                false if site.any_wide() => Err(site.wrong("parts of an int16 tensor that have other scales")),
                false => Ok(Some((i8::MIN..=i8::MAX).map(entry).collect())),
            }
        };
        let parts = self.parts.iter().map(|part| Ok((part.clone(), table(part)?))).collect::<Result<_, Error>>()?;
        Ok(Box::new(QMove { parts, fill: site.fill(self.fill)?, shape: self.shape }))
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
        None
    }

    fn export(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        self.written(to, site)
    }
}

/// A tensor put together, in integers.
#[derive(Debug)]
struct QMove {
    /// Each with what -128, -127, ... become where the scales differ.
    parts: Vec<(Part, Option<Vec<i8>>)>,
    fill: i8,
    shape: Shape,
}

impl QMove {
    /// A part's loops as the runtime goes through them.
    fn loops(&self, part: &Part) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![];
        for Loop { count, from, to } in &part.loops {
            let [from, to] =
                [distance(*from, stored(part.shape)), distance(*to, stored(self.shape))].map(i32::try_from);
            let (Ok(count), Ok(from), Ok(to)) = (u32::try_from(*count), from, to) else {
                return Err(Error::Pack(format!(
                    "a copy of {count} values {from:?} and {to:?} apart; allowed: below 2^31"
                )));
            };
            bytes.extend(escarp_runtime::ops::Loop { count, from, to }.emit());
        }
        Ok(bytes)
    }
}

impl QOp for QMove {
    fn detail(&self) -> String {
        let tables = self.parts.iter().filter(|(_, table)| table.is_some()).count();
        format!("{} parts, {tables} of them through a table, fill {}", self.parts.len(), self.fill)
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
        let mut blocks = vec![];
        for (part, table) in &self.parts {
            let table = table.as_ref().map(|table| table.iter().map(|q| q.cast_unsigned()).collect());
            let loops = (!part.loops.is_empty()).then(|| self.loops(part)).transpose()?;
            blocks.extend(table.into_iter().chain(loops));
        }
        Ok(blocks.into_iter().map(|bytes| Block { bytes, alignment: PARAMS_ALIGN, weights: None }).collect())
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let mut constants = placed.constants.iter().copied();
        let mut next = || constants.next().ok_or_else(|| placed.wrong("a constant is missing".into()));
        let (mut steps, target) = (vec![], stored(self.shape));
        for (part, table) in &self.parts {
            let input = placed.input(part.input)?;
            let table = table.as_ref().map(|_| next()).transpose()?;
            let loops_at: ConstOffset = if part.loops.is_empty() { 0 } else { next()? };
            let [from, to] =
                placed.pair("places", [element(part.from, stored(part.shape)), element(part.to, target)])?;
            let values: usize = part.loops.iter().map(|l| l.count).product();
            let [values, _] = placed.pair("values", [values; 2])?;
            let [loops, _] = placed.pair("loops", [part.loops.len(); 2])?;
            // The first one fills, the others keep what is there.
            let (fill, output) = (steps.is_empty().then_some(self.fill), placed.output.id);
            steps.push(CopyStep { input: input.id, output, fill, table, loops, loops_at, from, to, values }.into());
        }
        Ok(steps)
    }
}
