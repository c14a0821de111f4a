// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What may be taken over from a file that anybody may have written: text that
//! a terminal can be shown, and lists that have an end.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::text::clean;

/// [`clean`] text of at most `LIMIT` characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<const LIMIT: usize>(pub(super) String);

struct TextVisitor<const LIMIT: usize>;

impl<const LIMIT: usize> Visitor<'_> for TextVisitor<LIMIT> {
    type Value = Text<LIMIT>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<LIMIT>, E> {
        Ok(Text(clean(text, LIMIT)))
    }
}

impl<'de, const LIMIT: usize> Deserialize<'de> for Text<LIMIT> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Text<LIMIT>, D::Error> {
        from.deserialize_str(TextVisitor)
    }
}

/// A list of at most `LIMIT` items.
pub(super) struct List<T, const LIMIT: usize>(pub(super) Vec<T>);

struct ListVisitor<T, const LIMIT: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const LIMIT: usize> Visitor<'de> for ListVisitor<T, LIMIT> {
    type Value = List<T, LIMIT>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {LIMIT} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T, LIMIT>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == LIMIT {
                return Err(A::Error::invalid_length(LIMIT + 1, &self));
            }
            list.push(item);
        }
        Ok(List(list))
    }
}

impl<'de, T: Deserialize<'de>, const LIMIT: usize> Deserialize<'de> for List<T, LIMIT> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<List<T, LIMIT>, D::Error> {
        from.deserialize_seq(ListVisitor(PhantomData))
    }
}

/// At most `LIMIT` values by name, each name once.
pub(super) struct Named<V, const LIMIT: usize>(pub(super) BTreeMap<String, V>);

impl<V, const LIMIT: usize> Default for Named<V, LIMIT> {
    fn default() -> Self {
        Named(BTreeMap::new())
    }
}

struct NamedVisitor<V, const LIMIT: usize>(PhantomData<V>);

impl<'de, V: Deserialize<'de>, const LIMIT: usize> Visitor<'de> for NamedVisitor<V, LIMIT> {
    type Value = Named<V, LIMIT>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {LIMIT} fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Named<V, LIMIT>, A::Error> {
        let mut named = BTreeMap::new();
        while let Some((name, value)) = fields.next_entry::<Text<64>, V>()? {
            if named.len() == LIMIT {
                return Err(A::Error::invalid_length(LIMIT + 1, &self));
            }
            if named.insert(name.0, value).is_some() {
                return Err(A::Error::custom("a name that is there twice"));
            }
        }
        Ok(Named(named))
    }
}

impl<'de, V: Deserialize<'de>, const LIMIT: usize> Deserialize<'de> for Named<V, LIMIT> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Named<V, LIMIT>, D::Error> {
        from.deserialize_map(NamedVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_objects_have_an_end() {
        let list = |json| serde_json::from_str::<List<u64, 2>>(json).map(|list| list.0);
        assert_eq!(list("[1,2]").unwrap(), [1, 2]);
        assert!(list("[1,2,3]").unwrap_err().is_data());
        let named = |json| serde_json::from_str::<Named<u64, 2>>(json).map(|named| named.0);
        assert_eq!(named(r#"{"a":1,"b":2}"#).unwrap().len(), 2);
        assert!(named(r#"{"a":1,"b":2,"c":3}"#).unwrap_err().is_data());
        assert!(named(r#"{"a":1,"a":2}"#).unwrap_err().is_data());
    }
}
