//! JPEG.

use super::Image;
use crate::Error;

pub(super) fn decode(bytes: &[u8]) -> Result<Image, Error> {
    let text = |e: jpeg_decoder::Error| Error::Jpeg(e.to_string());
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.read_info().map_err(text)?;
    let info = decoder.info().ok_or_else(|| Error::Jpeg("no frame header".into()))?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    Image::check_size(width as u64, height as u64)?;
    let raw = decoder.decode().map_err(text)?;
    let pixels = match info.pixel_format {
        jpeg_decoder::PixelFormat::RGB24 => raw,
        jpeg_decoder::PixelFormat::L8 => raw.iter().flat_map(|&g| [g; 3]).collect(),
        other => return Err(Error::Jpeg(format!("{other:?} pixels; gray and YCbCr of 8 bits are supported"))),
    };
    Ok(Image { width, height, pixels })
}
