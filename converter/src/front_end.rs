//! The front end as ONNX metadata and the command line say it, as the runtime's record, and as file reading needs it.

use escarp_runtime::frontend::{self, LogMelSettings, Norm, PixelSettings, SensorSettings};

use crate::metadata::FrontEnd;

/// The runtime's form of the same settings.
pub fn of(front_end: &FrontEnd) -> frontend::FrontEnd<'_> {
    match front_end {
        // Boards have no front end for words: whoever feeds the network brings numbers.
        FrontEnd::Raw | FrontEnd::Text { .. } => frontend::FrontEnd::Raw,
        FrontEnd::Pixels { mean, std } => frontend::FrontEnd::Pixels(PixelSettings { norm: Norm::new(mean, std) }),
        FrontEnd::LogMel { sample_rate, frame, hop, fft, low_hz, high_hz, floor, frames, mean, std } => {
            frontend::FrontEnd::LogMel(LogMelSettings {
                sample_rate: *sample_rate,
                frame: *frame,
                hop: *hop,
                fft: *fft,
                frames: *frames,
                low_hz: *low_hz,
                high_hz: *high_hz,
                floor: *floor,
                norm: Norm::new(mean, std),
            })
        }
        FrontEnd::Sensor { rate, frames, mean, std, .. } => {
            frontend::FrontEnd::Sensor(SensorSettings { rate: *rate, frames: *frames, norm: Norm::new(mean, std) })
        }
    }
}

/// A model file's record as metadata; what it does not keep, the names of columns, stands there empty.
pub fn stored(front_end: &frontend::FrontEnd) -> FrontEnd {
    let both = |norm: &Norm| {
        let all = |of: fn(&Norm, usize) -> f32| (0..norm.len()).map(|c| of(norm, c)).collect::<Vec<f32>>();
        (all(|n, c| n.mean(c)), all(|n, c| n.std(c)))
    };
    match front_end {
        frontend::FrontEnd::Raw => FrontEnd::Raw,
        frontend::FrontEnd::Pixels(PixelSettings { norm }) => {
            let (mean, std) = both(norm);
            FrontEnd::Pixels { mean, std }
        }
        frontend::FrontEnd::LogMel(s) => {
            let (mean, std) = both(&s.norm);
            FrontEnd::LogMel {
                sample_rate: s.sample_rate,
                frame: s.frame,
                hop: s.hop,
                fft: s.fft,
                low_hz: s.low_hz,
                high_hz: s.high_hz,
                floor: s.floor,
                frames: s.frames,
                mean,
                std,
            }
        }
        frontend::FrontEnd::Sensor(s) => {
            let (mean, std) = both(&s.norm);
            FrontEnd::Sensor { rate: s.rate, frames: s.frames, mean, std, columns: vec![] }
        }
    }
}

/// Which columns of a CSV file are channels, if the front end says so.
pub fn columns(front_end: &FrontEnd) -> &[String] {
    if let FrontEnd::Sensor { columns, .. } = front_end { columns } else { &[] }
}

/// The values that a front end can produce, where it bounds them: pixels have 256 each.
pub fn range(front_end: &FrontEnd) -> Option<(f32, f32)> {
    let frontend::FrontEnd::Pixels(settings) = of(front_end) else { return None };
    let ends = (0..settings.norm.len()).flat_map(|c| [settings.value(0, c), settings.value(255, c)]);
    let ends: Vec<f32> = ends.filter(|v| v.is_finite()).collect();
    let low = ends.iter().copied().reduce(f32::min)?;
    Some((low, ends.iter().copied().reduce(f32::max)?))
}

/// What a network takes for an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    /// For each channel, red first.
    pub front_end: FrontEnd,
    /// The network's channels are blue, green, red.
    pub bgr: bool,
}

/// `--pixels 0..255`, `0..1` or `mean=R,G,B,std=R,G,B` for a network of that many channels.
///
/// # Errors
/// What is wrong, and what is allowed.
pub fn parse_pixels(text: &str, channels: usize) -> Result<Pixels, String> {
    let (text, bgr) = match text.strip_prefix("bgr:") {
        Some(_) if channels != 3 => return Err(format!("`{text}`: the network has {channels} channels, not 3")),
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let mut front_end = parse_rgb(text, channels)?;
    if let (true, FrontEnd::Pixels { mean, std }) = (bgr, &mut front_end) {
        mean.reverse();
        std.reverse();
    }
    Ok(Pixels { front_end, bgr })
}

fn parse_rgb(text: &str, channels: usize) -> Result<FrontEnd, String> {
    let all = |mean: f32, std: f32| FrontEnd::Pixels { mean: vec![mean; channels], std: vec![std; channels] };
    let allowed = "allowed: 0..255, 0..1, mean=R,G,B,std=R,G,B (in units of 0..1, one number for each channel), \
                   and before any of them bgr: where the network takes blue first (its numbers then in that order too)";
    match text {
        "0..255" => return Ok(all(0.0, 1.0 / 255.0)),
        "0..1" => return Ok(all(0.0, 1.0)),
        _ => {}
    }
    let lists = text.strip_prefix("mean=").and_then(|t| t.split_once(",std="));
    let (mean, std) = lists.ok_or_else(|| format!("`{text}`; {allowed}"))?;
    let numbers = |list: &str| -> Result<Vec<f32>, String> {
        let numbers: Result<Vec<f32>, _> = list.split(',').map(|n| n.trim().parse()).collect();
        let numbers = numbers.map_err(|_| format!("`{list}` is no list of numbers; {allowed}"))?;
        if numbers.len() != channels {
            return Err(format!("`{list}` has {} numbers; the network has {channels} channels", numbers.len()));
        }
        Ok(numbers)
    };
    let (mean, std) = (numbers(mean)?, numbers(std)?);
    if let Some(v) = mean.iter().find(|m| !m.is_finite()).or(std.iter().find(|s| !(s.is_finite() && **s > 0.0))) {
        return Err(format!("`{v}`: means must be finite, deviations finite and above 0"));
    }
    Ok(FrontEnd::Pixels { mean, std })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixel_settings() {
        let parse_pixels = |text, channels| super::parse_pixels(text, channels).map(|p| p.front_end);
        let raw = parse_pixels("0..255", 3).unwrap();
        assert_eq!(range(&raw), Some((0.0, 255.0)));
        assert_eq!(range(&parse_pixels("0..1", 1).unwrap()), Some((0.0, 1.0)));
        let torch = parse_pixels("mean=0.485,0.456,0.406,std=0.229,0.224,0.225", 3).unwrap();
        let (low, high) = range(&torch).unwrap();
        assert!((low + 2.1179).abs() < 1e-3 && (high - 2.64).abs() < 1e-3, "{low} {high}");
        let opencv = super::parse_pixels("bgr:mean=0.1,0.2,0.3,std=1,2,3", 3).unwrap();
        assert_eq!(opencv.front_end, FrontEnd::Pixels { mean: vec![0.3, 0.2, 0.1], std: vec![3.0, 2.0, 1.0] });
        assert!(opencv.bgr && super::parse_pixels("bgr:0..1", 1).is_err());
        for bad in ["", "0..2", "mean=1,2,std=1,1,1", "mean=0,0,0,std=0,1,1", "mean=a,0,0,std=1,1,1", "mean=0,0,0"] {
            assert!(parse_pixels(bad, 3).is_err(), "{bad}");
        }
    }
}
