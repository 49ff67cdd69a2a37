//! Byte views and little-endian fields. The views are the only `unsafe` outside the kernels.
#![expect(unsafe_code, reason = "reinterprets plain integers; each block says why that is sound")]

/// The `L` bytes at `at`; bytes beyond the end read as zero, so that no offset can panic.
pub(crate) const fn array_at<const L: usize>(bytes: &[u8], at: usize) -> [u8; L] {
    let mut array = [0; L];
    let mut i = 0;
    while i < L && at < bytes.len() && i < bytes.len() - at {
        array[i] = bytes[at + i];
        i += 1;
    }
    array
}

pub(crate) const fn u8_at(bytes: &[u8], at: usize) -> u8 {
    array_at::<1>(bytes, at)[0]
}

pub(crate) const fn i8_at(bytes: &[u8], at: usize) -> i8 {
    u8_at(bytes, at).cast_signed()
}

pub(crate) const fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(crate) const fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) const fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(array_at(bytes, at))
}

/// Writes a field of a record; `at` is a constant of the format, within the record.
pub(crate) fn put<const N: usize, const L: usize>(record: &mut [u8; N], at: usize, field: [u8; L]) {
    for (byte, value) in record.iter_mut().skip(at).zip(field) {
        *byte = value;
    }
}

/// Bytes as the signed weights or activations they are.
pub(crate) const fn as_i8(bytes: &[u8]) -> &[i8] {
    // SAFETY: i8 and u8 have the same size, alignment and valid values; length and lifetime stay the same.
    unsafe { core::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

/// The reverse of [`as_i8`], for saving a state.
pub(crate) const fn as_u8(bytes: &[i8]) -> &[u8] {
    // SAFETY: i8 and u8 have the same size, alignment and valid values; length and lifetime stay the same.
    unsafe { core::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

/// The aligned middle of `bytes` as int16; all of it if `bytes` starts at an even address and has an even length.
pub(crate) fn as_i16_mut(bytes: &mut [i8]) -> &mut [i16] {
    // SAFETY: every bit pattern is a valid i8 and a valid i16, and `align_to_mut` keeps to the aligned part.
    unsafe { bytes.align_to_mut().1 }
}

/// The aligned middle of `bytes` as int32; all of it if `bytes` starts at a multiple of 4 and is a multiple of 4 long.
pub(crate) fn as_i32_mut(bytes: &mut [i8]) -> &mut [i32] {
    // SAFETY: every bit pattern is a valid i8 and a valid i32, and `align_to_mut` keeps to the aligned part.
    unsafe { bytes.align_to_mut().1 }
}

/// Like [`as_i32_mut`], unsigned.
pub(crate) fn as_u32_mut(bytes: &mut [i8]) -> &mut [u32] {
    // SAFETY: every bit pattern is a valid i8 and a valid u32, and `align_to_mut` keeps to the aligned part.
    unsafe { bytes.align_to_mut().1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_little_endian_and_zero_beyond_the_end() {
        let bytes = [1, 2, 0xff, 0x80];
        assert_eq!(u16_at(&bytes, 0), 0x0201);
        assert_eq!(u32_at(&bytes, 0), 0x80ff_0201);
        assert_eq!(i32_at(&bytes, 0), 0x80ff_0201u32 as i32);
        assert_eq!(i8_at(&bytes, 3), -128);
        assert_eq!(u32_at(&bytes, 2), 0x80ff);
        assert_eq!(u32_at(&bytes, usize::MAX), 0);
    }

    #[test]
    fn put_and_read_back() {
        let mut record = [0u8; 8];
        put(&mut record, 3, 0x1234_5678u32.to_le_bytes());
        assert_eq!(record, [0, 0, 0, 0x78, 0x56, 0x34, 0x12, 0]);
        assert_eq!(u32_at(&record, 3), 0x1234_5678);
    }

    #[test]
    fn views_keep_the_bits() {
        assert_eq!(as_i8(&[0, 127, 128, 255]), [0, 127, -128, -1]);
        assert_eq!(as_u8(&[-1, -128]), [255, 128]);
        #[repr(align(4))]
        struct Aligned([i8; 9]);
        let mut bytes = Aligned([1, 0, 0, 0, -1, -1, 0, 0, 7]);
        assert_eq!(as_i32_mut(&mut bytes.0[..8]), [i32::from_le(1), i32::from_le(0xffff)]);
        assert_eq!(as_u32_mut(&mut bytes.0[..8]).len(), 2);
        assert_eq!(as_i16_mut(&mut bytes.0[4..8]), [-1, 0]);
        assert_eq!(as_i16_mut(&mut bytes.0[1..4]).len(), 1, "only the aligned part");
    }
}
