//! How near a file is to the float network.

use escarp_runtime::Cpu;
use rayon::prelude::*;

use crate::{
    error::Error,
    eval::{Evaluator, read_off, share},
    graph::{Graph, Meaning},
    measure::{answers, top},
    samples::Samples,
};

/// Most samples that are compared.
const SAMPLES: usize = 2000;

/// Fewest.
const FEWEST: usize = 16;

/// Multiply-accumulates that all of them may take.
const WORK: u64 = 1 << 36;

/// Values of outputs that are remembered.
const VALUES: usize = 1 << 24;

/// On how many samples networks are compared: as many as time and memory are for.
pub fn count(graph: &Graph) -> usize {
    let decision = graph.macs().saturating_mul(graph.steps as u64).max(1);
    let values: usize = graph.outputs.iter().map(|o| graph.len(o.tensor)).sum();
    let by_work = usize::try_from(WORK / decision).unwrap_or(usize::MAX);
    by_work.min(VALUES / values.max(1)).clamp(FEWEST, SAMPLES)
}

/// What came of a comparison.
#[derive(Clone, Debug)]
pub struct Quality {
    /// Signal to noise of the worst output.
    pub snr_db: f64,
    /// Its name.
    pub worst: String,
    /// Samples with the same choice, in percent; 100 where there are no classes.
    pub agree: f64,
}

/// What the float network answers to some samples.
#[derive(Clone, Debug)]
pub struct Reference {
    picks: Vec<usize>,
    /// `[sample][output]`, as a reader sees them.
    answers: Vec<Vec<Vec<f32>>>,
    /// Name and what was taken off, of each output.
    outputs: Vec<(String, Meaning)>,
    decides: bool,
    /// Above which a single output says yes.
    half: f32,
}

impl Reference {
    /// Runs the float network.
    ///
    /// # Errors
    /// [`Error::Samples`] if a sample cannot be read.
    pub fn new(graph: &Graph, samples: &dyn Samples, picks: &[usize]) -> Result<Reference, Error> {
        let outputs: Vec<(String, Meaning)> = graph.outputs.iter().map(|o| (o.name.clone(), o.taken)).collect();
        let parts = picks.par_chunks(share(graph, picks.len(), 4)).map(|picks| {
            let mut evaluator = Evaluator::new(graph);
            let answer = |&pick: &usize| {
                evaluator.run(&samples.get(pick)?, |_, _| {});
                Ok(graph.outputs.iter().map(|o| read_off(o.taken, evaluator.value(o.tensor))).collect())
            };
            picks.iter().map(answer).collect::<Result<Vec<_>, Error>>()
        });
        let answers = parts.collect::<Result<Vec<_>, Error>>()?.into_iter().flatten().collect();
        let first = &graph.outputs[0];
        let probable = first.taken == Meaning::Sigmoid || first.meaning == Meaning::Probabilities;
        let half = if probable { 0.5 } else { 0.0 };
        Ok(Reference { picks: picks.to_vec(), answers, outputs, decides: graph.decides(), half })
    }

    /// How many samples.
    pub fn len(&self) -> usize {
        self.picks.len()
    }

    /// No sample at all?
    pub fn is_empty(&self) -> bool {
        self.picks.is_empty()
    }

    /// How near a file comes.
    ///
    /// # Errors
    /// [`Error::Pack`] if it cannot be run.
    pub fn quality(&self, file: &[u8], samples: &dyn Samples, cpu: Cpu) -> Result<Quality, Error> {
        let found = answers(file, samples, &self.picks, cpu)?;
        let (mut sums, mut same) = (vec![(0.0, 0.0); self.outputs.len()], 0);
        for (float, found) in self.answers.iter().zip(&found) {
            for (at, (float, found)) in float.iter().zip(found).enumerate() {
                let found = read_off(self.outputs[at].1, found);
                for (&f, &q) in float.iter().zip(&found) {
                    sums[at].0 += f64::from(f).powi(2);
                    sums[at].1 += (f64::from(f) - f64::from(q)).powi(2);
                }
                same += usize::from(at == 0 && self.decides && top(float, self.half) == top(&found, self.half));
            }
        }
        let decibels =
            |&(signal, noise): &(f64, f64)| if noise == 0.0 { f64::INFINITY } else { 10.0 * (signal / noise).log10() };
        let all = sums.iter().map(decibels).zip(&self.outputs);
        let worst = all.min_by(|a, b| a.0.total_cmp(&b.0));
        let (snr_db, worst) = worst.map_or((f64::INFINITY, String::new()), |(snr, (name, _))| (snr, name.clone()));
        let agree = if self.decides { 100.0 * same as f64 / self.picks.len().max(1) as f64 } else { 100.0 };
        Ok(Quality { snr_db, worst, agree })
    }
}
