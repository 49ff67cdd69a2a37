//! Answers that no trained network would give to its own kind of samples: pixels scaled otherwise than in training, colours or
//! outputs in another order. Nothing in an ONNX file says what its training did, so only the answers can tell.

use rayon::prelude::*;

use crate::{
    error::Error,
    front_end,
    graph::{Graph, Meaning},
    measure::{Answer, Scores, top},
    metadata::FrontEnd,
    oracle::FloatRunner,
    samples::Samples,
};

/// Fewer samples than these say nothing.
const FEWEST: usize = 10;

/// From this share on one class is nearly everything.
const NEARLY_ALL: f64 = 0.95;

/// Most samples on which other pixels are tried.
const TRIED: usize = 24;

/// What is doubtful about the float network's answers, in a line, and what to look at; `None` if they may well be right.
///
/// With labels: no more right than by guessing (`n / k` of `n` samples and `k` classes, and one standard deviation,
/// `sqrt(n (k - 1)) / k`, above), or 95 % or more get one and the same class though the labels do not. Without: 95 % or more get
/// one class of a softmax. In any case: outputs that do not depend on the sample.
///
/// # Errors
/// As [`FloatRunner::run`]: other pixels are tried where these do not fit.
pub fn doubt(
    scores: &Scores,
    graph: &Graph,
    float: &FloatRunner,
    samples: &dyn Samples,
) -> Result<Option<String>, Error> {
    let Some(finding) = finding(scores, graph) else { return Ok(None) };
    let metadata = graph.metadata.clone().unwrap_or_default();
    let remedy = if matches!(metadata.front_end, FrontEnd::Pixels { .. }) {
        match other_pixels(scores, graph, float, samples)? {
            Some(better) => better,
            None => "check what the network takes for a pixel (--pixels), whether it was trained on R, G, B (it is given these), and \
                     the order of its outputs (--labels)"
                .into(),
        }
    } else {
        "check that the samples are prepared as in training, and the order of the outputs (--labels)".into()
    };
    Ok(Some(format!("{finding}; {remedy}")))
}

fn finding(scores: &Scores, graph: &Graph) -> Option<String> {
    let (outputs, n) = (graph.len(graph.output()), scores.labelled);
    if scores.answers.len() < FEWEST {
        return None;
    }
    let classes = outputs.max(2);
    let most = |counts: &[usize]| counts.iter().copied().enumerate().max_by_key(|&(_, n)| n).unwrap_or((0, 0));
    if n >= FEWEST && no_better_than_guessing(scores.float_correct, n, classes) {
        let right = scores.float_correct;
        return Some(format!(
            "the float network is right on {right} of {n} samples, no more than guessing among {classes} classes would be"
        ));
    }
    let same = |a: &Answer| scores.answers.first().is_some_and(|first| a.float == first.float);
    if scores.answers.iter().all(same) {
        return Some(format!("the float network gives the same outputs for all {} samples", scores.total));
    }
    let count = |class: &dyn Fn(&Answer) -> Option<usize>| {
        let mut counts = vec![0; classes];
        scores.answers.iter().filter_map(class).for_each(|c| counts[c.min(classes - 1)] += 1);
        counts
    };
    let (class, chosen) = most(&count(&|a| Some(a.float_top)));
    let (_, labelled) = most(&count(&|a| a.label));
    let metadata = graph.metadata.as_ref();
    // Where the labels themselves are nearly all alike, so may be the answers.
    let expected = if n > 0 {
        labelled as f64 / n as f64 >= 0.8
    } else {
        outputs < 2 || graph.outputs[0].meaning != Meaning::Softmax
    };
    if !expected && chosen as f64 >= NEARLY_ALL * scores.total as f64 {
        let name = metadata.and_then(|m| m.labels.get(class).cloned()).unwrap_or_else(|| format!("output {class}"));
        return Some(format!("the float network tells {chosen} of {} samples to be `{name}`", scores.total));
    }
    None
}

fn no_better_than_guessing(right: usize, n: usize, classes: usize) -> bool {
    let (right, n, k) = (right as f64, n as f64, classes as f64);
    right <= n / k + (n * (k - 1.0)).sqrt() / k
}

/// Other pixels with which the float network is right much more often.
fn other_pixels(
    scores: &Scores,
    graph: &Graph,
    float: &FloatRunner,
    samples: &dyn Samples,
) -> Result<Option<String>, Error> {
    let (channels, classes) = (graph.shape(graph.input())[2], graph.len(graph.output()).max(2));
    let Some(FrontEnd::Pixels { mean, std }) = graph.metadata.as_ref().map(|m| &m.front_end) else { return Ok(None) };
    let labelled: Vec<&Answer> = scores.answers.iter().filter(|a| a.label.is_some()).collect();
    let count = labelled.len().min(TRIED);
    let picks: Vec<&Answer> = (0..count).map(|i| labelled[i * labelled.len() / count]).collect();
    let mut ways = vec!["0..255", "0..1"];
    ways.push(match channels {
        3 => "mean=0.5,0.5,0.5,std=0.5,0.5,0.5",
        _ => "mean=0.5,std=0.5",
    });
    if channels == 3 {
        ways.push("mean=0.485,0.456,0.406,std=0.229,0.224,0.225"); // torchvision's networks
    }
    let orders: &[bool] = if channels == 3 { &[false, true] } else { &[false] };
    let trials: Vec<(&str, bool)> =
        orders.iter().flat_map(|&order| ways.iter().map(move |&way| (way, order))).collect();
    // Of each way, how many are right, and how often each class is told.
    let told: Vec<(usize, Vec<usize>)> = trials
        .par_iter()
        .map(|&(way, reversed)| {
            let Ok(FrontEnd::Pixels { mean: m, std: s }) = front_end::parse_pixels(way, channels).map(|p| p.front_end)
            else {
                return Ok((0, vec![]));
            };
            let (mut right, mut told) = (0, vec![0; classes]);
            for answer in &picks {
                let given = samples.get(answer.index)?;
                let mut sample = given.clone();
                for (i, out) in sample.iter_mut().enumerate() {
                    let (c, base) = (i % channels, i - i % channels);
                    let from = if reversed { channels - 1 - c } else { c };
                    let pixel = given[base + from] * std[from] + mean[from]; // in units of 0..1
                    *out = (pixel - m[c]) / s[c];
                }
                let class = top(&float.run(&sample)?, float.half());
                told[class.min(classes - 1)] += 1;
                right += usize::from(answer.label == Some(class));
            }
            Ok((right, told))
        })
        .collect::<Result<_, Error>>()?;
    // A network that tells all to be of one class is right on those of that class, whatever it is given.
    let varied = told.iter().enumerate().filter(|(_, (_, told))| told.iter().all(|&n| n < count));
    let best = varied.map(|(at, (right, _))| (at, *right)).rev().max_by_key(|&(_, right)| right);
    let now = picks.iter().filter(|a| a.label == Some(a.float_top)).count();
    let much = |right| right > now + count / 4 && !no_better_than_guessing(right, count, classes);
    Ok(best.filter(|&(_, right)| count >= FEWEST && much(right)).map(|(at, right)| {
        let (way, reversed) = trials[at];
        let order = if reversed { " and the colours in the order B, G, R" } else { "" };
        format!("with --pixels {way}{order} it is right on {right} of {count}")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing() {
        assert!(no_better_than_guessing(0, 120, 10) && no_better_than_guessing(12, 120, 10));
        assert!(!no_better_than_guessing(30, 120, 10));
        assert!(no_better_than_guessing(6, 10, 2) && !no_better_than_guessing(8, 10, 2));
    }
}
