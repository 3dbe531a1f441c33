//! The frame that differs from the one before only in its text, which is what nearly every frame of a stream is.
//!
//! Two frames with the same bytes around one string literal have the same meaning but for that string, so the second
//! need not be parsed. The same goes for values beside it that nobody reads, such as numbers of frames. Nothing is
//! guessed: any other difference leads back to the parser.

use bytes::Bytes;
use memchr::memchr2;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::shape::Given;

/// What stood around the values of the last frame that may change.
#[derive(Debug)]
pub(super) struct Repeat {
    /// What stands before each value, in order.
    before: SmallVec<[(Bytes, Value); 3]>,
    /// What stands after the last.
    after: Bytes,
}

/// A value that may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// The text that is wanted.
    Text,
    /// A number or a plain word that nobody reads.
    Unread,
}

impl Repeat {
    /// Learns from a frame that holds nothing but the string `text`, and `unread` values beside it. `None` where the
    /// text is not a part of the frame as it stands there.
    pub(super) fn learn(frame: &Bytes, text: &[u8], unread: &[Given<'_>]) -> Option<Self> {
        let unread = unread.iter().flatten();
        let unread = unread.map(|value| (Value::Unread, value.get().as_bytes()));
        let values = std::iter::once((Value::Text, text)).chain(unread);
        let mut places: SmallVec<[_; 3]> = values
            .map(|(value, bytes)| Some((place(frame, bytes)?, value)))
            .collect::<Option<_>>()?;
        places.sort_unstable_by_key(|((start, _), _)| *start);
        // A copy: what lasts as long as the stream does must not keep all that was read with the frame.
        let frame = Bytes::copy_from_slice(frame);
        let mut from = 0;
        let before = places.into_iter().map(|((start, end), value)| {
            // Values stand side by side: each begins where the last has ended, or later.
            let fixed = (from <= start).then(|| frame.slice(from..start));
            from = end;
            Some((fixed?, value))
        });
        Some(Repeat {
            before: before.collect::<Option<_>>()?,
            after: frame.slice(from..),
        })
    }

    /// The text of `frame`, if nothing else is new.
    pub(super) fn read<'a>(&self, frame: &'a Bytes) -> Option<&'a RawValue> {
        let (mut rest, mut text) = (&frame[..], None);
        for (fixed, value) in &self.before {
            let begins = rest.strip_prefix(&fixed[..])?;
            let length = match value {
                Value::Text => string(begins)?,
                Value::Unread => plain(begins)?,
            };
            let (literal, more) = begins.split_at_checked(length)?;
            if *value == Value::Text {
                text = Some(literal);
            }
            rest = more;
        }
        if rest != self.after {
            return None;
        }
        serde_json::from_slice(text?).ok()
    }
}

/// Where `part` stands in `frame`, if it is a slice of it.
fn place(frame: &Bytes, part: &[u8]) -> Option<(usize, usize)> {
    let start = (part.as_ptr() as usize).checked_sub(frame.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= frame.len()).then_some((start, end))
}

/// The length of the string literal that `json` begins with. What is in it is not looked at.
fn string(json: &[u8]) -> Option<usize> {
    let mut at = 1;
    json.starts_with(b"\"").then_some(())?;
    loop {
        let rest = json.get(at..)?;
        let found = memchr2(b'"', b'\\', rest)?;
        at += found + 1;
        if rest.get(found) == Some(&b'"') {
            return Some(at);
        }
        // What is escaped is no end.
        at += 1;
    }
}

/// The length of the whole number, or of the string of letters and digits, that `json` begins with.
fn plain(json: &[u8]) -> Option<usize> {
    let run = |json: &[u8], is: fn(&u8) -> bool| json.iter().take_while(|byte| is(byte)).count();
    match json.strip_prefix(b"\"") {
        Some(word) => {
            let length = run(word, u8::is_ascii_alphanumeric);
            (word.get(length) == Some(&b'"')).then_some(length + 2)
        }
        None => {
            let length = run(json, u8::is_ascii_digit);
            let is_number = length == 1 || length > 1 && !json.starts_with(b"0");
            is_number.then_some(length)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Piece<'a> {
        #[serde(borrow)]
        said: &'a RawValue,
        #[serde(borrow)]
        number: Given<'a>,
        #[serde(borrow)]
        filler: Given<'a>,
    }

    /// What is read of `next` after `first`; `None` where it must be parsed.
    fn read(first: &str, next: &str) -> Option<String> {
        let first = Bytes::copy_from_slice(first.as_bytes());
        let piece: Piece<'_> = serde_json::from_slice(&first).unwrap();
        let unread = [piece.number, piece.filler];
        let repeat = Repeat::learn(&first, piece.said.get().as_bytes(), &unread).unwrap();
        let next = Bytes::copy_from_slice(next.as_bytes());
        repeat.read(&next).map(|text| text.get().to_owned())
    }

    const FIRST: &str = r#"{"number":9,"said":"a","index":0,"filler":"x1"}"#;

    #[track_caller]
    fn check(next: &str, expect: Option<&str>) {
        assert_eq!(read(FIRST, next).as_deref(), expect, "{next}");
    }

    #[test]
    fn only_the_text_and_what_nobody_reads_may_change() {
        check(FIRST, Some(r#""a""#));
        let next = r#"{"number":10,"said":"b \"c\" \\","index":0,"filler":""}"#;
        check(next, Some(r#""b \"c\" \\""#));
        check(
            r#"{"number":10,"said":"Straße","index":0,"filler":"aZ9"}"#,
            Some(r#""Straße""#),
        );
        for other in [
            r#"{"number":10,"said":"b","index":1,"filler":"x"}"#,
            r#"{"number":10,"said":"b","index":0,"filler":"x","more":1}"#,
            r#"{"number":10,"said":"b","more":1,"index":0,"filler":"x"}"#,
            r#"{"number":10,"said":null,"index":0,"filler":"x"}"#,
            r#"{"number":10,"said":["b"],"index":0,"filler":"x"}"#,
            r#"{"number":1e1,"said":"b","index":0,"filler":"x"}"#,
            r#"{"number":-1,"said":"b","index":0,"filler":"x"}"#,
            r#"{"number":10,"said":"b","index":0,"filler":"\u0041"}"#,
            r#"{"number":10,"said":"b","index":0,"filler":"x"#,
            r#"{"number":10,"said":"b"#,
            "{",
            "",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn what_is_no_json_is_left_to_the_parser() {
        for other in [
            "{\"number\":10,\"said\":\"b\n\",\"index\":0,\"filler\":\"x\"}",
            r#"{"number":10,"said":"\x","index":0,"filler":"x"}"#,
            r#"{"number":01,"said":"b","index":0,"filler":"x"}"#,
            r#"{"number":,"said":"b","index":0,"filler":"x"}"#,
        ] {
            check(other, None);
        }
    }

    #[test]
    fn a_text_from_elsewhere_is_not_learned() {
        let frame = Bytes::from_static(br#"{"said":"a"}"#);
        assert!(Repeat::learn(&frame, br#""a""#, &[]).is_none());
    }
}
