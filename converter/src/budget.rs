//! What an import may take of memory, all of it: the limits, and the one account that everything is charged to.
//!
//! A few bytes of ONNX can ask for a lot: empty messages, constants that are filled, repeated and joined, one constant as the
//! weights of many layers. So each of these is charged, before it is allocated, with what it takes: the decoded protobuf
//! (`wire.rs`), every constant, every layer's weights as floats and as they are packed. What is freed later is not given
//! back: the sum also bounds the time.

use std::cell::Cell;

/// Most nodes of a graph; a model file has no more steps.
pub const NODES: u64 = 65_535;

/// Most dimensions of a tensor, and so most numbers in a list of axes or lengths.
pub const RANK: usize = 16;

/// Most values that all tensors of a network may hold together, over all steps of a sequence and with channels padded to
/// eights; and most operands that one convolution may gather. A ResNet-50 at 224 x 224 holds 11 million.
pub const VALUES: u64 = 1 << 27;

/// Bytes that all evaluators of the float network may take together, see [`evaluators`].
const EVALUATION: u64 = 1 << 30;

/// Bytes that an import may take whatever the file's length.
const BYTES: u64 = 512 << 20;

/// Bytes more for each byte of the file: its weights lie in the decoded protobuf, in a constant, in a layer, sometimes in a
/// second constant (a folded Transpose), each up to twice while a list grows, and in the int8 file.
const TIMES: u64 = 8;

/// What a constant or a node takes beside its numbers: names, dimensions, places in tables.
pub const EACH: u64 = 1024;

/// How many evaluators of a network that holds so many values may be at work at the same time: each keeps every value as an
/// f32, what a convolution gathers, and what a comparison of layers remembers. At least one, which takes at most 1.5 GiB.
pub fn evaluators(values: u64) -> usize {
    usize::try_from(EVALUATION / values.saturating_mul(3 * size_of::<f32>() as u64).max(1))
        .map_or(usize::MAX, |n| n.max(1))
}

/// The account of one import.
pub struct Budget {
    file: Cell<u64>,
    left: Cell<u64>,
    exhausted: Cell<bool>,
}

impl Budget {
    /// For a file of so many bytes.
    pub fn new(file: usize) -> Budget {
        let file = file as u64;
        let left = Cell::new(BYTES.saturating_add(file.saturating_mul(TIMES)));
        Budget { file: Cell::new(file), left, exhausted: Cell::new(false) }
    }

    /// The model has so many bytes more, in another file.
    pub fn grow(&self, bytes: u64) {
        self.file.set(self.file.get().saturating_add(bytes));
        self.left.set(self.left.get().saturating_add(bytes.saturating_mul(TIMES)));
    }

    /// Was something asked for that was not there?
    pub fn is_exhausted(&self) -> bool {
        self.exhausted.get()
    }

    /// Takes bytes that are about to be allocated.
    ///
    /// # Errors
    /// In words without a place, which the caller knows, if so many are not left.
    pub fn take(&self, bytes: u64) -> Result<(), String> {
        let left = self.left.get().checked_sub(bytes).ok_or_else(|| {
            let left = self.left.get();
            self.exhausted.set(true);
            format!(
                "needs {bytes} bytes of memory, {left} are left; allowed for the whole import: {BYTES}, and {TIMES} for each of \
                 the file's {} bytes",
                self.file.get()
            )
        })?;
        self.left.set(left);
        Ok(())
    }

    /// Takes an array of elements of `width` bytes. Dimensions of 0 count as 1: no library computes with the others' product
    /// where it overflows.
    ///
    /// # Errors
    /// As [`Budget::take`], and for more than [`RANK`] dimensions.
    pub fn array(&self, dims: &[usize], width: usize) -> Result<(), String> {
        if dims.len() > RANK {
            return Err(format!("has {} dimensions; allowed: {RANK}", dims.len()));
        }
        let bytes = dims.iter().fold(width as u64, |bytes, &d| bytes.saturating_mul(d.max(1) as u64));
        self.take(bytes.saturating_add(EACH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_networks_are_evaluated_by_few_at_a_time() {
        assert_eq!([11_000_000, VALUES, u64::MAX].map(evaluators), [8, 1, 1]);
        assert!(evaluators(0) > 1 << 20);
    }

    #[test]
    fn what_is_taken_is_gone() {
        let budget = Budget::new(1 << 20);
        let all = (512 << 20) + (8 << 20);
        assert_eq!(budget.take(all - 5), Ok(()));
        assert!(budget.take(6).unwrap_err().starts_with("needs 6 bytes of memory, 5 are left; allowed for the whole"));
        assert_eq!(budget.take(5), Ok(()));
        assert!(budget.take(1).is_err());
        let budget = Budget::new(0);
        assert!(
            budget.array(&[0, usize::MAX, usize::MAX], 4).is_err(),
            "an array of nothing, too large to say how large"
        );
        assert_eq!(budget.array(&[1; 17], 4), Err("has 17 dimensions; allowed: 16".into()));
        assert_eq!(budget.array(&[2; 16], 4), Ok(()));
    }
}
