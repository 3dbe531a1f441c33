//! Which parameters an endpoint understands, told from what its model can do and what its provider is known for.
//!
//! | what is known | parameters |
//! | --- | --- |
//! | always | `max_tokens`, `stop` |
//! | `temperature`, unless it says no | `temperature`, `top_p` |
//! | `tools` | `tools`, `tool_choice`, `parallel_tool_calls` |
//! | `structured_output` | `structured_outputs`, `response_format` |
//! | `reasoning` | `reasoning`, `include_reasoning`, `reasoning_effort` |
//! | the cap on output tokens is sent under one name | `max_completion_tokens` |
//! | the provider's `parameters` in `quirks.toml` | those |
//! | the provider refuses or ignores one | not that one |
//!
//! A model that takes no temperature, does not reason or holds to no schema is not sent the parameters for it. Of an operator's own model
//! nothing is known unless it is written: everything common is claimed, and nothing is dropped.

use super::behaviour::Behaviour;
use super::rows::Capabilities;

/// The contract's vocabulary (13.2).
pub const VOCABULARY: [&str; 26] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "top_a",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "max_tokens",
    "max_completion_tokens",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "prediction",
    "seed",
    "response_format",
    "structured_outputs",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "include_reasoning",
    "reasoning",
    "reasoning_effort",
    "web_search_options",
    "verbosity",
];

const ALWAYS: &[&str] = &["max_tokens", "stop"];
const TEMPERATURE: &[&str] = &["temperature", "top_p"];
const TOOLS: &[&str] = &["tools", "tool_choice", "parallel_tool_calls"];
const STRUCTURED_OUTPUT: &[&str] = &["structured_outputs", "response_format"];
const REASONING: &[&str] = &["reasoning", "include_reasoning", "reasoning_effort"];
const COMMON: &[&str] = &[
    "frequency_penalty",
    "logprobs",
    "presence_penalty",
    "seed",
    "top_logprobs",
];

/// The parameters an endpoint understands, and those it must not be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) supported: Vec<String>,
    pub(super) unsupported: Vec<String>,
}

/// Tells them by the table above; `None` when nothing is known of the model.
pub(super) fn derive(can: Option<Capabilities>, behaviour: &Behaviour) -> Parameters {
    let Some(can) = can else {
        let all = [
            ALWAYS,
            TEMPERATURE,
            TOOLS,
            STRUCTURED_OUTPUT,
            REASONING,
            COMMON,
        ]
        .concat();
        return Parameters {
            supported: sorted(all.into_iter(), behaviour),
            unsupported: Vec::new(),
        };
    };
    let groups = [
        (true, ALWAYS),
        (can.temperature != Some(false), TEMPERATURE),
        (can.tools == Some(true), TOOLS),
        (can.structured_output == Some(true), STRUCTURED_OUTPUT),
        (can.reasoning == Some(true), REASONING),
        (
            behaviour.max_tokens_name.is_some(),
            &["max_completion_tokens"],
        ),
    ];
    let supported = groups
        .iter()
        .filter(|(holds, _)| *holds)
        .flat_map(|(_, names)| names.iter().copied());
    let extra = behaviour.parameters.iter().map(String::as_str);
    let unsupported = [
        (can.temperature == Some(false), TEMPERATURE),
        (can.reasoning != Some(true), REASONING),
        (can.structured_output != Some(true), &["structured_outputs"]),
    ];
    let unsupported = unsupported
        .iter()
        .filter(|(holds, _)| *holds)
        .flat_map(|(_, names)| names.iter());
    Parameters {
        supported: sorted(supported.chain(extra), behaviour),
        unsupported: unsupported.map(|&name| name.to_owned()).collect(),
    }
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>, behaviour: &Behaviour) -> Vec<String> {
    let without = |name: &&str| {
        !behaviour
            .refuses
            .iter()
            .chain(&behaviour.ignores)
            .any(|refused| refused == name)
    };
    let mut names: Vec<String> = names.filter(without).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names.shrink_to_fit();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        can: Option<Capabilities>,
        behaviour: Behaviour,
        supported: &[&str],
        unsupported: &[&str],
    ) {
        let derived = derive(can, &behaviour);
        assert_eq!(derived.supported, supported);
        assert_eq!(derived.unsupported, unsupported);
    }

    #[test]
    fn capabilities_and_behaviour_tell_the_parameters() {
        let plain = Capabilities::default();
        check(
            Some(plain),
            Behaviour::default(),
            &["max_tokens", "stop", "temperature", "top_p"],
            &[REASONING, &["structured_outputs"]].concat(),
        );
        let thinker = Capabilities {
            reasoning: Some(true),
            tools: Some(true),
            temperature: Some(false),
            ..plain
        };
        let refuses_stop = Behaviour {
            refuses: vec!["stop".into()],
            parameters: vec!["seed".into()],
            ..Behaviour::default()
        };
        check(
            Some(thinker),
            refuses_stop,
            &[
                "include_reasoning",
                "max_tokens",
                "parallel_tool_calls",
                "reasoning",
                "reasoning_effort",
                "seed",
                "tool_choice",
                "tools",
            ],
            &[TEMPERATURE, &["structured_outputs"]].concat(),
        );
    }

    #[test]
    fn of_an_unknown_model_everything_common_is_claimed_and_nothing_dropped() {
        let derived = derive(None, &Behaviour::default());
        assert!(derived.supported.iter().any(|name| name == "tools"));
        assert!(
            derived
                .supported
                .iter()
                .all(|name| VOCABULARY.contains(&name.as_str()))
        );
        assert_eq!(derived.unsupported, Vec::<String>::new());
    }
}
