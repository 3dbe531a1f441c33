//! Messages in the words of a stricter or different host. Touched only when a cheap search says that something in
//! them may have to change; the text of a prompt is never parsed for nothing.

use memchr::memmem;

use super::piece;
use crate::domain::json::{JsonObject, ObjectWriter, Raw};
use crate::wire::quirks::{Quirks, ReasoningHistory};

/// What a host wants of messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageRules {
    developer_as_system: bool,
    history: ReasoningHistory,
    cache_control: bool,
}

/// Fields of past answers that belong to the contract and that no host reads (2.2).
const ANSWER_ONLY: &[&str] = &["annotations", "images", "model", "provider"];
const REASONING: &[&str] = &["reasoning_content", "reasoning", "reasoning_details"];

impl MessageRules {
    pub(super) fn of(quirks: &Quirks) -> Self {
        MessageRules {
            developer_as_system: quirks.developer_as_system,
            history: quirks.reasoning_history,
            cache_control: quirks.cache_control,
        }
    }

    /// Whether these bytes may hold something that the host does not want.
    fn concern(&self, bytes: &[u8]) -> bool {
        let holds = |needle: &str| memmem::find(bytes, needle.as_bytes()).is_some();
        self.developer_as_system && holds("\"developer\"")
            || self.history != ReasoningHistory::Kept
                && (holds("\"reasoning") || holds("\"annotations\"") || holds("\"images\""))
            || !self.cache_control && holds("\"cache_control\"")
    }
}

/// The messages as the host wants them; `None` when they are so already.
pub(super) fn rewritten(messages: &Raw, rules: &MessageRules) -> Option<Raw> {
    if !rules.concern(messages.as_bytes()) {
        return None;
    }
    let list = messages.elements()?;
    let changed: Vec<Option<Raw>> = list.iter().map(|raw| message(raw, rules)).collect();
    let either = || {
        list.iter()
            .zip(&changed)
            .map(|(old, new)| new.as_ref().unwrap_or(old).as_str())
    };
    changed
        .iter()
        .any(Option::is_some)
        .then(|| Raw::array(either()))
}

fn message(raw: &Raw, rules: &MessageRules) -> Option<Raw> {
    if !rules.concern(raw.as_bytes()) {
        return None;
    }
    let object = raw.object()?;
    let is = |role: &str| {
        object
            .get("role")
            .is_some_and(|given| given.as_str().trim_matches('"') == role)
    };
    let renamed = rules.developer_as_system && is("developer");
    let answered = rules.history != ReasoningHistory::Kept && is("assistant");
    let content = object
        .get("content")
        .filter(|_| !rules.cache_control)
        .and_then(unmarked_parts);
    let loses = |name: &str| {
        renamed && name == "role"
            || content.is_some() && name == "content"
            || !rules.cache_control && name == "cache_control"
            || answered && (ANSWER_ONLY.contains(&name) || REASONING.contains(&name))
    };
    let mut out = object.splice(|name| !loses(name));
    if renamed {
        out.text("role", "system");
    }
    if let Some(content) = &content {
        out.raw("content", content.as_bytes());
    }
    if answered {
        keep_reasoning(&object, rules.history, &mut out);
    }
    Some(out.finish_raw())
}

/// Writes the reasoning of a past answer under the name that the host knows.
fn keep_reasoning(object: &JsonObject, history: ReasoningHistory, out: &mut ObjectWriter) {
    let name = match history {
        ReasoningHistory::ReasoningContent => "reasoning_content",
        ReasoningHistory::Reasoning => "reasoning",
        ReasoningHistory::Dropped | ReasoningHistory::Kept => return,
    };
    let plain = ["reasoning_content", "reasoning"]
        .into_iter()
        .find_map(|name| object.given(name)?.text());
    let text = plain.or_else(|| piece::readable(object.given("reasoning_details")?));
    if let Some(text) = text {
        out.raw(name, text.as_bytes());
    }
}

/// A content array without its `cache_control` markers; `None` when it has none.
pub(super) fn unmarked_parts(parts: &Raw) -> Option<Raw> {
    memmem::find(parts.as_bytes(), b"\"cache_control\"")?;
    let unmarked = |part: Raw| match part.object() {
        Some(object) => object.splice(|name| name != "cache_control").finish_raw(),
        None => part,
    };
    let parts: Vec<Raw> = parts.elements()?.into_iter().map(unmarked).collect();
    Some(Raw::array(parts.iter().map(Raw::as_str)))
}
