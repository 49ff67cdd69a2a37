//! A function by its table: four look-ups of 64 entries each, of which one hits.

use core::arch::aarch64::*;

use super::super::lookup::{Table, portable};

/// A quarter of the table.
#[inline]
#[target_feature(enable = "neon")]
fn quarter(table: &Table, index: usize) -> int8x16x4_t {
    debug_assert!(index < 4);
    // SAFETY: `index` counts the table's four quarters of 64 bytes; no alignment requirement.
    unsafe { vld1q_s8_x4(table.as_ptr().add(64 * index)) }
}

/// `tbl` gives 0 for a place beyond its 64 entries, and `tbx` leaves what was there.
#[target_feature(enable = "neon")]
pub fn lookup(table: &Table, values: &mut [i8]) {
    let [first, second, third, fourth] = [quarter(table, 0), quarter(table, 1), quarter(table, 2), quarter(table, 3)];
    let (values, rest) = values.as_chunks_mut::<16>();
    let step = vdupq_n_u8(64);
    for values in values {
        // SAFETY: sixteen readable bytes; no alignment requirement.
        let place = unsafe { vld1q_u8(values.as_ptr().cast()) };
        let place = veorq_u8(place, vdupq_n_u8(0x80));
        let y = vqtbl4q_s8(first, place);
        let place = vsubq_u8(place, step);
        let y = vqtbx4q_s8(y, second, place);
        let place = vsubq_u8(place, step);
        let y = vqtbx4q_s8(y, third, place);
        let y = vqtbx4q_s8(y, fourth, vsubq_u8(place, step));
        // SAFETY: sixteen writable bytes; no alignment requirement.
        unsafe { vst1q_s8(values.as_mut_ptr(), y) };
    }
    portable(table, rest);
}
