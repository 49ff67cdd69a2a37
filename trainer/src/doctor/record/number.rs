//! Numbers in JSON: six digits, and words for those that JSON lacks.

use serde::{
    de::{Deserializer, Error, Unexpected, Visitor},
    ser::Serializer,
};

pub(super) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match *value {
        None => serializer.serialize_none(),
        Some(x) if x.is_finite() => serializer.serialize_f64(rounded(x)),
        Some(x) if x.is_nan() => serializer.serialize_str("NaN"),
        Some(x) => serializer.serialize_str(if x > 0.0 { "inf" } else { "-inf" }),
    }
}

/// The nearest number of six decimal digits; the shortest form of it is what gets written.
fn rounded(x: f64) -> f64 {
    format!("{x:.5e}").parse().unwrap_or(x)
}

pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    deserializer.deserialize_any(Number)
}

/// Numbers of which none is below zero: norms, shares, ratios.
pub(super) mod size {
    use super::{Deserializer, Error, Unexpected};

    pub(in super::super) use super::serialize;

    pub(in super::super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        match super::deserialize(deserializer)? {
            Some(x) if x < 0.0 => Err(D::Error::invalid_value(Unexpected::Float(x), &"a number that is 0 or more")),
            size => Ok(size),
        }
    }
}

struct Number;

impl Visitor<'_> for Number {
    type Value = Option<f64>;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("a number, \"NaN\", \"inf\", \"-inf\" or null")
    }

    fn visit_f64<E: Error>(self, x: f64) -> Result<Self::Value, E> {
        Ok(Some(x))
    }

    fn visit_u64<E: Error>(self, x: u64) -> Result<Self::Value, E> {
        Ok(Some(x as f64))
    }

    fn visit_i64<E: Error>(self, x: i64) -> Result<Self::Value, E> {
        Ok(Some(x as f64))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    /// Also as JavaScript and Python spell them.
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        match text.to_ascii_lowercase().as_str() {
            "nan" => Ok(Some(f64::NAN)),
            "inf" | "+inf" | "infinity" => Ok(Some(f64::INFINITY)),
            "-inf" | "-infinity" => Ok(Some(f64::NEG_INFINITY)),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn six_digits_are_kept() {
        assert_eq!(rounded(1.0 / 3.0), 0.333333);
        assert_eq!(rounded(-1.234_567_89e-30), -1.23457e-30);
        assert_eq!((rounded(0.0), rounded(f64::MAX)), (0.0, 1.79769e308));
    }
}
