//! Files of every kind as the input of networks with every front end.

use escarp_media::{Image, InputReader, InputShape, Kind, Npy, Pcm};
use escarp_runtime::frontend::{FrontEnd, LogMel, LogMelSettings, Norm, PixelSettings, SensorSettings};

const RGB: InputShape = InputShape { steps: 1, height: 2, width: 2, channels: 3 };
const VECTOR: InputShape = InputShape { steps: 1, height: 1, width: 1, channels: 4 };
const PIXELS: FrontEnd = FrontEnd::Pixels(PixelSettings { norm: Norm::new(&[0.0; 3], &[1.0; 3]) });
const SENSOR: FrontEnd =
    FrontEnd::Sensor(SensorSettings { rate: 50.0, frames: 2, norm: Norm::new(&[1.0, 2.0], &[2.0, 4.0]) });
const MEL: LogMelSettings = LogMelSettings {
    sample_rate: 8000,
    frame: 64,
    hop: 32,
    fft: 64,
    frames: 5,
    low_hz: 0.0,
    high_hz: 4000.0,
    floor: 1e-6,
    norm: Norm::new(&[0.0; 8], &[1.0; 8]),
};

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

#[test]
fn images() {
    let reader = InputReader::new(PIXELS, RGB).unwrap();
    assert_eq!(reader.kind(), Kind::Image);
    let image = Image { width: 2, height: 2, pixels: (0..12).map(|i| i * 20).collect() };
    let want: Vec<f32> = image.pixels.iter().map(|&p| f32::from(p) / 255.0).collect();
    let png = image.encode_png().unwrap();
    assert_eq!(reader.floats("x.png", &png).unwrap(), want);
    assert_eq!(reader.floats("-", &png).unwrap(), want, "by its first bytes");
    assert_eq!(reader.floats("-", &image.pixels).unwrap(), want, "raw pixels");
    assert_eq!(reader.floats("x.npy", &npy("|u1", "(2, 2, 3)", &image.pixels)).unwrap(), want);
    assert_eq!(reader.floats("x.npy", &Npy::encode_f32(&[1, 2, 2, 3], &want)).unwrap(), want);
    let quantized = reader.quantized("x.png", &png, 1.0 / 255.0, -128).unwrap();
    assert!(quantized.iter().zip(&image.pixels).all(|(&q, &p)| i16::from(q) + 128 == p.into()));

    let gray = FrontEnd::Pixels(PixelSettings { norm: Norm::new(&[0.0], &[1.0 / 255.0]) });
    let reader = InputReader::new(gray, InputShape { channels: 1, ..RGB }).unwrap();
    assert_eq!(reader.floats("x.png", &png).unwrap()[0], 16.0); // (587 * 20 + 114 * 40 + 500) / 1000
}

#[test]
fn sound() {
    let front_end = FrontEnd::LogMel(MEL);
    let reader = InputReader::new(front_end, InputShape { steps: 5, height: 1, width: 1, channels: 8 }).unwrap();
    let samples: Vec<i16> = (0..150).map(|i| (i * 7919 % 4001) as i16 - 2000).collect();
    let mut want = [0.0; 40];
    LogMel::new(&MEL).unwrap().clip_f32(&samples, &mut want).unwrap();
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let pcm = Pcm { rate: 8000, samples };
    assert_eq!(reader.floats("x.wav", &pcm.encode().unwrap()).unwrap(), want);
    assert_eq!(reader.floats("-", &bytes).unwrap(), want);
    assert_eq!(reader.floats("x.npy", &npy("<i2", "(150,)", &bytes)).unwrap(), want);
    assert_eq!(reader.floats("x.npy", &Npy::encode_f32(&[5, 8], &want)).unwrap(), want);
    let slower = Pcm { rate: 4000, ..pcm.clone() };
    let mut doubled = [0.0; 40];
    LogMel::new(&MEL).unwrap().clip_f32(&slower.clone().at_rate(8000).unwrap().samples, &mut doubled).unwrap();
    assert_eq!(reader.floats("x.wav", &slower.encode().unwrap()).unwrap(), doubled);
    // A feed-forward network takes the frames as rows.
    assert!(InputReader::new(front_end, InputShape { steps: 1, height: 5, width: 8, channels: 1 }).is_ok());
}

#[test]
fn tables() {
    let shape = InputShape { steps: 2, height: 1, width: 1, channels: 2 };
    let reader = InputReader::new(SENSOR, shape).unwrap();
    let want = [0.0, 1.0, 1.0, 2.0];
    assert_eq!(reader.floats("x.csv", b"a,b\n1,6\n3,10\n99,99\n").unwrap(), want);
    // What a net that answers every frame learned from can be asked about: the classes are no channel.
    assert_eq!(reader.floats("x.csv", b"a,label,b\n1,up,6\n3,up,10\n").unwrap(), want);
    let bytes: Vec<u8> = [1f32, 6.0, 3.0, 10.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(reader.floats("-", &bytes).unwrap(), want);
    let raw = InputReader::new(FrontEnd::Raw, VECTOR).unwrap();
    assert_eq!(raw.floats("x.csv", b"1,6\n3,10\n").unwrap(), [1.0, 6.0, 3.0, 10.0]);
    assert_eq!(raw.floats("-", &bytes).unwrap(), [1.0, 6.0, 3.0, 10.0]);
    assert_eq!(raw.quantized("-", &[255, 0, 1, 128], 0.5, 3).unwrap(), [-1, 0, 1, -128], "int8 already");
}

#[test]
fn batches() {
    let reader = InputReader::new(PIXELS, RGB).unwrap();
    let batch = |descr, shape, data: &[u8]| reader.batch(&Npy::decode(&npy(descr, shape, data)).unwrap());
    assert_eq!(batch("|u1", "(2, 2, 2, 3)", &[255; 24]).unwrap(), [1.0; 24]);
    assert_eq!(batch("|i1", "(1, 12)", &[5; 12]).unwrap(), [5.0; 12]);
    assert!(batch("|u1", "(24,)", &[0; 24]).is_err(), "not one sample for each of the first axis");
    assert!(batch("|u1", "(13,)", &[0; 13]).is_err());
    assert!(batch("|u1", "(0, 2, 2, 3)", &[]).is_err());
    let nan = batch("<f4", "(12,)", &[255; 48]).unwrap_err().to_string();
    assert!(nan.contains("element 0 is NaN"), "{nan}");
}

#[test]
fn arrays_in_planes() {
    let shape = InputShape { steps: 1, height: 1, width: 2, channels: 3 };
    let reader = InputReader::new(PIXELS, shape).unwrap();
    let decode = |shape: &[usize], values: &[f32]| Npy::decode(&Npy::encode_f32(shape, values)).unwrap();
    let planes = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]; // red 1 4, green 2 5, blue 3 6
    let pixels = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    assert_eq!(reader.batch(&decode(&[1, 3, 1, 2], &planes)).unwrap(), pixels);
    assert_eq!(reader.batch(&decode(&[3, 2], &planes)).unwrap(), pixels, "an axis of 1 left out");
    assert_eq!(reader.batch(&decode(&[1, 1, 2, 3], &pixels)).unwrap(), pixels);
    assert_eq!(reader.floats("x.npy", &Npy::encode_f32(&[3, 1, 2], &planes)).unwrap(), pixels);
    let two = [planes, planes].concat();
    assert_eq!(reader.batch(&decode(&[2, 3, 1, 2], &two)).unwrap(), [pixels, pixels].concat());
    assert!(reader.batch(&decode(&[2, 2, 1, 3], &two)).is_ok(), "[n, width, height, channels] with a height of 1");
    assert!(reader.batch(&decode(&[3, 2, 2], &two)).is_err());
    let bytes = npy("|u1", "(3, 1, 2)", &[255, 0, 0, 255, 0, 0]);
    assert_eq!(reader.floats("x.npy", &bytes).unwrap(), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn what_does_not_fit_is_named() {
    let reader = InputReader::new(PIXELS, RGB).unwrap();
    let error = |name, bytes: &[u8]| reader.floats(name, bytes).unwrap_err().to_string();
    assert!(error("x", &[0; 11]).contains("11 bytes of no known format given; this network takes a JPEG or PNG"));
    assert!(error("x.jpg", &[0; 12]).contains("must start as JPEG"), "the name says what it should be");
    assert!(error("x.csv", b"1,2\n").contains("1 rows of 2 columns given"));
    let wav = Pcm { rate: 8000, samples: vec![0; 10] }.encode().unwrap();
    assert!(error("x", &wav).contains("sound given"));
    let sensor = InputReader::new(SENSOR, InputShape { steps: 2, height: 1, width: 1, channels: 2 }).unwrap();
    assert!(sensor.floats("x.csv", b"1,2\n").unwrap_err().to_string().contains("at least 2 rows"));
    assert!(sensor.floats("x.csv", b"1,2,3\n1,2,3\n").is_err());
    for (front_end, shape) in [
        (PIXELS, InputShape { channels: 1, ..RGB }),
        (PIXELS, InputShape { steps: 2, ..RGB }),
        (SENSOR, VECTOR),
        (FrontEnd::LogMel(MEL), RGB),
    ] {
        let fits = InputReader::new(front_end, shape);
        assert_eq!(fits.is_ok(), front_end == SENSOR, "{front_end:?}"); // 2 frames x 2 channels are 4 features
    }
}
