//! JSON kept as the bytes it arrived in.
//!
//! The hot path never builds a tree: an object is read one level deep ([`JsonObject`]), everything
//! below stays a slice of the original buffer ([`Raw`], [`JsonText`]) and is spliced into the output.

mod valid;
pub mod walk;
mod write;

use std::fmt;

use bytes::Bytes;
use memchr::memrchr;
use serde::de::{DeserializeOwned, Deserializer as _, IgnoredAny, Visitor};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

pub use walk::end_of_string;
pub use write::{ObjectWriter, write_string};

/// Arrays and objects may be nested this deep, no deeper; what serde_json allows typed values too.
pub const MAX_DEPTH: usize = 128;

/// One valid JSON value, unparsed. Cloning shares the buffer.
#[derive(Clone, PartialEq, Eq)]
pub struct Raw(Bytes);

/// One valid JSON string literal, with its quotes and escapes. Cloning shares the buffer.
///
/// Text passes from provider to client without being unescaped and escaped again.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonText(Bytes);

/// A JSON object read one level deep, over the buffer it came in.
#[derive(Clone, Debug)]
pub struct JsonObject {
    bytes: Bytes,
    fields: Vec<Field>,
}

#[derive(Clone, Debug)]
struct Field {
    name: Box<str>,
    value: Raw,
}

/// Why bytes are not the JSON that was expected; positions count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON at all.
    #[error("invalid JSON at line {line}, column {column}: {reason}")]
    Syntax {
        /// Line of the first wrong byte.
        line: usize,
        /// Column of the first wrong byte.
        column: usize,
        /// What the parser expected.
        reason: String,
    },
    /// JSON, but not an object.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// Arrays and objects nested deeper than [`MAX_DEPTH`].
    #[error("nesting deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

impl Raw {
    /// Parses the value as `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }

    /// The value's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value as text.
    pub fn as_str(&self) -> &str {
        // Every constructor checked that this is UTF-8; the empty string is never reached.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether the value is `null`.
    pub fn is_null(&self) -> bool {
        &self.0[..] == b"null"
    }

    /// Serialises a value that is already in memory.
    pub fn of<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Raw(serde_json::to_vec(value)?.into()))
    }

    /// Keeps `value`, a part of `buffer` that serde_json has checked, without copying it.
    pub fn slice(buffer: &Bytes, value: &RawValue) -> Self {
        Raw(subslice(buffer, value.get()))
    }

    /// An array of values that are JSON already.
    pub fn array<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut out = vec![b'['];
        for value in values {
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(value.as_bytes());
        }
        out.push(b']');
        Raw(out.into())
    }

    /// The value's bytes, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The value as text, when it is a string.
    pub fn text(&self) -> Option<JsonText> {
        self.0.starts_with(b"\"").then(|| JsonText(self.0.clone()))
    }

    /// The value with strings in it replaced, and everything between them as it is. The strings are parts of this
    /// value, in the order in which they stand in it; a string from elsewhere is left out.
    pub fn replaced(&self, strings: &[(JsonText, JsonText)]) -> Raw {
        let strings = strings.iter();
        self.with_parts(strings.map(|(old, new)| (&old.0, &new.0)))
    }

    /// The value with one part of it replaced, and everything around it as it is. A part from elsewhere changes
    /// nothing.
    pub fn with(&self, part: &Raw, new: &Raw) -> Raw {
        self.with_parts([(&part.0, &new.0)])
    }

    fn with_parts<'a>(&self, parts: impl IntoIterator<Item = (&'a Bytes, &'a Bytes)>) -> Raw {
        let mut out = Vec::with_capacity(self.0.len());
        let mut copied = 0;
        for (old, new) in parts {
            let at = (old.as_ptr() as usize).wrapping_sub(self.0.as_ptr() as usize);
            if let Some(end) = at.checked_add(old.len())
                && let Some(between) = self.0.get(copied..at)
                && self.0.get(at..end) == Some(old)
            {
                out.extend_from_slice(between);
                out.extend_from_slice(new);
                copied = end;
            }
        }
        out.extend_from_slice(self.0.get(copied..).unwrap_or_default());
        Raw(out.into())
    }

    /// The elements, when the value is an array.
    pub fn elements(&self) -> Option<Vec<Raw>> {
        let elements = walk::elements(&self.0)?;
        Some(elements.map(|part| Raw(self.0.slice_ref(part))).collect())
    }

    /// The fields, when the value is an object.
    pub fn object(&self) -> Option<JsonObject> {
        JsonObject::of_valid(self.0.clone())
    }
}

impl JsonText {
    /// Escapes plain text.
    pub fn of(text: &str) -> Self {
        let mut literal = Vec::with_capacity(text.len() + 2);
        write_string(&mut literal, text);
        JsonText(literal.into())
    }

    /// Keeps `value` when it is a string literal, without copying it.
    pub fn slice(buffer: &Bytes, value: &RawValue) -> Option<Self> {
        value
            .get()
            .starts_with('"')
            .then(|| JsonText(subslice(buffer, value.get())))
    }

    /// The texts one after the other; `None` when there are none.
    pub fn joined(texts: &[JsonText]) -> Option<Self> {
        let [first, rest @ ..] = texts else {
            return None;
        };
        if rest.is_empty() {
            return Some(first.clone());
        }
        let mut literal = vec![b'"'];
        for text in texts {
            literal.extend_from_slice(&text.0[1..text.0.len() - 1]);
        }
        literal.push(b'"');
        Some(JsonText(literal.into()))
    }

    /// The literal, quotes included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is `""`.
    pub fn is_empty(&self) -> bool {
        self.0.len() <= 2
    }

    /// The length of the literal between its quotes, in bytes: a cheap measure of the text's length.
    pub fn len(&self) -> usize {
        self.0.len().saturating_sub(2)
    }

    /// How many characters the text has.
    pub fn characters(&self) -> usize {
        let escaped = self.escaped();
        if memchr::memchr(b'\\', escaped).is_some() {
            return unescape(escaped).chars().count();
        }
        // Every character has one byte that continues none.
        escaped
            .iter()
            .filter(|byte| (**byte & 0xc0) != 0x80)
            .count()
    }

    /// What stands between the quotes, escapes and all: pieces of one text may be put end to end.
    pub fn escaped(&self) -> &[u8] {
        self.0
            .get(1..self.0.len().saturating_sub(1))
            .unwrap_or_default()
    }

    /// The text without escapes.
    pub fn to_text(&self) -> String {
        serde_json::from_slice(&self.0).unwrap_or_default()
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_it_is(&self.0, serializer)
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_it_is(&self.0, serializer)
    }
}

/// JSON inside JSON, unchanged. Only serde_json can write it.
fn as_it_is<S: Serializer>(json: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let value: &RawValue = serde_json::from_slice(json).map_err(S::Error::custom)?;
    value.serialize(serializer)
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.0.len())
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonText({} bytes)", self.0.len())
    }
}

impl JsonObject {
    /// Reads one level. The whole text is checked to be JSON, nested at most [`MAX_DEPTH`] deep.
    pub fn parse(bytes: Bytes) -> Result<Self, JsonError> {
        check(&bytes)?;
        JsonObject::of_valid(bytes).ok_or(JsonError::NotAnObject)
    }

    fn of_valid(bytes: Bytes) -> Option<Self> {
        let fields = walk::fields(&bytes)?;
        let fields = fields
            .map(|(name, value)| Field {
                name: name.into(),
                value: Raw(bytes.slice_ref(value)),
            })
            .collect();
        Some(JsonObject { bytes, fields })
    }

    /// The value of `name`; the last one when it is repeated, as JSON parsers commonly do.
    pub fn get(&self, name: &str) -> Option<&Raw> {
        self.fields
            .iter()
            .rev()
            .find(|field| &*field.name == name)
            .map(|field| &field.value)
    }

    /// The value of `name`, unless it is absent or `null`.
    pub fn given(&self, name: &str) -> Option<&Raw> {
        self.get(name).filter(|value| !value.is_null())
    }

    /// The fields in the order written.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Raw)> {
        self.fields.iter().map(|field| (&*field.name, &field.value))
    }

    /// The text as it arrived.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Starts a new object with the fields that `keep` accepts, their bytes unchanged.
    pub fn splice(&self, keep: impl Fn(&str) -> bool) -> ObjectWriter {
        let mut object = ObjectWriter::with_capacity(self.bytes.len() + 128);
        for field in self.fields.iter().filter(|field| keep(&field.name)) {
            object.raw(&field.name, field.value.as_bytes());
        }
        object
    }
}

/// The text of [`JsonText::escaped`] bytes. Half a surrogate pair, which a cut may leave, becomes a
/// replacement character; what is no inside of a literal becomes nothing.
pub fn unescape(escaped: &[u8]) -> String {
    let literal = [b"\"", escaped, b"\""].concat();
    // As bytes, since serde_json refuses such a half in text.
    serde_json::Deserializer::from_slice(&literal)
        .deserialize_bytes(LossyText)
        .unwrap_or_default()
}

struct LossyText;

impl Visitor<'_> for LossyText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// `part`, a slice of `whole`, as a shared slice of its buffer.
fn subslice(whole: &Bytes, part: &str) -> Bytes {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    let end = start.wrapping_add(part.len());
    if start <= end && end <= whole.len() {
        whole.slice(start..end)
    } else {
        Bytes::copy_from_slice(part.as_bytes())
    }
}

/// Whether the text is one JSON value that is not nested too deep.
fn check(bytes: &[u8]) -> Result<(), JsonError> {
    if valid::is_valid(bytes) {
        return Ok(());
    }
    reason(bytes)
}

/// Why a text is no JSON, or is nested too deep.
fn reason(bytes: &[u8]) -> Result<(), JsonError> {
    if walk::is_deeper(bytes, MAX_DEPTH) {
        return Err(JsonError::TooDeep);
    }
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| describe(&error))?;
    // Strings that are skipped are not looked into.
    std::str::from_utf8(bytes).map_err(|error| not_text(&bytes[..error.valid_up_to()]))?;
    Ok(())
}

fn describe(error: &serde_json::Error) -> JsonError {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text).to_owned();
    JsonError::Syntax {
        line: error.line(),
        column: error.column(),
        reason,
    }
}

/// What follows `before` is not UTF-8.
fn not_text(before: &[u8]) -> JsonError {
    let line_from = memrchr(b'\n', before).map_or(0, |end| end + 1);
    JsonError::Syntax {
        line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
        column: before.len() - line_from + 1,
        reason: "invalid UTF-8".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<JsonObject, JsonError> {
        JsonObject::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn characters_are_counted_as_people_do() {
        for text in ["", "abc", "äö 🦀", "a\"b\\\n\u{1}", "🦀\n"] {
            assert_eq!(
                JsonText::of(text).characters(),
                text.chars().count(),
                "{text}"
            );
        }
        let escaped = JsonText(Bytes::from_static(b"\"\\ud83e\\udd80\""));
        assert_eq!(escaped.characters(), 1);
    }

    #[test]
    fn keeps_unknown_fields_and_replaces_some() {
        let object =
            parse(r#" {"model":"a", "x": {"deep":[1, 2]} ,"model":"b","nul":null} "#).unwrap();
        assert_eq!(object.get("model").map(Raw::as_str), Some("\"b\""));
        assert!(object.given("nul").is_none());
        let mut spliced = object.splice(|name| name != "model");
        spliced.text("model", "c\"d");
        assert_eq!(
            spliced.finish(),
            r#"{"x":{"deep":[1, 2]},"nul":null,"model":"c\"d"}"#
        );
    }

    #[test]
    fn joins_texts_without_reading_them() {
        let join = |texts: &[&str]| {
            JsonText::joined(
                &texts
                    .iter()
                    .map(|text| JsonText::of(text))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(join(&[]), None);
        assert_eq!(join(&["a\"b"]), Some(JsonText::of("a\"b")));
        assert_eq!(join(&["a\n", "", "\\c"]), Some(JsonText::of("a\n\\c")));
        assert_eq!(Raw::array(["1", "{}"]).as_str(), "[1,{}]");
    }

    #[test]
    fn names_the_place_of_an_error() {
        let check =
            |text: &str, expect: &str| assert_eq!(parse(text).unwrap_err().to_string(), expect);
        check("[1]", "the body must be a JSON object");
        check(
            "",
            "invalid JSON at line 1, column 0: EOF while parsing a value",
        );
        check(
            "{\n  \"a\": }",
            "invalid JSON at line 2, column 8: expected value",
        );
        check(
            "{} x",
            "invalid JSON at line 1, column 4: trailing characters",
        );
        let broken = Bytes::from_static(b"{\n \"a\": \"b\xff\"}");
        let error = JsonObject::parse(broken).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid JSON at line 2, column 9: invalid UTF-8"
        );
    }

    #[test]
    fn refuses_deep_nesting_but_not_brackets_in_strings() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH - 1)).is_ok());
        assert_eq!(parse(&nested(MAX_DEPTH)).unwrap_err(), JsonError::TooDeep);
        assert!(parse(&format!("{{\"a\":\"{}\\\"[\"}}", "[".repeat(500))).is_ok());
    }

    proptest! {
        #[test]
        fn escapes_like_serde(text in any::<String>()) {
            let literal = JsonText::of(&text);
            prop_assert_eq!(literal.to_text(), text);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = JsonObject::parse(bytes.into());
        }
    }
}
