//! Messages in the words of a stricter or different host. Touched only when a cheap search says that something in
//! them may have to change; the text of a prompt is never parsed for nothing.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::piece;
use crate::domain::json::{JsonObject, JsonText, ObjectWriter, Raw};
use crate::wire::quirks::{Quirks, ReasoningHistory};

/// What a host wants of messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageRules {
    developer_as_system: bool,
    history: ReasoningHistory,
    cache_control: bool,
    mistral_parts: bool,
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
            mistral_parts: quirks.mistral_parts,
        }
    }

    /// Whether these bytes may hold something that the host does not want.
    fn concern(&self, bytes: &[u8]) -> bool {
        let holds = |word: &Finder<'_>| word.find(bytes).is_some();
        let words = &*WORDS;
        self.developer_as_system && holds(&words.developer)
            || self.history != ReasoningHistory::Kept && words.history.iter().any(holds)
            || !self.cache_control && holds(&words.cache_control)
            || self.mistral_parts && words.parts.iter().any(holds)
    }
}

/// What to look for in messages; how is worked out once.
struct Words {
    developer: Finder<'static>,
    history: [Finder<'static>; 3],
    cache_control: Finder<'static>,
    parts: [Finder<'static>; 2],
}

static WORDS: LazyLock<Words> = LazyLock::new(|| Words {
    developer: Finder::new("\"developer\""),
    history: ["\"reasoning", "\"annotations\"", "\"images\""].map(Finder::new),
    cache_control: Finder::new("\"cache_control\""),
    parts: ["\"file\"", "\"input_audio\""].map(Finder::new),
});

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
    let unmarked = object
        .get("content")
        .filter(|_| !rules.cache_control)
        .and_then(unmarked_parts);
    let said = unmarked.as_ref().or_else(|| object.given("content"));
    let renamed_parts = said
        .filter(|_| rules.mistral_parts)
        .and_then(mistrals_parts);
    let unmarked = renamed_parts.or(unmarked);
    let said = unmarked.as_ref().or_else(|| object.given("content"));
    let thought = reasoning(&object).filter(|_| answered);
    let content = match (rules.history, thought) {
        (ReasoningHistory::Parts, Some(thought)) => Some(after_thinking(&thought, said)),
        _ => unmarked,
    };
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
        ReasoningHistory::Dropped | ReasoningHistory::Parts | ReasoningHistory::Kept => return,
    };
    if let Some(text) = reasoning(object) {
        out.raw(name, text.as_bytes());
    }
}

/// The reasoning of a past answer as plain text, under whichever name it comes back.
fn reasoning(object: &JsonObject) -> Option<JsonText> {
    let plain = ["reasoning_content", "reasoning"]
        .into_iter()
        .find_map(|name| object.given(name)?.text());
    let text = plain.or_else(|| piece::readable(object.given("reasoning_details")?));
    text.filter(|text| !text.is_empty())
}

/// A content array that begins with what was thought, as Mistral's answers do.
fn after_thinking(thought: &JsonText, said: Option<&Raw>) -> Raw {
    let text = |text: &JsonText| {
        let mut part = ObjectWriter::with_capacity(text.len() + 32);
        part.text("type", "text");
        part.raw("text", text.as_bytes());
        part.finish_raw()
    };
    let mut thinking = ObjectWriter::with_capacity(thought.len() + 96);
    thinking.text("type", "thinking");
    thinking.raw("thinking", Raw::array([text(thought).as_str()]).as_bytes());
    let mut parts = vec![thinking.finish_raw()];
    match said.map(|said| (said.text(), said.elements())) {
        Some((Some(said), _)) if !said.is_empty() => parts.push(text(&said)),
        Some((None, Some(said))) => parts.extend(said),
        _ => {}
    }
    Raw::array(parts.iter().map(Raw::as_str))
}

/// A content array with documents and sounds as Mistral has them; `None` when it has none.
fn mistrals_parts(parts: &Raw) -> Option<Raw> {
    let parts = parts.elements()?;
    let changed: Vec<Option<Raw>> = parts.iter().map(mistrals_part).collect();
    let either = || {
        let pairs = parts.iter().zip(&changed);
        pairs.map(|(old, new)| new.as_ref().unwrap_or(old).as_str())
    };
    changed
        .iter()
        .any(Option::is_some)
        .then(|| Raw::array(either()))
}

fn mistrals_part(part: &Raw) -> Option<Raw> {
    let part = part.object()?;
    let inner = |name: &str| part.given(name).and_then(Raw::object);
    let mut out = ObjectWriter::with_capacity(part.bytes().len());
    if let Some(file) = inner("file") {
        let address = file.given("file_data")?;
        out.text("type", "document_url");
        out.raw("document_url", address.as_bytes());
        if let Some(name) = file.given("filename") {
            out.raw("document_name", name.as_bytes());
        }
    } else {
        let sound = inner("input_audio")?;
        out.text("type", "input_audio");
        out.raw("input_audio", sound.given("data")?.as_bytes());
    }
    Some(out.finish_raw())
}

/// A content array without its `cache_control` markers; `None` when it has none.
pub(super) fn unmarked_parts(parts: &Raw) -> Option<Raw> {
    WORDS.cache_control.find(parts.as_bytes())?;
    let unmarked = |part: Raw| match part.object() {
        Some(object) => object.splice(|name| name != "cache_control").finish_raw(),
        None => part,
    };
    let parts: Vec<Raw> = parts.elements()?.into_iter().map(unmarked).collect();
    Some(Raw::array(parts.iter().map(Raw::as_str)))
}
