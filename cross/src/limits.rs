//! What a model may ask of this machine: it states its work and its memory before it runs, and a file from elsewhere may
//! state anything.

use escarp_runtime::Model;

use crate::Error;

/// Bytes that a model may need if the user does not say: 1 GiB, fifty times what a ResNet-50 at 224 x 224 takes.
pub const MEMORY: u64 = 1 << 30;
/// Work that a decision may take if the user does not say: 10^11, some twenty times a ResNet-50 at 224 x 224.
pub const WORK: u64 = 100_000_000_000;

/// What the user allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes: the session's memory, and a decision's input as f32 and as int8.
    pub memory: u64,
    /// [`Model::work`] of all runs of a decision.
    pub work: u64,
}

/// Work of one decision.
pub fn work(model: &Model) -> u64 {
    model.work().saturating_mul(model.sequence().into())
}

/// Bytes that deciding takes, besides the files themselves.
pub fn memory(model: &Model) -> u64 {
    let values = model.input().elements().saturating_mul(model.sequence().into());
    values.saturating_mul(5).saturating_add(model.buffer_len() as u64)
}

impl Limits {
    /// Refuses a model that states more.
    ///
    /// # Errors
    /// [`Error::Limit`] with `file`, what is stated, what is allowed and by which flag.
    pub fn check(&self, file: &str, model: &Model) -> Result<(), Error> {
        let checks = [
            ("bytes of memory needed:", memory(model), self.memory, "--max-memory"),
            ("work of a decision:", work(model), self.work, "--max-work"),
        ];
        for (what, needed, allowed, flag) in checks {
            if needed > allowed {
                return Err(Error::Limit { file: file.into(), what, needed, allowed, flag });
            }
        }
        Ok(())
    }
}
