//! Rows or columns of a map in another number.

use escarp_runtime::ops::{Between, WEIGHT_ONE};

use crate::{error::Error, onnx::Node, scale::nearest_i64};

/// Largest number of times that a step repeats rows or columns.
const LARGEST: usize = 255;

/// A row or column between two others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The one before.
    pub low: usize,
    /// The one behind.
    pub high: usize,
    /// Share of the one behind: 0 to 1.
    pub weight: f32,
}

impl Place {
    /// What lies there, between two values.
    pub fn between(&self, low: f32, high: f32) -> f32 {
        if self.weight == 0.0 { low } else { low * (1.0 - self.weight) + high * self.weight }
    }

    /// As the file holds it; `None` for a place beyond 65535.
    pub fn emit(&self) -> Option<[u8; 8]> {
        let weight = nearest_i64(f64::from(self.weight) * f64::from(WEIGHT_ONE));
        let between = Between {
            low: u16::try_from(self.low).ok()?,
            high: u16::try_from(self.high).ok()?,
            weight: u32::try_from(weight).ok()?,
        };
        Some(between.emit())
    }
}

/// All rows or columns of a map.
#[derive(Clone, Debug)]
pub struct Side {
    places: Vec<Place>,
    from: usize,
}

/// What lies between positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// What lies at the nearest.
    Nearest,
    /// On the line between the two nearest.
    Linear,
    /// On a cubic through the four nearest, of this coefficient.
    Cubic(f32),
}

/// How a node finds the places.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What lies between positions.
    pub mode: Mode,
    /// ONNX's `coordinate_transformation_mode`.
    pub coordinates: String,
    /// ONNX's `nearest_mode`.
    pub nearest: String,
    /// Where a side shrinks, the kernel becomes as much wider.
    pub antialias: bool,
    /// Positions outside the input have no weight; else the outermost one stands for them.
    pub exclude_outside: bool,
    /// What lies outside where a part of the input is read: of `tf_crop_and_resize`.
    pub outside: f32,
}

/// A side that gets another length.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Of the input.
    pub from: usize,
    /// Of the result.
    pub to: usize,
    /// How much larger each position becomes.
    pub scale: f32,
    /// First and last position that are read, as parts of the input's length: of `tf_crop_and_resize`.
    pub part: [f32; 2],
}

impl Rule {
    /// Each position several times.
    pub fn repeated() -> Rule {
        Rule {
            mode: Mode::Nearest,
            coordinates: "asymmetric".into(),
            nearest: "floor".into(),
            antialias: false,
            exclude_outside: false,
            outside: 0.0,
        }
    }

    /// Does it read a part of the input, beyond which lies something else?
    pub fn crops(&self) -> bool {
        self.coordinates == "tf_crop_and_resize"
    }

    /// Where position `at` of the result lies in the input. In f32, as others compute it: halves fall where theirs do.
    ///
    /// # Errors
    /// For rules that are not known.
    pub fn coordinate(&self, node: &Node, at: usize, sizes: Sizes) -> Result<f32, Error> {
        let Sizes { from, to, scale, part: [first, end] } = sizes;
        let (last, from, whole, at) = (from as f32 - 1.0, from as f32, to as f32, at as f32);
        Ok(match self.coordinates.as_str() {
            "half_pixel" => (at + 0.5) / scale - 0.5,
            "half_pixel_symmetric" => from / 2.0 * (1.0 - whole / (scale * from)) + (at + 0.5) / scale - 0.5,
            "pytorch_half_pixel" | "align_corners" if to == 1 => 0.0,
            "pytorch_half_pixel" => (at + 0.5) / scale - 0.5,
            "align_corners" => at * last / (whole - 1.0),
            "tf_half_pixel_for_nn" => (at + 0.5) / scale,
            "asymmetric" => at / scale,
            "tf_crop_and_resize" if to == 1 => 0.5 * (first + end) * last,
            "tf_crop_and_resize" => first * last + at * (end - first) * last / (whole - 1.0),
            other => {
                let known = "half_pixel, half_pixel_symmetric, pytorch_half_pixel, align_corners, asymmetric, tf_half_pixel_for_nn, \
                     tf_crop_and_resize";
                return Err(node.unsupported("coordinate_transformation_mode", other, known));
            }
        })
    }

    /// The position nearest to a place, of so many.
    ///
    /// # Errors
    /// For rules that are not known.
    pub fn nearest(&self, node: &Node, x: f32, from: usize) -> Result<usize, Error> {
        let found = match self.nearest.as_str() {
            "round_prefer_floor" => (x - 0.5).ceil(),
            "round_prefer_ceil" => (x + 0.5).floor(),
            "floor" => x.floor(),
            "ceil" => x.ceil(),
            other => {
                let known = "round_prefer_floor, round_prefer_ceil, floor, ceil";
                return Err(node.unsupported("nearest_mode", other, known));
            }
        };
        Ok(index(found, from))
    }
}

impl Rule {
    /// Do all operator sets from 11 on have it?
    pub fn is_lasting(&self) -> bool {
        matches!(self.coordinates.as_str(), "half_pixel" | "pytorch_half_pixel" | "align_corners" | "asymmetric")
    }
}

impl Side {
    /// As long as before.
    pub fn same(length: usize) -> Side {
        let places = (0..length).map(|at| Place { low: at, high: at, weight: 0.0 }).collect();
        Side { places, from: length }
    }

    /// Rows or columns in another number, each at one of the input's or between two.
    ///
    /// # Errors
    /// For rules that are not known.
    pub fn new(node: &Node, sizes: Sizes, rule: &Rule) -> Result<Side, Error> {
        let Sizes { from, to, .. } = sizes;
        let place = |at: usize| {
            let x = rule.coordinate(node, at, sizes)?;
            if rule.mode == Mode::Linear {
                let x = x.clamp(0.0, from as f32 - 1.0);
                let low = index(x.floor(), from);
                return Ok(Place { low, high: (low + 1).min(from - 1), weight: x - x.floor() });
            }
            let low = rule.nearest(node, x, from)?;
            Ok(Place { low, high: low, weight: 0.0 })
        };
        Ok(Side { places: (0..to).map(place).collect::<Result<_, _>>()?, from })
    }

    /// Where each row or column lies.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// How often each row or column is repeated, if that is all.
    pub fn factor(&self) -> Option<usize> {
        let factor = self.places.len() / self.from;
        let repeats = |(at, place): (usize, &Place)| place.weight == 0.0 && place.low == at / factor;
        let all = (1..=LARGEST).contains(&factor) && self.places.len() == factor * self.from;
        (all && self.places.iter().enumerate().all(repeats)).then_some(factor)
    }

    /// The matrix `[to][from]` that says the same.
    pub fn matrix(&self) -> Vec<f32> {
        let mut all = vec![0.0; self.places.len() * self.from];
        for (row, place) in all.chunks_exact_mut(self.from).zip(&self.places) {
            row[place.low] += 1.0 - place.weight;
            row[place.high] += place.weight;
        }
        all
    }

    /// The same, `[from][to]`.
    pub fn turned(&self) -> Vec<f32> {
        let (matrix, to) = (self.matrix(), self.places.len());
        (0..self.from).flat_map(|i| (0..to).map(move |o| (o, i))).map(|(o, i)| matrix[o * self.from + i]).collect()
    }
}

/// The nearest place that there is.
fn index(x: f32, length: usize) -> usize {
    usize::try_from(nearest_i64(x.into())).unwrap_or(0).min(length - 1)
}
