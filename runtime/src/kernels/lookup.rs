//! A function of one int8 by its table: arguments, and the definition.

/// What each int8 becomes, that of -128 first.
pub type Table = [i8; 256];

/// A fast form of [`portable`], which it equals bit for bit.
pub(super) type Function = unsafe fn(table: &Table, values: &mut [i8]);

/// Each value's place in the table is `value + 128`.
pub(super) fn portable(table: &Table, values: &mut [i8]) {
    for value in values {
        *value = table[usize::from(value.cast_unsigned() ^ 0x80)];
    }
}
