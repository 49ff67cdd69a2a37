//! RGB images of 8 bits a channel: decoding, scaling, cropping, PNG writing.

mod jpeg;
mod png;
mod resize;

use crate::Error;

/// Most pixels an image may have: 64 Mi, which takes 192 MiB, and 448 MiB while a JPEG is decoded.
pub const MAX_PIXELS: u64 = 1 << 26;

/// `height x width` pixels, rows from the top, 3 bytes R G B each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Pixels in a row, at least 1.
    pub width: usize,
    /// Rows, at least 1.
    pub height: usize,
    /// `[height][width][3]`.
    pub pixels: Vec<u8>,
}

impl Image {
    /// Decodes JPEG or PNG; the first bytes say which.
    ///
    /// Gray becomes R = G = B. 16-bit PNG samples keep their high byte, and an alpha channel is dropped without
    /// compositing: both as Pillow's `convert("RGB")` and thus torchvision's loader treat them. An EXIF orientation is
    /// not applied, as there.
    ///
    /// # Errors
    /// [`Error::Format`] if it is neither, [`Error::Jpeg`], [`Error::Png`], and [`Error::Limit`] beyond [`MAX_PIXELS`].
    pub fn decode(bytes: &[u8]) -> Result<Image, Error> {
        if bytes.starts_with(&[0xff, 0xd8]) {
            jpeg::decode(bytes)
        } else if bytes.starts_with(b"\x89PNG") {
            png::decode(bytes)
        } else {
            Err(Error::Format(format!(
                "an image must start as JPEG (ff d8) or PNG (89 50 4e 47); this starts {:02x?}",
                &bytes[..bytes.len().min(4)]
            )))
        }
    }

    /// Writes an RGB PNG.
    ///
    /// # Errors
    /// [`Error::Limit`] if `pixels` is not `height * width * 3` long or a side exceeds 2^31 - 1.
    pub fn encode_png(&self) -> Result<Vec<u8>, Error> {
        png::encode(self)
    }

    /// Scales to `width x height`, each side on its own: area average where it shrinks, bilinear where it grows, in
    /// exact integer arithmetic with one rounding (half up), so that every machine gets the same pixels.
    ///
    /// # Panics
    /// If `width` or `height` is 0.
    #[must_use]
    pub fn resize(&self, width: usize, height: usize) -> Image {
        let whole = resize::Part { x: 0, y: 0, width: self.width, height: self.height };
        resize::resize(self, &whole, width, height)
    }

    /// The largest centred rectangle with the aspect ratio of `width x height` (an odd pixel goes to the right and
    /// bottom), scaled to that size. This is how every image reaches a network: nothing is distorted, no borders are
    /// added, the edges of the longer side are lost.
    ///
    /// # Panics
    /// If `width` or `height` is 0.
    #[must_use]
    pub fn cover(&self, width: usize, height: usize) -> Image {
        // The larger rectangle a x b with a/b = width/height inside the image, rounded down, at least one pixel.
        let (a, b) = if self.width * height > self.height * width {
            ((self.height * width / height).max(1), self.height)
        } else {
            (self.width, (self.width * height / width).max(1))
        };
        let part = resize::Part { x: (self.width - a) / 2, y: (self.height - b) / 2, width: a, height: b };
        resize::resize(self, &part, width, height)
    }

    /// The rectangle with its top left corner at (`x`, `y`).
    ///
    /// # Panics
    /// If it reaches outside the image.
    #[must_use]
    pub fn crop(&self, x: usize, y: usize, width: usize, height: usize) -> Image {
        assert!(x + width <= self.width && y + height <= self.height, "crop outside the image");
        let mut pixels = Vec::with_capacity(width * height * 3);
        for row in self.pixels.chunks_exact(self.width * 3).skip(y).take(height) {
            pixels.extend_from_slice(&row[x * 3..(x + width) * 3]);
        }
        Image { width, height, pixels }
    }

    /// One byte a pixel, ITU-R BT.601 luma: `(299 R + 587 G + 114 B + 500) / 1000`.
    #[must_use]
    pub fn to_gray(&self) -> Vec<u8> {
        let luma = |p: &[u8]| (299 * u32::from(p[0]) + 587 * u32::from(p[1]) + 114 * u32::from(p[2]) + 500) / 1000;
        // The weights sum to 1000, so the quotient is at most 255.
        self.pixels.chunks_exact(3).map(|p| luma(p) as u8).collect()
    }

    /// Checks a decoder's idea of the size before memory is taken for it.
    fn check_size(width: u64, height: u64) -> Result<(), Error> {
        let value = width.saturating_mul(height);
        if value > MAX_PIXELS {
            return Err(Error::Limit { what: "number of pixels", value, max: MAX_PIXELS });
        }
        Ok(())
    }
}
