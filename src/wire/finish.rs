//! Why an answer ended: the providers' words and the contract's (3.2). Shared by all wires.

use crate::domain::event::{Finish, FinishReason};

/// Their word in lower case, and what it means.
const WORDS: &[(&str, FinishReason)] = &[
    ("stop", FinishReason::Stop),
    ("end_turn", FinishReason::Stop),
    ("stop_sequence", FinishReason::Stop),
    ("eos", FinishReason::Stop),
    ("complete", FinishReason::Stop),
    ("length", FinishReason::Length),
    ("max_tokens", FinishReason::Length),
    ("max_output_tokens", FinishReason::Length),
    ("model_length", FinishReason::Length),
    ("max_length", FinishReason::Length),
    ("model_context_window_exceeded", FinishReason::Length),
    ("error_limit", FinishReason::Length),
    ("tool_calls", FinishReason::ToolCalls),
    ("tool_call", FinishReason::ToolCalls),
    ("tool_use", FinishReason::ToolCalls),
    ("function_call", FinishReason::ToolCalls),
    ("content_filter", FinishReason::ContentFilter),
    ("content_filtered", FinishReason::ContentFilter),
    ("refusal", FinishReason::ContentFilter),
    ("error_toxic", FinishReason::ContentFilter),
    ("safety", FinishReason::ContentFilter),
    ("sensitive", FinishReason::ContentFilter),
    ("recitation", FinishReason::ContentFilter),
    ("blocklist", FinishReason::ContentFilter),
    ("prohibited_content", FinishReason::ContentFilter),
    ("spii", FinishReason::ContentFilter),
    ("image_safety", FinishReason::ContentFilter),
    ("image_prohibited_content", FinishReason::ContentFilter),
    ("image_recitation", FinishReason::ContentFilter),
    ("model_armor", FinishReason::ContentFilter),
    ("language", FinishReason::ContentFilter),
    ("guardrail_intervened", FinishReason::ContentFilter),
    ("error", FinishReason::Error),
    // DeepSeek and Z.AI end with these when their own machines give up; vLLM with `abort`.
    ("insufficient_system_resource", FinishReason::Error),
    ("network_error", FinishReason::Error),
    ("abort", FinishReason::Error),
    ("malformed_function_call", FinishReason::Error),
    ("unexpected_tool_call", FinishReason::Error),
    ("too_many_tool_calls", FinishReason::Error),
    ("missing_thought_signature", FinishReason::Error),
    ("malformed_response", FinishReason::Error),
    ("no_image", FinishReason::Error),
    ("image_other", FinishReason::Error),
    // Gemini's, for a reason that it does not tell.
    ("other", FinishReason::Error),
];

/// The finish that a provider's word stands for. A word that nobody knows is an ordinary end.
pub(super) fn finish(word: &str) -> Finish {
    let known = WORDS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(word));
    Finish {
        reason: known.map_or(FinishReason::Stop, |(_, reason)| *reason),
        native: word.to_owned(),
    }
}
