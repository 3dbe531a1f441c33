//! The protocols that are replayed: one row each.

use turnpike::domain::call::Form;
use turnpike::wire::WireName;

use super::expected::{anthropic, bedrock, cohere, gemini, openai, responses};
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
    pub(crate) error: fn(&Recording) -> Option<Told>,
    /// Where in a stream the event begins that ends the answer.
    pub(crate) last_words_at: fn(&Recording) -> usize,
    /// How many recordings of each kind the fixtures hold, lest any be skipped.
    pub(crate) known: Known,
}

/// What an error says: message and code.
pub(crate) type Told = (String, Option<String>);

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
        last_words_at: openai::last_words_at,
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
        last_words_at: openai::last_words_at,
        known: Known {
            plain: 7,
            streams: 4,
            errors: 1,
            stream_errors: 0,
        },
    },
    Api {
        folder: "mistral-chat",
        wire: WireName::Openai,
        form: Form::Chat,
        is_spoken_by_callers: true,
        meaning: openai::meaning,
        error: openai::error,
        last_words_at: openai::last_words_at,
        known: Known {
            plain: 12,
            streams: 9,
            errors: 3,
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
        last_words_at: anthropic::last_words_at,
        known: Known {
            plain: 22,
            streams: 21,
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
        last_words_at: responses::last_words_at,
        known: Known {
            plain: 35,
            streams: 29,
            errors: 8,
            stream_errors: 1,
        },
    },
    Api {
        folder: "bedrock-converse",
        wire: WireName::Bedrock,
        form: Form::Chat,
        is_spoken_by_callers: false,
        meaning: bedrock::meaning,
        error: bedrock::error,
        last_words_at: bedrock::last_words_at,
        known: Known {
            plain: 12,
            streams: 0,
            errors: 3,
            stream_errors: 0,
        },
    },
    Api {
        folder: "bedrock-converse-stream",
        wire: WireName::Bedrock,
        form: Form::Chat,
        is_spoken_by_callers: false,
        meaning: bedrock::meaning,
        error: bedrock::error,
        last_words_at: bedrock::last_words_at,
        known: Known {
            plain: 0,
            streams: 5,
            errors: 0,
            stream_errors: 0,
        },
    },
    Api {
        folder: "gemini-generate",
        wire: WireName::Gemini,
        form: Form::Chat,
        is_spoken_by_callers: false,
        meaning: gemini::meaning,
        error: gemini::error,
        last_words_at: gemini::last_words_at,
        known: Known {
            plain: 23,
            streams: 0,
            errors: 4,
            stream_errors: 0,
        },
    },
    Api {
        folder: "gemini-stream",
        wire: WireName::Gemini,
        form: Form::Chat,
        is_spoken_by_callers: false,
        meaning: gemini::meaning,
        error: gemini::error,
        last_words_at: gemini::last_words_at,
        known: Known {
            plain: 1,
            streams: 18,
            errors: 0,
            stream_errors: 0,
        },
    },
    Api {
        folder: "cohere-v2-chat",
        wire: WireName::Cohere,
        form: Form::Chat,
        is_spoken_by_callers: false,
        meaning: cohere::meaning,
        error: cohere::error,
        last_words_at: cohere::last_words_at,
        known: Known {
            plain: 12,
            streams: 7,
            errors: 1,
            stream_errors: 0,
        },
    },
];
