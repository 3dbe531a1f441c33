//! The wish to think (contract 2.4) in Gemini's words: a level from the third generation on, a budget of tokens before.

use std::ops::RangeInclusive;

use serde::Serialize;

use super::{is_later, name};
use crate::catalog::snapshot::Target;
use crate::wire::chat::Chat;

/// The levels, where the catalogue does not say which of them a model takes.
const USUAL_LEVELS: [&str; 3] = ["low", "medium", "high"];

/// How to think.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thinking {
    /// Whether the thoughts are told, in summaries.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    include_thoughts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u64>,
}

/// How the models of a family are told how much to think.
enum Measure {
    /// By one of these levels.
    Level(Vec<String>),
    /// By so many tokens; with `stops`, 0 turns it off.
    Budget {
        range: RangeInclusive<u64>,
        stops: bool,
    },
    /// Not at all.
    None,
}

/// What to say of thinking; `None` leaves it to the model.
pub(super) fn of(chat: &Chat, target: &Target) -> Option<Thinking> {
    let wanted = chat.reasoning.is_on()?;
    let (thinking_level, thinking_budget) = match measure(target) {
        // Without any thought there is the least level.
        Measure::Level(known) => {
            let level = chat.reasoning.effort(chat.max_tokens).among(&known);
            (Some(level.as_str()), None)
        }
        Measure::Budget { range, stops } => {
            let budget = if wanted {
                budget(chat, &range)
            } else if stops {
                0
            } else {
                *range.start()
            };
            (None, Some(budget))
        }
        Measure::None => (None, None),
    };
    let thinking = Thinking {
        include_thoughts: wanted && chat.reasoning.exclude != Some(true),
        thinking_level,
        thinking_budget,
    };
    (thinking != Thinking::NOTHING).then_some(thinking)
}

impl Thinking {
    const NOTHING: Thinking = Thinking {
        include_thoughts: false,
        thinking_level: None,
        thinking_budget: None,
    };
}

/// The tokens that the caller says, or the effort's share of the answer: of the largest budget where it has no cap.
fn budget(chat: &Chat, range: &RangeInclusive<u64>) -> u64 {
    let said = chat
        .reasoning
        .max_tokens
        .filter(|_| chat.reasoning.effort.is_none());
    let share = || {
        chat.reasoning
            .budget(chat.max_tokens.unwrap_or(*range.end()))
    };
    said.unwrap_or_else(share)
        .clamp(*range.start(), *range.end())
}

fn measure(target: &Target) -> Measure {
    let known = target.reasoning.as_ref();
    let levels = known.map(|known| known.efforts.clone()).unwrap_or_default();
    if !levels.is_empty() {
        return Measure::Level(levels);
    }
    if is_later(target) {
        return Measure::Level(USUAL_LEVELS.map(str::to_owned).to_vec());
    }
    let name = name(target);
    if !name.starts_with("gemini-") && known.is_none_or(|known| !known.budget) {
        return Measure::None;
    }
    // The ranges of the second generation, which answers any other number with a 400.
    let (range, stops) = if name.contains("flash-lite") {
        (512..=24_576, true)
    } else if name.contains("flash") {
        (1..=24_576, true)
    } else {
        (128..=32_768, false)
    };
    Measure::Budget { range, stops }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::catalog::snapshot::Reasoning;
    use crate::domain::call::{Call, Form, Origin};
    use crate::domain::json::JsonObject;
    use crate::wire::WireName;
    use crate::wire::quirks::Quirks;

    #[track_caller]
    fn check(model: &str, efforts: &[&str], reasoning: Value, cap: Option<u64>, expect: Value) {
        let body = json!({"messages": [], "reasoning": reasoning});
        let call = Call {
            form: Form::Chat,
            body: JsonObject::parse(body.to_string().into()).unwrap(),
            model: None,
            models: Vec::new(),
            stream: false,
            max_tokens: cap,
            choices: 1,
            provider: None,
            plugins: None,
            origin: Origin::default(),
            verbatim: None,
        };
        let target = Target {
            wire: WireName::Gemini,
            upstream_model: model.to_owned(),
            quirks: Arc::new(Quirks::default()),
            unsupported_parameters: Vec::new(),
            max_output_tokens: None,
            reasoning: Some(Reasoning {
                mandatory: false,
                efforts: efforts.iter().map(|&effort| effort.to_owned()).collect(),
                budget: efforts.is_empty() && model.starts_with("gemini-2"),
            }),
        };
        let chat = Chat::read(&call, &target).unwrap();
        assert_eq!(
            serde_json::to_value(of(&chat, &target)).unwrap(),
            expect,
            "{model} {reasoning}"
        );
    }

    #[test]
    fn later_models_think_at_levels() {
        let levels = ["minimal", "low", "medium", "high"];
        let check = |reasoning, expect| {
            check(
                "gemini-3-flash-preview",
                &levels,
                reasoning,
                Some(1_000),
                expect,
            )
        };
        check(json!(null), json!(null));
        check(
            json!({"effort": "low"}),
            json!({"includeThoughts": true, "thinkingLevel": "low"}),
        );
        check(
            json!({"effort": "max", "exclude": true}),
            json!({"thinkingLevel": "high"}),
        );
        check(
            json!({"enabled": true}),
            json!({"includeThoughts": true, "thinkingLevel": "medium"}),
        );
        check(
            json!({"max_tokens": 200}),
            json!({"includeThoughts": true, "thinkingLevel": "low"}),
        );
        check(
            json!({"effort": "none"}),
            json!({"thinkingLevel": "minimal"}),
        );
    }

    #[test]
    fn what_the_catalogue_does_not_say_the_name_does() {
        check(
            "gemini-4-argon",
            &[],
            json!({"effort": "minimal"}),
            None,
            json!({"includeThoughts": true, "thinkingLevel": "low"}),
        );
        check(
            "gemma-4-31b-it",
            &[],
            json!({"enabled": true}),
            None,
            json!({"includeThoughts": true}),
        );
        check(
            "gemma-4-31b-it",
            &[],
            json!({"enabled": false}),
            None,
            json!(null),
        );
    }

    #[test]
    fn earlier_models_think_within_a_budget() {
        let check = |model, reasoning, cap, expect| check(model, &[], reasoning, cap, expect);
        let shown = |budget: u64| json!({"includeThoughts": true, "thinkingBudget": budget});
        check(
            "gemini-2.5-flash",
            json!({"effort": "high"}),
            Some(10_000),
            shown(8_000),
        );
        check(
            "gemini-2.5-flash",
            json!({"effort": "medium"}),
            None,
            shown(12_288),
        );
        check(
            "gemini-2.5-flash",
            json!({"max_tokens": 90_000}),
            None,
            shown(24_576),
        );
        check(
            "gemini-2.5-pro",
            json!({"max_tokens": 128}),
            None,
            shown(128),
        );
        check("gemini-2.5-pro", json!({"max_tokens": 2}), None, shown(128));
        check(
            "gemini-2.5-flash",
            json!({"effort": "none"}),
            None,
            json!({"thinkingBudget": 0}),
        );
        check(
            "gemini-2.5-pro",
            json!({"enabled": false}),
            None,
            json!({"thinkingBudget": 128}),
        );
    }
}
