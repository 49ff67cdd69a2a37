//! What a net should have said of a batch, in the form in which its loss takes it.

use crate::nets::loss::Targets;

/// The classes of a batch and, for a net of one output, whether each is the second of two: yes or no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    classes: Vec<usize>,
    yes: Option<Vec<bool>>,
}

impl Answers {
    /// For a net of so many outputs.
    pub fn new(classes: Vec<usize>, outputs: usize) -> Self {
        let yes = (outputs == 1).then(|| classes.iter().map(|&class| class == 1).collect());
        Self { classes, yes }
    }

    /// The classes.
    pub fn classes(&self) -> &[usize] {
        &self.classes
    }

    /// Softmax cross-entropy of classes, sigmoid cross-entropy of yes or no.
    pub fn targets(&self) -> Targets<'_> {
        self.yes.as_deref().map_or(Targets::Classes(&self.classes), Targets::Binary)
    }
}

#[cfg(test)]
mod tests {
    use super::Answers;
    use crate::nets::loss::Targets;

    #[test]
    fn one_output_says_yes_to_the_second_class() {
        assert_eq!(Answers::new(vec![0, 1, 1], 1).targets(), Targets::Binary(&[false, true, true]));
        assert_eq!(Answers::new(vec![0, 1, 1], 2).targets(), Targets::Classes(&[0, 1, 1]));
    }
}
