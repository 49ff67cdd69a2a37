//! Resize to whole multiples, nearest: each pixel is repeated. (tract, the float oracle, has no Upsample, which Resize replaced.)

use escarp_runtime::ops::{ResizeStep, Step};

use super::window::{made, map};
use crate::{
    axes,
    blocks::Block,
    epilogue::Epilogue,
    error::Error,
    graph::{Cost, Map, Op, Pointwise, ScaleRule},
    importer::{Import, Importer},
    onnx::Node,
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::Scale,
    shape::Shape,
    site::Site,
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[("Resize", Import::new(import).remark("nearest, whole multiples"))];

/// Largest multiple that a step takes.
const LARGEST: usize = 255;

/// Repeats rows and columns.
#[derive(Clone, Copy, Debug)]
struct Resize {
    factor: [usize; 2],
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

    fn eval(&self, inputs: &[Map], _: &mut [f32], out: &mut [f32], [height, width, channels]: Shape) {
        let Map { values, shape: [_, columns, _] } = inputs[0];
        let [tall, wide] = self.factor;
        let places = (0..height).flat_map(|y| (0..width).map(move |x| y / tall * columns + x / wide));
        for (out, place) in out.chunks_exact_mut(channels).zip(places) {
            out.copy_from_slice(&values[place * channels..][..channels]);
        }
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::OfInput
    }

    fn least_unit(&self, _: &[Scale]) -> f64 {
        0.0
    }

    fn quantize(&self, _: &Site) -> Result<Box<dyn QOp>, Error> {
        Ok(Box::new(*self))
    }

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
}

/// The same in integers: nothing but places.
impl QOp for Resize {
    fn detail(&self) -> String {
        let [tall, wide] = self.factor;
        format!("{tall}x{wide} times")
    }

    fn rows(&self) -> Vec<(&'static str, &Rows)> {
        vec![]
    }

    fn in_place(&self) -> InPlace {
        InPlace::No
    }

    fn states(&self) -> Vec<State> {
        vec![]
    }

    fn constants(&self) -> Result<Vec<Block>, Error> {
        Ok(vec![])
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let (input, output) = (placed.input(0)?.id, placed.output.id);
        Ok(vec![ResizeStep { input, output, factor: placed.pair("factor", self.factor)? }.into()])
    }
}

/// Reads a Resize (operator sets 10, 11, 13, 18, 19) of an NCHW map.
fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[
        "mode",
        "coordinate_transformation_mode",
        "nearest_mode",
        "antialias",
        "cubic_coeff_a",
        "exclude_outside",
        "extrapolation_value",
        "keep_aspect_ratio_policy",
    ])?;
    let text = |name: &str, otherwise: &str| Ok(node.text(name)?.unwrap_or_else(|| otherwise.into()));
    let mode: String = text("mode", "nearest")?;
    if mode != "nearest" {
        return Err(node.unsupported("mode", mode, "nearest"));
    }
    for (name, otherwise) in [("keep_aspect_ratio_policy", "stretch"), ("antialias", "0")] {
        let given = if name == "antialias" { node.int(name)?.unwrap_or(0).to_string() } else { text(name, otherwise)? };
        if given != otherwise {
            return Err(node.unsupported(name, given, otherwise));
        }
    }
    let (x, spatial) = map(importer, node)?;
    let [height, width, channels] = x.shape;
    let multiples = multiples(importer, node, &x.lengths())?;
    let (tall, wide) = match multiples[..] {
        [1, 1, tall, wide] => (tall, wide),
        [1, 1, wide] => (1, wide),
        _ => {
            return Err(node.unsupported("scales", format!("{multiples:?}"), "1 for all but height and width"));
        }
    };
    // The older rule is to round down; tract rounds to the nearest, which for twice is the same.
    if node.opset < 11 && tall.max(wide) > 2 {
        return Err(node.unsupported("scales", format!("{multiples:?}"), "up to 2 before operator set 11"));
    }
    let shape = [height * tall, width * wide, channels];
    let id = importer.emit(node, Resize { factor: [tall, wide] }, vec![x.tensor], shape)?;
    for (name, from, multiple) in [("height", height, tall), ("width", width, wide)] {
        repeats(node, name, from, multiple)?;
    }
    importer.define(node, 0, made(id, shape, x.steps, spatial))
}

/// How many times as long each dimension becomes.
fn multiples(importer: &Importer, node: &Node, lengths: &[usize]) -> Result<Vec<usize>, Error> {
    // Before operator set 11 there was no region of interest between the tensor and the scales.
    let first = if node.opset < 11 { 1 } else { 2 };
    let given = |index: usize| Ok(importer.constant(node, index)?.filter(|c| c.shape().iter().product::<usize>() > 0));
    let (name, wanted): (_, Vec<f64>) = match (given(first)?, given(first + 1)?) {
        (Some(scales), None) => {
            let scales = scales.floats().ok_or_else(|| node.wrong("scales are no floats"))?;
            ("scales", scales.iter().map(|&s| s.into()).collect())
        }
        (None, Some(sizes)) => {
            let sizes = axes::list(node, "sizes", sizes)?;
            if sizes.len() != lengths.len() {
                return Err(node.wrong(format!("{} sizes for {} dimensions", sizes.len(), lengths.len())));
            }
            ("sizes", sizes.iter().zip(lengths).map(|(&to, &from)| to as f64 / from as f64).collect())
        }
        (Some(_), Some(_)) => return Err(node.unsupported("scales", "and sizes, both", "one of them")),
        (None, None) => {
            return Err(node.unsupported("scales", "(absent, or not constant)", "constant scales or sizes"));
        }
    };
    if wanted.len() != lengths.len() {
        return Err(node.wrong(format!("{} {name} for {} dimensions", wanted.len(), lengths.len())));
    }
    let whole = |multiple: &f64| {
        let found = (1..=LARGEST).find(|&m| m as f64 == *multiple);
        let shown = || format!("{lengths:?} to {wanted:?} times that");
        found.ok_or_else(|| node.unsupported(name, shown(), "whole multiples from 1 to 255, constant"))
    };
    wanted.iter().map(whole).collect()
}

/// Whether the node's rule for the nearest pixel gives each pixel `multiple` times, one after the other.
///
/// # Errors
/// The first place where it does not: such a rule shifts the image.
fn repeats(node: &Node, side: &str, from: usize, multiple: usize) -> Result<(), Error> {
    let (old, newer) = (node.opset < 11, "half_pixel");
    let rule =
        node.text("coordinate_transformation_mode")?.unwrap_or_else(|| if old { "asymmetric" } else { newer }.into());
    let nearest = node.text("nearest_mode")?.unwrap_or_else(|| if old { "floor" } else { "round_prefer_floor" }.into());
    let (scale, to) = (multiple as f64, from * multiple);
    let wrong = |name: &str, value: &str| {
        Err(node.unsupported(name, value, "a rule that repeats whole pixels (asymmetric with floor, or half_pixel)"))
    };
    for place in 0..to {
        let x = place as f64;
        let x = match rule.as_str() {
            "half_pixel" | "half_pixel_symmetric" => (x + 0.5) / scale - 0.5,
            "pytorch_half_pixel" => {
                if to > 1 {
                    (x + 0.5) / scale - 0.5
                } else {
                    0.0
                }
            }
            "tf_half_pixel_for_nn" => (x + 0.5) / scale,
            "asymmetric" => x / scale,
            "align_corners" => {
                if to > 1 {
                    x * (from as f64 - 1.0) / (to as f64 - 1.0)
                } else {
                    0.0
                }
            }
            _ => return wrong("coordinate_transformation_mode", &rule),
        };
        let found = match nearest.as_str() {
            "round_prefer_floor" => (x - 0.5).ceil(),
            "round_prefer_ceil" => (x + 0.5).floor(),
            "floor" => x.floor(),
            "ceil" => x.ceil(),
            _ => return wrong("nearest_mode", &nearest),
        };
        if found.clamp(0.0, from as f64 - 1.0) != (place / multiple) as f64 {
            return wrong("coordinate_transformation_mode", &format!("{rule} with {nearest} ({side} {from} to {to})"));
        }
    }
    Ok(())
}
