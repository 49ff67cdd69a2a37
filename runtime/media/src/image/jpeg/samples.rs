//! From coefficients to RGB: inverse DCT, chroma interpolation, colour conversion, each rounded as libjpeg does.

use super::{Component, Frame};
use crate::Image;

/// The factors of the inverse DCT of Loeffler, Ligtenberg and Moschytz (ICASSP 1989), with 13 fraction bits, as libjpeg
/// rounds them. Their combinations, not the exact cosines, decide the last bit.
mod factor {
    pub const F0_298: i32 = 2446;
    pub const F0_390: i32 = 3196;
    pub const F0_541: i32 = 4433;
    pub const F0_765: i32 = 6270;
    pub const F0_899: i32 = 7373;
    pub const F1_175: i32 = 9633;
    pub const F1_501: i32 = 12299;
    pub const F1_847: i32 = 15137;
    pub const F1_961: i32 = 16069;
    pub const F2_053: i32 = 16819;
    pub const F2_562: i32 = 20995;
    pub const F3_072: i32 = 25172;
}

/// Influence of inputs 0, 2, 4, 6 on outputs 0 to 3 (on 7 to 4 the same), and of 1, 3, 5, 7 (on 7 to 4 negated): the
/// butterflies multiplied out. Integer sums do not depend on their order, so the result is the same to the bit.
const EVEN: [[i32; 4]; 4] = {
    use factor::*;
    let (a, b) = (F0_541 + F0_765, F0_541 - F1_847);
    [[8192, a, 8192, F0_541], [8192, F0_541, -8192, b], [8192, -F0_541, -8192, -b], [8192, -a, 8192, -F0_541]]
};
const ODD: [[i32; 4]; 4] = {
    use factor::*;
    let z = F1_175;
    [
        [F1_501 - F0_899 - F0_390 + z, z, z - F0_390, z - F0_899],
        [z, F3_072 - F2_562 - F1_961 + z, z - F2_562, z - F1_961],
        [z - F0_390, z - F2_562, F2_053 - F2_562 - F0_390 + z, z],
        [z - F0_899, z - F1_961, z, F0_298 - F0_899 - F1_961 + z],
    ]
};

/// One-dimensional inverse DCT of 8 columns at once; results lose `shift` bits, rounded half up. Wrapping: coefficients of
/// a hostile file may overflow and then mean nothing, those of an encoder cannot.
fn pass(input: &[[i32; 8]; 8], shift: u32) -> [[i32; 8]; 8] {
    let mut output = [[0; 8]; 8];
    for k in 0..4 {
        let (mut even, mut odd) = ([0i32; 8], [0i32; 8]);
        for j in 0..4 {
            for column in 0..8 {
                even[column] = even[column].wrapping_add(EVEN[k][j].wrapping_mul(input[2 * j][column]));
                odd[column] = odd[column].wrapping_add(ODD[k][j].wrapping_mul(input[2 * j + 1][column]));
            }
        }
        for column in 0..8 {
            let half = 1 << (shift - 1);
            output[k][column] = even[column].wrapping_add(odd[column]).wrapping_add(half) >> shift;
            output[7 - k][column] = even[column].wrapping_sub(odd[column]).wrapping_add(half) >> shift;
        }
    }
    output
}

fn transpose(block: &[[i32; 8]; 8]) -> [[i32; 8]; 8] {
    std::array::from_fn(|row| std::array::from_fn(|column| block[column][row]))
}

/// 8 x 8 samples from quantized coefficients. Columns first, keeping 2 more bits for the rows; at the end these, the 13 of
/// the factors and the factor 8 of the two-dimensional transform go.
fn inverse_dct(coefficients: &[i16; 64], quantization: &[u16; 64]) -> [[u8; 8]; 8] {
    let at = |i: usize| i32::from(coefficients[i]).wrapping_mul(quantization[i].into());
    let block = std::array::from_fn(|row| std::array::from_fn(|column| at(row * 8 + column)));
    let columns = pass(&block, 13 - 2);
    let rows = transpose(&pass(&transpose(&columns), 13 + 2 + 3));
    rows.map(|row| row.map(|sample| sample.saturating_add(128).clamp(0, 255) as u8))
}

/// The samples of one component, `[height][stride]`; what lies right of `width` and below is padding.
struct Plane {
    width: usize,
    height: usize,
    stride: usize,
    samples: Vec<u8>,
    /// Output pixels for one sample, across and down.
    across: usize,
    down: usize,
}

impl Plane {
    fn new(component: &Component, quantization: &[u16; 64], frame: &Frame) -> Plane {
        let stride = component.columns * 8;
        let mut samples = vec![0; stride * component.rows * 8];
        for (i, block) in component.coefficients.iter().enumerate() {
            let start = i / component.columns * 8 * stride + i % component.columns * 8;
            for (y, row) in inverse_dct(block, quantization).iter().enumerate() {
                samples[start + y * stride..][..8].copy_from_slice(row);
            }
        }
        let (across, down) = (frame.h / component.h, frame.v / component.v);
        Plane { width: component.width, height: component.height, stride, samples, across, down }
    }

    fn row(&self, y: usize) -> &[u8] {
        &self.samples[y * self.stride..][..self.width]
    }

    /// Row `y` of the picture. A chroma sample is the mean of 2 x 2 pixels and lies in their middle; an output pixel is
    /// interpolated between the nearest samples with weights 3 and 1 on each axis (libjpeg's "fancy upsampling", which
    /// alternates the rounding so that no drift arises). Ratios other than 2 repeat samples, as do planes of 1 or 2 columns.
    fn upsample(&self, y: usize, out: &mut [u8]) {
        let near = self.row(y / self.down);
        let neighbour = |i: usize, odd: bool, last: usize| if odd { (i + 1).min(last) } else { i.saturating_sub(1) };
        let far = self.row(neighbour(y / self.down, y % 2 == 1, self.height - 1));
        match (self.across, self.down) {
            (1, 1) => out.copy_from_slice(near),
            (1, 2) => {
                let rounding = 1 + (y % 2) as u16;
                for ((o, &n), &f) in out.iter_mut().zip(near).zip(far) {
                    *o = ((3 * u16::from(n) + u16::from(f) + rounding) >> 2) as u8;
                }
            }
            (2, 1) if self.width > 2 => {
                for (x, o) in out.iter_mut().enumerate() {
                    let (here, next) = (near[x / 2], near[neighbour(x / 2, x % 2 == 1, self.width - 1)]);
                    *o = ((3 * u16::from(here) + u16::from(next) + 1 + (x % 2) as u16) >> 2) as u8;
                }
            }
            (2, 2) if self.width > 2 => {
                let sum = |i: usize| 3 * u16::from(near[i]) + u16::from(far[i]);
                for (x, o) in out.iter_mut().enumerate() {
                    let next = neighbour(x / 2, x % 2 == 1, self.width - 1);
                    *o = ((3 * sum(x / 2) + sum(next) + 8 - (x % 2) as u16) >> 4) as u8;
                }
            }
            (across, _) => {
                for (x, o) in out.iter_mut().enumerate() {
                    *o = near[x / across];
                }
            }
        }
    }
}

/// Full-range BT.601 (JFIF), factors with 16 fraction bits, rounded half up.
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let r = y + ((91_881 * cr + 32_768) >> 16); // 1.402
    let g = y + ((-22_554 * cb - 46_802 * cr + 32_768) >> 16); // 0.34414, 0.71414
    let b = y + ((116_130 * cb + 32_768) >> 16); // 1.772
    [r, g, b].map(|v| v.clamp(0, 255) as u8)
}

/// The finished picture; `adobe` is the colour transform that an Adobe segment names.
pub(super) fn to_image(mut frame: Frame, adobe: Option<u8>) -> Result<Image, String> {
    let ids: Vec<u8> = frame.components.iter().map(|c| c.id).collect();
    let mut planes = Vec::new();
    for c in std::mem::take(&mut frame.components) {
        let quantization = c.quantization.as_ref().ok_or_else(|| format!("component {} has no scan", c.id))?;
        planes.push(Plane::new(&c, quantization, &frame)); // and the coefficients, twice as large, are gone
    }
    let is_rgb = adobe.map_or(ids == *b"RGB", |transform| transform == 0);
    let mut pixels = Vec::with_capacity(frame.width * frame.height * 3);
    let mut rows = vec![vec![0; frame.width]; planes.len()];
    for y in 0..frame.height {
        for (plane, row) in planes.iter().zip(&mut rows) {
            plane.upsample(y, row);
        }
        match rows.as_slice() {
            [a, b, c] if is_rgb => pixels.extend((0..frame.width).flat_map(|x| [a[x], b[x], c[x]])),
            [a, b, c] => pixels.extend((0..frame.width).flat_map(|x| rgb(a[x], b[x], c[x]))),
            _ => pixels.extend(rows[0].iter().flat_map(|&g| [g; 3])),
        }
    }
    Ok(Image { width: frame.width, height: frame.height, pixels })
}
