//! What a run was ill of on its way, and is no longer.

use super::diagnose::Doctor;
use super::verdict::Illness;

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
    /// With the number of the question after which each was last said.
    all: Vec<(Episode, usize)>,
}

impl Episodes {
    /// After `doctor` has observed `step`.
    pub fn follow(&mut self, doctor: &Doctor, step: u64) {
        let due = self.seen.is_multiple_of(1 + self.seen / EACH);
        self.seen += 1;
        if !due {
            return;
        }
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

    /// Those that are over, in order. One that pauses for an observation or two is one.
    pub fn over(self) -> Vec<Episode> {
        let over = |(_, last): &(Episode, usize)| *last < self.asked;
        self.all.into_iter().filter(over).map(|(episode, _)| episode).collect()
    }
}
