//! A function by its table: sixteen look-ups of 16 entries each, of which one is taken.

use core::arch::x86_64::*;

use super::super::lookup::{Table, portable};

/// Sixteen entries of the table, in both halves.
#[inline]
#[target_feature(enable = "avx2")]
fn row(entries: &[i8; 16]) -> __m256i {
    // SAFETY: sixteen readable bytes; `loadu` needs no alignment.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(entries.as_ptr().cast()) })
}

/// The low four bits of a place choose in each row, the high four choose the row.
#[target_feature(enable = "avx2")]
pub fn lookup(table: &Table, values: &mut [i8]) {
    let (rows, _) = table.as_chunks::<16>();
    let (values, rest) = values.as_chunks_mut::<32>();
    let nibble = _mm256_set1_epi8(0x0f);
    for values in values {
        // SAFETY: 32 readable bytes; `loadu` needs no alignment.
        let value = unsafe { _mm256_loadu_si256(values.as_ptr().cast()) };
        let place = _mm256_xor_si256(value, _mm256_set1_epi8(i8::MIN));
        let (low, high) = (_mm256_and_si256(place, nibble), _mm256_and_si256(_mm256_srli_epi16::<4>(place), nibble));
        let mut y = _mm256_setzero_si256();
        for (index, entries) in (0i8..).zip(rows) {
            let here = _mm256_cmpeq_epi8(high, _mm256_set1_epi8(index));
            y = _mm256_or_si256(y, _mm256_and_si256(here, _mm256_shuffle_epi8(row(entries), low)));
        }
        // SAFETY: 32 writable bytes; `storeu` needs no alignment.
        unsafe { _mm256_storeu_si256(values.as_mut_ptr().cast(), y) };
    }
    portable(table, rest);
}
