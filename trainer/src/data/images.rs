//! Images as bytes in memory, and what augmentation does to them.

use escarp_media::{Folder, Image};
use escarp_runtime::frontend::{Norm, PixelSettings};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Samples, source, standard::Standard};
use crate::{data::generate::images as builtin, error::TrainError};

/// Without `--size`, larger pictures are shrunk to this side: what a small board can run.
const LARGEST_UNASKED: usize = 96;

/// Decoded pictures of one size.
pub struct Images {
    /// Rows, columns, 3.
    shape: [usize; 3],
    /// `[n, height, width, 3]`
    pixels: Vec<u8>,
    classes: Vec<u16>,
    /// Network input for each value of a byte, by channel.
    tables: [[f32; 256]; 3],
    augmentation: Option<Augmentation>,
}

/// How training pictures vary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Shifts by up to this many pixels each way; what comes in from outside is the mean colour.
    pub shift: usize,
    /// Mirrors every second picture left to right.
    pub flip: bool,
    /// Scales contrast and shifts brightness by up to this share.
    pub colour: f32,
    /// Covers a square of up to this side with the mean colour, in every second picture.
    pub cutout: usize,
}

impl Images {
    /// Decodes a listing in parallel. `size` is `[height, width]`; without it the first picture's own
    /// size holds if its sides are at most 96, a square of 96 otherwise. Pictures of other sizes are
    /// cropped and scaled, and counted in the second part of the result.
    pub fn decode(folder: &Folder, size: Option<[usize; 2]>) -> Result<(Self, usize), TrainError> {
        let image = |index: usize| -> Result<Image, TrainError> {
            let sample = folder.read(index)?;
            Ok(Image::decode(&sample.bytes).map_err(|e| e.in_file(folder.locate(index)))?)
        };
        let [height, width] = match size {
            Some(size) => size,
            None => match image(0)? {
                first if first.height.max(first.width) <= LARGEST_UNASKED => [first.height, first.width],
                _ => [LARGEST_UNASKED; 2],
            },
        };
        let length = height * width * 3;
        let mut pixels = vec![0; folder.len() * length];
        let resized = pixels
            .par_chunks_mut(length)
            .enumerate()
            .map(|(index, out)| {
                let image = image(index)?;
                let fits = (image.height, image.width) == (height, width);
                out.copy_from_slice(&if fits { image } else { image.cover(width, height) }.pixels);
                Ok(usize::from(!fits))
            })
            .try_reduce(|| 0, |a, b| Ok::<usize, TrainError>(a + b))?;
        Ok((Self::new([height, width], pixels, source::classes(folder)), resized))
    }

    /// The generated pictures: part 0 to train on, part 1 to test on.
    pub fn builtin(seed: u64, part: u32, per_class: u32) -> Self {
        let classes = builtin::LABELS.len();
        let pixels: Vec<Vec<u8>> = (0..per_class * classes as u32)
            .into_par_iter()
            .map(|i| builtin::picture(seed, part, i as usize % classes, i / classes as u32))
            .collect();
        let numbers = (0..pixels.len()).map(|i| (i % classes) as u16).collect();
        Self::new([builtin::SIDE; 2], pixels.concat(), numbers)
    }

    fn new([height, width]: [usize; 2], pixels: Vec<u8>, classes: Vec<u16>) -> Self {
        let tables = [std::array::from_fn(|byte| byte as f32 / 255.0); 3];
        Self { shape: [height, width, 3], pixels, classes, tables, augmentation: None }
    }

    /// `[height, width]`
    pub fn size(&self) -> [usize; 2] {
        [self.shape[0], self.shape[1]]
    }

    /// Statistics of the chosen pictures, in units of the 0..1 pixel.
    pub fn statistics(&self, indices: &[u32]) -> Standard {
        let length = self.shape.iter().product::<usize>();
        // Counting the bytes first makes the statistics exact and quick.
        let mut counts = [[0u64; 256]; 3];
        for &index in indices {
            for pixel in self.pixels[index as usize * length..][..length].chunks_exact(3) {
                (0..3).for_each(|c| counts[c][usize::from(pixel[c])] += 1);
            }
        }
        let moments = counts.map(|counts| {
            let n = counts.iter().sum::<u64>().max(1) as f64;
            let moment = |power: i32| -> f64 {
                counts.iter().enumerate().map(|(v, &k)| k as f64 * (v as f64 / 255.0).powi(power)).sum::<f64>() / n
            };
            let mean = moment(1);
            (mean as f32, (moment(2) - mean * mean).max(0.0).sqrt().max(1e-3) as f32)
        });
        Standard { mean: moments.map(|m| m.0).into(), std: moments.map(|m| m.1).into() }
    }

    /// Sets how bytes become inputs and how training pictures vary.
    pub fn prepare(&mut self, standard: &Standard, augmentation: Option<Augmentation>) {
        let settings = PixelSettings { norm: Norm::new(&standard.mean, &standard.std) };
        self.tables = std::array::from_fn(|c| std::array::from_fn(|byte| settings.value(byte as u8, c)));
        self.augmentation = augmentation;
    }

    /// A checksum of pixels and classes: a continued run must see the same data.
    pub fn fingerprint(&self) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        hash.update(&self.pixels);
        self.classes.iter().for_each(|c| hash.update(&c.to_le_bytes()));
        hash.finalize()
    }
}

impl Samples for Images {
    fn classes(&self) -> &[u16] {
        &self.classes
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn write(&self, index: usize, augment: Option<&mut ChaCha8Rng>, out: &mut [f32]) {
        let picture = &self.pixels[index * out.len()..][..out.len()];
        match augment.zip(self.augmentation) {
            None => {
                for (out, pixel) in out.chunks_exact_mut(3).zip(picture.chunks_exact(3)) {
                    (0..3).for_each(|c| out[c] = self.tables[c][usize::from(pixel[c])]);
                }
            }
            Some((rng, augmentation)) => self.write_augmented(picture, augmentation, rng, out),
        }
    }
}

impl Images {
    fn write_augmented(&self, picture: &[u8], how: Augmentation, rng: &mut ChaCha8Rng, out: &mut [f32]) {
        let Augmentation { shift, flip, colour, cutout } = how;
        let [height, width, _] = self.shape;
        let most = shift as i32;
        let (dy, dx) = (rng.random_range(-most..=most), rng.random_range(-most..=most));
        let mirrored = flip && rng.random();
        let contrast = 1.0 + colour * rng.random_range(-1.0..=1.0f32);
        let brightness = colour * rng.random_range(-1.0..=1.0f32);
        let cover = (cutout > 0 && rng.random()).then(|| {
            let side = rng.random_range(cutout.div_ceil(2)..=cutout) as i32;
            let corner = |rng: &mut ChaCha8Rng, n: usize| rng.random_range(-side / 2..n as i32 - side / 2);
            (corner(rng, height), corner(rng, width), side)
        });
        let covered = |y: i32, x: i32| {
            cover.is_some_and(|(top, left, side)| (top..top + side).contains(&y) && (left..left + side).contains(&x))
        };
        for (i, out) in out.chunks_exact_mut(3).enumerate() {
            let (y, x) = ((i / width) as i32, (i % width) as i32);
            let (from_y, from_x) = (y + dy, if mirrored { width as i32 - 1 - x } else { x } + dx);
            if from_y < 0 || from_y >= height as i32 || from_x < 0 || from_x >= width as i32 || covered(y, x) {
                out.fill(0.0); // the mean colour
                continue;
            }
            let from = (from_y as usize * width + from_x as usize) * 3;
            (0..3).for_each(|c| {
                out[c] = contrast * self.tables[c][usize::from(picture[from + c])] + brightness;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn one(shape: [usize; 2], pixels: Vec<u8>) -> Images {
        Images::new(shape, pixels, vec![0])
    }

    #[test]
    fn standardized_inputs_have_mean_0_and_spread_1() {
        let mut images = Images::builtin(1, 0, 20);
        let all: Vec<u32> = (0..160).collect();
        images.prepare(&images.statistics(&all), None);
        let (inputs, classes) = super::super::batch(&images, &all, None);
        assert_eq!(inputs.shape(), [160, 32, 32, 3]);
        assert_eq!(classes[..9], [0, 1, 2, 3, 4, 5, 6, 7, 0]);
        let n = inputs.len() as f32;
        let mean = inputs.sum() / n;
        let variance = inputs.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
        assert!(mean.abs() < 1e-3 && (variance - 1.0).abs() < 1e-2, "{mean} {variance}");
    }

    #[test]
    fn augmentation_shifts_and_mirrors_whole_pictures() {
        let mut images = one([4, 4], (0..48).map(|v| v * 5).collect());
        images.prepare(
            &Standard { mean: vec![0.0; 3], std: vec![1.0; 3] },
            Some(Augmentation { shift: 1, flip: true, ..Augmentation::default() }),
        );
        let mut plain = [0.0; 48];
        images.write(0, None, &mut plain);
        let at = |p: &[f32], y: i32, x: i32, c: usize| match (0..4).contains(&y) && (0..4).contains(&x) {
            true => p[(y * 4 + x) as usize * 3 + c],
            false => 0.0,
        };
        let mut seen = std::collections::HashSet::new();
        for seed in 0..200 {
            let mut varied = [0.0; 48];
            images.write(0, Some(&mut ChaCha8Rng::seed_from_u64(seed)), &mut varied);
            let explained = (-1..=1)
                .flat_map(|dy| (-1..=1).flat_map(move |dx| [(dy, dx, false), (dy, dx, true)]))
                .find(|&(dy, dx, mirrored)| {
                    (0..48).all(|i| {
                        let (y, x, c) = (i as i32 / 12, i as i32 / 3 % 4, i % 3);
                        let from = if mirrored { 3 - x } else { x };
                        varied[i] == at(&plain, y + dy, from + dx, c)
                    })
                });
            seen.insert(explained.expect("a shift and a mirror image explain the picture"));
        }
        assert_eq!(seen.len(), 18, "all shifts, mirrored or not, occur");
    }

    #[test]
    fn a_corrupt_picture_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for class in ["ant", "bee"] {
            std::fs::create_dir(folder.path().join(class)).unwrap();
            std::fs::write(folder.path().join(class).join("1.png"), b"\x89PNG\r\n\x1a\nrubbish").unwrap();
        }
        let listing = Folder::open(folder.path(), escarp_media::Kind::Image).unwrap();
        let error = Images::decode(&listing, Some([8, 8])).err().unwrap().to_string();
        assert!(error.contains("1.png"), "{error}");
    }

    #[test]
    fn other_sizes_are_scaled_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        for (class, side) in [("ant", 8), ("bee", 12)] {
            std::fs::create_dir(folder.path().join(class)).unwrap();
            let image = Image { width: side, height: side, pixels: vec![90; side * side * 3] };
            std::fs::write(folder.path().join(class).join("1.png"), image.encode_png().unwrap()).unwrap();
        }
        let listing = Folder::open(folder.path(), escarp_media::Kind::Image).unwrap();
        let (images, resized) = Images::decode(&listing, None).unwrap();
        assert_eq!((images.shape(), resized), (&[8, 8, 3][..], 1));
        assert!(images.pixels.iter().all(|&p| p == 90));
    }
}
