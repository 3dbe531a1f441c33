//! Whether a text is JSON (RFC 8259), found in one pass that looks at the bulk of a prompt, its strings, many bytes at a
//! time. serde_json, which says what is wrong with one that is not, reads them eight at a time.

use memchr::memchr2;

use super::MAX_DEPTH;

/// Whether this is one JSON value in UTF-8, nested no deeper than [`MAX_DEPTH`].
pub(super) fn is_valid(json: &[u8]) -> bool {
    std::str::from_utf8(json).is_ok() && Reader { rest: json }.document().is_some()
}

/// What is still to be read. Every step answers `None` where the text is no JSON.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn document(mut self) -> Option<()> {
        self.value(0)?;
        self.skip_space();
        self.rest.is_empty().then_some(())
    }

    /// A value inside so many arrays and objects.
    fn value(&mut self, depth: usize) -> Option<()> {
        match self.after_space()? {
            b'"' => self.string(),
            b'{' if depth < MAX_DEPTH => self.object(depth + 1),
            b'[' if depth < MAX_DEPTH => self.array(depth + 1),
            b't' => self.word(b"rue"),
            b'f' => self.word(b"alse"),
            b'n' => self.word(b"ull"),
            b'-' => {
                let first = self.next()?;
                self.number(first)
            }
            first => self.number(first),
        }
    }

    /// What follows the bracket of an object.
    fn object(&mut self, depth: usize) -> Option<()> {
        let mut next = self.after_space()?;
        if next == b'}' {
            return Some(());
        }
        loop {
            expect(b'"', next)?;
            self.string()?;
            next = self.after_space()?;
            expect(b':', next)?;
            self.value(depth)?;
            match self.after_space()? {
                b',' => next = self.after_space()?,
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// What follows the bracket of an array.
    fn array(&mut self, depth: usize) -> Option<()> {
        self.skip_space();
        if let Some(rest) = self.rest.strip_prefix(b"]") {
            self.rest = rest;
            return Some(());
        }
        loop {
            self.value(depth)?;
            match self.after_space()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// What follows the quote that opens a string.
    fn string(&mut self) -> Option<()> {
        loop {
            let (text, rest) = self.rest.split_at(memchr2(b'"', b'\\', self.rest)?);
            self.rest = rest;
            // The least byte of all, not the first that is too small: that is looked for many at a time.
            if text.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < b' ' {
                return None;
            }
            if self.next()? == b'"' {
                return Some(());
            }
            self.escape()?;
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let (digits, rest) = self.rest.split_first_chunk::<4>()?;
                self.rest = rest;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    /// What follows the first digit of a number.
    fn number(&mut self, first: u8) -> Option<()> {
        match first {
            b'0' => {}
            b'1'..=b'9' => self.skip(u8::is_ascii_digit),
            _ => return None,
        }
        if let Some(fraction) = self.rest.strip_prefix(b".") {
            self.rest = fraction;
            self.digits()?;
        }
        if let [b'e' | b'E', exponent @ ..] = self.rest {
            let unsigned = match exponent {
                [b'+' | b'-', unsigned @ ..] => unsigned,
                unsigned => unsigned,
            };
            self.rest = unsigned;
            self.digits()?;
        }
        Some(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Option<()> {
        let first = self.next()?;
        self.skip(u8::is_ascii_digit);
        first.is_ascii_digit().then_some(())
    }

    fn word(&mut self, rest_of_it: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(rest_of_it)?;
        Some(())
    }

    fn after_space(&mut self) -> Option<u8> {
        self.skip_space();
        self.next()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip_space(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
    }

    fn skip(&mut self, what: impl Fn(&u8) -> bool) {
        while let Some((first, rest)) = self.rest.split_first()
            && what(first)
        {
            self.rest = rest;
        }
    }
}

fn expect(expected: u8, byte: u8) -> Option<()> {
    (byte == expected).then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::domain::json::reason;

    /// What other parsers say.
    fn is_json(json: &[u8]) -> bool {
        reason(json).is_ok()
    }

    #[test]
    fn what_is_json_is_told_from_what_is_not() {
        for text in [
            "0",
            "-0",
            "10",
            "-1.5e+3",
            "1E9",
            "2e-07",
            "0.0",
            " true ",
            "null",
            "\"\"",
            "[]",
            "{}",
            "[ ]",
            "{ }",
            "[1,2]",
            "\t[ 1 , \"a\" ]\r\n",
            r#"{"a":{"b":[null,false]},"a":""}"#,
            r#""\"\\\/\b\f\n\r\tA\ud83e""#,
            "\"\u{7f}\u{1f980}\"",
        ] {
            assert!(is_valid(text.as_bytes()), "{text}");
            assert!(is_json(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            " ",
            "01",
            "-",
            "+1",
            "1.",
            ".5",
            "1e",
            "1e+",
            "--1",
            "tru",
            "nul",
            "True",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u123",
            "\"\n\"",
            "\"\u{1f}\"",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{1:2}",
            "{a:1}",
            "{\"a\" 1}",
            "{\"a\":1 \"b\":2}",
            "}",
            "1 1",
            "[]]",
            "\u{feff}1",
            "\u{a0}1",
            "NaN",
            "'a'",
        ] {
            assert!(!is_valid(text.as_bytes()), "{text}");
            assert!(!is_json(text.as_bytes()), "{text}");
        }
        assert!(!is_valid(b"\"\xff\""));
    }

    #[test]
    fn what_may_not_stand_in_a_string_is_seen_wherever_it_stands() {
        for before in 0..100 {
            let text = |middle: &str| format!("\"{}{middle}yz\"", "x".repeat(before));
            for (middle, is_valid) in [
                (" ", true),
                ("\\n", true),
                ("\u{1f}", false),
                ("\n", false),
                ("\"", false),
            ] {
                assert_eq!(
                    super::is_valid(text(middle).as_bytes()),
                    is_valid,
                    "{before} {middle:?}"
                );
            }
        }
    }

    /// JSON, or nearly.
    fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            "[\\[\\]{}:,\"\\\\ \n0-9.eE+-]{0,8}",
            Just("\"key\":".to_owned()),
            Just("true".to_owned()),
            Just(format!("\"{}\"", "a long string ".repeat(4))),
            Just("\\u00e4".to_owned()),
        ];
        proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat().into_bytes())
    }

    /// A value, as some client might write it.
    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
            any::<i64>().prop_map(|number| number.to_string()),
            "[a-z\"\\\\\n\u{e4}\u{1f980}]{0,40}"
                .prop_map(|text| serde_json::json!(text).to_string()),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let list = proptest::collection::vec(inner, 0..4);
            (list, any::<bool>()).prop_map(|(parts, is_array)| {
                if is_array {
                    format!("[{}]", parts.join(" , "))
                } else {
                    let fields = parts.iter().map(|part| format!("\"n\\\"\": {part}"));
                    format!("{{{}}}", fields.collect::<Vec<_>>().join(",\n"))
                }
            })
        })
    }

    proptest! {
        #[test]
        fn all_json_is_valid(text in json()) {
            prop_assert!(is_valid(text.as_bytes()));
        }

        #[test]
        fn it_agrees_with_other_parsers(text in nearly_json()) {
            prop_assert_eq!(is_valid(&text), is_json(&text));
        }

        #[test]
        fn a_wrong_byte_is_seen_as_others_see_it(text in json(), at: Index, byte: u8) {
            let mut text = text.into_bytes();
            let at = at.index(text.len());
            text[at] = byte;
            prop_assert_eq!(is_valid(&text), is_json(&text));
            text.remove(at);
            prop_assert_eq!(is_valid(&text), is_json(&text));
        }
    }
}
