//! The weights of a step, rounded by [`super::round`], and the biases that go with them.

use rayon::prelude::*;

use super::{
    round::{Rounder, covariance},
    walk::Values,
};
use crate::{graph::Products, qgraph::Rows, scale::Scale, shape::Shape};

/// Most inputs that are looked at together: what a square of them takes bounds memory and time.
const TOGETHER: usize = 1152;

/// Most columns of inputs; fewer where many inputs are looked at together, but twice as many as these.
const COLUMNS: usize = 16384;

/// Products of inputs that are summed up for inputs looked at together.
const PRODUCTS: usize = 1 << 33;

/// Where a step's columns lie: what is under the window of one output.
pub struct Columns<'a> {
    products: &'a Products<'a>,
    from: Shape,
    /// Values of one step of the input.
    len: usize,
    pixels: usize,
    /// Taps of a window.
    taps: usize,
    /// Channels of a group.
    inputs: usize,
    /// How many columns there are, all samples and steps.
    all: usize,
    steps: usize,
}

impl<'a> Columns<'a> {
    /// Of a step from a shape to a shape, over samples of so many steps.
    pub fn new(products: &'a Products<'a>, from: Shape, to: Shape, samples: usize, steps: usize) -> Self {
        let pixels = to[0] * to[1];
        let (taps, inputs) = (products.taps.len() / pixels.max(1), from[2] / products.groups.max(1));
        let (len, all) = (from.iter().product(), samples * steps * pixels);
        Columns { products, from, len, pixels, taps, inputs, all, steps }
    }

    fn depth(&self) -> usize {
        self.taps * self.inputs
    }

    /// Shows `count` columns, evenly over all: `see(column, input, sample, place)` for each of the inputs `part` of a group that is
    /// inside the map.
    fn each(
        &self,
        group: usize,
        part: std::ops::Range<usize>,
        count: usize,
        mut see: impl FnMut(usize, usize, usize, usize),
    ) {
        for column in 0..count {
            let which = column * self.all / count;
            let (map, pixel) = (which / self.pixels, which % self.pixels);
            let (sample, step) = (map / self.steps, map % self.steps);
            let under = &self.products.taps[pixel * self.taps..][..self.taps];
            for input in part.clone() {
                if let Some(place) = under[input / self.inputs] {
                    let channel = group * self.inputs + input % self.inputs;
                    see(column, input - part.start, sample, step * self.len + place * self.from[2] + channel);
                }
            }
        }
    }
}

/// Rounds all rows for the inputs they meet, of a tensor of int8 or of one of int16, whose zero point is 0; a row whose sums could not be proved any more stays as it is. Gives how many changed.
pub fn round(columns: &Columns, rows: &mut Rows, ints: &Values<i16>, input: Scale) -> usize {
    let (products, depth) = (columns.products, columns.depth());
    let made = products.bias.len() / products.groups;
    let zero = i16::from(input.zero_point);
    let count = |part: usize| columns.all.min(COLUMNS.min(PRODUCTS / (part * part).max(1)).max(2 * part));
    // Fewer columns than inputs say nothing of how these go together.
    let together = TOGETHER.min(columns.all / 2).clamp(1, depth.max(1));
    let parts = depth.div_ceil(together);
    let size = depth.div_ceil(parts);
    let units = |row: usize| f64::from(rows.scale[row]);
    let rounded: Vec<Vec<i8>> = (0..products.groups)
        .into_par_iter()
        .flat_map_iter(|group| {
            let of_group = group * made..(group + 1) * made;
            let mut new: Vec<Vec<i8>> =
                of_group.clone().map(|row| rows.weight[row * depth..][..depth].to_vec()).collect();
            for first in (0..depth).step_by(size) {
                let part = first..(first + size).min(depth);
                let count = count(part.len());
                let mut values = vec![0i16; part.len() * count];
                columns.each(group, part.clone(), count, |column, at, sample, place| {
                    values[at * count + column] = ints[sample][place] - zero;
                });
                let Some(rounder) = Rounder::new(&covariance(&values, part.len()), part.len()) else { continue };
                new.par_iter_mut().zip(of_group.clone()).for_each(|(new, row)| {
                    let weights = &products.weight[row * depth..][part.clone()];
                    let row: Vec<f64> = weights.iter().map(|&w| f64::from(w) / units(row)).collect();
                    new[part.clone()].copy_from_slice(&rounder.round(&row));
                });
            }
            new
        })
        .collect();
    let changed = rounded.iter().enumerate().filter(|(row, new)| rows.replace(*row, new, input.zero_point));
    changed.count()
}

/// Shifts each bias by the mean difference of the sums: of the float network's on `floats`, and of the int8 network's on `ints`.
pub fn centre(columns: &Columns, rows: &mut Rows, (floats, ints): (&Values<f32>, &Values<i16>), input: Scale) {
    let (products, depth) = (columns.products, columns.depth());
    let made = products.bias.len() / products.groups;
    let count = columns.all.min(COLUMNS);
    let shifts: Vec<f64> = (0..products.groups)
        .into_par_iter()
        .flat_map_iter(|group| {
            let mut means = vec![(0.0, 0i64); depth];
            columns.each(group, 0..depth, count, |_, at, sample, place| {
                means[at].0 += f64::from(floats[sample][place]);
                means[at].1 += i64::from(ints[sample][place]) - i64::from(input.zero_point);
            });
            let rows = &*rows;
            (group * made..(group + 1) * made).map(move |row| {
                let weights = products.weight[row * depth..][..depth].iter().zip(&rows.weight[row * depth..][..depth]);
                let unit = f64::from(input.scale) * f64::from(rows.scale[row]);
                let terms = weights
                    .zip(&means)
                    .map(|((&w, &q), &(float, int))| f64::from(w) * float / unit - f64::from(q) * int as f64);
                terms.sum::<f64>() / count as f64
            })
        })
        .collect();
    rows.shift(&shifts);
}
