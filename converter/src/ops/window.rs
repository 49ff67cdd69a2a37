//! Where the windows of a convolution or a pool lie, and the maps that they run over.

use std::{fmt, ops::RangeInclusive};

use tract_onnx::pb;

use super::arrange::arranged;
use crate::{
    error::Error,
    history::Kind,
    importer::Importer,
    onnx::Node,
    shape::{Shape, TensorId},
    view::{Axis, View},
};

/// Most rows or columns of padding at a side, and most from one window to the next and from one tap to the next: a byte each
/// in the file.
const PADDING: usize = 255;

/// Where the windows of a convolution or a pool lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// height, width
    pub kernel: [usize; 2],
    /// rows, columns
    pub stride: [usize; 2],
    /// rows, columns
    pub dilation: [usize; 2],
    /// at top, left; what is needed at bottom and right follows from the output's size
    pub pad: [usize; 2],
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kh, kw] = self.kernel;
        let ([sh, sw], [pt, pl]) = (self.stride, self.pad);
        write!(f, "{kh}x{kw} stride {sh},{sw} pad {pt},{pl}")?;
        if self.dilation != [1, 1] { write!(f, " dilation {},{}", self.dilation[0], self.dilation[1]) } else { Ok(()) }
    }
}

impl Geometry {
    /// A window that covers the whole map.
    pub fn whole([h, w, _]: Shape) -> Geometry {
        Geometry { kernel: [h, w], stride: [1, 1], dilation: [1, 1], pad: [0, 0] }
    }

    /// The pixels of the input (row-major index) under each window, `None` outside: `[pixels][taps]`.
    pub fn taps(&self, [h, w, _]: Shape, [oh, ow, _]: Shape) -> impl Iterator<Item = Option<usize>> {
        let g = *self;
        let place = move |out: usize, tap: usize, d: usize, size: usize| {
            (out * g.stride[d] + tap * g.dilation[d]).checked_sub(g.pad[d]).filter(|&p| p < size)
        };
        let taps = move |(y, x): (usize, usize)| {
            (0..g.kernel[0])
                .flat_map(move |i| (0..g.kernel[1]).map(move |j| Some(place(y, i, 0, h)? * w + place(x, j, 1, w)?)))
        };
        (0..oh).flat_map(move |y| (0..ow).map(move |x| (y, x))).flat_map(taps)
    }

    /// Does any window reach out of the map? Along each side, the first window starts at `-pad`, and the last one's last
    /// tap is the farthest.
    pub fn leaves(&self, [h, w, _]: Shape, out: [usize; 2]) -> bool {
        let last = |d: usize| (out[d] - 1) * self.stride[d] + (self.kernel[d] - 1) * self.dilation[d];
        [h, w].into_iter().enumerate().any(|(d, size)| self.pad[d] > 0 || last(d) >= size)
    }

    /// Does any window lie wholly in the padding? Only for a dilation of 1, whose windows have no gaps: then it is the
    /// first along a side, which ends before the map, or the last, which starts behind it.
    pub fn misses(&self, [h, w, _]: Shape, out: [usize; 2]) -> bool {
        let before = |d: usize| self.kernel[d] <= self.pad[d];
        let behind = |d: usize, size: usize| (out[d] - 1) * self.stride[d] >= self.pad[d] + size;
        [h, w].into_iter().enumerate().any(|(d, size)| before(d) || behind(d, size))
    }

    /// Reads strides, dilations, pads or auto_pad of a Conv over `input`, and the output's height and width. With one spatial
    /// dimension that is the width.
    pub fn import(
        node: &Node,
        kernel: [usize; 2],
        input: Shape,
        spatial: usize,
    ) -> Result<(Geometry, [usize; 2]), Error> {
        Windows::import(node, kernel, input, spatial).map(|Windows { geometry, out, .. }| (geometry, out))
    }
}

/// Windows over a map.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Where they lie.
    pub geometry: Geometry,
    /// How many there are: height, width.
    pub out: [usize; 2],
    /// Padding at bottom, right. Windows may reach beyond it where their number is rounded up.
    pub end: [usize; 2],
}

impl Windows {
    /// As [`Geometry::import`], and `ceil_mode`, which pools have.
    pub fn import(node: &Node, kernel: [usize; 2], input: Shape, spatial: usize) -> Result<Windows, Error> {
        let stride = pair(node, "strides", 1, spatial, 1..=255)?;
        let dilation = pair(node, "dilations", 1, spatial, 1..=255)?;
        let [mut top, mut left, mut bottom, mut right] = match spatial {
            1 => node.sizes("pads", [0; 2], 0..=PADDING as i64).map(|[left, right]| [0, left, 0, right])?,
            _ => node.sizes("pads", [0; 4], 0..=PADDING as i64)?,
        };
        let auto = node.text("auto_pad")?.unwrap_or_else(|| "NOTSET".into());
        let reach = |d: usize| (kernel[d] - 1) * dilation[d] + 1;
        match auto.as_str() {
            "NOTSET" => {}
            "VALID" => [top, left, bottom, right] = [0; 4],
            "SAME_UPPER" | "SAME_LOWER" => {
                let total: [usize; 2] = std::array::from_fn(|d| {
                    ((input[d].div_ceil(stride[d]) - 1) * stride[d] + reach(d)).saturating_sub(input[d])
                });
                let first = total.map(|t| if auto == "SAME_UPPER" { t / 2 } else { t.div_ceil(2) });
                [top, left, bottom, right] = [first[0], first[1], total[0] - first[0], total[1] - first[1]];
                // As many as `pads` may say: the file has a byte for each.
                let pads = [top, left, bottom, right];
                if pads.iter().any(|&p| p > PADDING) {
                    let value = format!("{auto}, which makes pads of {pads:?}");
                    return Err(node.unsupported("auto_pad", value, &format!("pads in 0..={PADDING}")));
                }
            }
            _ => return Err(node.unsupported("auto_pad", auto, "NOTSET, VALID, SAME_UPPER, SAME_LOWER")),
        }
        // Of what `auto_pad` makes, both roundings give the same.
        let up = auto == "NOTSET" && node.int("ceil_mode")?.unwrap_or(0) != 0;
        let mut size = [0; 2];
        for (d, pads) in [(0, top + bottom), (1, left + right)] {
            let room = (input[d] + pads).checked_sub(reach(d)).ok_or_else(|| {
                node.wrong(format!("a kernel that reaches {} over {} with {pads} of padding", reach(d), input[d]))
            })?;
            size[d] = if up { room.div_ceil(stride[d]) } else { room / stride[d] } + 1;
            let behind = (size[d] - 1) * stride[d] >= input[d] + [top, left][d];
            if up && behind {
                // Rounded up there is no window that begins in the padding at the end.
                size[d] -= 1;
            } else if behind {
                let value = format!("{:?}", [top, left, bottom, right]);
                return Err(node.unsupported("pads", value, "windows that begin in the map or the padding before it"));
            }
        }
        let geometry = Geometry { kernel, stride, dilation, pad: [top, left] };
        Ok(Windows { geometry, out: size, end: [bottom, right] })
    }
}

/// A number for each spatial dimension, for height and width; where there is one it is the width's.
pub fn pair(
    node: &Node,
    name: &str,
    default: usize,
    spatial: usize,
    range: RangeInclusive<i64>,
) -> Result<[usize; 2], Error> {
    match spatial {
        1 => node.sizes(name, [default], range).map(|[one]| [1, one]),
        _ => node.sizes(name, [default; 2], range),
    }
}

/// A node of `spatial` dimensions with its attributes for those of `kept` only; one that is `None` is left as it is.
pub fn narrowed(node: &Node, spatial: usize, kept: &[Option<usize>]) -> pb::NodeProto {
    let mut attribute = node.attributes().to_vec();
    for a in &mut attribute {
        let otherwise = match a.name.as_str() {
            "kernel_shape" | "strides" | "dilations" => 1,
            "pads" | "output_padding" => 0,
            _ => continue,
        };
        // Others are refused by who reads them.
        if a.ints.len().is_multiple_of(spatial) {
            let of = |all: &[i64]| kept.iter().map(|d| d.map_or(otherwise, |d| all[d])).collect::<Vec<_>>();
            a.ints = a.ints.chunks_exact(spatial).flat_map(of).collect();
        }
    }
    pb::NodeProto {
        name: node.name().into(),
        op_type: node.operator().into(),
        input: node.inputs().to_vec(),
        output: node.outputs().to_vec(),
        attribute,
        ..Default::default()
    }
}

const MAP: [Option<Axis>; 4] = [None, Some(Axis::Channel), Some(Axis::Height), Some(Axis::Width)];
const ROW: [Option<Axis>; 3] = [None, Some(Axis::Channel), Some(Axis::Width)];

/// Input 0 with its channels first, arranged so if it is not, and how many spatial dimensions it has.
pub fn map(importer: &mut Importer, node: &Node) -> Result<(View, usize), Error> {
    let x = importer.view(node, 0)?;
    let spatial = x.dims.len().saturating_sub(2);
    Ok((as_map(importer, node, &x)?, spatial))
}

/// The same of a tensor that is there already.
pub fn as_map(importer: &mut Importer, node: &Node, x: &View) -> Result<View, Error> {
    match x.dims.len() {
        3 if !x.has_time() => arranged(importer, node, x, &ROW),
        4 => arranged(importer, node, x, &MAP),
        _ => Err(node.unsupported(
            "input",
            format!("{:?}", x.lengths()),
            "[1, channels, length] or [1, channels, height, width]",
        )),
    }
}

/// [`map`], but of one whose channels stand in another order only, nothing is moved: the channel of each position is the third.
pub fn map_in_any_order(importer: &mut Importer, node: &Node) -> Result<(View, usize, Option<Vec<usize>>), Error> {
    let given = importer.view(node, 0)?;
    if let Some(order) = given.dims.get(1).and_then(|dim| given.channels(dim)).filter(|order| !order.is_sorted()) {
        let lies = format!("channels lie as {}", given.words());
        let mut straight = View { start: [0; 3], ..given };
        straight.dims[1] = straight.along(&[Axis::Channel]);
        for (form, spatial) in [(&ROW[..], 1), (&MAP[..], 2)] {
            if straight.is(form) {
                importer.tell(Kind::Order, lies);
                return Ok((straight, spatial, Some(order)));
            }
        }
    }
    map(importer, node).map(|(x, spatial)| (x, spatial, None))
}

/// What a node makes of a map of [`map`]: of the same form.
pub fn made(tensor: TensorId, shape: Shape, steps: usize, spatial: usize) -> View {
    View::new(tensor, shape, steps, if spatial == 1 { &ROW } else { &MAP })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All small windows along one side, against looking at every tap.
    #[test]
    fn windows_outside_the_map_are_known_without_looking_at_taps() {
        let (mut left, mut missed) = (0, 0);
        for code in 0..6 * 5 * 4 * 7 * 7_usize {
            let (size, kernel, stride) = (1 + code % 6, 1 + code / 6 % 5, 1 + code / 30 % 4);
            let (pad, end) = (code / 120 % 7, code / 840 % 7);
            let Some(room) = (size + pad + end).checked_sub(kernel) else { continue };
            let out = room / stride + 1;
            let geometry = Geometry { kernel: [1, kernel], stride: [1, stride], dilation: [1, 1], pad: [0, pad] };
            let taps: Vec<_> = geometry.taps([1, size, 1], [1, out, 1]).collect();
            let leaves = taps.contains(&None);
            let misses = taps.chunks(kernel).any(|window| window.iter().all(Option::is_none));
            assert_eq!(geometry.leaves([1, size, 1], [1, out]), leaves, "{geometry} over {size}");
            assert_eq!(geometry.misses([1, size, 1], [1, out]), misses, "{geometry} over {size}");
            let turned = Geometry { kernel: [kernel, 1], stride: [stride, 1], pad: [pad, 0], ..geometry };
            assert_eq!(turned.leaves([size, 1, 1], [out, 1]), leaves, "{turned} over {size}");
            assert_eq!(turned.misses([size, 1, 1], [out, 1]), misses, "{turned} over {size}");
            (left, missed) = (left + usize::from(leaves), missed + usize::from(misses));
        }
        assert!(left > missed && missed > 0, "{left} {missed}");
    }
}
