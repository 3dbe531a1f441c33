//! The wish to think (contract 2.4) in Anthropic's words: a budget for models up to Claude 4.5, the model's own
//! measure for later ones, which answer a budget with a 400.

use serde::Serialize;

use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::json::Raw;
use crate::wire::chat::{Chat, Message, ThoughtKind, ToolChoice};
use crate::wire::quirks::ReasoningForm;

use super::FORMAT;

/// The smallest budget.
const LEAST: u64 = 1_024;

/// How to think.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::wire) enum Thinking<'a> {
    /// In the provider's own words.
    Given(&'a Raw),
    Made(Mode),
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::wire) enum Mode {
    Disabled,
    Enabled {
        budget_tokens: u64,
    },
    Adaptive {
        /// Later models keep their thoughts to themselves unless asked for a summary.
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
    },
}

impl Thinking<'_> {
    /// Whether the model is told to think.
    pub(in crate::wire) fn is_on(&self) -> bool {
        match self {
            Thinking::Given(raw) => raw
                .object()
                .and_then(|object| {
                    object
                        .given("type")
                        .map(|kind| kind.as_str() != "\"disabled\"")
                })
                .unwrap_or(false),
            Thinking::Made(mode) => *mode != Mode::Disabled,
        }
    }
}

/// Whether the model measures its thinking itself.
pub(super) fn is_adaptive(target: &Target) -> bool {
    target.quirks.reasoning == ReasoningForm::Adaptive
}

/// What to say of thinking in an answer of at most `cap` tokens; `None` leaves it to the model.
pub(in crate::wire) fn of<'a>(
    chat: &Chat,
    call: &'a Call,
    target: &Target,
    cap: u64,
) -> Option<Thinking<'a>> {
    if let Some(given) = call.body.given("thinking") {
        return Some(Thinking::Given(given));
    }
    let wanted = chat.reasoning.is_on()?;
    // A model that cannot but think is refused when it is told not to.
    let mandatory = target
        .reasoning
        .as_ref()
        .is_some_and(|known| known.mandatory);
    if !wanted {
        let can_stop = !(mandatory && is_adaptive(target));
        return can_stop.then_some(Thinking::Made(Mode::Disabled));
    }
    // A forced call leaves no room for thought.
    let forced = matches!(
        chat.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Function(_))
    );
    if forced {
        return None;
    }
    let by_budget = chat.reasoning.max_tokens.is_some() && chat.reasoning.effort.is_none();
    let takes_budget = target.reasoning.as_ref().is_some_and(|known| known.budget);
    if is_adaptive(target) && !(by_budget && takes_budget) {
        let shown = chat.reasoning.exclude != Some(true);
        return Some(Thinking::Made(Mode::Adaptive {
            display: shown.then_some("summarized"),
        }));
    }
    // The budget is a part of the cap, and some must be left for the answer.
    let budget = chat.reasoning.budget(cap).min(cap.saturating_sub(1));
    let possible = budget >= LEAST && !continues_without_thoughts(&chat.messages);
    possible.then_some(Thinking::Made(Mode::Enabled {
        budget_tokens: budget,
    }))
}

/// Whether the conversation goes on after calls whose thoughts are lost: with a budget, the API then insists on them.
fn continues_without_thoughts(messages: &[Message]) -> bool {
    let last = messages
        .iter()
        .rev()
        .find(|message| !matches!(message, Message::Tool(_)));
    let Some(Message::Assistant(turn)) = last else {
        return false;
    };
    let genuine = |kind: &ThoughtKind| {
        matches!(
            kind,
            ThoughtKind::Text {
                signature: Some(_),
                ..
            } | ThoughtKind::Encrypted(_)
        )
    };
    !turn
        .thoughts
        .iter()
        .any(|thought| thought.is_of(FORMAT) && genuine(&thought.kind))
}
