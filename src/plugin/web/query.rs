//! What to search for: the text of the last turn of the user's (contract 8.2). Pure.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::engine::cut_words;
use crate::domain::call::{Call, Form};
use crate::domain::json::Raw;

/// A longer question is cut: engines take no essays, and what is asked mostly comes first.
const LONGEST: usize = 1_000;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of a message; of what is no text nothing is read.
#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

/// The question of a call; `None` where nothing is said in words.
pub fn of(call: &Call) -> Option<String> {
    let text = match call.form {
        Form::Chat => last_turn(call.body.given("messages")?)?,
        Form::Text => call.body.given("prompt")?.parse().ok()?,
        Form::Embeddings | Form::Rerank => return None,
    };
    let question = cut_words(&text, LONGEST, usize::MAX);
    (!question.is_empty()).then_some(question)
}

/// Where the last turn of the user's stands among the messages.
pub(super) fn last_user_turn(messages: &Raw) -> Option<usize> {
    let messages: Vec<&RawValue> = serde_json::from_slice(messages.as_bytes()).ok()?;
    messages.iter().rposition(|message| is_users(message))
}

fn is_users(message: &RawValue) -> bool {
    serde_json::from_str::<Message<'_>>(message.get()).is_ok_and(|message| message.role == "user")
}

fn last_turn(messages: &Raw) -> Option<String> {
    let messages: Vec<&RawValue> = serde_json::from_slice(messages.as_bytes()).ok()?;
    let last = messages.iter().rfind(|message| is_users(message))?;
    let message: Message<'_> = serde_json::from_str(last.get()).ok()?;
    Some(match serde_json::from_str(message.content?.get()).ok()? {
        Content::Text(text) => text,
        Content::Parts(parts) => {
            let texts = parts.into_iter().filter_map(|part| part.text);
            texts.collect::<Vec<_>>().join("\n")
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn question(messages: serde_json::Value) -> Option<String> {
        let text = last_turn(&Raw::of(&messages).unwrap())?;
        let question = cut_words(&text, LONGEST, usize::MAX);
        (!question.is_empty()).then_some(question)
    }

    #[test]
    fn the_question_is_the_text_of_the_last_turn_of_the_users() {
        let check = |messages, expect: Option<&str>| {
            assert_eq!(question(messages).as_deref(), expect);
        };
        check(
            json!([{"role": "user", "content": "old"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": " Who\nwon \"it\"? "}]),
            Some("Who won \"it\"?"),
        );
        check(
            json!([{"role": "user", "content": [
                {"type": "text", "text": "What is"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}, {"type": "text", "text": "this?"}
            ]}]),
            Some("What is this?"),
        );
        check(
            json!([{"role": "user", "content": "Go"}, {"role": "assistant", "content": null, "tool_calls": []}, {"role": "tool", "tool_call_id": "1", "content": "x"}]),
            Some("Go"),
        );
        check(
            json!([{"role": "user", "content": "Begin"}, {"role": "assistant", "content": "Once"}]),
            Some("Begin"),
        );
        check(
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]),
            None,
        );
        check(json!([{"role": "system", "content": "s"}]), None);
        check(json!([{"role": "user", "content": null}]), None);
    }

    #[test]
    fn a_long_question_is_cut_between_words() {
        let long = "wort ".repeat(1_000);
        let question = question(json!([{"role": "user", "content": long}])).unwrap();
        assert_eq!(question.chars().count(), 999);
        let endless = "ö".repeat(5_000);
        let cut = cut_words(&endless, LONGEST, usize::MAX);
        assert_eq!(cut.chars().count(), LONGEST);
        assert_eq!(cut_words("a b c d", 100, 2), "a b");
    }
}
