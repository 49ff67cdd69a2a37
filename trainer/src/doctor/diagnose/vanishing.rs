//! Gradients that do not arrive.

use super::{
    Doctor, NEEDED, WINDOW,
    glance::{Depth, weighted},
    progress::Progress,
    start::init_for,
    statistics::median,
    text::number,
};
use crate::{
    doctor::verdict::{Illness, Init, Prescription, Replacement, Severity, Verdict},
    layers::kind::{Activation, LayerKind},
};

impl Doctor {
    /// Through depth or through time, in a run that does not learn: a net at rest has tiny gradients too.
    ///
    /// Over time the verdict waits: an LSTM with a forget bias of 1 passes on 0.73 a step, so it begins with 1e-14 of
    /// the gradient over 100 steps, and still learns when its gates have opened.
    pub(super) fn vanishing(&self, progress: &Progress) -> Option<Verdict> {
        if !progress.stuck() {
            return None;
        }
        self.vanishing_in_depth(progress).or_else(|| self.vanishing_in_time(progress).filter(|_| progress.too_slow))
    }

    fn vanishing_in_depth(&self, progress: &Progress) -> Option<Verdict> {
        let since_step = self.since(|g| g.vanishing(&self.limits)).or_else(|| self.began_vanishing())?;
        let latest = self.latest()?;
        let ill: Vec<Depth> = self.seen.iter().filter(|g| g.vanishing(&self.limits)).filter_map(|g| g.depth).collect();
        let middle = |figure: fn(&Depth) -> f64| median(ill.iter().rev().take(WINDOW).map(figure));
        let last = middle(|d| d.last)?;
        let faint =
            weighted(latest).filter(|l| l.gradient_norm.is_some_and(|g| g < self.limits.vanishing_ratio * last));
        let layers: Vec<String> = faint.map(|l| l.name.clone()).collect();
        let all = weighted(latest).filter(|l| l.gradient_norm.is_some()).count();
        let [from, to] = [weighted(latest).next_back()?, weighted(latest).next()?].map(|l| &l.name);
        let evidence = format!(
            "the gradient falls from {} in layer {from} to {} in layer {to} ({} of it), below a thousandth in {} of {all} \
             layers; {}",
            number(last),
            number(middle(|d| d.first)?),
            number(middle(|d| d.ratio)?),
            layers.len(),
            progress.text()
        );
        let saturating = latest.layers.iter().any(|l| l.activation.is_some_and(Activation::saturates));
        let recurrent = latest.layers.iter().any(|l| l.kind.recurrent());
        let sigmoids = !recurrent && latest.layers.iter().any(|l| l.activation == Some(Activation::Sigmoid));
        let mut cures = Vec::new();
        if saturating && !recurrent {
            cures.push(Prescription::ReplaceActivation { to: Replacement::Relu });
        }
        // Weights of the right size need no others.
        let gain = self.first.as_ref().and_then(|o| median(weighted(o).filter_map(|l| l.weight_gain)));
        let reinitialize = Prescription::Reinitialize { init: init_for(latest) };
        match gain {
            // A sigmoid's slope is a quarter at most: no weights of usual size make up for that in depth.
            Some(gain) if gain < self.limits.small_gain && sigmoids => cures.push(reinitialize),
            Some(gain) if gain < self.limits.small_gain => cures.insert(0, reinitialize),
            Some(_) => {}
            None => cures.push(reinitialize),
        }
        cures.extend([Prescription::AddNorm, Prescription::AddShortcuts, Prescription::AdaptiveOptimizer]);
        let illness = Illness::Vanishing;
        Some(Verdict { illness, severity: Severity::Ill, layers, since_step, evidence, prescriptions: cures })
    }

    /// The first step, if most of the first observations show the sign, up to where units die. Then it may be hidden:
    /// behind dead units the last layer has no gradient either.
    pub(super) fn began_vanishing(&self) -> Option<u64> {
        let first = self.seen.iter().take(WINDOW).take_while(|g| !g.wholly_dead(&self.limits));
        let ill = first.clone().filter(|g| g.vanishing(&self.limits));
        let step = ill.clone().next().map(|g| g.step);
        step.filter(|_| ill.count() * WINDOW >= first.count() * NEEDED)
    }

    fn vanishing_in_time(&self, progress: &Progress) -> Option<Verdict> {
        let since_step = self.since(|g| g.vanishing_in_time(&self.limits))?;
        // Who hardly moves cannot learn through however short a time: a tenth of the usual step is too little to tell.
        let update = median(self.seen.iter().rev().take(WINDOW).filter_map(|g| g.update));
        if update.is_some_and(|u| u < 10.0 * self.limits.small_update) {
            return None;
        }
        let latest = self.latest()?;
        let ratio = median(self.seen.iter().rev().take(WINDOW).filter_map(|g| g.time.map(|[_, least]| least)))?;
        let ill = latest
            .layers
            .iter()
            .filter(|l| l.time_gradient_ratio.is_some_and(|r| r < self.limits.vanishing_time_ratio));
        let plain = ill.clone().any(|l| l.kind == LayerKind::Rnn);
        let layers = ill.map(|l| l.name.clone()).collect();
        let evidence = format!(
            "only {} of the gradient by the last state reaches the first state; {}",
            number(ratio),
            progress.text()
        );
        let orthogonal = Prescription::Reinitialize { init: Init::Orthogonal };
        let cures = if plain { vec![Prescription::GatedCell, orthogonal] } else { vec![orthogonal] };
        let illness = Illness::Vanishing;
        Some(Verdict { illness, severity: Severity::Ill, layers, since_step, evidence, prescriptions: cures })
    }
}
