//! Steps over the parts of a text that is known to be JSON, without looking into them.
//!
//! Long strings, the bulk of a prompt, are skipped by vectorised search. Of a text that is not JSON anything may come
//! out, but nothing that is not in it.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr2};

/// The elements of an array; `None` when it is something else.
pub fn elements(json: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let mut at = opened(json, b'[')?;
    Some(std::iter::from_fn(move || {
        let element = next_value(json, at)?;
        at = element.end;
        json.get(element)
    }))
}

/// The fields of an object, by name; `None` when it is something else.
pub fn fields(json: &[u8]) -> Option<impl Iterator<Item = (Cow<'_, str>, &[u8])>> {
    let mut at = opened(json, b'{')?;
    Some(std::iter::from_fn(move || {
        let name = next_value(json, at)?;
        let value = next_value(json, name.end)?;
        at = value.end;
        Some((text(json.get(name)?)?, json.get(value)?))
    }))
}

/// The text of a string literal; `None` when it is something else.
pub fn text(literal: &[u8]) -> Option<Cow<'_, str>> {
    let escaped = literal.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr(b'\\', escaped).is_some() {
        return Some(super::unescape(escaped).into());
    }
    std::str::from_utf8(escaped).ok().map(Cow::Borrowed)
}

/// The index of the quote that ends the string beginning at `at`, or the end of the text.
pub fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at;
        }
        at += 2;
    }
    bytes.len()
}

/// Whether arrays and objects are nested deeper than `most`.
pub(super) fn is_deeper(json: &[u8], most: usize) -> bool {
    brackets(json, 0).any(|(_, depth)| depth > most)
}

/// What follows the bracket that opens the value.
fn opened(json: &[u8], bracket: u8) -> Option<usize> {
    let at = skip(json, 0, |byte| byte.is_ascii_whitespace());
    (json.get(at) == Some(&bracket)).then_some(at + 1)
}

/// The value that comes next, past space and what separates values; `None` where an array or object ends.
fn next_value(json: &[u8], at: usize) -> Option<Range<usize>> {
    let separates = |byte: u8| matches!(byte, b',' | b':') || byte.is_ascii_whitespace();
    let start = skip(json, at, separates);
    let end = match *json.get(start)? {
        b'}' | b']' => return None,
        b'"' => end_of_string(json, start + 1) + 1,
        b'{' | b'[' => end_of_nested(json, start),
        _ => skip(json, start, |byte| {
            !separates(byte) && !matches!(byte, b'}' | b']')
        }),
    };
    Some(start..end.min(json.len()))
}

/// What follows the bracket that closes the one at `start`.
fn end_of_nested(json: &[u8], start: usize) -> usize {
    let closed = brackets(json, start).find(|(_, depth)| *depth == 0);
    closed.map_or(json.len(), |(at, _)| at + 1)
}

/// The brackets from `at` on, those in strings left out, and how many of them are open after each.
fn brackets(json: &[u8], mut at: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut depth = 0_usize;
    std::iter::from_fn(move || {
        loop {
            let (here, byte) = (at, *json.get(at)?);
            at += 1;
            match byte {
                b'"' => at = end_of_string(json, at) + 1,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if matches!(byte, b'{' | b'[' | b'}' | b']') {
                return Some((here, depth));
            }
        }
    })
}

fn skip(json: &[u8], from: usize, what: impl Fn(u8) -> bool) -> usize {
    let rest = json.get(from..).unwrap_or_default();
    let skipped = rest.iter().take_while(|byte| what(**byte)).count();
    from + skipped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Any JSON, also with what makes walking hard inside its strings.
    fn any_json() -> impl Strategy<Value = Value> {
        let text = || "[\\[\\]{},:\"\\\\ a\n\u{e4}\u{1f980}]{0,6}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<i16>().prop_map(|number| json!(f64::from(number) / 8.0)),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(text(), inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// Each way to write it.
    fn written(value: &Value) -> [String; 3] {
        let pretty = serde_json::to_string_pretty(value).unwrap();
        [
            value.to_string(),
            format!(" {pretty}\n"),
            format!("\t{value} "),
        ]
    }

    proptest! {
        #[test]
        fn parts_are_what_a_parser_finds(value in any_json()) {
            for text in written(&value) {
                let json = text.as_bytes();
                let parsed = |part| serde_json::from_slice::<Value>(part).unwrap();
                let found = elements(json).map(|parts| parts.map(parsed).collect::<Vec<_>>());
                prop_assert_eq!(found.as_ref(), value.as_array());
                let found = fields(json).map(|parts| {
                    parts.map(|(name, part)| (name.into_owned(), parsed(part))).collect()
                });
                prop_assert_eq!(found.as_ref(), value.as_object());
            }
        }

        #[test]
        fn what_is_no_json_comes_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let (parts, named) = (elements(&bytes), fields(&bytes));
            let count = parts.map_or(0, Iterator::count) + named.map_or(0, Iterator::count);
            prop_assert!(count <= bytes.len());
        }
    }

    #[test]
    fn text_is_read_with_its_escapes() {
        assert_eq!(text(br#""plain""#).as_deref(), Some("plain"));
        assert_eq!(text(br#""\u0075ser""#).as_deref(), Some("user"));
        assert_eq!(text(b"null"), None);
        assert_eq!(text(b"\""), None);
    }
}
