//! The wish to reason (contract 2.4) in the words of a host.

use serde::Deserialize;

use crate::domain::call::Call;
use crate::domain::json::ObjectWriter;
use crate::wire::quirks::{Quirks, ReasoningForm};

/// The `reasoning` object with the shorthands laid over it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Wish {
    effort: Option<String>,
    max_tokens: Option<u64>,
    enabled: Option<bool>,
    exclude: Option<bool>,
}

/// Whether the client wants the model to reason in silence.
pub(super) fn is_hidden(call: &Call) -> bool {
    let legacy = call
        .body
        .given("include_reasoning")
        .is_some_and(|value| value.as_bytes() == b"false");
    legacy || call.body.given("reasoning").is_some() && Wish::of(call).exclude == Some(true)
}

/// Writes the wish as the host takes it, if the host `takes` it at all.
pub(super) fn write(
    call: &Call,
    quirks: &Quirks,
    takes: impl Fn(&str) -> bool,
    body: &mut ObjectWriter,
) {
    let wish = Wish::of(call);
    let Some(on) = wish.is_on() else { return };
    if !takes("reasoning") {
        return;
    }
    let budget = wish
        .max_tokens
        .filter(|_| on)
        .map(|budget| budget.to_string());
    match quirks.reasoning {
        ReasoningForm::Effort if takes("reasoning_effort") => {
            body.text("reasoning_effort", wish.effort(call));
        }
        ReasoningForm::Effort | ReasoningForm::Unsaid => {}
        ReasoningForm::Object => {
            for name in ["reasoning", "reasoning_effort"] {
                if let Some(value) = call.body.given(name) {
                    body.raw(name, value.as_bytes());
                }
            }
        }
        ReasoningForm::Thinking if !call.uses("thinking") => {
            body.raw(
                "thinking",
                if on {
                    br#"{"type":"enabled"}"#
                } else {
                    br#"{"type":"disabled"}"#
                },
            );
        }
        ReasoningForm::EnableThinking if !call.uses("enable_thinking") => {
            body.raw("enable_thinking", if on { b"true" } else { b"false" });
            if let Some(budget) = budget {
                body.raw("thinking_budget", budget.as_bytes());
            }
        }
        ReasoningForm::TemplateKwargs => {
            let given = call.body.given("chat_template_kwargs");
            if given.is_none() {
                // Qwen's and GLM's templates know the one name, DeepSeek's the other.
                let on = if on { "true" } else { "false" };
                body.raw(
                    "chat_template_kwargs",
                    format!(r#"{{"enable_thinking":{on},"thinking":{on}}}"#).as_bytes(),
                );
            }
        }
        // The caller speaks the host's own language.
        ReasoningForm::Thinking | ReasoningForm::EnableThinking => {}
    }
}

impl Wish {
    fn of(call: &Call) -> Self {
        let mut wish: Wish = call
            .body
            .given("reasoning")
            .and_then(|raw| raw.parse().ok())
            .unwrap_or_default();
        if let Some(effort) = call
            .body
            .given("reasoning_effort")
            .and_then(|raw| raw.parse().ok())
        {
            wish.effort = Some(effort);
        }
        wish
    }

    /// Whether to reason; `None` when the call leaves it to the model.
    fn is_on(&self) -> Option<bool> {
        match (self.effort.as_deref(), self.max_tokens, self.enabled) {
            (_, _, Some(false)) | (Some("none"), _, _) | (None, Some(0), _) => Some(false),
            (None, None, None) => None,
            _ => Some(true),
        }
    }

    /// The effort, which a budget expresses less finely.
    fn effort(&self, call: &Call) -> &str {
        if self.is_on() == Some(false) {
            return "none";
        }
        match (self.effort.as_deref(), self.max_tokens) {
            (Some(effort), _) => effort,
            (None, None) => "medium",
            (None, Some(budget)) => effort_of(budget, call.max_tokens),
        }
    }
}

/// The effort whose share of the answer (contract 2.4) the budget comes nearest to.
fn effort_of(budget: u64, max_tokens: Option<u64>) -> &'static str {
    let percent = budget.saturating_mul(100) / max_tokens.unwrap_or(16_000).max(1);
    match percent {
        0..15 => "minimal",
        15..35 => "low",
        35..65 => "medium",
        _ => "high",
    }
}
