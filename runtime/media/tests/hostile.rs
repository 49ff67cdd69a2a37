//! Damaged files: an error or a picture, never a panic, never much memory.

use std::path::PathBuf;

use escarp_media::{Csv, Image, Npy, Pcm};
use proptest::prelude::*;

fn jpegs() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = std::fs::read_dir("tests/jpeg").unwrap().map(|e| e.unwrap().path());
    let files: Vec<_> = folder.filter(|p| p.extension().is_some_and(|e| e == "jpg")).collect();
    assert!(files.len() > 10);
    files.into_iter().map(|p| (p.clone(), std::fs::read(p).unwrap())).collect()
}

fn png() -> Vec<u8> {
    Image { width: 9, height: 7, pixels: (0..189).map(|i| (i * i % 251) as u8).collect() }.encode_png().unwrap()
}

fn wav() -> Vec<u8> {
    Pcm { rate: 8000, samples: (0..40).map(|i| i * 700 - 14_000).collect() }.encode().unwrap()
}

#[test]
fn every_truncation_is_an_error() {
    for (name, file) in jpegs() {
        for length in 0..file.len() {
            assert!(Image::decode(&file[..length]).is_err(), "{} cut to {length}", name.display());
        }
    }
    let (png, wav, npy) = (png(), wav(), Npy::encode_f32(&[3, 4], &[1.0; 12]));
    for length in 0..png.len() {
        // What follows the pixel data (an end marker of 12 bytes) is not missed.
        assert!(Image::decode(&png[..length]).is_err() || length + 12 >= png.len(), "PNG cut to {length}");
    }
    for length in 0..wav.len() {
        assert!(Pcm::decode(&wav[..length]).is_err(), "WAV cut to {length}");
    }
    for length in 0..npy.len() {
        assert!(Npy::decode(&npy[..length]).is_err(), "NPY cut to {length}");
    }
}

#[test]
fn every_flipped_bit_is_an_error_or_a_result_of_sane_size() {
    let flips = |file: &[u8], decode: &dyn Fn(&[u8])| {
        let mut bytes = file.to_vec();
        for bit in 0..file.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            decode(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    };
    let image = |bytes: &[u8]| {
        if let Ok(image) = Image::decode(bytes) {
            assert_eq!(image.pixels.len(), image.width * image.height * 3);
            // Each block of 64 pixels costs at least a bit.
            assert!(image.width * image.height <= bytes.len() * 8 * 64 || bytes.starts_with(b"\x89PNG"));
        }
    };
    for (_, file) in jpegs() {
        flips(&file, &image);
    }
    flips(&png(), &image);
    flips(&wav(), &|bytes| {
        if let Ok(pcm) = Pcm::decode(bytes) {
            assert!(pcm.samples.len() <= bytes.len() && (1..=768_000).contains(&pcm.rate));
        }
    });
    flips(&Npy::encode_f32(&[3, 4], &[1.0; 12]), &|bytes| {
        if let Ok(npy) = Npy::decode(bytes) {
            assert_eq!(npy.shape.iter().product::<usize>(), npy.to_f32().len());
        }
    });
    flips(b"ax,ay\n1.5,-2\n3,4e3\n", &|bytes| {
        if let Ok(csv) = Csv::decode(bytes) {
            assert!(csv.values.iter().all(|v| v.is_finite()) && csv.values.len() == csv.rows() * csv.channels);
        }
    });
}

/// A header that promises 8192 x 8192 pixels in 20 bytes must be refused before 192 MB are taken.
#[test]
fn a_small_file_cannot_be_a_large_picture() {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0x20, 0, 0x20, 0, 3];
    bytes.extend([1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0, 0xff, 0xd9]);
    let error = Image::decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("8192 x 8192 pixels cannot be in 23 bytes"), "{error}");
    bytes[7..11].fill(0xff);
    let error = Image::decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("number of pixels is 4294836225"), "{error}");
}

/// A gray progressive JPEG of `side x side` pixels whose blocks have no coefficient but the first, and that says so `scans` times.
fn blank(side: u16, scans: usize) -> Vec<u8> {
    let blocks = (usize::from(side) / 8).pow(2);
    let [high, low] = side.to_be_bytes();
    let mut bytes = [&[0xff, 0xd8, 0xff, 0xdb, 0, 67, 0][..], &[1; 64]].concat();
    bytes.extend([0xff, 0xc2, 0, 11, 8, high, low, high, low, 1, 1, 0x11, 0]);
    // One code of one bit each: a difference of 0 bits; the bands of 2^14 blocks and as many as the next 14 bits say are over.
    for (class, symbol) in [(0x00, 0), (0x10, 0xe0)] {
        bytes.extend([&[0xff, 0xc4, 0, 20, class, 1][..], &[0; 15], &[symbol]].concat());
    }
    bytes.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0]);
    bytes.resize(bytes.len() + blocks.div_ceil(8), 0);
    for _ in 0..scans {
        bytes.extend([0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0]);
        bytes.resize(bytes.len() + (blocks.div_ceil(1 << 14) * 15).div_ceil(8), 0);
    }
    [&bytes[..], &[0xff, 0xd9]].concat()
}

/// 199 scans of an image as large as can be took half a minute.
#[test]
fn the_scans_of_a_picture_are_bounded() {
    assert_eq!(Image::decode(&blank(512, 99)).unwrap().pixels, vec![128; 512 * 512 * 3]);
    let error = |side, scans| Image::decode(&blank(side, scans)).unwrap_err().to_string();
    assert!(error(512, 100).contains("more than 100 scans"), "{}", error(512, 100));
    let began = std::time::Instant::now();
    let large = error(8192, 40);
    assert!(large.contains("18 scans of 8192 x 8192 pixels go over"), "{large}");
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed()); // 0.1 s
}

proptest! {
    #[test]
    fn several_damaged_bytes(which in 0usize..13, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut files = jpegs();
        files.push(("png".into(), png()));
        let mut file = files.swap_remove(which).1;
        for (at, value) in damage {
            let at = at.index(file.len());
            file[at] = value;
        }
        let _ = Image::decode(&file); // no panic
    }

    #[test]
    fn bytes_of_no_meaning(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Csv::decode(&bytes);
        prop_assert!(Npy::decode(&bytes).is_err() && Pcm::decode(&bytes).is_err() && Image::decode(&bytes).is_err());
        for magic in [&b"\x93NUMPY\x01\x00"[..], b"RIFF\x00\x01\x00\x00WAVEfmt ", b"\xff\xd8\xff\xc4", b"\x89PNG\r\n\x1a\n"] {
            let file = [magic, &bytes].concat();
            let _ = (Npy::decode(&file), Pcm::decode(&file), Image::decode(&file));
        }
    }
}
