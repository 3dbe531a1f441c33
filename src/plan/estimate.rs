//! About how many tokens a prompt has, from its bytes and without a tokenizer: the hot path's guess,
//! good enough to size a hold and to rule out endpoints that are far too small.

use crate::domain::call::Call;
use crate::domain::json::end_of_string;

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

/// About how many tokens the prompt of `call` has: its messages or prompt, and its tools.
pub fn prompt_tokens(call: &Call) -> u64 {
    ["messages", "prompt", "tools"]
        .iter()
        .filter_map(|name| call.body.given(name))
        .map(|value| tokens_of_json(value.as_bytes()))
        .sum()
}

fn tokens_of_json(json: &[u8]) -> u64 {
    let (mut media, mut media_bytes, mut at) = (0, 0, 0);
    while json.len() - at > SHORTEST_MEDIUM
        && let Some(quote) = memchr::memchr(b'"', &json[at..])
    {
        let start = at + quote + 1;
        let end = end_of_string(json, start);
        if end - start >= SHORTEST_MEDIUM && is_base64(&json[start..end]) {
            media += 1;
            media_bytes += end - start;
        }
        at = (end + 1).min(json.len());
    }
    tokens_of_text((json.len() - media_bytes) as u64) + media * TOKENS_PER_MEDIUM
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
