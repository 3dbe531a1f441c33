//! What items are, and the parts that they have.

use serde_json::{Value, json};

/// What an item tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Refusal,
    Thinking,
    Summary,
    Hidden,
    Call,
}

/// Which list of an item its parts stand in.
#[derive(Clone, Copy)]
pub(super) enum List {
    Content,
    Summary,
}

impl List {
    /// The name of the list.
    pub(super) fn field(self) -> &'static str {
        match self {
            List::Content => "content",
            List::Summary => "summary",
        }
    }

    /// The event that tells that a part begins.
    pub(super) fn added(self) -> &'static str {
        match self {
            List::Content => "response.content_part.added",
            List::Summary => "response.reasoning_summary_part.added",
        }
    }

    /// The event that tells a part that is complete.
    pub(super) fn done(self) -> &'static str {
        match self {
            List::Content => "response.content_part.done",
            List::Summary => "response.reasoning_summary_part.done",
        }
    }

    /// The event that tells the whole text of a part of this type.
    pub(super) fn text_done(self, part: &str) -> &'static str {
        match part {
            "output_text" => "response.output_text.done",
            "refusal" => "response.refusal.done",
            "reasoning_text" => "response.reasoning_text.done",
            _ => "response.reasoning_summary_text.done",
        }
    }
}

impl Kind {
    /// The list of its one part, what the part's position is called, and the part's type.
    pub(super) fn part(self) -> Option<(List, &'static str, &'static str)> {
        match self {
            Kind::Text => Some((List::Content, "content_index", "output_text")),
            Kind::Refusal => Some((List::Content, "content_index", "refusal")),
            Kind::Thinking => Some((List::Content, "content_index", "reasoning_text")),
            Kind::Summary => Some((List::Summary, "summary_index", "summary_text")),
            Kind::Hidden | Kind::Call => None,
        }
    }

    /// The same, where events tell that the part begins and ends: of reasoning in full only its text is told.
    pub(super) fn told_part(self) -> Option<(List, &'static str, &'static str)> {
        self.part().filter(|_| self != Kind::Thinking)
    }
}

/// A part of this type, with its text.
pub(super) fn part(kind: &str, text: &str) -> Value {
    match kind {
        "output_text" => json!({ "type": kind, "text": text, "annotations": [], "logprobs": [] }),
        "refusal" => json!({ "type": kind, "refusal": text }),
        _ => json!({ "type": kind, "text": text }),
    }
}
