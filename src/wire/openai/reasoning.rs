//! The wish to reason (contract 2.4) in the words of a host.

use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::json::ObjectWriter;
use crate::wire::chat::{Effort, Wish};
use crate::wire::quirks::ReasoningForm;

/// Writes the wish as the host takes it, if it takes it at all.
pub(super) fn write(call: &Call, target: &Target, body: &mut ObjectWriter) {
    let wish = Wish::of(call);
    let Some(on) = wish.is_on() else { return };
    if !target.takes("reasoning") {
        return;
    }
    let budget = wish
        .max_tokens
        .filter(|_| on)
        .map(|budget| budget.to_string());
    let takes_effort = target.takes("reasoning_effort");
    match target.quirks.reasoning {
        ReasoningForm::Effort | ReasoningForm::Adaptive | ReasoningForm::Budget if takes_effort => {
            body.text("reasoning_effort", effort(&wish, call, efforts(target)));
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
        ReasoningForm::Thinking => {
            // What the caller says in the host's own language stays.
            if !call.uses("thinking") {
                let kind = if on { "enabled" } else { "disabled" };
                body.raw("thinking", format!(r#"{{"type":"{kind}"}}"#).as_bytes());
            }
            // Their later models have levels beside the switch: DeepSeek V4, GLM 5.2, Kimi K3.
            let known = efforts(target);
            let says_how_much = wish.effort.is_some() || wish.max_tokens.is_some();
            if on && says_how_much && takes_effort && !known.is_empty() {
                body.text("reasoning_effort", effort(&wish, call, known));
            }
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
        ReasoningForm::EnableThinking => {}
    }
}

/// The levels that the model is known to have.
fn efforts(target: &Target) -> &[String] {
    let reasoning = target.reasoning.as_ref();
    reasoning.map_or(&[], |reasoning| &reasoning.efforts)
}

/// The level of those known that is nearest to the wish; a word that the contract does not know is the host's own.
fn effort<'a>(wish: &'a Wish, call: &Call, known: &[String]) -> &'a str {
    if wish.is_on() == Some(false) {
        return Effort::None.as_str();
    }
    match wish.effort.as_deref() {
        Some(word) if Effort::named(word).is_none() => word,
        _ => wish.effort(call.max_tokens).among(known).as_str(),
    }
}
