//! Whether the network of a finished run is of any use: beside who always says the commonest class, and beside who knows
//! only how frequent the classes are.
//!
//! Accuracy. Always saying the class of the share `p` is right in `p` of `n` samples, with the standard error
//! `sqrt(p (1 - p) / n)`. A net that is not above that has shown nothing. What was recorded together is alike, so it is the
//! recordings that count as `n`.
//!
//! Loss. Guessing by the classes' frequencies costs their entropy, guessing blindly `ln classes`. A net may cost more and yet
//! be right more often: it is surer than it should be. But where its loss is [`FAR`] above blind guessing and its accuracy no
//! better, or its loss has left every measure, it has learned nothing that could be used, and the run has failed.

use crate::clip::Clip;
use crate::data::frequencies::Frequencies;
use crate::error::TrainError;
use crate::evaluate::Evaluation;
use crate::run_folder::EpochMetrics;

/// A loss so many times that of blind guessing is far.
const FAR: f64 = 10.0;

/// So many times it no net comes by being too sure of itself: outputs have run away, and what is right is so by chance.
const LOST: f64 = 1e6;

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
    /// Of that network; `None` without validation samples.
    pub validation: Option<Evaluation>,
}

impl Judge<'_> {
    /// What the table does not say; an error if the network is of no use.
    pub(super) fn lines(&self) -> Result<Vec<String>, TrainError> {
        let mut lines = Vec::from_iter(self.validation.and_then(|validation| self.accuracy(&validation)));
        let Some(kept) = self.history.iter().find(|epoch| epoch.epoch == self.epoch) else { return Ok(lines) };
        let set = if self.validation.is_some() { "validation" } else { "training" };
        let loss = self.validation.map_or(kept.train_loss, |validation| validation.loss);
        let (blind, guess) = ((self.labels.len().max(2) as f64).ln(), self.frequencies.entropy());
        let far = |loss: f64| loss.is_nan() || loss > FAR * blind;
        let learned = self.validation.is_some_and(|validation| validation.is_above_the_commonest());
        if far(loss) {
            let before = self.history.iter().filter(|epoch| epoch.epoch <= self.epoch);
            let since = before.rev().take_while(|epoch| far(epoch.validation_loss.unwrap_or(epoch.train_loss))).last();
            let since = since.map_or(self.epoch, |epoch| epoch.epoch);
            let rate = self.rate;
            let clip = if *self.clip == Clip::None { " with --clip 1" } else { "" };
            let what = format!(
                "{set} loss {loss:.4e}, far above the {guess:.3} of guessing by the classes' frequencies, since epoch \
                 {since}; try a lower --lr (now {rate}){clip}, or smaller initial weights where the first loss was so already: \
                 escarp-train doctor tells which"
            );
            if !learned || loss.is_nan() || loss > LOST * blind {
                return Err(TrainError::Useless { what });
            }
            lines.push(what);
        } else if loss > guess {
            lines.push(format!(
                "{set} loss {loss:.3} is above the {guess:.3} of guessing by the classes' frequencies: the net is surer than \
                 it is right"
            ));
        }
        Ok(lines)
    }

    fn accuracy(&self, validation: &Evaluation) -> Option<String> {
        let &Evaluation { total, commonest: (class, count), unit, .. } = validation;
        let label = self.labels.get(class)?;
        if count == total {
            return Some(format!("all validation {unit} are of class `{label}`: they tell nothing of the others"));
        }
        if validation.is_above_the_commonest() {
            return None;
        }
        let (right, always) = (100.0 * validation.accuracy(), 100.0 * validation.always());
        Some(format!(
            "validation accuracy {right:.2} % is not clearly above the {always:.2} % of always saying `{label}`: as far as can be \
             told, the net has learned nothing beyond that"
        ))
    }
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
            validation: right.map(evaluation),
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
        let judge = |validation| {
            let (labels, frequencies, history) = (&labels, &frequencies, &history);
            Judge { labels, frequencies, rate: 1.0, clip: &Clip::None, history, epoch: 1, validation }.lines().unwrap()
        };
        assert!(judge(Some(one))[0].contains("all validation samples are of class `rare`"));
        assert_eq!(judge(None), [""; 0]);
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
        assert!(judge(&[9.0], None).unwrap_err().contains("training loss 9.0000e0"));
        assert!(judge(&[9.8e36], Some(40)).is_err(), "right by chance");
        assert!(judge(&[9.0], Some(40)).unwrap()[0].contains("since epoch 1"), "said, but of use");
        assert!(judge(&[0.7], Some(38)).unwrap()[0].contains("surer than it is right"));
    }
}
