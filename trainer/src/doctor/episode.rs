//! What a run was ill of on its way, and is no longer.

use super::diagnose::Doctor;
use super::record::Observation;
use super::thresholds::Thresholds;
use super::verdict::Illness;

/// An illness from the observation in which it was found to the last one of which it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episode {
    /// What it was.
    pub illness: Illness,
    /// Step at which it was found.
    pub from: u64,
    /// Step at which it was last said.
    pub to: u64,
}

impl Episode {
    /// Those that are over at the end of `log`, in order. One that pauses for an observation or two is one.
    pub fn all(log: &[Observation]) -> Vec<Self> {
        let mut doctor = Doctor::new(Thresholds::default());
        let mut episodes: Vec<(Self, usize)> = Vec::new();
        for (at, observation) in log.iter().enumerate() {
            doctor.observe(observation);
            for verdict in doctor.verdicts() {
                let step = observation.step;
                let same = episodes.iter_mut().find(|(e, last)| e.illness == verdict.illness && at - *last <= 3);
                match same {
                    Some((episode, last)) => (episode.to, *last) = (step, at),
                    None => episodes.push((Self { illness: verdict.illness, from: step, to: step }, at)),
                }
            }
        }
        let over = |(_, last): &(Self, usize)| last + 1 < log.len();
        episodes.into_iter().filter(over).map(|(episode, _)| episode).collect()
    }

    /// `vanishing gradient, steps 140 to 460`
    pub fn text(&self) -> String {
        format!("{}, steps {} to {}", self.illness.name(), self.from, self.to)
    }
}
