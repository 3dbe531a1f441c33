//! Ids for tool calls that a provider gives none. Shared by all wires.

use sha2::{Digest, Sha256};

use crate::domain::json::JsonText;

/// What a made up id is made of, so that it stays the same however the answer is read, and differs from those of
/// other answers in the conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed<'a> {
    /// The provider's id of the answer.
    pub(super) answer: &'a str,
    /// The index of the choice.
    pub(super) choice: u32,
}

impl Seed<'_> {
    /// The id of the call at `index`, of the function `name`.
    pub(super) fn id(self, index: u32, name: Option<&JsonText>) -> JsonText {
        let mut hash = Sha256::new();
        hash.update(self.answer);
        hash.update(self.choice.to_le_bytes());
        hash.update(index.to_le_bytes());
        hash.update(name.map_or(&b""[..], JsonText::as_bytes));
        JsonText::of(&format!("call_{}", hex::encode(&hash.finalize()[..12])))
    }
}

/// The arguments of a call that has none: every client can parse the empty object.
pub(super) fn no_arguments() -> Option<JsonText> {
    Some(JsonText::of("{}"))
}
