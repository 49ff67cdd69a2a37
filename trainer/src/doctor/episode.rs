//! What a run was ill of on its way, and is no longer.

use super::{diagnose::Doctor, verdict::Illness};

/// Observations at each of which it is asked what is wrong. Of more, one in two, three, ... is: what an answer costs grows
/// with what was seen.
const EACH: usize = 250;

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
    /// `vanishing gradient, steps 140 to 460`
    pub fn text(&self) -> String {
        format!("{}, steps {} to {}", self.illness.name(), self.from, self.to)
    }
}

/// Follows a doctor through a log.
#[derive(Debug, Default)]
pub(super) struct Episodes {
    seen: usize,
    asked: usize,
    /// The step observed last, if it was not asked there.
    unasked: Option<u64>,
    /// With the number of the question after which each was last said.
    all: Vec<(Episode, usize)>,
}

impl Episodes {
    /// After `doctor` has observed `step`.
    pub fn follow(&mut self, doctor: &Doctor, step: u64) {
        let due = self.seen.is_multiple_of(1 + self.seen / EACH);
        self.seen += 1;
        match due {
            true => self.ask(doctor, step),
            false => self.unasked = Some(step),
        }
    }

    fn ask(&mut self, doctor: &Doctor, step: u64) {
        self.unasked = None;
        self.asked += 1;
        let at = self.asked;
        for verdict in doctor.verdicts() {
            let same = self.all.iter_mut().find(|(e, last)| e.illness == verdict.illness && at - *last <= 3);
            match same {
                Some((episode, last)) => (episode.to, *last) = (step, at),
                None => self.all.push((Episode { illness: verdict.illness, from: step, to: step }, at)),
            }
        }
    }

    /// Those that are over now that `doctor` has seen all, in order. One that pauses for an observation or two is one.
    pub fn over(mut self, doctor: &Doctor) -> Vec<Episode> {
        // What has come or gone behind the last question must not be missed: the verdicts are of the end.
        if let Some(step) = self.unasked {
            self.ask(doctor, step);
        }
        let over = |(_, last): &(Episode, usize)| *last < self.asked;
        self.all.into_iter().filter(over).map(|(episode, _)| episode).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{record::Observation, thresholds::Thresholds};

    /// A loss that stood still and is lost in the last observation, at which it would not be asked any more.
    #[test]
    fn the_last_observation_is_asked_of() {
        let (mut doctor, mut episodes) = (Doctor::new(Thresholds::default()), Episodes::default());
        for step in 0..=(EACH as u64 + 1) {
            let loss = if step > EACH as u64 { f64::NAN } else { 2.3 };
            let seen = Observation { step, baseline_loss: Some(2.3), loss: Some(loss), ..Observation::default() };
            doctor.observe(&seen);
            episodes.follow(&doctor, step);
        }
        assert_eq!(episodes.unasked, Some(EACH as u64 + 1));
        let over = episodes.over(&doctor);
        assert_eq!(over.len(), 1, "slow before, lost at the end: {over:?}");
        assert_eq!((over[0].illness, over[0].to), (Illness::SlowConvergence, EACH as u64));
    }
}
