//! The constants section: blocks of bytes, in the order of the steps and within a step in that of its record.

use escarp_runtime::ConstOffset;

use crate::error::Error;

/// Bytes that a step reads in place.
#[derive(Clone, Debug)]
pub struct Block {
    /// As the loader wants them.
    pub bytes: Vec<u8>,
    /// Where they may begin: at multiples of so many bytes.
    pub alignment: usize,
    /// How many of them are weights, the others filling up channels and rows; `None` for anything but weights: parameters of
    /// rows, tables.
    pub weights: Option<usize>,
}

/// The section while it is put together, and what its bytes are.
#[derive(Clone, Debug, Default)]
pub struct Constants {
    /// All blocks, aligned.
    pub bytes: Vec<u8>,
    /// Weights, one byte each.
    pub weights: u64,
    /// Zero weights that fill channels and rows up to eights.
    pub filling: u64,
    /// Bytes of all other blocks.
    pub others: u64,
}

impl Constants {
    /// Adds a block and says where it begins.
    ///
    /// # Errors
    /// [`Error::Pack`] if that is beyond 4 GiB.
    pub fn place(&mut self, block: &Block) -> Result<ConstOffset, Error> {
        self.bytes.resize(self.bytes.len().next_multiple_of(block.alignment), 0);
        let len = self.bytes.len();
        let offset = u32::try_from(len)
            .map_err(|_| Error::Pack(format!("a file or an arena of {len} bytes; allowed: 4 GiB")))?;
        self.bytes.extend(&block.bytes);
        let bytes = block.bytes.len() as u64;
        match block.weights {
            Some(weights) => {
                self.weights += weights as u64;
                self.filling += bytes - weights as u64;
            }
            None => self.others += bytes,
        }
        Ok(offset)
    }
}
