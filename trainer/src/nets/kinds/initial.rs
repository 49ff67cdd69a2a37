//! `init = "he-normal"` or `init = { kind = "orthogonal", gain = 1.4 }`.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        MapAccess, Visitor,
        value::{MapAccessDeserializer, MapDeserializer},
    },
};

use crate::{layers::init::Init, nets::NetError};

/// Reads an initializer written as a word or, where it has numbers, as a table.
pub(super) fn read<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Init>, D::Error> {
    struct WordOrTable;

    impl<'de> Visitor<'de> for WordOrTable {
        type Value = Init;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an initializer, as in \"he-normal\" or { kind = \"orthogonal\", gain = 1.4 }")
        }

        fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Init, E> {
            Init::deserialize(MapDeserializer::new([("kind", word)].into_iter()))
        }

        fn visit_map<M: MapAccess<'de>>(self, table: M) -> Result<Init, M::Error> {
            Init::deserialize(MapAccessDeserializer::new(table))
        }
    }
    value.deserialize_any(WordOrTable).map(Some)
}

/// The initializer of layer `name`, or the default.
pub(super) fn check(name: &str, init: &Option<Init>, default: Init) -> Result<Init, NetError> {
    let init = init.clone().unwrap_or(default);
    match init.check() {
        Ok(()) => Ok(init),
        Err(e) => Err(NetError::Layer { layer: name.to_owned(), reason: e.to_string() }),
    }
}
