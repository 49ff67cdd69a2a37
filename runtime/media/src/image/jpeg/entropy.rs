//! The entropy-coded segment: bits without stuffing, Huffman codes (T.81, annexes C and F).

use super::error;
use crate::Error;

/// Codes up to this length are found with one look.
const FAST: u32 = 9;

/// A canonical Huffman code.
pub(super) struct Huffman {
    /// By the next [`FAST`] bits: length and symbol, length 0 for longer codes.
    fast: [(u8, u8); 1 << FAST],
    /// By length: one past the largest code, left-aligned to 16 bits; 0 if there is none.
    limit: [u32; 17],
    /// By length: symbol index minus code.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// From the number of codes of each length 1 to 16 and the symbols in the order of their codes. `None` if the lengths
    /// do not leave room for that many.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Huffman> {
        let mut table =
            Huffman { fast: [(0, 0); 1 << FAST], limit: [0; 17], offset: [0; 17], symbols: symbols.to_vec() };
        let (mut code, mut index) = (0u32, 0usize);
        for (length, &count) in (1u32..).zip(counts) {
            table.offset[length as usize] = index as i32 - code as i32;
            for _ in 0..count {
                if code >= 1 << length {
                    return None;
                }
                if length <= FAST {
                    let first = (code << (FAST - length)) as usize;
                    table.fast[first..first + (1 << (FAST - length))].fill((length as u8, *symbols.get(index)?));
                }
                code += 1;
                index += 1;
            }
            table.limit[length as usize] = if count > 0 { code << (16 - length) } else { 0 };
            code <<= 1;
        }
        Some(table)
    }
}

/// Reads bits, most significant first, up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next `count` bits are at the top.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Bits { bytes, at, held: 0, count: 0 }
    }

    /// Where reading stands: not behind the next marker.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let byte = match self.bytes.get(self.at..) {
                Some([0xff, 0, ..]) => {
                    self.at += 1;
                    0xff
                }
                None | Some([] | [0xff, ..]) => return, // a marker, or the end of the file
                Some([byte, ..]) => *byte,
            };
            self.at += 1;
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    fn consume(&mut self, n: u32) -> Result<(), Error> {
        if n > self.count {
            return Err(error(self.at, "the data of a scan end too early"));
        }
        self.held <<= n;
        self.count -= n;
        Ok(())
    }

    /// The next `n <= 16` bits as a number.
    pub(super) fn bits(&mut self, n: u32) -> Result<u32, Error> {
        if n == 0 {
            return Ok(0);
        }
        self.fill();
        let value = (self.held >> (64 - n)) as u32;
        self.consume(n)?;
        Ok(value)
    }

    /// The next `n <= 15` bits as a signed difference (T.81, F.2.2.1, EXTEND).
    pub(super) fn signed(&mut self, n: u32) -> Result<i32, Error> {
        let value = self.bits(n)? as i32;
        Ok(if n > 0 && value < 1 << (n - 1) { value - (1 << n) + 1 } else { value })
    }

    /// The symbol of the next code.
    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, Error> {
        self.fill();
        let (length, symbol) = table.fast[(self.held >> (64 - FAST)) as usize];
        if length > 0 {
            self.consume(length.into())?;
            return Ok(symbol);
        }
        let next = (self.held >> 48) as u32;
        for length in FAST + 1..=16 {
            if next < table.limit[length as usize] {
                let index = (next >> (16 - length)) as i32 + table.offset[length as usize];
                let symbol = usize::try_from(index).ok().and_then(|i| table.symbols.get(i));
                self.consume(length)?;
                return symbol.copied().ok_or_else(|| error(self.at, "a Huffman code without a symbol"));
            }
        }
        Err(error(self.at, "a bit sequence that is no Huffman code"))
    }

    /// Passes restart marker `number` (0 to 7), which must come next.
    pub(super) fn restart(&mut self, number: usize) -> Result<(), Error> {
        self.fill();
        match self.bytes.get(self.at..self.at + 2) {
            Some(&[0xff, code]) if self.count < 8 && usize::from(code) == 0xd0 + number => {
                *self = Bits::new(self.bytes, self.at + 2);
                Ok(())
            }
            _ => Err(error(self.at, format!("restart marker {number} is missing"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_every_length() {
        // One code of each length 1..=16: 0, 10, 110, ...
        let symbols: Vec<u8> = (1..=16).collect();
        let table = Huffman::new(&[1; 16], &symbols).unwrap();
        for length in 1..=16u32 {
            let bits = (0xffff_fffeu64 << (32 + 32 - length)) >> 32 << 32; // length - 1 ones, then zeros
            let bytes: Vec<u8> =
                bits.to_be_bytes().iter().flat_map(|&b| if b == 0xff { vec![0xff, 0] } else { vec![b] }).collect();
            assert_eq!(Bits::new(&bytes, 0).symbol(&table).unwrap(), length as u8);
        }
        assert!(Bits::new(&[0xff, 0, 0xff, 0, 0], 0).symbol(&table).is_err(), "all ones is no code");
    }

    #[test]
    fn too_many_codes_are_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Huffman::new(&counts, &[1, 2, 3]).is_none());
    }

    #[test]
    fn bits_end_at_a_marker() {
        let mut bits = Bits::new(&[0b1010_0000, 0xff, 0xd9], 0);
        assert_eq!(bits.bits(3).unwrap(), 0b101);
        assert_eq!(bits.signed(5).unwrap(), -31);
        assert!(bits.bits(1).is_err());
        assert_eq!(bits.position(), 1);
    }
}
