//! Pixels: normalization and quantization in one table look-up.

use super::{Error, Norm, error::require, quantize};

/// Most channels of an image.
pub const MAX_CHANNELS: usize = 4;

/// `value = (pixel / 255 - mean) / std` for each channel, as torchvision writes it. A network that takes pixels as they
/// are (0..255) has mean 0 and std 1/255; one that takes 0..1 has mean 0 and std 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelSettings<'a> {
    /// For each of 1 to [`MAX_CHANNELS`] channels, in units of the 0..1 pixel.
    pub norm: Norm<'a>,
}

impl PixelSettings<'_> {
    /// The network's float input for a pixel of channel `c`, as `(pixel - 255 mean) / (255 std)`: 255 times the `f32`
    /// next to 1/255 rounds to 1, so that a network of raw pixels gets exactly them.
    #[must_use]
    pub fn value(&self, pixel: u8, c: usize) -> f32 {
        (f32::from(pixel) - 255.0 * self.norm.mean(c)) / (255.0 * self.norm.std(c))
    }

    /// [`PixelSettings::value`] of `[..][channels]` pixels.
    ///
    /// # Errors
    /// [`Error::Length`] if the lengths differ or are no multiple of the channels.
    pub fn normalize(&self, pixels: &[u8], out: &mut [f32]) -> Result<(), Error> {
        let channels = self.norm.len();
        check_lengths(channels, pixels.len(), out.len())?;
        for (pixels, out) in pixels.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            for (c, (o, &p)) in out.iter_mut().zip(pixels).enumerate() {
                *o = self.value(p, c);
            }
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        require((1..=MAX_CHANNELS).contains(&self.norm.len()), "number of channels", "1 to 4")?;
        self.norm.check()?;
        // `value` works with 255 times these: two infinities would make a NaN, which counts as 0.
        for i in 0..self.norm.len() {
            for (name, value) in [("mean", self.norm.mean(i)), ("std", self.norm.std(i))] {
                if !(255.0 * value).is_finite() {
                    return Err(Error::Field { name, index: i, allowed: "below 1e36 in size" });
                }
            }
        }
        Ok(())
    }
}

fn check_lengths(channels: usize, needed: usize, got: usize) -> Result<(), Error> {
    require(channels > 0 && needed.is_multiple_of(channels), "number of pixel bytes", "a multiple of the channels")?;
    if needed == got { Ok(()) } else { Err(Error::Length { needed, got }) }
}

/// What every pixel value of every channel becomes: 1 KiB of tables.
#[derive(Clone, Debug)]
pub struct Pixels {
    tables: [[i8; 256]; MAX_CHANNELS],
    channels: usize,
}

impl Pixels {
    /// Tables for an input tensor of this scale and zero point.
    ///
    /// # Errors
    /// Those of [`super::FrontEnd::check`], and [`Error::Field`] if `scale` is not finite and above 0.
    pub fn new(settings: &PixelSettings<'_>, scale: f32, zero_point: i8) -> Result<Self, Error> {
        settings.check()?;
        require(scale.is_finite() && scale > 0.0, "scale", "finite and above 0")?;
        let mut tables = [[0; 256]; MAX_CHANNELS];
        let channels = settings.norm.len();
        for (c, table) in tables.iter_mut().enumerate().take(channels) {
            for (pixel, q) in (0u8..=255).zip(table) {
                *q = quantize(settings.value(pixel, c), scale, zero_point);
            }
        }
        Ok(Pixels { tables, channels })
    }

    /// Quantizes `[..][channels]` pixels.
    ///
    /// # Errors
    /// [`Error::Length`] if the lengths differ or are no multiple of the channels.
    pub fn quantize(&self, pixels: &[u8], out: &mut [i8]) -> Result<(), Error> {
        check_lengths(self.channels, pixels.len(), out.len())?;
        for (pixels, out) in pixels.chunks_exact(self.channels).zip(out.chunks_exact_mut(self.channels)) {
            for ((o, &p), table) in out.iter_mut().zip(pixels).zip(&self.tables) {
                *o = table[usize::from(p)];
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_pixels_come_back() {
        let settings = PixelSettings { norm: Norm::new(&[0.0], &[1.0 / 255.0]) };
        let tables = Pixels::new(&settings, 1.0, -128).unwrap();
        for p in 0..=255u8 {
            assert_eq!(settings.value(p, 0), f32::from(p));
            let mut q = [0];
            tables.quantize(&[p], &mut q).unwrap();
            assert_eq!(i16::from(q[0]), i16::from(p) - 128);
        }
    }

    #[test]
    fn tables_equal_quantized_floats() {
        let settings = PixelSettings { norm: Norm::new(&[0.4914, 0.4822, 0.4465], &[0.247, 0.2435, 0.2616]) };
        let tables = Pixels::new(&settings, 0.0187, -4).unwrap();
        let mut pixels = [0u8; 768];
        pixels.iter_mut().enumerate().for_each(|(i, p)| *p = (i * 7) as u8);
        let (mut floats, mut bytes) = ([0.0; 768], [0; 768]);
        settings.normalize(&pixels, &mut floats).unwrap();
        tables.quantize(&pixels, &mut bytes).unwrap();
        assert!(floats.iter().zip(&bytes).all(|(&v, &q)| quantize(v, 0.0187, -4) == q));
        assert!((floats[0] - (0.0 - 0.4914) / 0.247).abs() < 1e-6);
    }

    #[test]
    fn wrong_lengths_and_settings() {
        let settings = PixelSettings { norm: Norm::new(&[0.0; 3], &[1.0; 3]) };
        let tables = Pixels::new(&settings, 1.0, 0).unwrap();
        assert!(tables.quantize(&[0; 4], &mut [0; 4]).is_err());
        assert_eq!(tables.quantize(&[0; 6], &mut [0; 3]), Err(Error::Length { needed: 6, got: 3 }));
        assert!(Pixels::new(&settings, 0.0, 0).is_err());
        assert!(Pixels::new(&PixelSettings { norm: Norm::new(&[0.0; 2], &[1.0; 1]) }, 1.0, 0).is_err());
        assert!(Pixels::new(&PixelSettings { norm: Norm::new(&[0.0; 5], &[1.0; 5]) }, 1.0, 0).is_err());
        let zero = Pixels::new(&PixelSettings { norm: Norm::new(&[0.0; 2], &[1.0, 0.0]) }, 1.0, 0);
        assert_eq!(zero.unwrap_err(), Error::Field { name: "std", index: 1, allowed: "finite and above 0" });
        // Found by fuzzing: 255 times each is infinite, and their quotient was NaN.
        for (mean, std, name) in [(f32::MAX, 1.0, "mean"), (0.0, f32::MAX, "std"), (-f32::MAX, f32::MAX, "mean")] {
            let (mean, std) = ([0.0, mean], [1.0, std]);
            let large = Pixels::new(&PixelSettings { norm: Norm::new(&mean, &std) }, 1.0, 0);
            assert_eq!(large.unwrap_err(), Error::Field { name, index: 1, allowed: "below 1e36 in size" });
        }
    }
}
