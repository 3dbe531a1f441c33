//! Which conversation a request belongs to (contract 6.6): the key under which it goes back to the
//! endpoint that has its prompt in a cache.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::call::Call;
use crate::domain::json::Raw;

/// A conversation, by the hash of what names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conversation {
    /// The hash of the caller's id, or of how the messages begin.
    pub hash: u64,
    /// Whether the caller named it; a guessed one sticks only once a cache was seen to work.
    pub named: bool,
}

impl Conversation {
    /// The conversation of a call: its session, its cache key, or how its messages begin.
    pub fn of(call: &Call) -> Option<Self> {
        let named = |name: &str| Conversation {
            hash: hash(name.as_bytes()),
            named: true,
        };
        if let Some(session) = &call.origin.session_id {
            return Some(named(session));
        }
        if let Some(key) = call.body.given("prompt_cache_key") {
            return Some(named(key.as_str()));
        }
        call.body.given("messages").and_then(beginning)
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
}

/// The first instruction and the first message that is none: what a conversation keeps as it grows.
fn beginning(messages: &Raw) -> Option<Conversation> {
    let messages: Vec<&RawValue> = serde_json::from_slice(messages.as_bytes()).ok()?;
    let instructs = |message: &&&RawValue| {
        serde_json::from_str::<Message<'_>>(message.get())
            .is_ok_and(|message| matches!(&*message.role, "system" | "developer"))
    };
    let instruction = messages.first().filter(instructs);
    let other = messages.iter().find(|message| !instructs(message))?;
    let text = |message: &&RawValue| hash(message.get().as_bytes());
    Some(Conversation {
        hash: instruction.map_or(0, text).rotate_left(1) ^ text(other),
        named: false,
    })
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_keeps_its_key_as_it_grows() {
        let key = |messages: &str| {
            let raw = Raw::of(&serde_json::from_str::<serde_json::Value>(messages).unwrap());
            beginning(&raw.unwrap())
        };
        let first = key(r#"[{"role":"system","content":"s"},{"role":"user","content":"a"}]"#);
        let second = key(
            r#"[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]"#,
        );
        let other = key(r#"[{"role":"system","content":"t"},{"role":"user","content":"a"}]"#);
        assert!(first.is_some());
        assert_eq!(first, second);
        assert_ne!(first, other);
        assert_eq!(key("[]"), None);
        assert_eq!(key(r#"[{"role":"system","content":"s"}]"#), None);
    }
}
