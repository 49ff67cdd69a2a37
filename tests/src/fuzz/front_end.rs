//! Any bytes as a front end's settings, and what follows them as sound, pixels or sensor samples.

use escarp_runtime::frontend::{
    Error, FrontEnd, LogMel, LogMelSettings, PixelSettings, Pixels, Sensor, SensorSettings, quantize,
};

/// More frames than this say nothing more about the arithmetic.
const MOST_FRAMES: u16 = 64;

/// The target.
pub fn run(data: &[u8]) {
    // The settings say how long they are; the rest is data.
    let (settings, data) = match FrontEnd::parse(data) {
        Err(Error::Length { needed, .. }) if needed <= data.len() => data.split_at(needed),
        _ => (data, &[][..]),
    };
    let Ok(front_end) = FrontEnd::parse(settings) else { return };
    let mut again = vec![0; front_end.emitted_len()];
    front_end.emit(&mut again).expect("what was read can be written");
    assert_eq!(again, settings, "what is written is what was read");
    match front_end {
        FrontEnd::Raw => {}
        FrontEnd::Pixels(settings) => pixels(&settings, data),
        FrontEnd::LogMel(settings) => sound(&settings, data),
        FrontEnd::Sensor(settings) => sensor(&settings, data),
    }
}

/// A scale and a zero point, from the data.
fn scale(data: &[u8]) -> (f32, i8) {
    let [a, b, c, d, zero, ..] = *data else { return (0.05, -3) };
    (f32::from_le_bytes([a, b, c, d]), zero.cast_signed())
}

fn pixels(settings: &PixelSettings, data: &[u8]) {
    let (scale, zero_point) = scale(data);
    let Ok(tables) = Pixels::new(settings, scale, zero_point) else { return };
    let data = &data[..data.len() / settings.norm.len() * settings.norm.len()];
    let (mut floats, mut bytes) = (vec![0.0; data.len()], vec![0; data.len()]);
    settings.normalize(data, &mut floats).expect("whole pixels");
    tables.quantize(data, &mut bytes).expect("whole pixels");
    assert!(floats.iter().all(|v| !v.is_nan()), "a pixel has become NaN");
    assert!(floats.iter().zip(&bytes).all(|(&v, &q)| quantize(v, scale, zero_point) == q));
}

fn sound(settings: &LogMelSettings, data: &[u8]) {
    let pcm: Vec<i16> = data.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b)).collect();
    let mut mel = LogMel::new(settings).expect("settings that were read");
    let mut pieces = mel.clone();
    let (mut rest, mut later) = (&pcm[..], &pcm[..]);
    while let Some(values) = mel.push(&mut rest) {
        assert!(values.iter().all(|v| !v.is_nan()), "a band has become NaN");
        let same = loop {
            // Samples one by one give the same frames.
            let (mut one, rest) = later.split_at(1);
            later = rest;
            if let Some(values) = pieces.push(&mut one) {
                break values;
            }
        };
        assert_eq!(values, same);
    }
    if settings.frames <= MOST_FRAMES {
        let mut out = vec![0.0; usize::from(settings.frames) * settings.norm.len()];
        let mut bytes = vec![0; out.len()];
        mel.clip_f32(&pcm, &mut out).expect("a whole clip");
        mel.clip_i8(&pcm, 0.05, 3, &mut bytes).expect("a whole clip");
        assert!(out.iter().zip(&bytes).all(|(&v, &q)| !v.is_nan() && quantize(v, 0.05, 3) == q));
    }
}

fn sensor(settings: &SensorSettings, data: &[u8]) {
    let (channels, frames) = (settings.norm.len(), usize::from(settings.frames));
    let samples: Vec<f32> = data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let mut ring = vec![f32::NAN; frames * channels];
    let mut sensor = Sensor::new(settings, &mut ring).expect("settings that were read");
    let mut taken: Vec<f32> = Vec::new();
    for frame in samples.chunks_exact(channels) {
        if let Ok(full) = sensor.push(frame) {
            taken.extend((0..channels).map(|c| settings.norm.apply(c, frame[c])));
            assert_eq!(full, taken.len() >= frames * channels);
        } else {
            assert!(frame.iter().any(|v| !v.is_finite()), "a sound frame was refused");
        }
    }
    let last = &taken[taken.len().saturating_sub(frames * channels)..];
    assert!(sensor.values().eq(last.iter().copied()), "the window is not the last frames");
    assert!(last.iter().all(|v| !v.is_nan()), "a sample has become NaN");
    let mut bytes = vec![0; frames * channels];
    let (scale, zero_point) = scale(data);
    assert_eq!(sensor.quantize(scale, zero_point, &mut bytes).is_ok(), last.len() == bytes.len());
}
