//! Scores of a softmax that the board's program takes, or nobody does: far below the largest, where the probability is nothing, no
//! steps are needed.

use rayon::prelude::*;

use super::walk::Values;
use crate::{
    calibrate::shares,
    error::Error,
    eval::Evaluator,
    graph::{Graph, Meaning},
    samples::Samples,
    scale::Scale,
};

/// Probabilities of scores, by `libm`: the same on every machine.
pub fn softmax(scores: impl Iterator<Item = f64> + Clone) -> impl Iterator<Item = f64> + Clone {
    let largest = scores.clone().fold(f64::NEG_INFINITY, f64::max);
    let powers = scores.map(move |s| libm::exp(s - largest));
    let sum: f64 = powers.clone().sum();
    powers.map(move |p| p / sum)
}

/// Whether the first output is scores of a softmax, one vector of them.
pub fn are(graph: &Graph) -> bool {
    let [h, w, _] = graph.shape(graph.output());
    graph.outputs[0].meaning == Meaning::Softmax && h * w == 1
}

/// The range for the scores of a network, of which all is `whole`: the one whose probabilities err least on samples, among those that
/// change the choice of no more of them than `whole` does.
///
/// # Errors
/// [`Error::Samples`] if a sample cannot be read.
pub fn range(graph: &Graph, whole: (f32, f32), samples: &dyn Samples, picks: &[usize]) -> Result<(f32, f32), Error> {
    let share = picks.len().div_ceil(rayon::current_num_threads()).max(1);
    let parts: Vec<Values<f32>> = picks
        .par_chunks(share)
        .map(|picks| {
            let mut evaluator = Evaluator::new(graph);
            picks.iter().map(|&pick| Ok(evaluator.run(&samples.get(pick)?, |_, _| {}).to_vec())).collect()
        })
        .collect::<Result<_, Error>>()?;
    let all: Values<f32> = parts.into_iter().flatten().collect();
    let expected: Vec<Vec<f64>> = all.iter().map(|s| softmax(s.iter().map(|&s| f64::from(s))).collect()).collect();
    let judge = |(low, high): (f32, f32)| {
        let scale = Scale::of_range(low, high, 0.0);
        let (mut changed, mut error) = (0u32, 0.0);
        for (scores, expected) in all.iter().zip(&expected) {
            let ints = scores.iter().map(|&s| scale.quantize(s));
            changed += u32::from(first_largest(ints.clone()) != first_largest(scores.iter().copied()));
            let made = softmax(ints.map(|q| f64::from(scale.dequantize(q))));
            error += made.zip(expected).map(|(p, e)| (p - e) * (p - e)).sum::<f64>();
        }
        (changed, error)
    };
    let (most, _) = judge(whole);
    let candidates: Vec<(f32, f32)> = shares(whole).collect();
    let judged: Vec<(u32, f64)> = candidates.par_iter().map(|&range| judge(range)).collect();
    let fair = candidates.iter().zip(&judged).filter(|(_, (changed, _))| *changed <= most);
    Ok(fair.min_by(|a, b| a.1.1.total_cmp(&b.1.1)).map_or(whole, |(&range, _)| range))
}

fn first_largest<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> Option<usize> {
    let best = values.enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(at, _)| at)
}
