//! The protocols that are replayed: one row each.

use serde_json::Value;
use turnpike::domain::call::Form;
use turnpike::wire::WireName;

use super::expected::{anthropic, openai, responses};
use super::meaning::Meaning;
use super::recordings::Recording;

/// A protocol, and how its recordings are read without the wire.
pub(crate) struct Api {
    /// The folder of its recordings.
    pub(crate) folder: &'static str,
    pub(crate) wire: WireName,
    pub(crate) form: Form,
    /// Whether a recorded request can be sent to the gateway as it stands.
    pub(crate) is_spoken_by_callers: bool,
    /// What an answer says.
    pub(crate) meaning: fn(&Recording) -> Meaning,
    /// The error that an answer is, or holds: message and code.
    pub(crate) error: fn(&Recording) -> Option<(String, Option<String>)>,
    /// Whether an event of a stream, by its line and what it says, ends the answer.
    pub(crate) is_last: fn(&str, &Value) -> bool,
    /// How many recordings of each kind the fixtures hold, lest any be skipped.
    pub(crate) known: Known,
}

/// Numbers of recordings.
pub(crate) struct Known {
    pub(crate) plain: usize,
    pub(crate) streams: usize,
    pub(crate) errors: usize,
    pub(crate) stream_errors: usize,
}

pub(crate) const APIS: &[Api] = &[
    Api {
        folder: "openai-chat",
        wire: WireName::Openai,
        form: Form::Chat,
        is_spoken_by_callers: true,
        meaning: openai::meaning,
        error: openai::error,
        is_last: openai::is_last,
        known: Known {
            plain: 195,
            streams: 148,
            errors: 33,
            stream_errors: 2,
        },
    },
    Api {
        folder: "openai-completions",
        wire: WireName::Openai,
        form: Form::Text,
        is_spoken_by_callers: true,
        meaning: openai::meaning,
        error: openai::error,
        is_last: openai::is_last,
        known: Known {
            plain: 7,
            streams: 4,
            errors: 1,
            stream_errors: 0,
        },
    },
    Api {
        folder: "anthropic-messages",
        wire: WireName::Anthropic,
        form: Form::Chat,
        is_spoken_by_callers: false,
        meaning: anthropic::meaning,
        error: anthropic::error,
        is_last: anthropic::is_last,
        known: Known {
            plain: 22,
            streams: 20,
            errors: 7,
            stream_errors: 0,
        },
    },
    Api {
        folder: "openai-responses",
        wire: WireName::Responses,
        form: Form::Chat,
        is_spoken_by_callers: false,
        meaning: responses::meaning,
        error: responses::error,
        is_last: responses::is_last,
        known: Known {
            plain: 35,
            streams: 29,
            errors: 8,
            stream_errors: 1,
        },
    },
];
