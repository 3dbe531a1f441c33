//! Reading providers' JSON without trusting its types.
//!
//! A shape names the fields it wants. Everything else is skipped, a repeated field counts as its
//! last value, and a value of the wrong kind reads as empty: a provider that sends `null` for a
//! list, or a string for an object, loses that value and nothing around it. One pass, and what is
//! kept stays a slice of the input.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::DecodeError;
use crate::domain::json::{JsonText, Raw};

/// A value as it stands in the input; `None` when it is absent or `null`.
pub(super) type Given<'a> = Option<&'a RawValue>;

/// An object of which some fields are wanted; made by [`shape!`].
pub(super) trait Shape<'a>: Default {
    /// Takes the value of the field `name`, or skips it.
    fn field<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

/// Defines a [`Shape`]: `shape! { Name { field = "its name in JSON": Type, … } }`.
macro_rules! shape {
    ($($(#[$doc:meta])* $name:ident { $($field:ident = $key:literal: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub(super) struct $name<'a> {
            $(pub(super) $field: $type,)*
        }

        impl<'a> $crate::wire::shape::Shape<'a> for $name<'a> {
            fn field<A: serde::de::MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
                match name {
                    $($key => self.$field = map.next_value()?,)*
                    _ => {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    }
                }
                Ok(())
            }
        }

        impl<'a> serde::Deserialize<'a> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::wire::shape::read::<Self, D>(deserializer)
            }
        }
    )*};
}
pub(super) use shape;

/// An array whose elements are read one by one; a lone object counts as an array of one.
#[derive(Clone, Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        List(Vec::new())
    }
}

/// Reads a shape; anything but an object is an empty one.
pub(super) fn read<'a, T: Shape<'a>, D: Deserializer<'a>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(ShapeVisitor(PhantomData))
}

/// The shape that `value` has; `None` when there is no value.
pub(super) fn shape_of<'a, T: Shape<'a> + Deserialize<'a>>(value: Given<'a>) -> Option<T> {
    serde_json::from_str(value?.get()).ok()
}

/// Whether `value` is written as a string.
pub(super) fn is_text(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// The string that `value` is, unless it is none or empty.
pub(super) fn text(buffer: &Bytes, value: Given<'_>) -> Option<JsonText> {
    JsonText::slice(buffer, value?).filter(|text| !text.is_empty())
}

/// The string that `value` is, without escapes; `None` for an empty one too.
pub(super) fn word(value: Given<'_>) -> Option<Cow<'_, str>> {
    let literal = value?.get();
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    match inner {
        "" => None,
        inner if !inner.contains('\\') => Some(Cow::Borrowed(inner)),
        _ => serde_json::from_str(literal).ok().map(Cow::Owned),
    }
}

/// The count that `value` is: what is negative or no number is 0, what is too large the largest.
pub(super) fn count(value: Given<'_>) -> Option<u64> {
    let text = value?.get().trim_matches('"');
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturating is what is wanted"
    )]
    text.parse()
        .ok()
        .or_else(|| text.parse::<f64>().ok().map(|number| number as u64))
}

/// The first count that is not 0.
pub(super) fn first_count(spellings: &[Given<'_>]) -> u64 {
    spellings
        .iter()
        .filter_map(|spelling| count(*spelling))
        .find(|count| *count > 0)
        .unwrap_or(0)
}

/// The first of the spellings that is a text and not empty.
pub(super) fn first_text(buffer: &Bytes, spellings: &[Given<'_>]) -> Option<JsonText> {
    spellings
        .iter()
        .find_map(|spelling| text(buffer, *spelling))
}

/// The array that `value` is, unless it is none or empty.
pub(super) fn array(buffer: &Bytes, value: Given<'_>) -> Option<Raw> {
    let value = value?;
    let inside = value.get().strip_prefix('[')?;
    (!inside.trim_start().starts_with(']')).then(|| Raw::slice(buffer, value))
}

/// The object that `value` is, unless it is none.
pub(super) fn object(buffer: &Bytes, value: Given<'_>) -> Option<Raw> {
    value
        .filter(|value| value.get().starts_with('{'))
        .map(|value| Raw::slice(buffer, value))
}

/// The text of a body.
pub(super) fn utf8(body: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(body).map_err(|error| DecodeError::Malformed(error.to_string()))
}

/// The error of a body that is no JSON. Says where, never what.
pub(super) fn malformed(error: &serde_json::Error) -> DecodeError {
    DecodeError::Malformed(format!(
        "{:?} error at line {}, column {}",
        error.classify(),
        error.line(),
        error.column()
    ))
}

struct ShapeVisitor<T>(PhantomData<T>);

impl<'de, T: Shape<'de>> Visitor<'de> for ShapeVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut shape = T::default();
        while let Some(Name(name)) = map.next_key()? {
            shape.field(&name, &mut map)?;
        }
        Ok(shape)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<T, E> {
        Ok(T::default())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<List<T>, A::Error> {
        Ok(List(vec![T::deserialize(MapAccessDeserializer::new(map))?]))
    }

    fn visit_unit<E: Error>(self) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<List<T>, E> {
        Ok(List::default())
    }
}

/// A name that borrows when it has no escapes, which `Cow`'s own implementation never does.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    shape! {
        Outer { name = "name": Given<'a>, inner = "inner": Inner<'a>, list = "list": List<Inner<'a>> }
        Inner { x = "x": Given<'a> }
    }

    #[track_caller]
    fn check(text: &str, name: Option<&str>, inner: Option<&str>, list: &[Option<&str>]) {
        let outer: Outer<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(outer.name.map(RawValue::get), name);
        assert_eq!(outer.inner.x.map(RawValue::get), inner);
        assert_eq!(
            outer
                .list
                .0
                .iter()
                .map(|inner| inner.x.map(RawValue::get))
                .collect::<Vec<_>>(),
            list
        );
    }

    #[test]
    fn values_of_the_wrong_kind_are_empty() {
        check(
            r#"{"name":"a","inner":{"x":1},"list":[{"x":[2]},{}]}"#,
            Some("\"a\""),
            Some("1"),
            &[Some("[2]"), None],
        );
        check(r#"{"name":null,"inner":null,"list":null}"#, None, None, &[]);
        check(
            r#"{"inner":[1,{}],"list":{"x":3}}"#,
            None,
            None,
            &[Some("3")],
        );
        check(
            r#"{"inner":"s","list":[null,7,"s",[],{"x":4}]}"#,
            None,
            None,
            &[None, None, None, None, Some("4")],
        );
        check(r#"{"inner":true,"list":-1.5e3}"#, None, None, &[]);
        check(
            r#"{"name":1,"n\u0061me":2,"inner":{"x":1,"x":5}}"#,
            Some("2"),
            Some("5"),
            &[],
        );
        check("[1]", None, None, &[]);
    }

    #[test]
    fn counts_saturate() {
        let check = |text: &str, expect| {
            let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
            assert_eq!(count(Some(&raw)), expect, "{text}");
        };
        check("12", Some(12));
        check("12.0", Some(12));
        check("\"12\"", Some(12));
        check("-5", Some(0));
        check("1e300", Some(u64::MAX));
        check("99999999999999999999999", Some(u64::MAX));
        check("[]", None);
        check("\"many\"", None);
    }
}
