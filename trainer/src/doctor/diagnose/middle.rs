//! The median of all numbers so far, in the logarithm of their count for each.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Numbers that are 0 or more and finite, parted in the middle.
#[derive(Clone, Debug, Default)]
pub(super) struct Middle {
    /// The smaller half, as bits: those of numbers from 0 on rise with them.
    low: BinaryHeap<u64>,
    /// The others: as many, or one more.
    high: BinaryHeap<Reverse<u64>>,
}

impl Middle {
    /// Takes one in.
    pub fn push(&mut self, number: f64) {
        // Of a negative zero the sign bit would count.
        self.low.push((number + 0.0).to_bits());
        self.high.extend(self.low.pop().map(Reverse));
        if self.high.len() > self.low.len() + 1 {
            self.low.extend(self.high.pop().map(|Reverse(bits)| bits));
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.low.len() + self.high.len()
    }

    /// The one in the middle, of an even number the higher of two.
    pub fn median(&self) -> Option<f64> {
        self.high.peek().map(|Reverse(bits)| f64::from_bits(*bits))
    }
}

#[cfg(test)]
mod tests {
    use super::Middle;

    #[test]
    fn it_is_that_of_the_sorted_list() {
        let (mut middle, mut sorted) = (Middle::default(), Vec::<f64>::new());
        assert_eq!(middle.median(), None);
        for i in 0..200u32 {
            let number = f64::from(i * 7919 % 101) / 8.0 * if i % 50 == 3 { -0.0 } else { 1.0 };
            middle.push(number);
            sorted.push(number);
            sorted.sort_by(f64::total_cmp);
            assert_eq!((middle.median(), middle.len()), (Some(sorted[sorted.len() / 2]), sorted.len()));
        }
    }
}
