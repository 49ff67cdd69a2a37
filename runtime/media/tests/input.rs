//! Files of every kind as the input of networks with every front end.

use escarp_media::{Error, Image, InputReader, InputShape, Kind, Npy, Pcm};
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

/// The only input in a file.
fn one(reader: &InputReader, name: &str, bytes: &[u8]) -> Result<Vec<f32>, Error> {
    let content = reader.read(name, bytes)?;
    assert_eq!(content.count(), 1);
    reader.floats(&content, 0)
}

fn int8(reader: &InputReader, name: &str, bytes: &[u8], scale: f32, zero_point: i8) -> Vec<i8> {
    reader.quantized(&reader.read(name, bytes).unwrap(), 0, scale, zero_point).unwrap()
}

#[test]
fn images() {
    let reader = InputReader::new(PIXELS, RGB).unwrap();
    assert_eq!(reader.kind(), Kind::Image);
    let image = Image { width: 2, height: 2, pixels: (0..12).map(|i| i * 20).collect() };
    let want: Vec<f32> = image.pixels.iter().map(|&p| f32::from(p) / 255.0).collect();
    let png = image.encode_png().unwrap();
    assert_eq!(one(&reader, "x.png", &png).unwrap(), want);
    assert_eq!(one(&reader, "-", &png).unwrap(), want, "by its first bytes");
    assert_eq!(one(&reader, "-", &image.pixels).unwrap(), want, "raw pixels");
    assert_eq!(one(&reader, "x.npy", &npy("|u1", "(2, 2, 3)", &image.pixels)).unwrap(), want);
    assert_eq!(one(&reader, "x.npy", &Npy::encode_f32(&[1, 2, 2, 3], &want)).unwrap(), want);
    let quantized = int8(&reader, "x.png", &png, 1.0 / 255.0, -128);
    assert!(quantized.iter().zip(&image.pixels).all(|(&q, &p)| i16::from(q) + 128 == p.into()));

    let gray = FrontEnd::Pixels(PixelSettings { norm: Norm::new(&[0.0], &[1.0 / 255.0]) });
    let reader = InputReader::new(gray, InputShape { channels: 1, ..RGB }).unwrap();
    assert_eq!(one(&reader, "x.png", &png).unwrap()[0], 16.0); // (587 * 20 + 114 * 40 + 500) / 1000
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
    assert_eq!(one(&reader, "x.wav", &pcm.encode().unwrap()).unwrap(), want);
    assert_eq!(one(&reader, "-", &bytes).unwrap(), want);
    assert_eq!(one(&reader, "x.npy", &npy("<i2", "(150,)", &bytes)).unwrap(), want);
    assert_eq!(one(&reader, "x.npy", &Npy::encode_f32(&[5, 8], &want)).unwrap(), want);
    let slower = Pcm { rate: 4000, ..pcm.clone() };
    let mut doubled = [0.0; 40];
    LogMel::new(&MEL).unwrap().clip_f32(&slower.clone().at_rate(8000).unwrap().samples, &mut doubled).unwrap();
    let slower = reader.read("x.wav", &slower.encode().unwrap()).unwrap();
    assert_eq!((slower.count(), reader.floats(&slower, 0).unwrap()), (2, doubled.to_vec()), "300 samples at 8 kHz");
    // A feed-forward network takes the frames as rows.
    assert!(InputReader::new(front_end, InputShape { steps: 1, height: 5, width: 8, channels: 1 }).is_ok());
}

#[test]
fn tables() {
    let shape = InputShape { steps: 2, height: 1, width: 1, channels: 2 };
    let reader = InputReader::new(SENSOR, shape).unwrap();
    let want = [0.0, 1.0, 1.0, 2.0];
    assert_eq!(one(&reader, "x.csv", b"a,b\n1,6\n3,10\n").unwrap(), want);
    // What a net that answers every frame learned from can be asked about: the classes are no channel.
    assert_eq!(one(&reader, "x.csv", b"a,label,b\n1,up,6\n3,up,10\n").unwrap(), want);
    let bytes: Vec<u8> = [1f32, 6.0, 3.0, 10.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(one(&reader, "-", &bytes).unwrap(), want);
    let raw = InputReader::new(FrontEnd::Raw, VECTOR).unwrap();
    assert_eq!(one(&raw, "x.csv", b"1,6\n3,10\n").unwrap(), [1.0, 6.0, 3.0, 10.0]);
    assert_eq!(one(&raw, "-", &bytes).unwrap(), [1.0, 6.0, 3.0, 10.0]);
    assert_eq!(int8(&raw, "-", &[255, 0, 1, 128], 0.5, 3), [-1, 0, 1, -128], "int8 already");
}

/// A recording of more frames than the network takes was decided on by its first window alone.
#[test]
fn recordings_are_heard_to_their_end() {
    let shape = InputShape { steps: 2, height: 1, width: 1, channels: 2 };
    let reader = InputReader::new(SENSOR, shape).unwrap();
    let content = reader.read("x.csv", b"a,b\n1,6\n3,10\n5,14\n7,18\n").unwrap();
    let inputs: Vec<_> = (0..content.count()).map(|i| reader.floats(&content, i).unwrap()).collect();
    assert_eq!(inputs, [[0.0, 1.0, 1.0, 2.0], [1.0, 2.0, 2.0, 3.0], [2.0, 3.0, 3.0, 4.0]]);
    assert!(reader.floats(&content, 3).is_err());

    let sound = InputShape { steps: 5, height: 1, width: 1, channels: 8 };
    let reader = InputReader::new(FrontEnd::LogMel(MEL), sound).unwrap();
    let samples: Vec<i16> = (0..500).map(|i| (i * 7919 % 4001) as i16 - 2000).collect();
    let wav = Pcm { rate: 8000, samples: samples.clone() }.encode().unwrap();
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    for file in [&wav, &bytes, &npy("<i2", "(500,)", &bytes)] {
        let content = reader.read("-", file).unwrap();
        let windows = *content.windows().unwrap();
        // 14 frames of 64 samples every 32; 5 in a window: 0, 3, 6, 9.
        assert_eq!((content.count(), windows.range(3)), (4, 288..480));
        let mut want = [0.0; 40];
        LogMel::new(&MEL).unwrap().clip_f32(&samples[192..], &mut want).unwrap();
        assert_eq!(reader.floats(&content, 2).unwrap(), want);
    }
    let two = reader.read("x.npy", &npy("<i2", "(2, 250)", &bytes)).unwrap_err().to_string();
    assert!(two.contains("i16 of shape [2, 250]"), "{two}");
}

#[test]
fn tables_are_read_by_the_names_of_their_columns() {
    let shape = InputShape { steps: 2, height: 1, width: 1, channels: 2 };
    let named = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        InputReader::new(SENSOR, shape).unwrap().with_columns(&names)
    };
    let (reader, want) = (named(&["a", "b"]).unwrap(), [0.0, 1.0, 1.0, 2.0]);
    let first = |reader: &InputReader, text: &str| {
        let content = reader.read("x.csv", text.as_bytes()).map_err(|e| e.to_string())?;
        reader.floats(&content, 0).map_err(|e| e.to_string())
    };
    let read = |text: &str| first(&reader, text);
    assert_eq!(read("time,b,a\n12:30,6,1\n12:31,10,3\n").unwrap(), want);
    assert_eq!(read("1,6\n3,10\n").unwrap(), want, "no names, but as many columns");
    assert_eq!(first(&named(&["3", "1"]).unwrap(), "6,0,1\n10,0,3\n").unwrap(), want);
    assert!(read("a,c\n1,6\n3,10\n").unwrap_err().contains("no column `b`; there are: a, c"));
    assert!(read("0,1,6\n1,3,10\n").unwrap_err().contains("3 columns and no header line"));
    let short = read("a,b\n1,6\n").unwrap_err();
    assert!(
        short.contains("1 rows of 2 columns (a, b) given") && short.contains("a CSV of 2 columns (a, b)"),
        "{short}"
    );
    assert!(named(&["a"]).unwrap_err().to_string().contains("1 names of columns given; the network takes 2"));
}

#[test]
fn batches() {
    let reader = InputReader::new(PIXELS, RGB).unwrap();
    let batch = |descr, shape, data: &[u8]| reader.batch(&Npy::decode(&npy(descr, shape, data)).unwrap());
    assert_eq!(batch("|u1", "(2, 2, 2, 3)", &[255; 24]).unwrap(), [1.0; 24]);
    assert_eq!(batch("|i1", "(1, 12)", &[5; 12]).unwrap(), [5.0; 12]);
    assert_eq!(reader.read("x.npy", &npy("|i1", "(3, 12)", &[5; 36])).unwrap().count(), 3);
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
    assert_eq!(one(&reader, "x.npy", &Npy::encode_f32(&[3, 1, 2], &planes)).unwrap(), pixels);
    let two = [planes, planes].concat();
    assert_eq!(reader.batch(&decode(&[2, 3, 1, 2], &two)).unwrap(), [pixels, pixels].concat());
    assert!(reader.batch(&decode(&[2, 2, 1, 3], &two)).is_ok(), "[n, width, height, channels] with a height of 1");
    assert!(reader.batch(&decode(&[3, 2, 2], &two)).is_err());
    let bytes = npy("|u1", "(3, 1, 2)", &[255, 0, 0, 255, 0, 0]);
    assert_eq!(one(&reader, "x.npy", &bytes).unwrap(), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn what_does_not_fit_is_named() {
    let reader = InputReader::new(PIXELS, RGB).unwrap();
    let error = |name, bytes: &[u8]| one(&reader, name, bytes).unwrap_err().to_string();
    assert!(error("x", &[0; 11]).contains("11 bytes of no known format given; this network takes a JPEG or PNG"));
    assert!(error("x.jpg", &[0; 12]).contains("must start as JPEG"), "the name says what it should be");
    assert!(error("x.csv", b"1,2\n").contains("1 rows of 2 columns given"));
    let wav = Pcm { rate: 8000, samples: vec![0; 10] }.encode().unwrap();
    assert!(error("x", &wav).contains("sound given"));
    let sensor = InputReader::new(SENSOR, InputShape { steps: 2, height: 1, width: 1, channels: 2 }).unwrap();
    assert!(one(&sensor, "x.csv", b"1,2\n").unwrap_err().to_string().contains("at least 2 rows"));
    assert!(one(&sensor, "x.csv", b"1,2,3\n1,2,3\n").is_err());
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
