//! What stands in a model's way: all of it, what is alike together.

use crate::{
    error::{Error, Finding, Several},
    onnx::Node,
    ops,
};

/// Names of further nodes that a line shows.
const SHOWN: usize = 3;

/// What has been found so far.
#[derive(Default)]
pub(super) struct Findings {
    all: Vec<(String, Finding)>,
}

/// What makes two findings alike: everything but the node, and numbers in words.
fn kind(error: &Error) -> String {
    match error {
        Error::Operator { operator, .. } => operator.clone(),
        Error::Attribute { operator, attribute, supported, .. } => format!("{operator} {attribute} {supported}"),
        Error::Node { operator, reason, .. } => {
            let words: String = reason.chars().filter(|c| !c.is_ascii_digit()).collect();
            format!("{operator}: {words}")
        }
        other => other.to_string(),
    }
}

impl Findings {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// One more; `node` is where.
    pub(super) fn add(&mut self, node: Option<&Node>, error: Error) {
        let kind = kind(&error);
        match self.all.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, finding)) => {
                finding.more += 1;
                if let Some(node) = node.filter(|_| finding.alike.len() < SHOWN) {
                    finding.alike.push(node.name().into());
                }
            }
            None => self.all.push((kind, Finding { error, alike: vec![], more: 0 })),
        }
    }

    /// All of them as one error. `cut` names tensors at which the graph could end before they begin.
    pub(super) fn error(mut self, opset: i64, cut: &[String]) -> Error {
        for (_, finding) in &mut self.all {
            advise(&mut finding.error, cut);
        }
        match <[_; 1]>::try_from(self.all) {
            Ok([(_, finding)]) if finding.more == 0 => finding.error,
            Ok([(_, finding)]) => several(vec![finding], opset, cut),
            Err(all) => several(all.into_iter().map(|(_, finding)| finding).collect(), opset, cut),
        }
    }
}

fn several(all: Vec<Finding>, opset: i64, cut: &[String]) -> Error {
    Error::Several(Several { all, opset, supported: ops::supported(), cut: cut.to_vec() })
}

/// Says what avoids an error, where anything does.
fn advise(error: &mut Error, cut: &[String]) {
    match error {
        Error::Operator { operator, advice, .. } => {
            *advice = ops::advice(operator).map_or(String::new(), |advice| format!("; {advice}"));
            if advice.contains("--outputs") && !cut.is_empty() {
                advice.push_str(&format!(" (here --outputs \"{}\")", cut.join(",")));
            }
        }
        Error::Attribute { value, supported, .. } if value.starts_with("(not ") => supported.push_str(
            "; export with fixed shapes or give them by --inputs; what depends on the sample, cut off by --outputs",
        ),
        _ => {}
    }
}
