//! Tables where a tensor is int16.

use crate::quant::sat16;

/// Entries for int16 input, the ends of 512 intervals of 128 values each: the first is that of -32768, the last that of 32768.
const ENDS: usize = 513;

/// Bytes of an entry.
pub(super) const ENTRY: usize = size_of::<i16>();
/// Bytes of a table of one entry for each int8.
pub(super) const EACH: u64 = 256 * ENTRY as u64;
/// Bytes of a table of the ends of intervals.
pub(super) const INTERVALS: u64 = (ENDS * ENTRY) as u64;

/// Products of a convolution that take as long as one value: two entries are looked up, and what lies between them computed.
pub(super) const VALUE_WORK: u64 = 16;

/// The entry of an int8: that of -128 stands first.
pub(super) fn entry(table: &[[u8; ENTRY]; 256], x: i8) -> i16 {
    i16::from_le_bytes(table[usize::from(x.cast_unsigned() ^ 0x80)])
}

/// `128 * T_i + (T_(i+1) - T_i) * f` of an int16, 128 times what lies between the ends of its interval; at most `128 * 2^15` in size.
fn between(table: &[[u8; ENTRY]; ENDS], x: i16) -> i32 {
    let place = x.cast_unsigned() ^ 0x8000;
    let (index, fraction) = (usize::from(place >> 7), i32::from(place & 127));
    // Always there: `index` is at most 511.
    let [low, high] = [index, index + 1].map(|i| table.get(i).map_or(0, |&end| i32::from(i16::from_le_bytes(end))));
    (low << 7) + (high - low) * fraction
}

/// For an int16 output, whose units the entries have.
pub(super) fn to_i16(table: &[[u8; ENTRY]; ENDS], x: i16) -> i16 {
    sat16((between(table, x) + (1 << 6)) >> 7)
}

/// For an int8 output: the entries have 8 fraction bits.
pub(super) fn to_i8(table: &[[u8; ENTRY]; ENDS], x: i16) -> i8 {
    // -128 to 128, as near as int8 gets.
    let y = (between(table, x) + (1 << 14)) >> 15;
    y.min(i8::MAX.into()).to_le_bytes()[0].cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every value of steep and flat intervals, in i64 and without shortcuts.
    #[test]
    fn every_value() {
        let mut seed = 1u64;
        let table: [i16; ENDS] = core::array::from_fn(|i| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match i % 7 {
                0 => i16::MIN,
                1 => i16::MAX,
                _ => (seed >> 48) as i16,
            }
        });
        let bytes = table.map(i16::to_le_bytes);
        for x in i16::MIN..=i16::MAX {
            let (place, at) = (x as i64 + 32768, |i: i64| table[i as usize] as i64);
            let (i, f) = (place.div_euclid(128), place.rem_euclid(128));
            let exact = at(i) * (128 - f) + at(i + 1) * f;
            assert_eq!(to_i16(&bytes, x) as i64, (exact + 64).div_euclid(128), "{x}");
            assert_eq!(to_i8(&bytes, x) as i64, (exact + 16384).div_euclid(32768).min(127), "{x}");
        }
    }
}
