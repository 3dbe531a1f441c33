//! About how many tokens a prompt has, from its bytes and without a tokenizer: the hot path's guess,
//! good enough to size a hold and to rule out endpoints that are far too small.

use super::rerank;
use crate::domain::call::{Call, Form};
use crate::domain::input;
use crate::domain::json::{Raw, end_of_string};

/// Bytes of text that make one token. English prose has about four; the guess errs on the high
/// side for it, since JSON's own punctuation is counted too.
const BYTES_PER_TOKEN: u64 = 4;

/// An image, a sound or a page sent as base64 counts as this many tokens, whatever its bytes.
const TOKENS_PER_MEDIUM: u64 = 1_500;

/// Strings shorter than this are text without looking at them.
const SHORTEST_MEDIUM: usize = 1_024;

/// How much of a long string is looked at to tell base64 from text.
const PROBE: usize = 256;

/// The tokens of so many bytes of text, rounded up.
pub fn tokens_of_text(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// How large a prompt is: its messages, prompt or input, and its tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Bytes of text, JSON's own punctuation included.
    pub text_bytes: u64,
    /// Images, sounds and pages sent as base64.
    pub media: u64,
}

impl Prompt {
    /// Measures the prompt of `call`.
    pub fn of(call: &Call) -> Self {
        if call.form == Form::Rerank {
            return rerank::prompt(call);
        }
        let mut text_bytes = 0;
        let media = pieces(call, |text| text_bytes += text.len() as u64);
        Prompt { text_bytes, media }
    }

    /// Measures one value of a request.
    pub(super) fn of_value(value: &Raw) -> Self {
        let mut text_bytes = 0;
        let media = pieces_of_json(value.as_bytes(), &mut |text| {
            text_bytes += text.len() as u64
        });
        Prompt { text_bytes, media }
    }

    /// About how many tokens that is.
    pub fn tokens(&self) -> u64 {
        tokens_of_text(self.text_bytes) + media_tokens(self.media)
    }
}

/// About how many of a prompt's tokens must fit a model's context together: inputs to embed stand each on its own, and
/// documents to rank are cut by the provider where they are too long for it.
pub fn context_tokens(call: &Call, prompt: &Prompt) -> u64 {
    match (call.form, call.body.given("input")) {
        (Form::Rerank, _) => rerank::query(call).tokens(),
        (Form::Embeddings, Some(input)) => {
            let parts = input::parts(input);
            let tokens = parts.iter().map(|part| Prompt::of_value(part).tokens());
            tokens.max().unwrap_or(0)
        }
        _ => prompt.tokens(),
    }
}

/// The text of a prompt as JSON, media left out, for who counts it. Nobody counts what is ranked.
pub fn text_of(call: &Call) -> String {
    let mut text = Vec::new();
    pieces(call, |piece| text.extend_from_slice(piece));
    String::from_utf8_lossy(&text).into_owned()
}

/// What so many media count as.
pub fn media_tokens(media: u64) -> u64 {
    media.saturating_mul(TOKENS_PER_MEDIUM)
}

/// Passes on every piece of text and counts the media between them.
fn pieces(call: &Call, mut text: impl FnMut(&[u8])) -> u64 {
    ["messages", "prompt", "input", "tools"]
        .iter()
        .filter_map(|name| call.body.given(name))
        .map(|value| pieces_of_json(value.as_bytes(), &mut text))
        .sum()
}

fn pieces_of_json(json: &[u8], text: &mut impl FnMut(&[u8])) -> u64 {
    let (mut media, mut from, mut at) = (0, 0, 0);
    while json.len() - at > SHORTEST_MEDIUM
        && let Some(quote) = memchr::memchr(b'"', &json[at..])
    {
        let start = at + quote + 1;
        let end = end_of_string(json, start);
        if end - start >= SHORTEST_MEDIUM && is_base64(&json[start..end]) {
            media += 1;
            text(&json[from..start]);
            from = end;
        }
        at = (end + 1).min(json.len());
    }
    text(&json[from..]);
    media
}

fn is_base64(text: &[u8]) -> bool {
    let marker = b";base64,";
    let head = &text[..text.len().min(PROBE)];
    let payload = memchr::memmem::find(head, marker).map_or(0, |at| at + marker.len());
    let probe = &text[payload..text.len().min(payload + PROBE)];
    probe
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens_of_json(json: &[u8]) -> u64 {
        let mut text_bytes = 0;
        let media = pieces_of_json(json, &mut |text: &[u8]| text_bytes += text.len() as u64);
        Prompt { text_bytes, media }.tokens()
    }

    #[test]
    fn media_do_not_count_by_their_bytes() {
        let blob = "iVBORw0KGgo".repeat(10_000);
        let image = format!(
            r#"[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{blob}"}}}}]}}]"#
        );
        assert!((1_500..1_600).contains(&tokens_of_json(image.as_bytes())));
        let audio = format!(r#"{{"input_audio":{{"data":"{blob}","format":"wav"}}}}"#);
        assert!((1_500..1_600).contains(&tokens_of_json(audio.as_bytes())));
        let prose = format!(
            r#"{{"content":"{}"}}"#,
            "plain words \\\" and ".repeat(1_000)
        );
        assert_eq!(
            tokens_of_json(prose.as_bytes()),
            tokens_of_text(prose.len() as u64)
        );
    }

    #[test]
    fn odd_text_is_no_trouble() {
        for text in ["", "\"", "\"\\", "{\"a\":\"b", &"\"".repeat(3_000)] {
            tokens_of_json(text.as_bytes());
        }
    }
}
