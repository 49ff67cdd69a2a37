//! Byte views and little-endian fields. The views are the only `unsafe` outside the kernels.
#![expect(unsafe_code, reason = "reinterprets plain integers; each block says why that is sound")]

use core::marker::PhantomData;

/// The `L` bytes at `at`; bytes beyond the end read as zero, so that no offset can panic.
// Inlined, with a constant place, it is one load.
#[inline(always)]
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

pub(crate) const fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(crate) const fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

/// A number as records hold it, little endian.
pub(crate) trait Scalar: Copy {
    /// Reads it; bytes beyond the end are zero.
    fn read(bytes: &[u8], at: usize) -> Self;
    /// Writes it; bytes beyond the end are left out.
    fn write(self, bytes: &mut [u8], at: usize);
}

/// The bytes of a field; `at` is a constant of the format, within the record.
fn put<const L: usize>(bytes: &mut [u8], at: usize, field: [u8; L]) {
    for (byte, value) in bytes.iter_mut().skip(at).zip(field) {
        *byte = value;
    }
}

macro_rules! scalar {
    ($($number:ty)*) => {$(
        impl Scalar for $number {
            #[inline(always)]
            fn read(bytes: &[u8], at: usize) -> $number {
                <$number>::from_le_bytes(array_at(bytes, at))
            }

            #[inline(always)]
            fn write(self, bytes: &mut [u8], at: usize) {
                put(bytes, at, self.to_le_bytes());
            }
        }
    )*};
}

scalar!(u8 i8 u16 i16 u32 i32 u64 f32);

impl<T: Scalar> Scalar for [T; 2] {
    #[inline(always)]
    fn read(bytes: &[u8], at: usize) -> [T; 2] {
        [T::read(bytes, at), T::read(bytes, at + size_of::<T>())]
    }

    #[inline(always)]
    fn write(self, bytes: &mut [u8], at: usize) {
        self[0].write(bytes, at);
        self[1].write(bytes, at + size_of::<T>());
    }
}

/// A field of a record: where it stands and what it is, for reader and writer alike.
pub(crate) struct Slot<T> {
    pub(crate) at: usize,
    number: PhantomData<T>,
}

impl<T: Scalar> Slot<T> {
    /// The field at a byte of its record.
    pub(crate) const fn at(at: usize) -> Slot<T> {
        Slot { at, number: PhantomData }
    }

    #[inline(always)]
    pub(crate) fn read<const N: usize>(&self, record: &[u8; N]) -> T {
        T::read(record, self.at)
    }

    #[inline(always)]
    pub(crate) fn write<const N: usize>(&self, record: &mut [u8; N], value: T) {
        value.write(record, self.at);
    }
}

/// Where a record first differs from what its reader would write again: a flag or a reserved byte that it does not know.
pub(crate) fn unknown<const N: usize>(record: &[u8; N], again: &[u8; N]) -> Option<u8> {
    let at = record.iter().zip(again).position(|(a, b)| a != b)?;
    Some(u8::try_from(at).unwrap_or(u8::MAX))
}

/// Arena bytes as elements, whole where they start at a multiple of the element's size.
pub trait Views: Sized {
    /// To read.
    fn of(bytes: &[i8]) -> &[Self];
    /// To write.
    fn of_mut(bytes: &mut [i8]) -> &mut [Self];
}

impl Views for i8 {
    fn of(bytes: &[i8]) -> &[i8] {
        bytes
    }

    fn of_mut(bytes: &mut [i8]) -> &mut [i8] {
        bytes
    }
}

impl Views for i16 {
    fn of(bytes: &[i8]) -> &[i16] {
        // SAFETY: every bit pattern is a valid i8 and a valid i16, and `align_to` keeps to the aligned part.
        unsafe { bytes.align_to().1 }
    }

    fn of_mut(bytes: &mut [i8]) -> &mut [i16] {
        as_i16_mut(bytes)
    }
}

impl Views for i32 {
    fn of(bytes: &[i8]) -> &[i32] {
        // SAFETY: every bit pattern is a valid i8 and a valid i32, and `align_to` keeps to the aligned part.
        unsafe { bytes.align_to().1 }
    }

    fn of_mut(bytes: &mut [i8]) -> &mut [i32] {
        as_i32_mut(bytes)
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
        assert_eq!(Slot::<i32>::at(0).read(&bytes), 0x80ff_0201u32 as i32);
        assert_eq!(Slot::<i8>::at(3).read(&bytes), -128);
        assert_eq!(u32_at(&bytes, 2), 0x80ff);
        assert_eq!(u32_at(&bytes, usize::MAX), 0);
    }

    #[test]
    fn a_slot_reads_what_it_writes() {
        let mut record = [0u8; 8];
        Slot::at(3).write(&mut record, 0x1234_5678u32);
        assert_eq!(record, [0, 0, 0, 0x78, 0x56, 0x34, 0x12, 0]);
        assert_eq!(Slot::<u32>::at(3).read(&record), 0x1234_5678);
        let pair = Slot::<[u16; 2]>::at(4);
        pair.write(&mut record, [0x0102, 0x0304]);
        assert_eq!(record[4..], [2, 1, 4, 3]);
        assert_eq!(pair.read(&record), [0x0102, 0x0304]);
        assert_eq!(unknown(&record, &record), None);
        assert_eq!(unknown(&record, &[0; 8]), Some(3));
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
