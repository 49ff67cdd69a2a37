//! Resize and Upsample: each row and each column of the result lies at one of the input's, or between two. What lies between more, or
//! outside, or is of more than two dimensions, is a sum along each dimension.

mod import;
mod side;
mod weighted;

use escarp_runtime::{
    format::PARAMS_ALIGN,
    ops::{InterpolateStep, ResizeStep, Step},
};

use crate::{
    blocks::Block,
    epilogue::Epilogue,
    epilogue::Limits,
    error::Error,
    exporter::{Exported, Exporter},
    graph::{Channels, Cost, Factors, Map, Op, Pointwise, Products, ScaleRule, Widths},
    proto::{ints, string},
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::Scale,
    shape::Shape,
    site::Site,
};

pub use import::ONNX;
use side::{Mode, Place, Rule, Side};

/// Where the rows and columns of the result lie.
#[derive(Clone, Debug)]
struct Resize {
    rows: Side,
    columns: Side,
    /// How the file finds them, and how many times as many they become.
    rule: Option<(Rule, [f32; 2])>,
}

impl Resize {
    /// How often each row and each column is repeated, if that is all.
    fn factors(&self) -> Option<[usize; 2]> {
        Some([self.rows.factor()?, self.columns.factor()?])
    }
}

impl Op for Resize {
    fn detail(&self) -> String {
        QOp::detail(self)
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

    fn eval(&self, inputs: &[Map], _: &mut [f32], out: &mut [f32], [_, _, channels]: Shape) {
        let Map { values, shape: [_, width, _] } = inputs[0];
        let pixels =
            self.rows.places().iter().flat_map(|row| self.columns.places().iter().map(move |column| (row, column)));
        for (out, (row, column)) in out.chunks_exact_mut(channels).zip(pixels) {
            let pixel = |y: usize, x: usize| &values[(y * width + x) * channels..][..channels];
            let [upper, lower] = [row.low, row.high].map(|y| [pixel(y, column.low), pixel(y, column.high)]);
            for (c, y) in out.iter_mut().enumerate() {
                let [upper, lower] = [upper, lower].map(|[left, right]| column.between(left[c], right[c]));
                *y = row.between(upper, lower);
            }
        }
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::OfInput
    }

    fn least_unit(&self, _: &[Scale], _: bool) -> f64 {
        0.0
    }

    fn widths(&self) -> Widths {
        Widths::Together
    }

    fn room(&self, _: f64) -> f64 {
        i16::MAX.into()
    }

    fn quantize(&self, _: &Site) -> Result<Box<dyn QOp>, Error> {
        Ok(Box::new(self.clone()))
    }

    fn products(&self, _: Shape, _: Shape) -> Option<Products<'_>> {
        None
    }

    fn channels(&self) -> Channels {
        Channels { inputs: &[Factors::Through], output: Factors::Through, limits: Limits::NONE }
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
        let (x, name) = (site.input(0)?, site.node);
        let simple = Rule::repeated();
        let form = match self.factors() {
            Some(factors) => Some((&simple, factors.map(|f| f as f32))),
            None => self.rule.as_ref().map(|(rule, scales)| (rule, *scales)),
        };
        if let Some((rule, [tall, wide])) = form.filter(|(rule, _)| rule.is_lasting()) {
            let scales = to.floats(&format!("{name}.scales"), &[4], &[1.0, 1.0, tall, wide]);
            let attributes = vec![
                string("mode", if rule.mode == Mode::Linear { "linear" } else { "nearest" }),
                string("coordinate_transformation_mode", &rule.coordinates),
                string("nearest_mode", &rule.nearest),
            ];
            return Ok(to.node("Resize", name, &[x.value, "", &scales], attributes));
        }
        let ([from_h, from_w, _], [h, w, _]) = (x.shape, site.output);
        let turned =
            |to: &mut Exporter, value: &str| to.node("Transpose", name, &[value], vec![ints("perm", &[0, 1, 3, 2])]);
        let rows = to.floats(&format!("{name}.rows"), &[from_h, h], &self.rows.turned());
        let columns = to.floats(&format!("{name}.columns"), &[from_w, w], &self.columns.turned());
        let value = to.node("MatMul", name, &[x.value, &columns], vec![]);
        let value = turned(to, &value);
        let value = to.node("MatMul", name, &[&value, &rows], vec![]);
        Ok(turned(to, &value))
    }
}

/// The same in integers: places and weights between them.
impl QOp for Resize {
    fn detail(&self) -> String {
        let [rows, columns] = [&self.rows, &self.columns];
        match self.factors() {
            Some([tall, wide]) => format!("{tall}x{wide} times"),
            None => format!("{}x{}, {} of them between two", rows.places().len(), columns.places().len(), {
                let between = |side: &Side| side.places().iter().filter(|p| p.weight > 0.0).count();
                between(rows) + between(columns)
            }),
        }
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
        if self.factors().is_some() {
            return Ok(vec![]);
        }
        let block = |side: &Side| {
            let bytes: Option<Vec<[u8; 8]>> = side.places().iter().map(Place::emit).collect();
            let bytes = bytes.ok_or_else(|| Error::Pack("a map of more than 65535 rows or columns".into()))?;
            Ok(Block { bytes: bytes.concat(), alignment: PARAMS_ALIGN, weights: None })
        };
        Ok(vec![block(&self.rows)?, block(&self.columns)?])
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let (input, output) = (placed.input(0)?.id, placed.output.id);
        if let Some(factors) = self.factors() {
            return Ok(vec![ResizeStep { input, output, factor: placed.pair("factor", factors)? }.into()]);
        }
        let [rows, columns] = placed.constants()?;
        Ok(vec![InterpolateStep { input, output, rows, columns }.into()])
    }
}
