//! How a batch is split over threads so that the result does not depend on them.
//!
//! Floating-point sums depend on their order. A batch is therefore cut by its size alone, each piece is summed by one
//! thread into its own buffer, and the buffers are added in the order of the pieces.

use crate::engine::scalar::Scalar;

/// At most this many pieces; enough for as many threads, few enough that their gradient buffers stay small.
const PIECES: usize = 16;

/// Samples in each piece of a batch (the last may be shorter), at least `least`.
pub fn samples_per_piece(batch: usize, least: usize) -> usize {
    batch.div_ceil(PIECES).max(least).max(1)
}

/// `sum = pieces[0] + pieces[1] + ...`, in this order.
pub fn sum_in_order<'a, T: Scalar>(sum: &mut [T], pieces: impl IntoIterator<Item = &'a [T]>) {
    sum.fill(T::zero());
    for piece in pieces {
        for (s, &p) in sum.iter_mut().zip(piece) {
            *s += p;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{samples_per_piece, sum_in_order};

    #[test]
    fn pieces_cover_the_batch() {
        for batch in 1..300 {
            let n = samples_per_piece(batch, 1);
            assert!(n * 16 >= batch && batch.div_ceil(n) <= 16);
        }
        assert_eq!(samples_per_piece(3, 8), 8);
    }

    #[test]
    fn sums_replace_what_was_there() {
        let mut sum = [9.0f32; 2];
        sum_in_order(&mut sum, [&[1.0, 2.0][..], &[3.0, 4.0][..]]);
        assert_eq!(sum, [4.0, 6.0]);
    }
}
