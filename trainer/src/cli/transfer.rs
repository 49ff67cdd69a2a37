//! Flags of fine-tuning: where the numbers come from and which of them stay.

use std::path::PathBuf;

use clap::Args;

use crate::config::freeze::Freeze;

#[derive(Args)]
#[command(next_help_heading = "Fine-tuning (results.md has an example)")]
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
    /// Fine-tune for int8: the forward pass is that of the network that escarp-convert will make, to the bit; batch
    /// normalization is folded, nothing is dropped. A tenth of the usual epochs at a hundredth of the learning rate.
    #[arg(long, requires = "init_from", conflicts_with = "repair")]
    pub qat: bool,
}

/// Shares of the usual epochs and learning rate.
pub(super) struct Pace {
    pub epochs: f32,
    pub rate: f32,
}

/// Of a quantization-aware fine-tuning: Wu et al., "Integer Quantization for Deep Learning Inference: Principles and
/// Empirical Evaluation", arXiv 2004.09602, section 5.2.
const QAT: Pace = Pace { epochs: 0.1, rate: 0.01 };

impl Transfer {
    /// How long and how fast, where no other flag says so.
    pub(super) fn pace(&self) -> Pace {
        if self.qat { QAT } else { Pace { epochs: 1.0, rate: 1.0 } }
    }

    pub(super) fn freeze(&self) -> Freeze {
        Freeze { freeze: self.freeze.clone(), thaw: self.thaw.clone() }
    }
}
