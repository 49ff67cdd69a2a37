//! Flags of fine-tuning: where the numbers come from and which of them stay.

use std::path::PathBuf;

use clap::Args;

use crate::freeze::Freeze;

#[derive(Args)]
#[command(next_help_heading = "Fine-tuning (recipes.md has an example)")]
pub(super) struct Transfer {
    /// Begin with the numbers of a trained net, a checkpoint or an ONNX file of escarp-train, wherever name and shape fit.
    #[arg(long, value_name = "FILE")]
    pub init_from: Option<PathBuf>,
    /// Leave the parameters whose name matches as they are, e.g. 'stage1.*'; repeatable.
    #[arg(long, value_name = "PATTERN")]
    freeze: Vec<String>,
    /// Exceptions from --freeze: --freeze '*' --thaw 'head.*' trains the head alone; repeatable.
    #[arg(long, value_name = "PATTERN", requires = "freeze")]
    thaw: Vec<String>,
}

impl Transfer {
    pub(super) fn freeze(&self) -> Freeze {
        Freeze { freeze: self.freeze.clone(), thaw: self.thaw.clone() }
    }
}
