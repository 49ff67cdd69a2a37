//! A function of each value by itself, in integers: a table of 256 results.

use escarp_runtime::{
    format::PARAMS_ALIGN,
    ops::{LookupStep, Step},
};

use crate::{
    blocks::Block,
    error::Error,
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    site::Site,
};

/// What -128, -127, ... become.
#[derive(Debug)]
pub struct QTable {
    table: Vec<i8>,
}

impl QTable {
    /// The results of `function` for all values of the site's input. Where it has none (a logarithm below 0, 1 / 0), that of the
    /// nearest value with one, of two the larger: calibration has seen to it that no sample asks for it.
    pub fn new(site: &Site, function: impl Fn(f32) -> f32) -> QTable {
        let results: Vec<f32> = (i8::MIN..=i8::MAX).map(|q| function(site.inputs[0].dequantize(q))).collect();
        let nearest = |at: usize| {
            let side = |place: Option<usize>| place.and_then(|i| results.get(i)).copied().filter(|y| y.is_finite());
            (0..results.len()).find_map(|d| side(at.checked_add(d)).or_else(|| side(at.checked_sub(d))))
        };
        let entry = |at: usize| site.output.quantize(nearest(at).unwrap_or(0.0));
        QTable { table: (0..results.len()).map(entry).collect() }
    }
}

impl QOp for QTable {
    fn detail(&self) -> String {
        let end = |q: Option<&i8>| q.map_or(String::new(), i8::to_string);
        format!("{} to {} through a table", end(self.table.first()), end(self.table.last()))
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
        let bytes = self.table.iter().map(|q| q.cast_unsigned()).collect();
        Ok(vec![Block { bytes, alignment: PARAMS_ALIGN, weights: None }])
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let [table] = placed.constants()?;
        Ok(vec![LookupStep { input: placed.input(0)?.id, output: placed.output.id, table }.into()])
    }
}
