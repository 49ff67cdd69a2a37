//! A function of each value by itself, in integers: a table of 256 results, or of the ends of intervals of int16 values.

use escarp_runtime::{
    format::PARAMS_ALIGN,
    ops::{LookupStep, Step},
};

use crate::{
    blocks::Block,
    error::Error,
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::nearest_i16,
    site::Site,
};

/// Values from one end of an interval to the next, of an int16 input.
const INTERVAL: i32 = 128;

/// Fraction bits of the entries from int16 to int8, as a factor.
const FRACTION: f64 = 256.0;

/// What numbers become.
#[derive(Debug)]
pub enum QTable {
    /// int8 of each int8, that of -128 first.
    Narrow(Vec<i8>),
    /// With an int16 tensor: of each int8, or of the ends of the intervals of an int16 input.
    Wide(Vec<i16>),
}

impl QTable {
    /// The results of `function` for all values of the site's input. Where it has none (a logarithm below 0, 1 / 0), that of the
    /// nearest value with one, of two the larger: calibration has seen to it that no sample asks for it.
    pub fn new(site: &Site, function: impl Fn(f32) -> f32) -> QTable {
        let (input, output) = (site.inputs[0], site.output);
        let results: Vec<f32> = match input.is_wide() {
            false => (i8::MIN..=i8::MAX).map(|q| function(input.dequantize(q))).collect(),
            true => (-256..=256i16).map(|end| function(input.scale * f32::from(end) * INTERVAL as f32)).collect(),
        };
        let nearest = |at: usize| {
            let side = |place: Option<usize>| place.and_then(|i| results.get(i)).copied().filter(|y| y.is_finite());
            (0..results.len()).find_map(|d| side(at.checked_add(d)).or_else(|| side(at.checked_sub(d)))).unwrap_or(0.0)
        };
        let all = (0..results.len()).map(nearest);
        match (input.is_wide(), output.is_wide()) {
            (false, false) => QTable::Narrow(all.map(|y| output.quantize(y)).collect()),
            (_, true) => QTable::Wide(all.map(|y| output.number(y)).collect()),
            (true, false) => {
                let units = |y: f32| f64::from(y) / f64::from(output.scale) + f64::from(output.zero_point);
                QTable::Wide(all.map(|y| nearest_i16(units(y) * FRACTION)).collect())
            }
        }
    }
}

impl QOp for QTable {
    fn detail(&self) -> String {
        let ends = match self {
            QTable::Narrow(table) => table.first().zip(table.last()).map(|(&a, &b)| (a.into(), b.into())),
            QTable::Wide(table) => table.first().copied().zip(table.last().copied()),
        };
        ends.map_or(String::new(), |(first, last): (i16, i16)| format!("{first} to {last} through a table"))
    }

    fn rows(&self) -> Vec<(&'static str, &Rows)> {
        vec![]
    }

    fn refined(&mut self) -> Option<&mut Rows> {
        None
    }

    fn in_place(&self) -> InPlace {
        InPlace::IfItDies(0)
    }

    fn states(&self) -> Vec<State> {
        vec![]
    }

    fn constants(&self) -> Result<Vec<Block>, Error> {
        let bytes = match self {
            QTable::Narrow(table) => table.iter().map(|q| q.cast_unsigned()).collect(),
            QTable::Wide(table) => table.iter().flat_map(|q| q.to_le_bytes()).collect(),
        };
        Ok(vec![Block { bytes, alignment: PARAMS_ALIGN, weights: None }])
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let [table] = placed.constants()?;
        Ok(vec![LookupStep { input: placed.input(0)?.id, output: placed.output.id, table }.into()])
    }
}
