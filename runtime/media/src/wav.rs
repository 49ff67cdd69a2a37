//! WAV files, as mono 16-bit samples.

use hound::{SampleFormat, WavReader};

use crate::{Error, fence};

/// Highest sample rate believed, Hz: twice the highest that recorders offer.
pub const MAX_RATE: u32 = 768_000;

/// Largest ratio between two rates that is resampled; it bounds the filter's length.
const MAX_RATIO: u32 = 100;

/// Most mono samples, as read or as resampled: 256 MiB, two hours at 16 kHz.
const MAX_SAMPLES: u64 = 1 << 27;

/// Most channels believed.
const MAX_CHANNELS: u16 = 64;

/// Mono sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcm {
    /// Samples a second.
    pub rate: u32,
    /// Full scale is -32768..=32767.
    pub samples: Vec<i16>,
}

impl Pcm {
    /// Decodes a WAV of 8, 16, 24 or 32-bit integers or 32-bit floats; channels are averaged, then rounded to 16 bits
    /// (half up). Floats count -1..1 as full scale; what lies outside is limited.
    ///
    /// # Errors
    /// [`Error::Wav`] for corrupt or cut headers, data shorter than the header says, a rate of 0 or above [`MAX_RATE`], no
    /// or too many channels, no samples, NaN or infinite floats; [`Error::Limit`] beyond 2^27 samples.
    pub fn decode(bytes: &[u8]) -> Result<Pcm, Error> {
        let cannot = |panic| Err(format!("the decoder cannot cope with it: {panic}"));
        let pcm = fence(|| decode(bytes)).unwrap_or_else(cannot).map_err(Error::Wav)?;
        check_count(pcm.samples.len() as u64)?;
        Ok(pcm)
    }

    /// This sound at another rate, unchanged if it already has it.
    ///
    /// # Errors
    /// [`Error::Wav`] if either rate is 0 or above [`MAX_RATE`], or one more than 100 times the other; [`Error::Limit`] if
    /// more than 2^27 samples would come out.
    pub fn at_rate(self, rate: u32) -> Result<Pcm, Error> {
        check_rate(rate).map_err(Error::Wav)?;
        check_rate(self.rate).map_err(Error::Wav)?;
        if rate == self.rate {
            return Ok(self);
        }
        if rate.max(self.rate) / rate.min(self.rate) >= MAX_RATIO {
            let what = format!("cannot resample from {} to {rate} Hz: at most by a factor of {MAX_RATIO}", self.rate);
            return Err(Error::Wav(what));
        }
        check_count(self.samples.len() as u64 * u64::from(rate) / u64::from(self.rate))?;
        Ok(Pcm { rate, samples: crate::resample(&self.samples, self.rate, rate) })
    }

    /// Writes a 16-bit mono WAV.
    ///
    /// # Errors
    /// [`Error::Wav`] beyond 4 GiB.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: self.rate,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut write = || -> Result<(), hound::Error> {
            let mut writer = hound::WavWriter::new(&mut bytes, spec)?;
            self.samples.iter().try_for_each(|&s| writer.write_sample(s))?;
            writer.finalize()
        };
        write().map_err(|e| Error::Wav(e.to_string()))?;
        Ok(bytes.into_inner())
    }
}

fn check_rate(rate: u32) -> Result<(), String> {
    if rate == 0 || rate > MAX_RATE {
        return Err(format!("a sample rate of {rate} Hz; 1 to {MAX_RATE} are possible"));
    }
    Ok(())
}

fn check_count(value: u64) -> Result<(), Error> {
    if value > MAX_SAMPLES {
        return Err(Error::Limit { what: "number of samples", value, max: MAX_SAMPLES });
    }
    Ok(())
}

fn decode(bytes: &[u8]) -> Result<Pcm, String> {
    let text = |e: hound::Error| match e {
        hound::Error::IoError(_) => format!("ends too early, after {} bytes", bytes.len()),
        other => other.to_string(),
    };
    let mut reader = WavReader::new(bytes).map_err(text)?;
    let spec = reader.spec();
    check_rate(spec.sample_rate)?;
    if spec.channels == 0 || spec.channels > MAX_CHANNELS {
        return Err(format!("{} channels; 1 to {MAX_CHANNELS} are supported", spec.channels));
    }
    let bits = u32::from(spec.bits_per_sample);
    let mono = match spec.sample_format {
        SampleFormat::Int if matches!(bits, 8 | 16 | 24 | 32) => {
            let samples = reader.samples::<i32>().map(|s| Ok(i64::from(s.map_err(text)?) << (32 - bits)));
            mix(samples, spec.channels)?
        }
        SampleFormat::Float if bits == 32 => {
            let samples = reader.samples::<f32>().enumerate().map(|(i, s)| {
                let s = s.map_err(text)?;
                if !s.is_finite() {
                    return Err(format!("sample {i} is {s}"));
                }
                // Full scale 1.0 is 2^31; the cast saturates.
                Ok(libm::floor(f64::from(s) * 2_147_483_648.0 + 0.5).clamp(-(2f64.powi(40)), 2f64.powi(40)) as i64)
            });
            mix(samples, spec.channels)?
        }
        format => {
            return Err(format!("{bits}-bit {format:?} samples; 8, 16, 24, 32-bit Int and 32-bit Float are supported"));
        }
    };
    if mono.is_empty() {
        return Err("no samples".into());
    }
    Ok(Pcm { rate: spec.sample_rate, samples: mono })
}

/// Averages the channels of samples with full scale 2^31 and rounds to 16 bits, both in one rounding.
fn mix(samples: impl Iterator<Item = Result<i64, String>>, channels: u16) -> Result<Vec<i16>, String> {
    let unit = i64::from(channels) << 16; // one step of the result
    let mut mono = Vec::new();
    let (mut sum, mut have) = (0i64, 0u16);
    for sample in samples {
        sum += sample?;
        have += 1;
        if have == channels {
            mono.push((sum + unit / 2).div_euclid(unit).clamp(i16::MIN.into(), i16::MAX.into()) as i16);
            (sum, have) = (0, 0);
        }
    }
    if have != 0 {
        return Err(format!("the last frame has {have} of {channels} channels"));
    }
    Ok(mono)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(channels: u16, rate: u32, bits: u16, format: u16, data: &[u8]) -> Vec<u8> {
        let block = channels * bits / 8;
        let mut b = b"RIFF".to_vec();
        b.extend_from_slice(&(36 + data.len() as u32).to_le_bytes());
        b.extend_from_slice(b"WAVEfmt \x10\0\0\0");
        b.extend_from_slice(&format.to_le_bytes());
        b.extend_from_slice(&channels.to_le_bytes());
        b.extend_from_slice(&rate.to_le_bytes());
        b.extend_from_slice(&(rate.wrapping_mul(block.into())).to_le_bytes());
        b.extend_from_slice(&block.to_le_bytes());
        b.extend_from_slice(&bits.to_le_bytes());
        b.extend_from_slice(b"data");
        b.extend_from_slice(&(data.len() as u32).to_le_bytes());
        b.extend_from_slice(data);
        b
    }

    #[test]
    fn every_sample_format_reaches_16_bits() {
        let decode = |bits, format, data: &[u8]| Pcm::decode(&wav(1, 8000, bits, format, data)).unwrap().samples;
        assert_eq!(decode(8, 1, &[0, 128, 255]), [-32768, 0, 127 << 8]);
        assert_eq!(decode(16, 1, &[0, 0x80, 1, 0]), [-32768, 1]);
        assert_eq!(decode(24, 1, &[0x7f, 1, 0, 0x80, 1, 0, 0xff, 0xff, 0x7f]), [1, 2, 32767]); // 1.49.. and 1.5 steps
        assert_eq!(decode(32, 1, &[0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0x7f]), [-32768, 32767]);
        let floats: Vec<u8> = [0.5f32, -1.0, 2.0, 1.0 / 65536.0].iter().flat_map(|f| f.to_le_bytes()).collect();
        assert_eq!(decode(32, 3, &floats), [16384, -32768, 32767, 1]);
    }

    #[test]
    fn channels_are_averaged_before_rounding() {
        let pcm = Pcm::decode(&wav(2, 8000, 16, 1, &[1, 0, 2, 0, 0xff, 0xff, 0xfe, 0xff])).unwrap();
        assert_eq!(pcm.samples, [2, -1]); // 1.5 -> 2, -1.5 -> -1
    }

    #[test]
    fn impossible_headers_are_named() {
        let error = |bytes: &[u8]| Pcm::decode(bytes).unwrap_err().to_string();
        assert!(error(&wav(1, 0, 16, 1, &[0, 0])).contains("0 Hz"));
        assert!(error(&wav(1, 4_000_000, 16, 1, &[0, 0])).contains("4000000 Hz"));
        assert!(error(&wav(1, 8000, 16, 1, &[])).contains("no samples"));
        assert!(error(&wav(1, 8000, 32, 3, &f32::NAN.to_le_bytes())).contains("sample 0 is NaN"));
        assert!(Pcm::decode(&wav(0, 8000, 16, 1, &[0, 0])).is_err());
        assert!(Pcm::decode(&wav(1, 8000, 64, 3, &[0; 8])).is_err());
        assert!(Pcm::decode(b"RIFF").is_err());
    }

    #[test]
    fn impossible_resampling_is_refused() {
        let error = |from, to, count| Pcm { rate: from, samples: vec![0; count] }.at_rate(to).unwrap_err().to_string();
        assert!(error(8000, 0, 1).contains("0 Hz"));
        assert!(error(0, 8000, 1).contains("0 Hz"));
        assert!(error(8000, 768_001, 1).contains("768001 Hz"));
        assert!(error(50, 8000, 1).contains("at most by a factor of 100"));
        assert!(error(8000, 50, 1).contains("at most by a factor of 100"));
        assert!(error(8000, 768_000, 2_000_000).contains("number of samples is 192000000"));
    }

    #[test]
    fn write_and_read() {
        let pcm = Pcm { rate: 16_000, samples: vec![0, 1, -1, i16::MAX, i16::MIN] };
        assert_eq!(Pcm::decode(&pcm.encode().unwrap()).unwrap(), pcm);
    }
}
