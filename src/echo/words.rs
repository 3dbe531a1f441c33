//! The echo model's tokenizer: a token is a word with the white space before it, or a part of a very long word.

/// Longer words are several tokens, so that a number of tokens bounds a number of bytes.
const LONGEST_BYTES: usize = 64;

/// Cuts text into tokens; put together again they are the text.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (token, left) = rest.split_at(end_of_first(rest));
        rest = left;
        (!token.is_empty()).then_some(token)
    })
}

/// How many tokens a text has.
pub(super) fn count(text: &str) -> u64 {
    tokens(text).fold(0, |count, _| count + 1)
}

/// The first `most` tokens of a text, and whether anything was cut off.
pub(super) fn cut(text: &str, most: u64) -> (&str, bool) {
    let length = tokens(text)
        .zip(0..most)
        .map(|(token, _)| token.len())
        .sum();
    (&text[..length], length < text.len())
}

fn end_of_first(text: &str) -> usize {
    // Looking no further keeps a very long word from being read anew for each of its tokens.
    let window = &text[..text.floor_char_boundary(LONGEST_BYTES)];
    let word = window
        .find(|character: char| !character.is_whitespace())
        .unwrap_or(window.len());
    window[word..]
        .find(char::is_whitespace)
        .map_or(window.len(), |length| word + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_a_word_with_the_space_before_it() {
        let check = |text, expect: &[&str]| {
            assert_eq!(tokens(text).collect::<Vec<_>>(), expect, "{text:?}")
        };
        check("one two  three\n", &["one", " two", "  three", "\n"]);
        check("", &[]);
        check(
            "01234567890123456789012345678901234567890123456789012345678901234567890123456789",
            &[
                "0123456789012345678901234567890123456789012345678901234567890123",
                "4567890123456789",
            ],
        );
        check("é\u{a0}ü", &["é", "\u{a0}ü"]);
    }

    proptest! {
        #[test]
        fn tokens_put_together_are_the_text(text in any::<String>(), most in 0_u64..5) {
            prop_assert_eq!(tokens(&text).collect::<String>(), text.clone());
            let (kept, cut_off) = cut(&text, most);
            prop_assert!(text.starts_with(kept));
            prop_assert_eq!(count(kept), count(&text).min(most));
            prop_assert_eq!(cut_off, count(&text) > most);
        }
    }
}
