//! Where a provider departs from the protocol it speaks: data, not code.

/// Departures from the `openai` wire. The default is OpenAI's own behaviour as of `v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The name under which the cap on output tokens is sent; `None` keeps the caller's.
    pub max_tokens_name: Option<MaxTokensName>,
    /// Parameters that the provider answers with a 400; dropped from every request.
    pub refuses: Vec<String>,
    /// Whether role `developer` must be sent as `system`.
    pub developer_as_system: bool,
    /// Whether `stream_options.include_usage` is refused (usage then comes unasked or not at all).
    pub no_stream_options: bool,
    /// Whether `POST /completions` is served; otherwise a text call is sent as a chat.
    pub text_completions: bool,
    /// Whether the provider ends a stream without `[DONE]`, so that a finish reason is enough.
    pub no_done: bool,
    /// Whether reasoning tokens are missing from `completion_tokens` (xAI).
    pub reasoning_apart: bool,
}

/// The two names of the cap on output tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokensName {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

impl Default for Quirks {
    fn default() -> Self {
        Quirks {
            max_tokens_name: None,
            refuses: Vec::new(),
            developer_as_system: false,
            no_stream_options: false,
            text_completions: true,
            no_done: false,
            reasoning_apart: false,
        }
    }
}
