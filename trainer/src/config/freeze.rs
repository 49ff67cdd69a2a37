//! Parameters that training leaves as they are: the body of a trained net under a new head.
//!
//! `--freeze PATTERN` freezes what the pattern matches, `--thaw PATTERN` makes exceptions: `--freeze '*' --thaw 'head.*'`
//! trains the head alone. The patterns are of `*`, `?` and `[...]` and meet the names of a checkpoint.
//!
//! The optimizer, clipping, decay, penalties and the gradient's norm do not see a frozen parameter. A batch normalization
//! whose scale and shift are both frozen also keeps its running statistics, and *uses* them in training: normalized by
//! the batch, the frozen layers would compute something else in training than in evaluation.

use serde::{Deserialize, Serialize};

use crate::{
    engine::{parameter::Parameter, pattern::Pattern},
    error::TrainError,
    nets::Net,
};

/// What is frozen, as the user names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Patterns of names of parameters that stay as they are.
    pub freeze: Vec<String>,
    /// Patterns of names that are trained all the same.
    pub thaw: Vec<String>,
}

impl Freeze {
    /// Freezes the parameters of `net`; says in a line how many, if any.
    ///
    /// # Errors
    /// [`TrainError::Usage`] for a pattern that is none or matches no name, and if nothing is left to train.
    pub fn apply(&self, net: &mut Net) -> Result<Option<String>, TrainError> {
        let names: Vec<String> = net.parameters().into_iter().map(|p| p.name).collect();
        let (freeze, thaw) = (patterns("--freeze", &self.freeze, &names)?, patterns("--thaw", &self.thaw, &names)?);
        let any = |patterns: &[Pattern], name: &str| patterns.iter().any(|p| p.matches(name));
        net.freeze(|name| any(&freeze, name) && !any(&thaw, name));
        let numbers = |parameters: Vec<Parameter<'_>>| -> usize { parameters.iter().map(|p| p.value.len()).sum() };
        let (all, left) = (numbers(net.parameters()), numbers(net.trainable()));
        if left == 0 {
            let reason = format!("nothing is left to train; exempt some of: {}", names.join(", "));
            return Err(TrainError::Usage { flag: "--freeze", reason });
        }
        Ok((left < all).then(|| format!("{left} of {all} numbers are trained, the others frozen")))
    }
}

fn patterns(flag: &'static str, texts: &[String], names: &[String]) -> Result<Vec<Pattern>, TrainError> {
    let usage = |reason| TrainError::Usage { flag, reason };
    let one = |text: &String| {
        let pattern = Pattern::new(text).map_err(usage)?;
        match names.iter().any(|name| pattern.matches(name)) {
            true => Ok(pattern),
            false => Err(usage(format!("no parameter matches `{text}`; there are: {}", names.join(", ")))),
        }
    };
    texts.iter().map(one).collect()
}
