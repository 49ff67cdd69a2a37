//! Which range of values each tensor gets its 256 steps for, from real samples.

mod entropy;

use rayon::prelude::*;

use crate::{
    error::Error,
    eval::{Evaluator, share},
    graph::Graph,
    samples::Samples,
    scale::narrow,
};

/// Bins of a histogram.
const BINS: usize = 2048;

/// How much more a squared error of clipping counts than one of rounding. Rounding errs this way and that, and the sums of the next layer
/// even it out; what is clipped is too small wherever it occurs, mostly in several channels of a few samples.
const CLIPPED: f64 = 16.0;

/// How a range is chosen from what the samples showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Everything seen.
    MinMax,
    /// This share of the values, in percent, equal tails cut off.
    Percentile(f64),
    /// The least mean squared error of rounding and clipping together, that of clipping counted 16 times.
    Mse,
    /// The least divergence, by Kullback and Leibler, of what 256 steps leave from what there was.
    Entropy,
}

/// What a tensor's values were over all samples and steps.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Values in each of 2048 equal parts of `min..=max`.
    pub bins: Vec<u64>,
    /// Smallest and largest value of each channel.
    pub channels: Vec<(f32, f32)>,
}

impl Histogram {
    fn bin(&self, v: f32) -> usize {
        let width = self.max - self.min;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "no value is below `min`; `as` makes 0 of NaN"
        )]
        let bin = ((v - self.min) / width * BINS as f32) as usize;
        if width > 0.0 { bin.min(BINS - 1) } else { 0 }
    }

    fn centre(&self, bin: usize) -> f64 {
        let (min, max) = (f64::from(self.min), f64::from(self.max));
        min + (max - min) * (bin as f64 + 0.5) / BINS as f64
    }

    /// Where the tail of `cut` values ends.
    fn tail<'a>(&self, mut bins: impl Iterator<Item = (usize, &'a u64)>, cut: u64) -> f32 {
        let mut sum = 0;
        let end = bins.find(|(_, n)| {
            sum += **n;
            sum > cut
        });
        end.map_or(0.0, |(bin, _)| narrow(self.centre(bin)))
    }

    /// The range that `method` chooses; it contains 0.
    pub fn range(&self, method: Method) -> (f32, f32) {
        let (min, max) = (self.min.min(0.0), self.max.max(0.0));
        match method {
            Method::MinMax => (min, max),
            Method::Percentile(percent) => {
                let total: u64 = self.bins.iter().sum();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a share of the total, rounded down"
                )]
                let cut = (total as f64 * (1.0 - percent / 100.0) / 2.0) as u64;
                let low = self.tail(self.bins.iter().enumerate(), cut);
                let high = self.tail(self.bins.iter().enumerate().rev(), cut);
                // A bin's centre lies inside the range even when nothing is cut.
                let low = if cut == 0 { min } else { low.min(0.0) };
                (low, if cut == 0 { max } else { high.max(0.0) })
            }
            Method::Mse => self.least((min, max), |range| self.error(range)),
            Method::Entropy => self.least((min, max), |(low, high)| {
                if self.bins.is_empty() {
                    0.0
                } else {
                    entropy::divergence(&self.bins, self.bin(low.max(self.min)), self.bin(high))
                }
            }),
        }
    }

    /// The range that costs least; of equals, the first.
    fn least(&self, whole: (f32, f32), cost: impl Fn((f32, f32)) -> f64 + Sync) -> (f32, f32) {
        let ranges: Vec<(f32, f32)> = shares(whole).collect();
        let costs: Vec<f64> = ranges.par_iter().map(|&range| cost(range)).collect();
        let pairs = costs.into_iter().zip(ranges).filter(|(cost, _)| *cost < f64::INFINITY);
        pairs.reduce(|best, next| if next.0 < best.0 { next } else { best }).map_or(whole, |(_, range)| range)
    }

    /// Sum of squared errors, those of clipping weighted, if `low..=high` is cut into 255 steps: uniform rounding inside, the distance outside.
    fn error(&self, (low, high): (f32, f32)) -> f64 {
        let (low, high) = (f64::from(low), f64::from(high));
        let rounding = ((high - low) / 255.0).powi(2) / 12.0;
        let of = |(bin, &n): (usize, &u64)| {
            let v = self.centre(bin);
            n as f64 * (rounding + CLIPPED * (v - v.clamp(low, high)).powi(2))
        };
        self.bins.iter().enumerate().filter(|(_, n)| **n > 0).map(of).sum()
    }
}

/// The ranges that are tried in place of a whole one: each end in steps of 1/64, from all of it down to a quarter.
pub(crate) fn shares((min, max): (f32, f32)) -> impl Iterator<Item = (f32, f32)> {
    let of =
        |limit: f32| (if limit == 0.0 { 64..=64 } else { 16..=64 }).rev().map(move |n: i32| limit * n as f32 / 64.0);
    of(min).flat_map(move |low| of(max).map(move |high| (low, high)))
}

/// Runs the samples through the float graph twice: extremes, then histograms. One entry for each tensor of the graph;
/// tensors that folding left unused stay empty.
///
/// # Errors
/// [`Error::Samples`] if there are none, one cannot be read, or one drives a tensor to infinity.
pub fn calibrate(graph: &Graph, samples: &dyn Samples, picks: &[usize]) -> Result<Vec<Histogram>, Error> {
    if picks.is_empty() {
        return Err(Error::Samples("none: calibration needs at least one".into()));
    }
    let nothing = (f32::INFINITY, f32::NEG_INFINITY);
    let empty = |id: usize| {
        let channels = vec![nothing; graph.shape(id)[2]];
        Histogram { min: nothing.0, max: nothing.1, bins: vec![], channels }
    };
    let start = || (0..graph.tensors.len()).map(empty).collect();
    let look = |h: &mut Histogram, v: &[f32]| {
        for pixel in v.chunks_exact(h.channels.len().max(1)) {
            for ((min, max), &v) in h.channels.iter_mut().zip(pixel) {
                (*min, *max) = (min.min(v), max.max(v));
            }
        }
        h.min = h.channels.iter().fold(h.min, |min, c| min.min(c.0));
        h.max = h.channels.iter().fold(h.max, |max, c| max.max(c.1));
        // `min` and `max` skip NaN, so ask for it.
        v.iter().all(|v| v.is_finite())
    };
    let extremes = each(graph, samples, picks, start, look, |a, b| {
        a.min = a.min.min(b.min);
        a.max = a.max.max(b.max);
        for (a, b) in a.channels.iter_mut().zip(&b.channels) {
            *a = (a.0.min(b.0), a.1.max(b.1));
        }
    })?;
    // A tensor that nobody saw needs no bins: of a long network, most were folded away.
    let bins = |h: &Histogram| vec![0; if h.min <= h.max { BINS } else { 0 }];
    let start = || extremes.iter().map(|h| Histogram { bins: bins(h), ..h.clone() }).collect();
    let count = |h: &mut Histogram, v: &[f32]| {
        for &v in v {
            let bin = h.bin(v);
            h.bins[bin] += 1;
        }
        true
    };
    each(graph, samples, picks, start, count, |a, b| a.bins.iter_mut().zip(&b.bins).for_each(|(a, b)| *a += b))
}

/// Shows every tensor of every sample to `see`. Each share of the samples has its own histograms, which are joined as soon as
/// two are there.
fn each(
    graph: &Graph,
    samples: &dyn Samples,
    picks: &[usize],
    start: impl Fn() -> Vec<Histogram> + Sync,
    see: impl Fn(&mut Histogram, &[f32]) -> bool + Sync,
    join: impl Fn(&mut Histogram, &Histogram) + Sync,
) -> Result<Vec<Histogram>, Error> {
    let joined = picks
        .par_chunks(share(graph, picks.len(), 4))
        .map(|picks| {
            let (mut evaluator, mut histograms) = (Evaluator::new(graph), start());
            for &pick in picks {
                let sample = samples.get(pick)?;
                let mut broken = None;
                evaluator.run(&sample, |id, values| {
                    if !see(&mut histograms[id], values) {
                        broken.get_or_insert(id);
                    }
                });
                if let Some(id) = broken {
                    let (name, tensor) = (samples.name(pick), &graph.tensors[id].name);
                    return Err(Error::Samples(format!("{name}: `{tensor}` is not finite in the float network")));
                }
            }
            Ok(histograms)
        })
        .try_reduce_with(|mut sum, part| {
            sum.iter_mut().zip(&part).for_each(|(a, b)| join(a, b));
            Ok(sum)
        });
    joined.unwrap_or_else(|| Ok(vec![]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bell() -> Histogram {
        let mut h = Histogram { min: -1.0, max: 9.0, bins: vec![0; BINS], channels: vec![] };
        // 10,000 values between 0 and 1 and a single 9.
        for i in 0..10_000 {
            let bin = h.bin(i as f32 / 10_000.0);
            h.bins[bin] += 1;
        }
        h.bins[BINS - 1] += 1;
        h
    }

    #[test]
    fn outliers_are_kept_or_cut() {
        let h = bell();
        assert_eq!(h.range(Method::MinMax), (-1.0, 9.0));
        let (low, high) = h.range(Method::Percentile(99.9));
        assert!(low > -0.01 && (0.9..1.1).contains(&high), "{low} {high}");
        // One of 10,000 is worth keeping, one of 10,000,000 is not.
        let many = Histogram { bins: h.bins.iter().map(|&n| if n > 1 { n * 1000 } else { n }).collect(), ..h.clone() };
        let [one, other] = [&h, &many].map(|h| h.range(Method::Mse).1);
        assert!(one == 9.0 && other < 6.0, "{one} {other}");
        assert_eq!(h.range(Method::Percentile(100.0)), (-1.0, 9.0));
    }
}
