//! Whether the network of a finished run is of any use: beside who always says the commonest class, and beside who knows
//! only how frequent the classes are.
//!
//! Accuracy. Always saying the class of the share `p` is right in `p` of `n` samples, with the standard error
//! `sqrt(p (1 - p) / n)`. A net that is not above that has shown nothing. What was recorded together is alike, so it is the
//! recordings that count as `n`; where those are few nothing can be told.
//!
//! Loss. Guessing by the classes' frequencies costs their entropy, guessing blindly `ln classes`. A net may cost more and yet
//! be right more often: it is surer than it should be. But where its loss is [`FAR`] above blind guessing and its accuracy no
//! better, or its loss has left every measure, it has learned nothing that could be used, and the run has failed. The loss
//! is the plain cross-entropy of the kept net: that of training steps has penalties, smoothed labels and mixtures in it.

use crate::{
    data::frequencies::Frequencies, error::TrainError, fit::evaluate::Evaluation, optim::clip::Clip,
    run::folder::EpochMetrics,
};

/// A loss so many times that of blind guessing is far.
const FAR: f64 = 10.0;

/// So many times it no net comes by being too sure of itself: outputs have run away, and what is right is so by chance.
const LOST: f64 = 1e6;

/// A loss above that of guessing by no more than this share of it is as good as that.
const MARGIN: f64 = 0.05;

/// Which samples a net is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// Held out of the training data.
    Validation,
    /// Of other data, whose classes may be of other frequencies.
    Test,
    /// Those it was trained on, or some of them.
    Training,
}

impl Set {
    fn name(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Test => "test",
            Self::Training => "training",
        }
    }
}

/// What there is to be said of a run that was not cut short.
pub(super) struct Judge<'a> {
    /// Names of the classes.
    pub labels: &'a [String],
    /// Of the training samples.
    pub frequencies: &'a Frequencies,
    /// The highest learning rate.
    pub rate: f32,
    /// What was clipped.
    pub clip: &'a Clip,
    /// Epoch by epoch.
    pub history: &'a [EpochMetrics],
    /// The epoch whose network is kept.
    pub epoch: u32,
    /// Of that network.
    pub evaluation: Option<(Set, Evaluation)>,
}

impl Judge<'_> {
    /// What the table does not say; an error if the network is of no use.
    pub(super) fn lines(&self) -> Result<Vec<String>, TrainError> {
        let Some((set, evaluation)) = self.evaluation else { return Ok(Vec::new()) };
        let mut lines = Vec::from_iter(self.accuracy(set, &evaluation));
        let (name, loss, classes) = (set.name(), evaluation.loss, self.labels.len().max(2));
        let blind = (classes as f64).ln();
        // What guessing by the training samples' frequencies costs elsewhere, where they may be others, is not known.
        let (guess, how) = match set {
            Set::Test => (blind, "blindly"),
            Set::Validation | Set::Training => (self.frequencies.entropy(), "by the classes' frequencies"),
        };
        if far(loss, blind) {
            let (since, rate) = (self.since(set, blind), self.rate);
            let clip = if *self.clip == Clip::None { " with --clip 1" } else { "" };
            let what = format!(
                "{name} loss {loss:.4e}, far above the {guess:.3} of guessing {how}{since}; try a lower --lr (now \
                 {rate}){clip}, or smaller initial weights where the first loss was so already: escarp-train doctor tells which"
            );
            if !evaluation.is_better_than_guessing(classes) || loss.is_nan() || loss > LOST * blind {
                return Err(TrainError::Useless { what });
            }
            lines.push(what);
        } else if loss > (1.0 + MARGIN) * guess && lines.is_empty() {
            lines.push(format!(
                "{name} loss {loss:.3} is above the {guess:.3} of guessing {how}: the net is surer than it is right"
            ));
        }
        Ok(lines)
    }

    /// Since which epoch the loss is far above blind guessing, if epochs were validated: the loss of training steps does not
    /// say.
    fn since(&self, set: Set, blind: f64) -> String {
        let before = self.history.iter().filter(|epoch| epoch.epoch <= self.epoch).rev();
        let is_far = |epoch: &&EpochMetrics| epoch.validation_loss.is_some_and(|loss| far(loss, blind));
        match before.take_while(is_far).last() {
            Some(first) if set == Set::Validation => format!(", since epoch {}", first.epoch),
            _ => String::new(),
        }
    }

    fn accuracy(&self, set: Set, evaluation: &Evaluation) -> Option<String> {
        let &Evaluation { total, commonest: (class, count), unit, witnesses, recordings, .. } = evaluation;
        let (name, label) = (set.name(), self.labels.get(class)?);
        if count == total {
            return Some(format!("all {name} {unit} are of class `{label}`: they tell nothing of the others"));
        }
        if evaluation.is_above_the_commonest() {
            return None;
        }
        let (right, always) = (100.0 * evaluation.accuracy(), 100.0 * evaluation.always());
        if evaluation.is_of_few() {
            let what = if recordings { "recordings" } else { "samples" };
            let part = match set {
                Set::Validation => "were held out to validate on",
                Set::Test => "are there to test on",
                Set::Training => "are there to train on",
            };
            return Some(format!(
                "only {witnesses} {what} {part}, too few to tell whether {right:.2} % is more than the {always:.2} % of always \
                 saying `{label}`"
            ));
        }
        Some(format!(
            "{name} accuracy {right:.2} % is not clearly above the {always:.2} % of always saying `{label}`: as far as can be \
             told, the net has learned nothing beyond that"
        ))
    }
}

fn far(loss: f64, blind: f64) -> bool {
    loss.is_nan() || loss > FAR * blind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: u32, loss: f64) -> EpochMetrics {
        EpochMetrics {
            epoch,
            step: 10,
            seconds: 1.0,
            rate: 0.1,
            train_loss: loss,
            train_accuracy: 0.5,
            gradient_norm: 1.0,
            gradient_norm_max: 1.0,
            samples_per_second: 1.0,
            validation_loss: Some(loss),
            validation_accuracy: None,
        }
    }

    /// Of two classes, 30 to 90; epochs of these losses, of which the last is kept; so many of 40 samples right.
    fn judge(losses: &[f64], right: Option<usize>) -> Result<Vec<String>, String> {
        let history: Vec<EpochMetrics> = (1..).zip(losses).map(|(at, &loss)| epoch(at, loss)).collect();
        let evaluation = |correct| Evaluation {
            correct,
            total: 40,
            loss: losses[losses.len() - 1],
            witnesses: 40,
            commonest: (1, 30),
            ..Evaluation::default()
        };
        let judge = Judge {
            labels: &["rare".into(), "rest".into()],
            frequencies: &Frequencies(vec![30, 90]),
            rate: 5.0,
            clip: &Clip::None,
            history: &history,
            epoch: losses.len() as u32,
            evaluation: right.map(|right| (Set::Validation, evaluation(right))),
        };
        judge.lines().map_err(|e| e.to_string())
    }

    #[test]
    fn a_net_is_compared_with_always_saying_the_commonest_class() {
        assert_eq!(judge(&[0.3], Some(38)).unwrap(), [""; 0]);
        // One standard error of 75 % among 40 is 6.8 points.
        for right in [0, 30, 32] {
            let said = judge(&[0.3], Some(right)).unwrap().join("");
            let wanted = "not clearly above the 75.00 % of always saying `rest`: as far as can be told, the net has learned nothing";
            assert!(said.contains(wanted), "{right}: {said}");
        }
        assert_eq!(judge(&[0.3], Some(33)).unwrap(), [""; 0]);
        let one = Evaluation { total: 40, correct: 40, witnesses: 40, commonest: (0, 40), ..Evaluation::default() };
        let labels = ["rare".into(), "rest".into()];
        let (frequencies, history) = (Frequencies(vec![1, 1]), [epoch(1, 0.3)]);
        let judge = |evaluation| {
            let (labels, frequencies, history) = (&labels, &frequencies, &history);
            Judge { labels, frequencies, rate: 1.0, clip: &Clip::None, history, epoch: 1, evaluation }.lines().unwrap()
        };
        assert!(judge(Some((Set::Validation, one)))[0].contains("all validation samples are of class `rare`"));
        assert_eq!(judge(None), [""; 0]);
    }

    /// Of two classes, one as frequent as the other: what is said of 100 frames of so many recordings.
    fn few(witnesses: usize, correct: usize, loss: f64, set: Set) -> Result<String, String> {
        let evaluation = Evaluation {
            correct,
            total: 100,
            loss,
            witnesses,
            recordings: true,
            commonest: (0, 50),
            ..Evaluation::default()
        };
        let (labels, frequencies) = (["up".into(), "down".into()], Frequencies(vec![50, 50]));
        let judge = Judge {
            labels: &labels,
            frequencies: &frequencies,
            rate: 1.0,
            clip: &Clip::None,
            // With penalties, which are no part of what the net costs.
            history: &[EpochMetrics { validation_loss: None, ..epoch(1, 1e9) }],
            epoch: 1,
            evaluation: Some((set, evaluation)),
        };
        judge.lines().map(|lines| lines.join("\n")).map_err(|e| e.to_string())
    }

    #[test]
    fn few_recordings_are_too_few_to_tell() {
        for (witnesses, correct) in [(1, 99), (1, 100), (7, 60)] {
            let said = few(witnesses, correct, 0.1, Set::Validation).unwrap();
            let wanted = format!("only {witnesses} recordings were held out to validate on, too few to tell");
            assert!(said.contains(&wanted) && !said.contains("learned nothing"), "{said}");
        }
        assert_eq!(few(7, 99, 0.1, Set::Validation).unwrap(), "", "clearly more");
        assert!(few(100, 54, 0.1, Set::Validation).unwrap().contains("learned nothing"));
        // Right by less than what could be told does not fail.
        assert!(few(1, 99, 9.0, Set::Validation).unwrap().contains("validation loss 9.0000e0"));
        assert!(few(100, 54, 9.0, Set::Validation).is_ok());
        assert!(few(1, 50, 9.0, Set::Validation).is_err());
    }

    #[test]
    fn without_validation_it_is_the_kept_net_that_is_judged() {
        assert_eq!(few(40, 90, 0.3, Set::Training).unwrap(), "");
        assert!(few(40, 50, 9.0, Set::Training).unwrap_err().contains("training loss 9.0000e0, far above the 0.693"));
        let said = few(40, 90, 0.8, Set::Test).unwrap();
        assert!(said.contains("test loss 0.800 is above the 0.693 of guessing blindly: the net is surer"), "{said}");
        assert_eq!(few(40, 90, 0.72, Set::Test).unwrap(), "", "as good as guessing");
        assert!(!few(40, 50, 0.8, Set::Test).unwrap().contains("surer"), "said once");
    }

    #[test]
    fn a_loss_far_above_guessing_fails_where_nothing_was_learned() {
        let useless = judge(&[0.5, 9.0, 0.6, 8.0, 9.8e36], Some(30)).unwrap_err();
        for wanted in [
            "of no use",
            "validation loss 9.8000e36",
            "the 0.562 of guessing",
            "since epoch 4",
            "--lr (now 5) with --clip 1",
        ] {
            assert!(useless.contains(wanted), "{wanted} in {useless}");
        }
        assert!(judge(&[9.8e36], Some(40)).is_err(), "right by chance");
        assert!(judge(&[9.0], Some(40)).unwrap()[0].contains("since epoch 1"), "said, but of use");
        assert!(judge(&[0.7], Some(38)).unwrap()[0].contains("surer than it is right"));
    }
}
