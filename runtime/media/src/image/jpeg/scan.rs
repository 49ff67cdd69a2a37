//! One scan: from bits to quantized coefficients (T.81, annexes F and G).

use super::{
    Frame, Tables,
    entropy::{Bits, Huffman},
    error,
};
use crate::Error;

/// Natural position (row * 8 + column) of the `k`-th coefficient of the zigzag (T.81, figure 5).
pub(super) const ZIGZAG: [u8; 64] = zigzag();

const fn zigzag() -> [u8; 64] {
    let mut order = [0; 64];
    let (mut k, mut diagonal) = (0, 0);
    while diagonal < 15 {
        let mut i = 0;
        while i <= diagonal {
            // Even diagonals run upwards to the right, odd ones downwards to the left.
            let (row, column) = if diagonal % 2 == 0 { (diagonal - i, i) } else { (i, diagonal - i) };
            if row < 8 && column < 8 {
                order[k] = (row * 8 + column) as u8;
                k += 1;
            }
            i += 1;
        }
        diagonal += 1;
    }
    order
}

/// A scan header with its tables.
pub(super) struct Scan<'t> {
    /// Index into the frame's components, DC and AC table (each only where the scan uses it).
    pub(super) components: Vec<(usize, Option<&'t Huffman>, Option<&'t Huffman>)>,
    /// First and last coefficient of the zigzag.
    first: usize,
    last: usize,
    /// Successive approximation: the bit position decoded before (0: none) and now.
    high: u32,
    low: u32,
    progressive: bool,
}

/// What carries over from block to block.
struct State {
    /// DC predictions, by component of the frame.
    prediction: [i32; 3],
    /// Blocks that are still to be skipped as ended.
    end_run: u32,
}

impl<'t> Scan<'t> {
    pub(super) fn parse(segment: &[u8], frame: &Frame, tables: &'t Tables) -> Result<Self, String> {
        let [count, rest @ ..] = segment else { return Err("scan header is cut".into()) };
        let count = usize::from(*count);
        if !(1..=frame.components.len()).contains(&count) || rest.len() != count * 2 + 3 {
            return Err(format!("scan header of {} bytes for {count} components", segment.len()));
        }
        let (specs, range) = rest.split_at(count * 2);
        let (first, last) = (usize::from(range[0]), usize::from(range[1]));
        let (high, low) = (u32::from(range[2] >> 4), u32::from(range[2] & 15));
        let sound = if frame.progressive {
            // DC alone, or AC of one component; a refinement adds exactly one bit.
            let band = if first == 0 { last == 0 } else { first <= last && last < 64 && count == 1 };
            band && low <= 13 && (high == 0 || high == low + 1)
        } else {
            true // sequential files must say 0, 63, 0, 0, and some do not; nothing depends on it
        };
        if !sound {
            return Err(format!("scan of coefficients {first}..={last}, bits {high} to {low}"));
        }
        let (first, last) = if frame.progressive { (first, last) } else { (0, 63) };
        let mut components = Vec::new();
        for &[id, choice] in specs.as_chunks::<2>().0 {
            let index = frame.components.iter().position(|c| c.id == id);
            let index = index.filter(|&i| components.iter().all(|&(j, _, _)| i != j));
            let index = index.ok_or_else(|| format!("scan of component {id}, which is unknown or doubled"))?;
            let pick = |list: &'t [Option<Box<Huffman>>; 4], n: u8, used: bool| {
                let table = list.get(usize::from(n)).and_then(Option::as_deref);
                if used && table.is_none() { Err(format!("Huffman table {n} is missing")) } else { Ok(table) }
            };
            let refines_dc = frame.progressive && high > 0;
            let dc = pick(&tables.dc, choice >> 4, first == 0 && !refines_dc)?;
            let ac = pick(&tables.ac, choice & 15, last > 0)?;
            components.push((index, dc, ac));
        }
        Ok(Scan { components, first, last, high, low, progressive: frame.progressive })
    }

    /// Coefficients that decoding goes over, those of a block counted for each of its blocks.
    pub(super) fn visits(&self, frame: &Frame) -> u64 {
        let blocks: usize = self.components.iter().map(|&(i, _, _)| frame.components[i].coefficients.len()).sum();
        (blocks as u64).saturating_mul((self.last - self.first + 1) as u64)
    }

    /// Decodes the data at `at`; returns the position behind them.
    pub(super) fn decode(&self, frame: &mut Frame, restart: usize, bytes: &[u8], at: usize) -> Result<usize, Error> {
        let mut bits = Bits::new(bytes, at);
        let mut state = State { prediction: [0; 3], end_run: 0 };
        // One component alone: its own blocks, without the padding to whole MCUs. Several: interleaved MCUs.
        let (columns, rows) = match self.components[..] {
            [(index, _, _)] => {
                let c = &frame.components[index];
                (c.width.div_ceil(8), c.height.div_ceil(8))
            }
            _ => (frame.width.div_ceil(8 * frame.h), frame.height.div_ceil(8 * frame.v)),
        };
        for mcu in 0..columns * rows {
            if restart > 0 && mcu > 0 && mcu % restart == 0 {
                bits.restart((mcu / restart - 1) % 8)?;
                state = State { prediction: [0; 3], end_run: 0 };
            }
            let (x, y) = (mcu % columns, mcu / columns);
            for &(index, dc, ac) in &self.components {
                let c = &mut frame.components[index];
                let (h, v) = if self.components.len() == 1 { (1, 1) } else { (c.h, c.v) };
                for block in 0..h * v {
                    let place = (y * v + block / h) * c.columns + x * h + block % h;
                    self.block(&mut c.coefficients[place], index, dc, ac, &mut bits, &mut state)?;
                }
            }
        }
        Ok(bits.position())
    }

    fn block(
        &self,
        block: &mut [i16; 64],
        component: usize,
        dc: Option<&Huffman>,
        ac: Option<&Huffman>,
        bits: &mut Bits<'_>,
        state: &mut State,
    ) -> Result<(), Error> {
        if self.first == 0 {
            match dc {
                Some(table) if self.high == 0 || !self.progressive => {
                    let length = bits.symbol(table)?.into();
                    if length > 15 {
                        return Err(error(bits.position(), format!("a DC difference of {length} bits")));
                    }
                    let prediction = &mut state.prediction[component];
                    *prediction = prediction.wrapping_add(bits.signed(length)?);
                    block[0] = (*prediction << self.shift()) as i16;
                }
                _ => block[0] |= (bits.bits(1)? << self.low) as i16,
            }
        }
        match ac {
            Some(table) if self.last > 0 && self.progressive && self.high > 0 => self.refine(block, table, bits, state),
            Some(table) if self.last > 0 => self.first_pass(block, table, bits, state),
            _ => Ok(()),
        }
    }

    /// How far the values of a first pass are shifted.
    fn shift(&self) -> u32 {
        if self.progressive { self.low } else { 0 }
    }

    /// AC coefficients, sequential (F.2.2.2) or the first pass of a progressive band (G.1.2.2).
    fn first_pass(
        &self,
        block: &mut [i16; 64],
        table: &Huffman,
        bits: &mut Bits<'_>,
        state: &mut State,
    ) -> Result<(), Error> {
        if state.end_run > 0 {
            state.end_run -= 1;
            return Ok(());
        }
        let mut k = self.first.max(1);
        while k <= self.last {
            let symbol = bits.symbol(table)?;
            let (run, length) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if length == 0 {
                if run == 15 {
                    k += 16;
                    continue;
                }
                if run > 0 && !self.progressive {
                    return Err(error(bits.position(), "an end-of-band run in a sequential scan"));
                }
                state.end_run = (1 << run) - 1 + bits.bits(run as u32)?;
                return Ok(());
            }
            k += run;
            if k > self.last {
                return Err(error(bits.position(), "a run behind the last coefficient"));
            }
            block[usize::from(ZIGZAG[k])] = (bits.signed(length)? << self.shift()) as i16;
            k += 1;
        }
        Ok(())
    }

    /// One more bit of the AC coefficients of a band (G.1.2.3): those that are not zero are corrected in passing, and
    /// runs count only those that still are.
    fn refine(
        &self,
        block: &mut [i16; 64],
        table: &Huffman,
        bits: &mut Bits<'_>,
        state: &mut State,
    ) -> Result<(), Error> {
        let step = 1i16 << self.low;
        let correct = |value: &mut i16, bits: &mut Bits<'_>| -> Result<(), Error> {
            if bits.bits(1)? == 1 && *value & step == 0 {
                *value = value.wrapping_add(if *value > 0 { step } else { -step });
            }
            Ok(())
        };
        let mut k = self.first;
        while state.end_run == 0 && k <= self.last {
            let symbol = bits.symbol(table)?;
            let (mut run, length) = (u32::from(symbol >> 4), symbol & 15);
            let new = match length {
                0 if run < 15 => {
                    state.end_run = (1 << run) + bits.bits(run)?;
                    break;
                }
                0 => 0,
                1 if bits.bits(1)? == 1 => step,
                1 => -step,
                _ => return Err(error(bits.position(), "a new coefficient of more than one bit in a refinement")),
            };
            while k <= self.last {
                let value = &mut block[usize::from(ZIGZAG[k])];
                k += 1;
                if *value != 0 {
                    correct(value, bits)?;
                } else if run > 0 {
                    run -= 1;
                } else {
                    *value = new;
                    break;
                }
            }
        }
        if state.end_run > 0 {
            for &natural in &ZIGZAG[k..=self.last] {
                let value = &mut block[usize::from(natural)];
                if *value != 0 {
                    correct(value, bits)?;
                }
            }
            state.end_run -= 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ZIGZAG;

    #[test]
    fn zigzag_is_the_standard_one() {
        assert_eq!(ZIGZAG[..10], [0, 1, 8, 16, 9, 2, 3, 10, 17, 24]);
        assert_eq!(ZIGZAG[60..], [47, 55, 62, 63]);
        let mut sorted = ZIGZAG;
        sorted.sort_unstable();
        assert!(sorted.iter().enumerate().all(|(i, &n)| i == usize::from(n)));
    }
}
