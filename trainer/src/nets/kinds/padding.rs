//! `padding = "same"`, `"valid"` or a number.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

/// Zeros around an image, as many on every side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Half the kernel, rounded down: stride 1 and an odd kernel keep the size.
    #[default]
    Same,
    /// None.
    Valid,
    /// So many.
    Pixels(usize),
}

impl Padding {
    /// In pixels, for a kernel of edge `kernel`.
    pub fn pixels(self, kernel: usize) -> usize {
        match self {
            Self::Same => kernel / 2,
            Self::Valid => 0,
            Self::Pixels(pixels) => pixels,
        }
    }

    /// Whether a file need not say it.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Serialize for Padding {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Same => to.serialize_str("same"),
            Self::Valid => to.serialize_str("valid"),
            &Self::Pixels(pixels) => to.serialize_u64(pixels as u64),
        }
    }
}

impl<'de> Deserialize<'de> for Padding {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        struct WordOrNumber;

        impl Visitor<'_> for WordOrNumber {
            type Value = Padding;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"same\", \"valid\" or a number of pixels")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Padding, E> {
                match word {
                    "same" => Ok(Padding::Same),
                    "valid" => Ok(Padding::Valid),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }

            fn visit_u64<E: Error>(self, pixels: u64) -> Result<Padding, E> {
                Ok(Padding::Pixels(pixels as usize))
            }

            fn visit_i64<E: Error>(self, pixels: i64) -> Result<Padding, E> {
                let refused = || E::invalid_value(serde::de::Unexpected::Signed(pixels), &self);
                usize::try_from(pixels).map(Padding::Pixels).map_err(|_| refused())
            }
        }
        value.deserialize_any(WordOrNumber)
    }
}
