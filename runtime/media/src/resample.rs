//! Band-limited change of sample rate.
//!
//! With `r = to / from` and a cut-off at `c = min(1, r)` of the input's Nyquist frequency, the output at input time `t` is
//! `sum_k x[k] h(t - k)`, `h(u) = c sinc(c u) w(c u / N)`: a sinc with `N` zero crossings on each side under a Blackman
//! window `w` (Oppenheim, Schafer: *Discrete-Time Signal Processing*, 7.5), side lobes below -74 dB. The sums are plain
//! loops in `f64` over `libm`'s sine and cosine, so host and board resample to the same samples; resamplers that choose
//! vector code at run time do not promise that.

use std::f64::consts::PI;

/// Zero crossings of the sinc on each side.
const CROSSINGS: f64 = 16.0;

/// `h(u)` is tabulated at this many positions between two input samples when the ratio needs more distinct ones;
/// between them it is interpolated linearly, which at 1024 costs less than the rounding to 16 bits.
const MAX_PHASES: u64 = 1024;

/// Resamples from `from` Hz to `to` Hz, both at least 1. The result has `ceil(len * to / from)` samples; the first input
/// and output samples coincide, silence is assumed around the input.
#[must_use]
pub fn resample(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    let (from, to) = (u64::from(from.max(1)), u64::from(to.max(1)));
    let common = gcd(from, to);
    let (step, phases) = (from / common, to / common); // output n lies at input time n * step / phases
    let cutoff = (to as f64 / from as f64).min(1.0);
    let half = libm::ceil(CROSSINGS / cutoff) as i64; // taps on each side

    let tabulated = phases.min(MAX_PHASES);
    // Rows 0..=tabulated, of 2 half taps: input sample `floor(t) + 1 - half + j` under phase `p`, u = p - (j + 1 - half).
    let row = |p: u64| (0..2 * half).map(move |j| kernel(p as f64 / tabulated as f64 - (j + 1 - half) as f64, cutoff));
    let table: Vec<Vec<f64>> = (0..=tabulated).map(|p| row(p).collect()).collect();

    let count = (samples.len() as u64 * phases).div_ceil(step);
    let mut output = Vec::with_capacity(count as usize);
    for n in 0..count {
        let (whole, phase) = ((n * step / phases) as i64, n * step % phases);
        let scaled = phase * tabulated; // position in the table, in units of 1 / phases
        let (at, rest) = ((scaled / phases) as usize, (scaled % phases) as f64 / phases as f64);
        let mut sums = [0.0; 2];
        for j in 0..2 * half {
            let Ok(k) = usize::try_from(whole + 1 - half + j) else { continue };
            let Some(&x) = samples.get(k) else { break };
            sums[0] += f64::from(x) * table[at][j as usize];
            if rest != 0.0 {
                sums[1] += f64::from(x) * table[at + 1][j as usize];
            }
        }
        let value = if rest == 0.0 { sums[0] } else { sums[0] * (1.0 - rest) + sums[1] * rest };
        output.push(libm::floor(value + 0.5).clamp(-32768.0, 32767.0) as i16);
    }
    output
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// `h(u)`.
fn kernel(u: f64, cutoff: f64) -> f64 {
    let x = u * cutoff;
    if x.abs() >= CROSSINGS {
        return 0.0;
    }
    let sinc = if x == 0.0 { 1.0 } else { libm::sin(PI * x) / (PI * x) };
    let y = PI * x / CROSSINGS;
    cutoff * sinc * (0.42 + 0.5 * libm::cos(y) + 0.08 * libm::cos(2.0 * y))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, rate: f64, count: usize) -> Vec<i16> {
        (0..count).map(|n| (10_000.0 * (2.0 * PI * hz * n as f64 / rate).sin()).round() as i16).collect()
    }

    /// Away from the ends a tone below both Nyquist frequencies comes out as the same tone.
    #[test]
    fn a_tone_stays_the_tone() {
        for (from, to) in [(8000, 16000), (16000, 8000), (44100, 8000), (8000, 44100), (22050, 16000), (8001, 7919)] {
            let got = resample(&tone(700.0, from.into(), from as usize / 2), from, to);
            let want = tone(700.0, to.into(), got.len());
            let edge = got.len() / 5;
            let worst = (edge..got.len() - edge).map(|n| (got[n] - want[n]).abs()).max().unwrap();
            assert!(worst <= 6, "{from} -> {to}: {worst}"); // -64 dB
        }
    }

    #[test]
    fn what_the_new_rate_cannot_hold_is_gone() {
        let got = resample(&tone(6000.0, 16_000.0, 8000), 16_000, 8_000);
        let edge = got.len() / 5;
        assert!(got[edge..got.len() - edge].iter().all(|&s| s.abs() <= 6));
    }

    #[test]
    fn lengths() {
        assert_eq!(resample(&[0; 10], 3, 2).len(), 7);
        assert_eq!(resample(&[], 3, 2).len(), 0);
        assert_eq!(resample(&[5], 1, 1), [5]);
    }
}
