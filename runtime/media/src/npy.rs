//! NumPy's `.npy` arrays: versions 1 to 3, little endian, C order
//! (format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html).

use crate::Error;

/// An array of any rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Npy {
    /// Length of each axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements, last axis fastest.
    pub data: NpyData,
}

/// The elements, in the type the file has them in.
#[derive(Clone, Debug, PartialEq)]
pub enum NpyData {
    /// `<f4`
    F32(Vec<f32>),
    /// `<f8`
    F64(Vec<f64>),
    /// `|i1`
    I8(Vec<i8>),
    /// `|u1`
    U8(Vec<u8>),
    /// `<i2`
    I16(Vec<i16>),
    /// `<i4`
    I32(Vec<i32>),
    /// `<i8`
    I64(Vec<i64>),
}

impl Npy {
    /// Parses a whole file. The data must be exactly as long as the shape says, so memory is bounded by `bytes`.
    ///
    /// # Errors
    /// [`Error::Npy`] with what was found and what is supported.
    pub fn decode(bytes: &[u8]) -> Result<Npy, Error> {
        parse(bytes).map_err(Error::Npy)
    }

    /// Every element as `f32`, rounded where `f32` cannot hold it.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            NpyData::F32(v) => v.clone(),
            NpyData::F64(v) => v.iter().map(|&x| x as f32).collect(),
            NpyData::I8(v) => v.iter().map(|&x| x.into()).collect(),
            NpyData::U8(v) => v.iter().map(|&x| x.into()).collect(),
            NpyData::I16(v) => v.iter().map(|&x| x.into()).collect(),
            NpyData::I32(v) => v.iter().map(|&x| x as f32).collect(),
            NpyData::I64(v) => v.iter().map(|&x| x as f32).collect(),
        }
    }

    /// Writes a `<f4` array, version 1.0.
    ///
    /// # Panics
    /// If `values` does not have as many elements as `shape`.
    #[must_use]
    pub fn encode_f32(shape: &[usize], values: &[f32]) -> Vec<u8> {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "elements of shape {shape:?}");
        let sizes: String = shape.iter().map(|n| format!("{n}, ")).collect();
        let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}");
        // Magic, version and length take 10 bytes; data start at a multiple of 64, after a line feed.
        header.extend(std::iter::repeat_n(' ', (64 - (10 + header.len() + 1) % 64) % 64));
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    }
}

fn parse(bytes: &[u8]) -> Result<Npy, String> {
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err("does not start with the magic \\x93NUMPY".into());
    }
    let short = || format!("ends inside the header, at byte {}", bytes.len());
    let (start, length) = match bytes.get(6).ok_or_else(short)? {
        1 => (10, bytes.get(8..10).map(|b| u16::from_le_bytes([b[0], b[1]]).into())),
        2 | 3 => (12, bytes.get(8..12).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
        v => return Err(format!("format version {v}; 1, 2 and 3 are supported")),
    };
    let end = (length.ok_or_else(short)? as usize).checked_add(start).ok_or_else(short)?;
    let text = std::str::from_utf8(bytes.get(start..end).ok_or_else(short)?).map_err(|_| "header is not text")?;
    let header = Header::parse(text)?;
    let data = &bytes[end..];

    let count = header.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let expect = |size: usize| match count.and_then(|n| n.checked_mul(size)) {
        Some(want) if want == data.len() => Ok(()),
        want => Err(format!(
            "shape {:?} of {} needs {} bytes, the file holds {}",
            header.shape,
            header.descr,
            want.map_or("too many".into(), |w| w.to_string()),
            data.len()
        )),
    };
    macro_rules! elements {
        ($variant:ident, $type:ty) => {{
            const SIZE: usize = size_of::<$type>();
            expect(SIZE)?;
            let (values, _) = data.as_chunks::<SIZE>();
            NpyData::$variant(values.iter().map(|b| <$type>::from_le_bytes(*b)).collect())
        }};
    }
    let data = match header.descr {
        "<f4" => elements!(F32, f32),
        "<f8" => elements!(F64, f64),
        "|i1" | "<i1" => elements!(I8, i8),
        "|u1" | "<u1" => elements!(U8, u8),
        "<i2" => elements!(I16, i16),
        "<i4" => elements!(I32, i32),
        "<i8" => elements!(I64, i64),
        other => return Err(format!("elements of type '{other}'; <f4 <f8 |i1 |u1 <i2 <i4 <i8 are supported")),
    };
    Ok(Npy { shape: header.shape, data })
}

/// The dictionary literal after the magic: `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
struct Header<'a> {
    descr: &'a str,
    shape: Vec<usize>,
}

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Result<Header<'a>, String> {
        // NumPy writes the three keys in this quoting; a value runs to its own closing mark.
        let value = |key: &str| -> Result<&'a str, String> {
            let at = text.find(&format!("'{key}':")).ok_or_else(|| format!("header has no '{key}'"))?;
            Ok(text[at + key.len() + 3..].trim_start())
        };
        let descr = value("descr")?;
        let descr = descr
            .strip_prefix('\'')
            .and_then(|d| d.split_once('\''))
            .ok_or("structured element types are not supported")?
            .0;
        let order = value("fortran_order")?;
        let shape = value("shape")?;
        let shape = shape.strip_prefix('(').and_then(|s| s.split_once(')')).ok_or("'shape' is not a tuple")?.0;
        let shape = shape
            .split(',')
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .map(|s| s.parse().map_err(|_| format!("'shape' has '{s}'")))
            .collect::<Result<Vec<usize>, _>>()?;
        if shape.len() > 32 {
            return Err(format!("{} axes; at most 32 are supported", shape.len())); // NumPy's own limit until 2.0
        }
        // With fewer than two axes longer than 1, both orders are the same bytes.
        if !order.starts_with("False") && shape.iter().filter(|&&n| n > 1).count() > 1 {
            return Err("Fortran order; only C order is supported (numpy.ascontiguousarray)".into());
        }
        Ok(Header { descr, shape })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn f32_round_trip() {
        for shape in [vec![], vec![3], vec![2, 3], vec![0, 4]] {
            let values: Vec<f32> = (0..shape.iter().product()).map(|i| i as f32 - 0.5).collect();
            let bytes = Npy::encode_f32(&shape, &values);
            assert_eq!((bytes.len() - values.len() * 4) % 64, 0);
            assert_eq!(Npy::decode(&bytes).unwrap(), Npy { shape, data: NpyData::F32(values) });
        }
    }

    #[test]
    fn element_types() {
        let decode = |descr: &str, data: &[u8]| {
            Npy::decode(&file(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,), }}"), data))
        };
        assert_eq!(decode("|i1", &[0xff]).unwrap().data, NpyData::I8(vec![-1]));
        assert_eq!(decode("|u1", &[0xff]).unwrap().data, NpyData::U8(vec![255]));
        assert_eq!(decode("<i2", &[0, 0x80]).unwrap().data, NpyData::I16(vec![-32768]));
        assert_eq!(decode("<i4", &[1, 0, 0, 0]).unwrap().data, NpyData::I32(vec![1]));
        assert_eq!(decode("<i8", &[255; 8]).unwrap().to_f32(), [-1.0]);
        assert_eq!(decode("<f8", &1.5f64.to_le_bytes()).unwrap().to_f32(), [1.5]);
        for descr in [">f4", "<c8", "|b1", "<U4"] {
            assert!(decode(descr, &[0; 16]).unwrap_err().to_string().contains(descr));
        }
    }

    #[test]
    fn lies_about_the_size_are_errors() {
        for shape in
            ["(5,)", "(3,)", "(4, 1000000000000)", "(18446744073709551615, 2)", "(99999999999999999999,)", "(-1,)"]
        {
            let bytes = file(&format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"), &[0; 4]);
            assert!(matches!(Npy::decode(&bytes), Err(Error::Npy(_))), "{shape}");
        }
    }

    #[test]
    fn fortran_order_is_refused_only_where_it_matters() {
        let bytes = |shape| file(&format!("{{'descr': '|u1', 'fortran_order': True, 'shape': {shape}, }}"), &[0; 4]);
        assert!(Npy::decode(&bytes("(2, 2)")).unwrap_err().to_string().contains("Fortran"));
        assert!(Npy::decode(&bytes("(1, 4)")).is_ok());
    }
}
