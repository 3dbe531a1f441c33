//! What is passed on as JSON must be JSON: texts and values go from providers to clients without being written anew.

use serde::de::IgnoredAny;
use turnpike::domain::event::{Choice, Event, Message, Reply};
use turnpike::domain::json::{JsonText, Raw};

pub(crate) fn reply(reply: &Reply) {
    reply.choices.iter().for_each(choice);
    reply.vectors.iter().for_each(value);
    reply.ranking.iter().for_each(|ranked| value(&ranked.score));
}

pub(crate) fn event(event: &Event) {
    match event {
        Event::Choice(piece) => choice(piece),
        Event::Forwarded(forwarded) => {
            text(&forwarded.kind);
            json(&forwarded.data);
        }
        Event::Step(_) | Event::Usage(_) | Event::About(_) | Event::Sent(_) => {}
    }
}

fn choice(choice: &Choice) {
    let Message {
        content,
        refusal,
        reasoning,
        reasoning_details,
        tool_calls,
        annotations,
        images,
        audio,
    } = &choice.message;
    let calls = tool_calls
        .iter()
        .flat_map(|call| [&call.id, &call.name, &call.arguments]);
    let texts = [content, refusal, reasoning].into_iter().chain(calls);
    texts.flatten().for_each(text);
    let values = [
        reasoning_details,
        annotations,
        images,
        audio,
        &choice.logprobs,
    ];
    values.into_iter().flatten().for_each(value);
}

fn text(text: &JsonText) {
    assert!(text.as_bytes().starts_with(b"\""));
    json(text.as_bytes());
    // What is counted and searched.
    text.to_text();
    text.characters();
}

fn value(value: &Raw) {
    json(value.as_bytes());
}

#[track_caller]
fn json(bytes: &[u8]) {
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(bytes) {
        panic!("{error}: {}", String::from_utf8_lossy(bytes));
    }
}
