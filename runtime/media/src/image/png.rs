//! PNG, through the `png` crate.

use png::{BitDepth, ColorType, Decoder, Limits, Transformations};

use super::{Image, MAX_PIXELS};
use crate::{Error, fence};

/// What one byte of deflated data can stand for at most: 258 bytes in 2 bits (zlib's technical details give 1032:1).
const DEFLATE: usize = 1032;

/// Decodes any PNG to RGB: palettes and small depths expanded, 16 bits cut to the high 8, alpha dropped.
pub(super) fn decode(bytes: &[u8]) -> Result<Image, Error> {
    // 0.18.1 panics on a palette whose length is no multiple of 3 (image-rs/image-png#694).
    fence(|| read(bytes)).map_err(Error::PngPanic)?
}

fn read(bytes: &[u8]) -> Result<Image, Error> {
    // 16-bit RGBA is the widest pixel: 8 bytes.
    let limits = Limits { bytes: MAX_PIXELS as usize * 8 };
    let mut decoder = Decoder::new_with_limits(std::io::Cursor::new(bytes), limits);
    // Nobody looks at profiles and texts, and a profile may inflate to a thousand times its length.
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let info = decoder.read_header_info()?;
    Image::check_size(info.width.into(), info.height.into())?;
    let mut reader = decoder.read_info()?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    // A short file cannot ask for much memory: interlaced or not, every row of pixels is in it, compressed.
    let packed = reader.info().raw_bytes().saturating_sub(height);
    if packed > bytes.len().saturating_mul(DEFLATE) {
        return Err(Error::Format(format!("a PNG of {width} x {height} pixels cannot be in {} bytes", bytes.len())));
    }
    let size = reader.output_buffer_size().ok_or(Error::Limit {
        what: "number of pixels",
        value: u64::MAX,
        max: MAX_PIXELS,
    })?;
    let mut raw = vec![0; size];
    let frame = reader.next_frame(&mut raw)?;
    raw.truncate(frame.buffer_size());
    let pixels = match frame.color_type {
        ColorType::Rgb => raw,
        ColorType::Rgba => raw.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        ColorType::Grayscale => raw.iter().flat_map(|&g| [g; 3]).collect(),
        ColorType::GrayscaleAlpha => raw.chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        ColorType::Indexed => return Err(Error::Format("PNG palette was not expanded".into())),
    };
    if frame.bit_depth != BitDepth::Eight || pixels.len() != width * height * 3 {
        return Err(Error::Format(format!("PNG decoded to {} bytes for {width}x{height} RGB", pixels.len())));
    }
    Ok(Image { width, height, pixels })
}

pub(super) fn encode(image: &Image) -> Result<Vec<u8>, Error> {
    let side = |what, value: usize| {
        let max = i32::MAX as u64;
        if value as u64 > max { Err(Error::Limit { what, value: value as u64, max }) } else { Ok(value as u32) }
    };
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side("width", image.width)?, side("height", image.height)?);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let mismatch = |e: png::EncodingError| Error::Format(format!("image cannot be written as PNG: {e}"));
    let mut writer = encoder.write_header().map_err(mismatch)?;
    writer.write_image_data(&image.pixels).map_err(mismatch)?;
    writer.finish().map_err(mismatch)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(
        color: ColorType,
        depth: BitDepth,
        width: u32,
        height: u32,
        palette: Option<&[u8]>,
        data: &[u8],
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if let Some(p) = palette {
            encoder.set_palette(p.to_vec());
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    #[test]
    fn rgb_round_trip() {
        let image = Image { width: 5, height: 3, pixels: (0..45).map(|i| (i * 5) as u8).collect() };
        assert_eq!(Image::decode(&image.encode_png().unwrap()).unwrap(), image);
    }

    #[test]
    fn every_colour_type_becomes_rgb() {
        use BitDepth::*;
        use ColorType::*;
        let palette = [10, 20, 30, 40, 50, 60];
        for (bytes, want) in [
            (write(Grayscale, Eight, 2, 1, None, &[7, 9]), [7, 7, 7, 9, 9, 9]),
            (write(Grayscale, One, 2, 1, None, &[0b0100_0000]), [0, 0, 0, 255, 255, 255]),
            (write(GrayscaleAlpha, Eight, 2, 1, None, &[7, 0, 9, 255]), [7, 7, 7, 9, 9, 9]),
            (write(Rgba, Eight, 2, 1, None, &[1, 2, 3, 0, 4, 5, 6, 128]), [1, 2, 3, 4, 5, 6]),
            (write(Rgb, Sixteen, 2, 1, None, &[1, 255, 2, 255, 3, 255, 4, 0, 5, 0, 6, 0]), [1, 2, 3, 4, 5, 6]),
            (write(Indexed, Eight, 2, 1, Some(&palette), &[1, 0]), [40, 50, 60, 10, 20, 30]),
            (write(Indexed, Two, 2, 1, Some(&palette), &[0b0100_0000]), [40, 50, 60, 10, 20, 30]),
        ] {
            assert_eq!(decode(&bytes).unwrap().pixels, want);
        }
    }

    #[test]
    fn a_wrong_pixel_count_is_not_written() {
        let image = Image { width: 2, height: 2, pixels: vec![0; 11] };
        assert!(image.encode_png().is_err());
    }

    /// Ends a chunk: CRC-32 of its type and data (PNG specification, annex D), bit by bit.
    fn crc(type_and_data: &[u8]) -> [u8; 4] {
        let mut c = u32::MAX;
        for &b in type_and_data {
            c ^= u32::from(b);
            for _ in 0..8 {
                c = if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 };
            }
        }
        (!c).to_be_bytes()
    }

    #[test]
    fn a_huge_header_is_refused_before_memory_is_taken() {
        let mut bytes = Image { width: 1, height: 1, pixels: vec![0; 3] }.encode_png().unwrap();
        bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]); // 65536 x 65536
        let end = crc(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&end);
        assert!(matches!(decode(&bytes), Err(Error::Limit { value: 4_294_967_296, .. })));
    }

    #[test]
    fn a_short_file_cannot_be_a_large_picture() {
        let mut bytes = Image { width: 1, height: 1, pixels: vec![0; 3] }.encode_png().unwrap();
        bytes[16..24].copy_from_slice(&[0, 0, 32, 0, 0, 0, 32, 0]); // 8192 x 8192
        let end = crc(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&end);
        let error = decode(&bytes).unwrap_err().to_string();
        assert!(error.contains("8192 x 8192 pixels cannot be in"), "{error}");
        let blank = Image { width: 4096, height: 4096, pixels: vec![0; 4096 * 4096 * 3] };
        assert_eq!(decode(&blank.encode_png().unwrap()).unwrap(), blank, "nothing compresses better");
    }

    #[test]
    fn a_palette_of_four_bytes_is_an_error_and_no_panic() {
        let whole = write(ColorType::Indexed, BitDepth::Eight, 2, 1, Some(&[10, 20, 30, 40, 50, 60]), &[1, 0]);
        let at = whole.windows(4).position(|w| w == b"PLTE").unwrap();
        let mut bytes = whole[..at - 4].to_vec();
        let chunk = [&b"PLTE"[..], &[10, 20, 30, 40]].concat();
        bytes.extend([&4u32.to_be_bytes()[..], &chunk, &crc(&chunk), &whole[at + 4 + 6 + 4..]].concat());
        let error = decode(&bytes).unwrap_err().to_string();
        assert!(error.starts_with("PNG: "), "{error}");
    }
}
