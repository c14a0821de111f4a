// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Texts, lists and objects of lines. What is read may have been written by
//! anybody: texts are cleaned, and nothing is longer than its limit. What is
//! written is written as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::text::one_line;

/// [`one_line`] text of at most `LIMIT` characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Text<const LIMIT: usize>(pub String);

struct TextVisitor<const LIMIT: usize>;

impl<const LIMIT: usize> Visitor<'_> for TextVisitor<LIMIT> {
    type Value = Text<LIMIT>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<LIMIT>, E> {
        Ok(Text(one_line(text, LIMIT)))
    }
}

impl<'de, const LIMIT: usize> Deserialize<'de> for Text<LIMIT> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Text<LIMIT>, D::Error> {
        from.deserialize_str(TextVisitor)
    }
}

/// A list of at most `LIMIT` items.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct List<T, const LIMIT: usize>(pub Vec<T>);

impl<T, const LIMIT: usize> List<T, LIMIT> {
    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

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
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Named<V, const LIMIT: usize>(pub BTreeMap<String, V>);

impl<V, const LIMIT: usize> Default for Named<V, LIMIT> {
    fn default() -> Self {
        Named(BTreeMap::new())
    }
}

impl<V, const LIMIT: usize> Named<V, LIMIT> {
    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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

impl<const LIMIT: usize> From<&str> for Text<LIMIT> {
    fn from(text: &str) -> Text<LIMIT> {
        Text(text.into())
    }
}

impl<const LIMIT: usize> From<String> for Text<LIMIT> {
    fn from(text: String) -> Text<LIMIT> {
        Text(text)
    }
}

impl<T, const LIMIT: usize> Default for List<T, LIMIT> {
    fn default() -> Self {
        List(Vec::new())
    }
}

impl<T, const LIMIT: usize> FromIterator<T> for List<T, LIMIT> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        List(items.into_iter().collect())
    }
}

impl<V, const LIMIT: usize> FromIterator<(String, V)> for Named<V, LIMIT> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(values: I) -> Self {
        Named(values.into_iter().collect())
    }
}

/// A string. The limit is the reader's, and nobody else's business.
impl<const LIMIT: usize> JsonSchema for Text<LIMIT> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

impl<T: JsonSchema, const LIMIT: usize> JsonSchema for List<T, LIMIT> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<T>::json_schema(generator)
    }
}

impl<V: JsonSchema, const LIMIT: usize> JsonSchema for Named<V, LIMIT> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", V::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<V>();
        json_schema!({ "type": "object", "additionalProperties": value })
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
