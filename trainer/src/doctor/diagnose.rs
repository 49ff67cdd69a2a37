//! From observations to verdicts.
//!
//! A sign (a ratio, a share) makes no verdict by itself: healthy nets show each of them now and then. It must be
//! there in most of the recent observations, and the run must not be learning. Then the causes are asked in the
//! order in which one brings about the other, and the first that fits is the verdict: numbers that are lost or
//! exploding (with their roots: initial weights, learning rate), initial weights, saturation, dead units,
//! vanishing, and only for a net whose gradients flow the pace: rate, oscillation, slowness.

use std::{collections::VecDeque, sync::Arc};

use super::{
    known::Known,
    record::Observation,
    thresholds::Thresholds,
    verdict::{Prescription, Verdict},
};

mod explosion;
mod glance;
mod middle;
mod pace;
mod progress;
mod start;
mod statistics;
mod text;
mod units;
mod vanishing;

use glance::{BlowUp, Glance};
use middle::Middle;
use progress::{LEAST_LOSSES, Progress};
pub use start::{initial_weights, warning};
use statistics::median;
pub(super) use text::number;

/// Observations that a sign is looked for in.
const WINDOW: usize = 8;

/// In how many of them it must be.
const NEEDED: usize = 6;

/// Leaves out of `prescriptions` what the run, whose first observation is `first`, does already.
pub fn needed(prescriptions: &mut Vec<Prescription>, first: &Observation, known: Option<&dyn Known>) {
    let normalized = glance::normalized(first);
    prescriptions.retain(|p| !(normalized && *p == Prescription::AddNorm));
    if let Some(known) = known {
        prescriptions.retain(|p| !known.rules_out(p, first));
    }
}

/// Watches one run. Give it every observation in order; ask it at any time.
#[derive(Clone, Debug)]
pub struct Doctor {
    limits: Thresholds,
    /// All observations up to the first number that is not finite.
    seen: Vec<Glance>,
    /// The last of them in full.
    recent: VecDeque<Observation>,
    first: Option<Observation>,
    blow_up: Option<BlowUp>,
    /// Gradient norms of `seen`, for their median.
    norms: Middle,
    baseline: Option<f64>,
    planned: Option<u64>,
    known: Option<Arc<dyn Known>>,
}

impl Doctor {
    /// One that has seen nothing yet.
    pub fn new(limits: Thresholds) -> Self {
        Self {
            limits,
            seen: Vec::new(),
            recent: VecDeque::new(),
            first: None,
            blow_up: None,
            norms: Middle::default(),
            baseline: None,
            planned: None,
            known: None,
        }
    }

    /// The same with knowledge of the run, so that nothing is prescribed that it does already.
    #[must_use]
    pub fn knowing(self, known: Option<Arc<dyn Known>>) -> Self {
        Self { known, ..self }
    }

    /// One that has seen a whole log.
    pub fn of<'a>(limits: Thresholds, log: impl IntoIterator<Item = &'a Observation>) -> Self {
        let mut doctor = Self::new(limits);
        log.into_iter().for_each(|observation| doctor.observe(observation));
        doctor
    }

    /// Takes one observation in. After the first number that is not finite all that follows is its consequence,
    /// and is passed over.
    pub fn observe(&mut self, observation: &Observation) {
        if self.blow_up.is_some() {
            return;
        }
        self.first.get_or_insert_with(|| observation.clone());
        self.baseline = observation.baseline_loss.filter(|b| b.is_finite() && *b > 0.0).or(self.baseline);
        self.planned = observation.planned_steps.or(self.planned);
        self.blow_up = BlowUp::of(observation, self.recent.back());
        if self.blow_up.is_some() {
            return;
        }
        let mut glance = Glance::of(observation, &self.limits);
        if let Some(norm) = glance.gradient_norm {
            glance.spike = !observation.clipped && self.spikes(norm);
            self.norms.push(norm);
        }
        self.seen.push(glance);
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(observation.clone());
    }

    /// Whether a gradient norm stands far above those before it and those of the start.
    fn spikes(&self, norm: f64) -> bool {
        let first = self.seen.iter().filter_map(|g| g.gradient_norm).take(3);
        let start = first.fold(0.0, f64::max);
        let usual = self.norms.median().unwrap_or(f64::INFINITY);
        self.norms.len() >= WINDOW && norm > self.limits.spike * usual && norm > self.limits.spike_start * start
    }

    /// What is wrong now; empty for a run that is well or too young to tell. One illness that explains the others
    /// is one verdict, with the others in its evidence.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let progress = self.progress();
        let root = self.explosion(progress).or_else(|| {
            let progress = progress?;
            // Weights that a step renews are not what they began as, nor are units that it spoils.
            let long = self.update_while_calm().is_some_and(|update| update >= self.limits.large_update);
            let spoilt = if long { self.rate_too_high(&progress) } else { None };
            spoilt
                .or_else(|| self.poor_start(&progress))
                .or_else(|| self.saturation(&progress))
                .or_else(|| self.dying_relu(&progress))
                .or_else(|| self.vanishing(&progress))
                .or_else(|| self.rate_too_high(&progress))
                .or_else(|| self.oscillation(&progress))
                .or_else(|| self.slowness(&progress))
        });
        let mut verdicts: Vec<Verdict> = root.into_iter().collect();
        if let Some(first) = &self.first {
            verdicts.iter_mut().for_each(|verdict| needed(&mut verdict.prescriptions, first, self.known.as_deref()));
        }
        verdicts
    }

    /// One sentence on the run as a whole: of a healthy one the evidence for it.
    pub fn summary(&self) -> String {
        if let Some(blow_up) = &self.blow_up {
            return format!(
                "{} observations, then numbers that are not finite at step {}.",
                self.seen.len(),
                blow_up.step
            );
        }
        let Some(progress) = self.progress() else {
            return format!(
                "{} observations are too few to judge by; {LEAST_LOSSES} with a loss are needed.",
                self.seen.len()
            );
        };
        let mut facts = vec![progress.text()];
        let recent = || self.seen.iter().rev().take(WINDOW);
        if let Some(ratio) = median(recent().filter_map(|g| g.depth.map(|d| d.ratio))) {
            facts.push(format!("gradient of the first layer {} of the last's", number(ratio)));
        }
        if let Some(update) = median(recent().filter_map(|g| g.update)) {
            facts.push(format!("steps of {} of the weights", number(update)));
        }
        if let Some(dead) = median(recent().filter_map(|g| g.dead)) {
            facts.push(format!("at most {:.0} % of a layer's units dead", 100.0 * dead));
        }
        if let Some(saturated) = median(recent().filter_map(|g| g.saturated)) {
            facts.push(format!("at most {:.0} % of a layer's outputs saturated", 100.0 * saturated));
        }
        format!("{} observations: {}.", self.seen.len(), facts.join(", "))
    }

    /// Whether there is enough to call a run healthy: it learns, or nothing came of the time it had.
    pub fn can_tell(&self) -> bool {
        self.progress().is_some_and(|p| p.surely_learned || p.declining || self.patience_is_over())
    }

    fn progress(&self) -> Option<Progress> {
        let progress = Progress::of(&self.seen, self.baseline, &self.limits)?;
        let in_vain = self.in_vain(&progress);
        let too_slow = in_vain && self.patience_is_over() && !progress.learned;
        let faint = || self.since(|g| g.vanishing(&self.limits)).is_some();
        let rages = || self.since(|g| !g.clipped && g.exploding(&self.limits)).is_some();
        let crippled = !progress.learned_much && self.patience_is_over() && (faint() || rages());
        Some(Progress { in_vain, too_slow, crippled, ..progress })
    }

    /// The first step of a sign that is in most of the recent observations, and has been there without a gap of
    /// more than two; `None` if it is not there. A log that ends early is judged by what it has.
    fn since(&self, sign: impl Fn(&Glance) -> bool) -> Option<u64> {
        let recent = self.seen.iter().rev().take(WINDOW).filter(|g| sign(g)).count();
        // A short log needs the same share.
        let needed = if self.seen.len() < WINDOW { self.seen.len().max(3) - 1 } else { NEEDED };
        if recent < needed {
            return None;
        }
        let (mut since, mut gap) = (None, 0);
        for glance in self.seen.iter().rev() {
            match sign(glance) {
                true => (since, gap) = (Some(glance.step), 0),
                false => gap += 1,
            }
            if gap > 2 {
                break;
            }
        }
        since
    }

    /// The latest observation in full.
    fn latest(&self) -> Option<&Observation> {
        self.recent.back()
    }
}
