//! From what a sensor delivers to what a network takes: pixels, sound, sensor windows. No heap, and the same bits on every
//! machine: the floating-point operations are written out, their functions come from `libm`, and nothing is fused, so
//! that training, calibration and the board see the same numbers. (`microfft` is plain scalar code with a constant sine
//! table; it has no paths that depend on the machine.)
//!
//! A model file holds its front end as one meta entry, little endian, read in place:
//!
//! | kind | bytes |
//! |---|---|
//! | 0 raw | `0u8 0u8 0u16` |
//! | 1 pixels | `1u8 0u8 channels:u16`, `mean:[f32; channels]`, `std:[f32; channels]` |
//! | 2 log-mel | `2u8 0u8 bands:u16`, `sample_rate:u32`, `frame:u16 hop:u16 fft:u16 frames:u16`, `low_hz:f32 high_hz:f32 floor:f32`, `mean:[f32; bands]`, `std:[f32; bands]` |
//! | 3 sensor | `3u8 0u8 channels:u16`, `rate:f32`, `frames:u16 0u16`, `mean:[f32; channels]`, `std:[f32; channels]` |

mod error;
mod logmel;
mod norm;
mod pixels;
mod sensor;

pub use error::Error;
pub use logmel::{LogMel, LogMelSettings, MAX_BANDS, MAX_FFT};
pub use norm::Norm;
pub use pixels::{MAX_CHANNELS, PixelSettings, Pixels};
pub use sensor::{Sensor, SensorSettings};

/// How raw data become a network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FrontEnd<'a> {
    /// Numbers as they are.
    Raw,
    /// Images, 8 bits a channel.
    Pixels(PixelSettings<'a>),
    /// Mono PCM sound.
    LogMel(LogMelSettings<'a>),
    /// Multi-channel sensor samples.
    Sensor(SensorSettings<'a>),
}

/// The int8 that stands for `v`: `floor(v / scale + 0.5) + zero_point`, limited to -128..=127; NaN counts as 0.
/// The one definition for trainer, converter, host and board.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the first cast saturates, the second is clamped to its range")]
pub fn quantize(v: f32, scale: f32, zero_point: i8) -> i8 {
    // The cast saturates, and saturating once more with the zero point cannot wrap.
    let q = (libm::floorf(v / scale + 0.5) as i32).saturating_add(zero_point.into());
    q.clamp(-128, 127) as i8
}

/// The int16 that stands for `v` where the zero point is 0: `floor(v / scale + 0.5)`, limited to -32767..=32767; NaN counts as 0.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the first cast saturates, the second is clamped to its range")]
pub fn quantize_wide(v: f32, scale: f32) -> i16 {
    (libm::floorf(v / scale + 0.5) as i32).clamp(-32767, 32767) as i16
}

impl<'a> FrontEnd<'a> {
    /// Reads a meta entry; means and standard deviations stay in `bytes`.
    ///
    /// # Errors
    /// [`Error`]: unknown kind, wrong length, a field outside what [`FrontEnd::check`] allows.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let &[kind, zero, count_low, count_high, ref rest @ ..] = bytes else {
            return Err(Error::Length { needed: 4, got: bytes.len() });
        };
        let count = u16::from_le_bytes([count_low, count_high]);
        let fixed = match kind {
            0 | 1 => 0,
            2 => logmel::FIXED,
            3 => sensor::FIXED,
            found => return Err(Error::Kind { found }),
        };
        let needed = 4 + fixed + usize::from(count) * 8;
        if bytes.len() != needed {
            return Err(Error::Length { needed, got: bytes.len() });
        }
        if zero != 0 {
            return Err(Error::Field { name: "byte 1", index: 0, allowed: "0" });
        }
        let (fields, norm) = rest.split_at(fixed);
        let norm = Norm::from_bytes(norm);
        let front_end = match kind {
            0 if count == 0 => FrontEnd::Raw,
            0 => return Err(Error::Field { name: "channels of a raw front end", index: 0, allowed: "0" }),
            1 => FrontEnd::Pixels(PixelSettings { norm }),
            2 => FrontEnd::LogMel(LogMelSettings::parse(fields, norm)?),
            _ => FrontEnd::Sensor(SensorSettings::parse(fields, norm)?),
        };
        front_end.check()?;
        Ok(front_end)
    }

    /// Bytes that [`FrontEnd::emit`] writes.
    #[must_use]
    pub fn emitted_len(&self) -> usize {
        4 + match self {
            FrontEnd::Raw => 0,
            FrontEnd::Pixels(s) => s.norm.len() * 8,
            FrontEnd::LogMel(s) => logmel::FIXED + s.norm.len() * 8,
            FrontEnd::Sensor(s) => sensor::FIXED + s.norm.len() * 8,
        }
    }

    /// Writes the meta entry into the first [`FrontEnd::emitted_len`] bytes of `out`.
    ///
    /// # Errors
    /// Those of [`FrontEnd::check`], and [`Error::Length`] if `out` is too short.
    pub fn emit(&self, out: &mut [u8]) -> Result<(), Error> {
        self.check()?;
        let (needed, got) = (self.emitted_len(), out.len());
        let out = out.get_mut(..needed).ok_or(Error::Length { needed, got })?;
        let (kind, count) = match self {
            FrontEnd::Raw => (0, 0),
            FrontEnd::Pixels(s) => (1, s.norm.len()),
            FrontEnd::LogMel(s) => (2, s.norm.len()),
            FrontEnd::Sensor(s) => (3, s.norm.len()),
        };
        let (head, rest) = out.split_at_mut(4);
        // `check` limits the count to 64.
        let [low, high] = u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
        head.copy_from_slice(&[kind, 0, low, high]);
        match self {
            FrontEnd::Raw => {}
            FrontEnd::Pixels(s) => s.norm.emit(rest),
            FrontEnd::LogMel(s) => s.emit(rest),
            FrontEnd::Sensor(s) => s.emit(rest),
        }
        Ok(())
    }

    /// Whether every field is one the front end can work with.
    ///
    /// # Errors
    /// [`Error::Field`] names the first that is not, and what is allowed.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            FrontEnd::Raw => Ok(()),
            FrontEnd::Pixels(s) => s.check(),
            FrontEnd::LogMel(s) => s.check(),
            FrontEnd::Sensor(s) => s.check(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG_MEL: FrontEnd = FrontEnd::LogMel(LogMelSettings {
        sample_rate: 8000,
        frame: 200,
        hop: 80,
        fft: 256,
        frames: 64,
        low_hz: 20.0,
        high_hz: 4000.0,
        floor: 1e-6,
        norm: Norm::new(&[-1.5, 2.0], &[0.5, 3.0]),
    });
    const ALL: [FrontEnd; 4] = [
        FrontEnd::Raw,
        FrontEnd::Pixels(PixelSettings { norm: Norm::new(&[0.1, 0.2, 0.3], &[0.4, 0.5, 0.6]) }),
        LOG_MEL,
        FrontEnd::Sensor(SensorSettings { rate: 100.0, frames: 50, norm: Norm::new(&[0.0; 3], &[9.81; 3]) }),
    ];

    #[test]
    fn emit_and_parse() {
        for front_end in ALL {
            let mut bytes = [0xa5; 100];
            front_end.emit(&mut bytes).unwrap();
            let length = front_end.emitted_len();
            assert!(bytes[length..].iter().all(|&b| b == 0xa5));
            assert_eq!(FrontEnd::parse(&bytes[..length]), Ok(front_end));
            for short in 0..length {
                assert!(matches!(FrontEnd::parse(&bytes[..short]), Err(Error::Length { .. })));
                assert!(front_end.emit(&mut { bytes }[..short]).is_err());
            }
            assert!(FrontEnd::parse(&bytes[..length + 1]).is_err());
        }
    }

    #[test]
    fn the_layout_is_as_documented() {
        let mut bytes = [0; 44];
        LOG_MEL.emit(&mut bytes).unwrap();
        assert_eq!(bytes[..16], [2, 0, 2, 0, 0x40, 0x1f, 0, 0, 200, 0, 80, 0, 0, 1, 64, 0]);
        assert_eq!(bytes[16..20], 20f32.to_le_bytes());
        assert_eq!(bytes[28..32], (-1.5f32).to_le_bytes());
        assert_eq!(bytes[40..], 3f32.to_le_bytes());
    }

    #[test]
    fn any_flipped_bit_is_an_error_or_another_usable_front_end() {
        for front_end in ALL {
            let mut bytes = [0; 100];
            let length = front_end.emitted_len();
            front_end.emit(&mut bytes).unwrap();
            for bit in 0..length * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                match FrontEnd::parse(&bytes[..length]) {
                    Ok(FrontEnd::LogMel(s)) => {
                        let mut mel = LogMel::new(&s).unwrap();
                        let mut frames = 0;
                        mel.clip(&[1000; 300], |_, values| {
                            assert!(values.iter().all(|v| !v.is_nan()));
                            frames += 1;
                        });
                        assert_eq!(frames, usize::from(s.frames));
                    }
                    Ok(FrontEnd::Pixels(s)) => drop(Pixels::new(&s, 0.01, 0).unwrap()),
                    _ => {}
                }
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn quantize_rounds_half_up_and_limits() {
        assert_eq!(quantize(0.25, 0.5, 0), 1);
        assert_eq!(quantize(-0.25, 0.5, 0), 0);
        assert_eq!(quantize(-0.26, 0.5, 3), 2);
        assert_eq!(quantize(1e30, 1e-30, -5), 127);
        assert_eq!(quantize(f32::NEG_INFINITY, 1.0, 100), -128);
        assert_eq!(quantize(f32::NAN, 1.0, 7), 7);
    }
}
