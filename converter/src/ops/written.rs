//! ONNX as it is written: rounding, arrangements, and what several operators have in common.

use escarp_runtime::Dtype;
use tract_onnx::pb::AttributeProto;

use super::window::Geometry;
use crate::{
    epilogue::Limits,
    error::Error,
    exporter::{Exported, Exporter, Read},
    graph::Meaning,
    proto::{int, ints},
    scale::{Scale, narrow},
    shape::Shape,
    view::{Axis, Run, View},
};

/// A signed length or index; lengths of our axes are at most 65535.
pub fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Rounds real numbers to integers and back: what a tensor of ours is. `None` for whole numbers, which are not real.
///
/// # Errors
/// [`Error::Pack`] for int32, which is no activation.
pub fn rounded(to: &mut Exporter, name: &str, value: &str, scale: Scale, dtype: Dtype) -> Result<String, Error> {
    let unit = to.floats(&format!("{name}.scale"), &[], &[scale.scale]);
    let zero = format!("{name}.zero_point");
    let zero = match dtype {
        Dtype::I8 => to.bytes(&zero, &[], &[scale.zero_point]),
        Dtype::I16 => to.shorts(&zero, &[], &[scale.zero_point.into()]),
        Dtype::I32 => return Err(Error::Pack(format!("`{name}`: int32 activations have no form in ONNX"))),
    };
    let whole = to.node("QuantizeLinear", name, &[value, &unit, &zero], vec![]);
    Ok(to.node("DequantizeLinear", name, &[&whole, &unit, &zero], vec![]))
}

/// int8 weights that mean real ones, with a scale for each position along an axis.
pub fn weights(to: &mut Exporter, name: &str, dims: &[usize], axis: usize, values: &[i8], scales: &[f32]) -> String {
    let whole = to.bytes(name, dims, values);
    let unit = to.floats(&format!("{name}.scale"), &[scales.len()], scales);
    let zero = to.bytes(&format!("{name}.zero_point"), &[scales.len()], &vec![0; scales.len()]);
    to.node("DequantizeLinear", name, &[&whole, &unit, &zero], vec![int("axis", axis)])
}

/// Filters and biases of a convolution, given as `[output channel][tap][input channel]` and `[output channel]`: in int8 and int32 if they
/// are quantized, else in f32. `[inputs, kh, kw]` are those of a filter.
///
/// # Errors
/// [`Error::Node`] if the input is missing.
pub fn filters(
    to: &mut Exporter,
    site: &Exported,
    (weight, bias): (&[f32], &[f32]),
    [inputs, kh, kw]: [usize; 3],
) -> Result<[String; 2], Error> {
    let (rows, taps) = (bias.len(), kh * kw);
    let dims = [rows, inputs, kh, kw];
    let [filter, base] = ["weight", "bias"].map(|what| format!("{}.{what}", site.node));
    let places =
        (0..rows).flat_map(|o| (0..inputs).flat_map(move |i| (0..taps).map(move |tap| (o * taps + tap) * inputs + i)));
    if site.rows.len() > 1 {
        to.note(format!("`{}`: weights of two terms are written as floats", site.node));
    }
    let Some((_, quantized)) = site.rows.first().filter(|_| site.rows.len() == 1) else {
        let values: Vec<f32> = places.map(|place| weight[place]).collect();
        return Ok([to.floats(&filter, &dims, &values), to.floats(&base, &[rows], bias)]);
    };
    let input = site.input(0)?.scale;
    let values: Vec<i8> = places.map(|place| quantized.weight[place]).collect();
    let filter = weights(to, &filter, &dims, 0, &values, &quantized.scale);
    // Theirs does not hold what the zero point of the input adds to a sum.
    let depth = inputs * taps;
    let sums = quantized.weight.chunks_exact(depth).map(|row| row.iter().map(|&w| i64::from(w)).sum::<i64>());
    let whole: Vec<i64> =
        sums.zip(&quantized.bias).map(|(sum, &bias)| i64::from(bias) + i64::from(input.zero_point) * sum).collect();
    let units: Vec<f64> = quantized.scale.iter().map(|&unit| f64::from(unit) * f64::from(input.scale)).collect();
    let fit: Option<Vec<i32>> = whole.iter().map(|&b| i32::try_from(b).ok()).collect();
    let bias = match fit {
        Some(words) => {
            let whole = to.words(&base, &[rows], &words);
            let units: Vec<f32> = units.into_iter().map(narrow).collect();
            let unit = to.floats(&format!("{base}.scale"), &[rows], &units);
            to.node("DequantizeLinear", &base, &[&whole, &unit], vec![int("axis", 0)])
        }
        None => {
            #[expect(clippy::cast_precision_loss, reason = "of 2^40 at most")]
            let values: Vec<f32> = whole.iter().zip(units).map(|(&b, unit)| narrow(b as f64 * unit)).collect();
            to.floats(&base, &[rows], &values)
        }
    };
    Ok([filter, bias])
}

/// The last lines of windows over a map: padding behind it, and how many windows ONNX finds then, which may be more than ours.
fn ends(g: Geometry, input: Shape, output: Shape) -> ([usize; 2], [usize; 2]) {
    let reach = |d: usize| (g.kernel[d] - 1) * g.dilation[d] + 1;
    let behind = [0, 1].map(|d| ((output[d] - 1) * g.stride[d] + reach(d)).saturating_sub(g.pad[d] + input[d]));
    let made = [0, 1].map(|d| (g.pad[d] + input[d] + behind[d] - reach(d)) / g.stride[d] + 1);
    (behind, made)
}

/// An operator over windows of its first input, the only one where it is a pool.
fn windows(
    to: &mut Exporter,
    site: &Exported,
    (x, g): (Read, Geometry),
    operator: &str,
    (others, mut attributes): (&[String], Vec<AttributeProto>),
) -> String {
    let (behind, made) = ends(g, x.shape, site.output);
    attributes.extend([
        ints("kernel_shape", &g.kernel),
        ints("strides", &g.stride),
        ints("pads", &[g.pad, behind].concat()),
    ]);
    let inputs: Vec<&str> = std::iter::once(x.value).chain(others.iter().map(String::as_str)).collect();
    let value = to.node(operator, site.node, &inputs, attributes);
    cropped(to, site, value, made, [site.output[0], site.output[1]])
}

/// A pool, whose dilation is 1.
pub fn windowed(
    to: &mut Exporter,
    site: &Exported,
    x: Read,
    geometry: Geometry,
    (operator, attributes): (&str, Vec<AttributeProto>),
) -> String {
    windows(to, site, (x, geometry), operator, (&[], attributes))
}

/// A convolution with filters and biases, in so many groups.
pub fn convolved(
    to: &mut Exporter,
    site: &Exported,
    x: Read,
    geometry: Geometry,
    (groups, filters): (usize, &[String]),
) -> String {
    let attributes = vec![int("group", groups), ints("dilations", &geometry.dilation)];
    windows(to, site, (x, geometry), "Conv", (filters, attributes))
}

/// A value within limits.
pub fn limited(to: &mut Exporter, site: &Exported, value: String, limits: Limits) -> String {
    match limits {
        Limits::NONE => value,
        Limits { min: 0.0, max: f32::INFINITY } => to.node("Relu", site.node, &[&value], vec![]),
        Limits { min, max } => {
            let mut limit = |what: &str, at: f32| match at.is_finite() {
                true => to.floats(&format!("{}.{what}", site.node), &[], &[at]),
                false => String::new(),
            };
            let [min, max] = [limit("min", min), limit("max", max)];
            let inputs: &[&str] = if max.is_empty() { &[&value, &min] } else { &[&value, &min, &max] };
            to.node("Clip", site.node, inputs, vec![])
        }
    }
}

/// A function of two values, or of a value and a number.
pub fn with_number(to: &mut Exporter, site: &Exported, operator: &str, value: &str, number: f32) -> String {
    let number = to.floats(&format!("{}.number", site.node), &[], &[number]);
    to.node(operator, site.node, &[value, &number], vec![])
}

/// The first `size` rows and columns of as many as were `made`.
pub fn cropped(to: &mut Exporter, site: &Exported, value: String, made: [usize; 2], size: [usize; 2]) -> String {
    let cut = |d: usize| (made[d] != size[d]).then_some((signed(d + 2), 0, signed(size[d]), 1));
    let cuts: Vec<_> = [0, 1].into_iter().filter_map(cut).collect();
    sliced(to, site.node, &value, &cuts)
}

/// Positions of axes: `(axis, first, end, step)`.
pub fn sliced(to: &mut Exporter, belongs: &str, value: &str, cuts: &[(i64, i64, i64, i64)]) -> String {
    if cuts.is_empty() {
        return value.into();
    }
    let mut list = |what: &str, pick: fn(&(i64, i64, i64, i64)) -> i64| {
        let values: Vec<i64> = cuts.iter().map(pick).collect();
        to.ints(&format!("{belongs}.{what}"), &[values.len()], &values)
    };
    let (starts, ends) = (list("starts", |c| c.1), list("ends", |c| c.2));
    let (axes, steps) = (list("axes", |c| c.0), list("steps", |c| c.3));
    to.node("Slice", belongs, &[value, &starts, &ends, &axes, &steps], vec![])
}

/// The same values in other dimensions than `from`.
pub fn reshaped(to: &mut Exporter, belongs: &str, value: &str, from: &[usize], dims: &[usize]) -> String {
    to.reshape("Reshape", belongs, value, [from, dims])
}

/// Cut into `parts`, put in that order, and put together to `dims`; what changes nothing is left out.
pub fn rearranged(
    to: &mut Exporter,
    belongs: &str,
    value: &str,
    (from, parts, order, dims): (&[usize], &[usize], &[usize], &[usize]),
) -> String {
    let mut value = value.to_owned();
    // Parts of one may stand anywhere.
    let moving: Vec<usize> = order.iter().copied().filter(|&at| parts[at] > 1).collect();
    if moving.is_sorted() {
        return reshaped(to, belongs, &value, from, dims);
    }
    value = reshaped(to, belongs, &value, from, parts);
    value = to.node("Transpose", belongs, &[&value], vec![ints("perm", order)]);
    let made: Vec<usize> = order.iter().map(|&at| parts[at]).collect();
    reshaped(to, belongs, &value, &made, dims)
}

/// The dimensions of a map of ours in an exported graph.
pub fn dims([h, w, c]: Shape, steps: usize) -> [usize; 4] {
    [steps, c, h, w]
}

/// The axes of a map in an exported graph.
const AXES: [Axis; 4] = [Axis::Time, Axis::Channel, Axis::Height, Axis::Width];

/// The runs of a view in ONNX's order, and where each stands among those of the map, outermost first; which of those are read
/// backwards.
struct Order {
    runs: Vec<Run>,
    /// Of the map's runs: their number in ONNX's order.
    sorted: Vec<usize>,
}

impl Order {
    fn of(view: &View) -> Order {
        let runs: Vec<Run> = view.dims.iter().flat_map(|d| d.runs.iter().copied()).collect();
        let rank = |run: &Run| AXES.iter().position(|&axis| axis == run.axis);
        let mut sorted: Vec<usize> = (0..runs.len()).collect();
        sorted.sort_by_key(|&at| (rank(&runs[at]), usize::MAX - runs[at].stride.unsigned_abs()));
        Order { runs, sorted }
    }

    fn lengths(&self) -> Vec<usize> {
        self.runs.iter().map(|run| run.length).collect()
    }

    /// Turns the runs that are read backwards, whose places are told, round.
    fn turned(&self, to: &mut Exporter, belongs: &str, value: String, at: impl Fn(usize) -> usize) -> String {
        let back = self.runs.iter().enumerate().filter(|(_, run)| run.stride < 0);
        let cuts: Vec<_> = back.map(|(run, _)| (signed(at(run)), -1, i64::MIN + 1, -1)).collect();
        sliced(to, belongs, &value, &cuts)
    }
}

/// A value as a map of ours. The view sees each element once.
pub fn to_map(to: &mut Exporter, name: &str, value: &str, view: &View) -> String {
    let order = Order::of(view);
    let (lengths, parts, dims) = (view.lengths(), order.lengths(), dims(view.shape, view.steps));
    let mut value = value.to_owned();
    if order.runs.iter().any(|run| run.stride < 0) {
        value = reshaped(to, name, &value, &lengths, &parts);
        value = order.turned(to, name, value, |run| run);
        return rearranged(to, name, &value, (&parts, &parts, &order.sorted, &dims));
    }
    rearranged(to, name, &value, (&lengths, &parts, &order.sorted, &dims))
}

/// The last step of several.
pub fn last(to: &mut Exporter, name: &str, value: &str, steps: usize) -> String {
    sliced(to, name, value, &[(0, signed(steps - 1), signed(steps), 1)])
}

/// A map of one step as ONNX arranges it.
pub fn from_map(to: &mut Exporter, name: &str, value: &str, view: &View) -> String {
    let mut value = value.to_owned();
    let order = Order::of(view);
    let lengths = view.lengths();
    let from = dims(view.shape, 1);
    let parts: Vec<usize> = order.sorted.iter().map(|&at| order.runs[at].length).collect();
    let places: Vec<usize> =
        (0..parts.len()).map(|run| order.sorted.iter().position(|&at| at == run).unwrap_or(0)).collect();
    if order.runs.iter().any(|run| run.stride < 0) {
        value = reshaped(to, name, &value, &from, &parts);
        value = order.turned(to, name, value, |run| places[run]);
        return rearranged(to, name, &value, (&parts, &parts, &places, &lengths));
    }
    rearranged(to, name, &value, (&from, &parts, &places, &lengths))
}

/// What was taken off the end of a network, over the channels of a map.
pub fn ended(to: &mut Exporter, name: &str, value: &str, taken: Meaning) -> String {
    match taken {
        Meaning::Softmax => to.node("Softmax", name, &[value], vec![int("axis", 1)]),
        Meaning::Sigmoid => to.node("Sigmoid", name, &[value], vec![]),
        Meaning::Plain | Meaning::Probabilities | Meaning::State => value.into(),
    }
}
