//! The wish to reason (contract 2.4) in the words of a host.

use crate::domain::call::Call;
use crate::domain::json::ObjectWriter;
use crate::wire::chat::Wish;
use crate::wire::quirks::{Quirks, ReasoningForm};

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
        ReasoningForm::Effort | ReasoningForm::Adaptive | ReasoningForm::Budget
            if takes("reasoning_effort") =>
        {
            body.text("reasoning_effort", effort(&wish, call));
        }
        // Forms of other wires are no forms of this one: an effort is what nearly all take.
        ReasoningForm::Effort
        | ReasoningForm::Adaptive
        | ReasoningForm::Budget
        | ReasoningForm::Unsaid => {}
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

/// The effort in the caller's own word, which this host may know and the contract not.
fn effort<'a>(wish: &'a Wish, call: &Call) -> &'a str {
    match wish.effort.as_deref() {
        Some(word) if wish.is_on() == Some(true) => word,
        _ => wish.effort(call.max_tokens).as_str(),
    }
}
