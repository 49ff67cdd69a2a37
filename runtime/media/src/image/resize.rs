//! Scaling in integers.
//!
//! Along one axis an output position is a weighted mean of neighbouring inputs, `sum_j w_j p_j / W`, with integer weights
//! and the same `W` for every position:
//!
//! * shrinking `n -> m`: output `i` covers the inputs from `i n / m` to `(i + 1) n / m`. In units of `1/m` every overlap
//!   is an integer and `W = n`.
//! * growing: output `i` has its centre at `(2i + 1) n / (2m) - 1/2` between inputs `j` and `j + 1` (edges repeated). In
//!   units of `1 / 2m` the distances are integers and `W = 2m`.
//!
//! Both axes together: `(sum_y w_y sum_x w_x p + W_x W_y / 2) / (W_x W_y)`, rounded once.

use super::Image;

/// A rectangle of an image.
pub(super) struct Part {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// The inputs of one output position.
struct Taps {
    start: usize,
    weights: Vec<u64>,
}

/// All positions of one axis, and their common weight sum `W`.
fn axis(from: usize, to: usize) -> (Vec<Taps>, u64) {
    if to < from {
        let taps = |i: usize| {
            let (low, high) = (i * from, (i + 1) * from); // the covered interval, in units of 1/to
            let (start, end) = (low / to, high.div_ceil(to));
            let weights = (start..end).map(|j| (high.min((j + 1) * to) - low.max(j * to)) as u64).collect();
            Taps { start, weights }
        };
        ((0..to).map(taps).collect(), from as u64)
    } else {
        let taps = |i: usize| {
            let centre = ((2 * i + 1) * from).saturating_sub(to).min((from - 1) * 2 * to); // in units of 1 / 2to
            let (start, fraction) = (centre / (2 * to), (centre % (2 * to)) as u64);
            let weights = if fraction == 0 { vec![2 * to as u64] } else { vec![2 * to as u64 - fraction, fraction] };
            Taps { start, weights }
        };
        ((0..to).map(taps).collect(), 2 * to as u64)
    }
}

/// The part of an image that is `from.width x from.height` and has its top left corner at (`from.x`, `from.y`), scaled. Large
/// images are not copied for it.
pub(super) fn resize(image: &Image, from: &Part, width: usize, height: usize) -> Image {
    assert!(width > 0 && height > 0, "an image has at least one pixel");
    if (width, height) == (from.width, from.height) {
        return image.crop(from.x, from.y, width, height);
    }
    let (columns, wx) = axis(from.width, width);
    let (rows, wy) = axis(from.height, height);
    let mut pixels = Vec::with_capacity(width * height * 3);
    // Row by row, so that only one line of 64-bit sums is held whatever the size of the input.
    let mut line = vec![0u64; from.width * 3];
    for row in &rows {
        line.fill(0);
        for (source, &w) in image.pixels.chunks_exact(image.width * 3).skip(from.y + row.start).zip(&row.weights) {
            for (sum, &p) in line.iter_mut().zip(&source[from.x * 3..]) {
                *sum += w * u64::from(p);
            }
        }
        for column in &columns {
            for channel in 0..3 {
                let at = column.start * 3 + channel;
                let sum: u64 = line[at..].iter().step_by(3).zip(&column.weights).map(|(p, w)| p * w).sum();
                pixels.push(((sum + wx * wy / 2) / (wx * wy)) as u8);
            }
        }
    }
    Image { width, height, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(width: usize, values: &[u8]) -> Image {
        Image { width, height: values.len() / width, pixels: values.iter().flat_map(|&v| [v; 3]).collect() }
    }

    fn red(image: &Image) -> Vec<u8> {
        image.pixels.iter().step_by(3).copied().collect()
    }

    #[test]
    fn shrinking_is_the_area_mean() {
        assert_eq!(red(&gray(4, &[0, 10, 20, 31]).resize(2, 1)), [5, 26]); // 25.5 rounds up
        // 3 -> 2: the middle pixel belongs half to each: (2*9 + 1*6)/3, (1*6 + 2*0)/3
        assert_eq!(red(&gray(3, &[9, 6, 0]).resize(2, 1)), [8, 2]);
        assert_eq!(red(&gray(2, &[1, 2, 3, 4]).resize(1, 1)), [3]); // 2.5
    }

    #[test]
    fn growing_is_bilinear_with_repeated_edges() {
        // centres of 2 -> 4 lie at -1/4, 1/4, 3/4, 5/4
        assert_eq!(red(&gray(2, &[0, 100]).resize(4, 1)), [0, 25, 75, 100]);
        assert_eq!(red(&gray(1, &[7]).resize(3, 2)), [7; 6]);
    }

    #[test]
    fn weights_of_every_position_sum_to_the_common_weight() {
        for from in 1..40 {
            for to in 1..40 {
                let (taps, w) = axis(from, to);
                for t in taps {
                    assert_eq!(t.weights.iter().sum::<u64>(), w, "{from} -> {to}");
                    assert!(t.start + t.weights.len() <= from, "{from} -> {to}");
                }
            }
        }
    }

    #[test]
    fn cover_crops_the_longer_side_evenly() {
        assert_eq!(red(&gray(4, &[1, 2, 3, 4]).cover(2, 1)), [2, 3]);
        assert_eq!(red(&gray(5, &[1, 2, 3, 4, 5]).cover(1, 1)), [3]);
        assert_eq!(red(&gray(1, &[1, 2, 3, 4, 5]).cover(1, 1)), [3]);
        assert_eq!(gray(1, &[9, 9]).cover(300, 1).pixels.len(), 900);
    }
}
