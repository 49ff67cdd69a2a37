//! Any bytes as pictures, sounds, tables, arrays, texts, and as a tar of samples.

use escarp_media::{Csv, Folder, Image, InputReader, InputShape, Kind, Npy, Pcm, Text};
use escarp_runtime::frontend::{FrontEnd, LogMelSettings, Norm, PixelSettings, SensorSettings};

use super::scratch;

/// JPEG and PNG.
pub fn image(data: &[u8]) {
    let Ok(image) = Image::decode(data) else { return };
    assert!(image.width > 0 && image.height > 0 && image.pixels.len() == 3 * image.width * image.height);
    if image.pixels.len() <= 1 << 16 {
        assert_eq!(image.to_gray().len(), image.width * image.height);
        let covered = image.cover(5, 7);
        assert_eq!((covered.width, covered.height, covered.pixels.len()), (5, 7, 105));
        let again = image.encode_png().expect("a picture can be written");
        assert_eq!(Image::decode(&again).expect("and read"), image, "PNG must give every pixel back");
    }
}

/// WAV, CSV, NPY, texts, and all of them through what programs read inputs with. The first byte picks a front end, the
/// second a file name.
pub fn data(data: &[u8]) {
    let [front_end, name, data @ ..] = data else { return };
    if let Ok(pcm) = Pcm::decode(data) {
        let count = pcm.samples.len();
        let again = Pcm::decode(&pcm.encode().expect("a sound can be written")).expect("and read");
        assert_eq!((again.rate, again.samples.len()), (pcm.rate, count));
        if count <= 1 << 14 {
            let _ = pcm.at_rate(8000);
        }
    }
    let chosen = ["ay".to_owned(), "1".to_owned()];
    let columns = |columns: &[String]| Csv::decode_columns(data, "label", columns);
    for csv in [Csv::decode(data), columns(&[]), columns(&chosen[..1]), columns(&chosen)].into_iter().flatten() {
        assert_eq!(csv.values.len(), csv.rows() * csv.channels);
        assert!(csv.values.iter().all(|v| v.is_finite()));
    }
    if let Ok(npy) = Npy::decode(data) {
        assert_eq!(npy.to_f32().len(), npy.shape.iter().product::<usize>());
    }
    if let Ok(text) = Text::decode(data) {
        assert!(text.words().all(|word| !word.is_empty()));
    }
    let name = ["a.wav", "a.csv", "a.npy", "a.txt", "a.png", "a"][usize::from(*name) % 6];
    let (reader, elements) = reader(*front_end);
    let Ok(content) = reader.read(name, data) else { return };
    assert!(content.count() > 0, "at least one input is promised");
    for index in 0..content.count().min(4) {
        let quantized = reader.quantized(&content, index, 0.05, 3).expect("what was read can be quantized");
        assert_eq!(quantized.len(), elements);
        if let Ok(values) = reader.floats(&content, index) {
            assert_eq!(values.len(), elements);
            assert!(values.iter().all(|v| !v.is_nan()), "an input has become NaN");
        }
    }
}

fn reader(choice: u8) -> (InputReader<'static>, usize) {
    const ZERO: [f32; 3] = [0.0; 3];
    const ONE: [f32; 3] = [1.0; 3];
    let norm = Norm::new(&ZERO, &ONE);
    let shape = |steps, height, width, channels| InputShape { steps, height, width, channels };
    let (front_end, shape) = match choice % 4 {
        0 => (FrontEnd::Raw, shape(1, 1, 1, 6)),
        1 => (FrontEnd::Pixels(PixelSettings { norm }), shape(1, 4, 5, 3)),
        2 => {
            let settings = LogMelSettings {
                sample_rate: 8000,
                frame: 60,
                hop: 30,
                fft: 64,
                frames: 4,
                low_hz: 20.0,
                high_hz: 4000.0,
                floor: 1e-6,
                norm,
            };
            (FrontEnd::LogMel(settings), shape(4, 1, 1, 3))
        }
        _ => (FrontEnd::Sensor(SensorSettings { rate: 50.0, frames: 2, norm }), shape(2, 1, 1, 3)),
    };
    (InputReader::new(front_end, shape).expect("these fit"), shape.elements())
}

/// An archive, as a listing of each kind of sample.
pub fn tar(data: &[u8]) {
    let path = scratch::file("a.tar", &mend(data));
    for kind in [Kind::Image, Kind::Sound, Kind::Table, Kind::Array, Kind::Text] {
        let Ok(folder) = Folder::open(&path, kind) else { continue };
        assert!(!folder.entries().is_empty(), "at least one sample is promised");
        assert!(folder.entries().iter().all(|e| e.label.is_none_or(|label| label < folder.classes().len())));
        for index in 0..folder.len().min(16) {
            assert!(folder.locate(index).contains(&folder.entries()[index].name));
            let _ = folder.read(index);
        }
    }
}

/// Bytes of a block of a tar.
const BLOCK: usize = 512;

/// Makes the checksums of all headers right, as far as their chain can be followed.
fn mend(data: &[u8]) -> Vec<u8> {
    let mut file = data.to_vec();
    let mut at = 0;
    while let Some(header) = file.get_mut(at..at + BLOCK) {
        if header.iter().all(|&b| b == 0) {
            break;
        }
        // The sum of all bytes, those of the sum itself counted as spaces, in six octal digits.
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let digits = header[124..136].iter().take_while(|b| (b'0'..=b'7').contains(b));
        let size = digits.fold(0usize, |size, b| size.saturating_mul(8).saturating_add(usize::from(b - b'0')));
        at = at.saturating_add(BLOCK).saturating_add(size.div_ceil(BLOCK).saturating_mul(BLOCK));
        if at > file.len() {
            break;
        }
    }
    file
}
