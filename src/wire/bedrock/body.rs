//! A call into the body of `POST /model/…/converse`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::block::{self, Block, Message};
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::json::{JsonText, Raw};
use crate::wire::EncodeError;
use crate::wire::anthropic::{self, Thinking};
use crate::wire::chat::{self, Chat, Function, JsonSchema, ResponseFormat, Tool, ToolChoice};
use crate::wire::quirks::ReasoningForm;

/// A schema must have a name.
const UNNAMED: &str = "answer";

/// The body.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Inference::is_empty")]
    inference_config: Inference<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<Tools<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<Output<'a>>,
    /// What only the model's family knows.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    additional_model_request_fields: BTreeMap<&'static str, Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<Tier<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guardrail_config: Option<&'a Raw>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Inference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a JsonText>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    tools: Vec<Offer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
}

/// A tool on offer, or the marker behind one.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Offer<'a> {
    #[serde(rename_all = "camelCase")]
    Function {
        tool_spec: Spec<'a>,
    },
    Marker(Block<'a>),
    Native(&'a Raw),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a JsonText>,
    input_schema: Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Schema {
    json: Raw,
}

/// How the model may choose among the tools.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Choice<'a> {
    Auto {},
    Any {},
    Tool { name: &'a str },
}

/// The form of the answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Output<'a> {
    text_format: TextFormat<'a>,
}

#[derive(Debug, Serialize)]
struct TextFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    structure: Structure<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Structure<'a> {
    json_schema: NamedSchema<'a>,
}

#[derive(Debug, Serialize)]
struct NamedSchema<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a JsonText>,
    /// JSON inside a string.
    schema: JsonText,
}

#[derive(Debug, Serialize)]
struct Tier<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

impl<'a> Body<'a> {
    /// What `call` asks of `target`.
    pub(super) fn of(
        chat: &'a Chat,
        call: &'a Call,
        target: &'a Target,
    ) -> Result<Self, EncodeError> {
        if call.choices > 1 {
            let reason = "this endpoint gives one choice; `n` must be 1";
            return Err(EncodeError::Unsupported(reason.to_owned()));
        }
        let (mut system, mut messages) = block::conversation(chat)?;
        system.extend(anthropic::in_words(chat, target).map(Block::text));
        if let Some(marker) = &chat.cache_control
            && let Some(last) = messages.last_mut()
        {
            last.mark(marker);
        }
        let is_claude = target.upstream_model.contains("anthropic.");
        let thinking = thinking(chat, call, target);
        let thinks = thinking.as_ref().is_some_and(Thinking::is_on);
        let sampling = &chat.sampling;
        // With a budget to think there must be a cap above it.
        let max_tokens = chat
            .max_tokens
            .or(thinking.as_ref().and(target.max_output_tokens));
        Ok(Body {
            messages,
            system,
            inference_config: Inference {
                max_tokens,
                temperature: sampling
                    .temperature
                    .as_ref()
                    .filter(|_| !thinks)
                    .map(anthropic::tempered),
                // Claude takes one of the two, not both.
                top_p: sampling
                    .top_p
                    .as_ref()
                    .filter(|_| !(thinks || is_claude && sampling.temperature.is_some())),
                stop_sequences: chat.stop.iter().collect(),
            },
            tool_config: tools(chat),
            output_config: output(chat, target),
            additional_model_request_fields: family(chat, call, target, thinking),
            service_tier: chat.service_tier.as_deref().and_then(tier),
            guardrail_config: call.body.given("guardrailConfig"),
        })
    }
}

impl Inference<'_> {
    fn is_empty(&self) -> bool {
        self.max_tokens.is_none()
            && self.temperature.is_none()
            && self.top_p.is_none()
            && self.stop_sequences.is_empty()
    }
}

/// How Claude is told to think; other families are told otherwise, or not at all.
fn thinking<'a>(chat: &Chat, call: &'a Call, target: &Target) -> Option<Thinking<'a>> {
    let knows = matches!(
        target.quirks.reasoning,
        ReasoningForm::Adaptive | ReasoningForm::Budget
    );
    let cap = chat
        .max_tokens
        .or(target.max_output_tokens)
        .unwrap_or(anthropic::USUAL_CAP);
    knows
        .then(|| anthropic::thinking(chat, call, target, cap))
        .flatten()
}

/// The fields that only the model's family knows.
fn family(
    chat: &Chat,
    call: &Call,
    target: &Target,
    thinking: Option<Thinking<'_>>,
) -> BTreeMap<&'static str, Raw> {
    let mut fields = BTreeMap::new();
    let mut add = |name, value: Option<Raw>| {
        if let Some(value) = value {
            fields.insert(name, value);
        }
    };
    let thinks = thinking.as_ref().is_some_and(Thinking::is_on);
    match target.quirks.reasoning {
        ReasoningForm::Adaptive | ReasoningForm::Budget => {
            add(
                "thinking",
                thinking.and_then(|thinking| Raw::of(&thinking).ok()),
            );
            let effort =
                anthropic::effort(chat, target).map(|effort| json!({"effort": effort.as_str()}));
            add(
                "output_config",
                effort.and_then(|config| Raw::of(&config).ok()),
            );
            let top_k = chat.sampling.top_k.clone();
            add(
                "top_k",
                top_k.filter(|_| !thinks && target.takes("temperature")),
            );
            let betas = call.origin.anthropic_beta.as_deref().map(|betas| {
                betas
                    .split(',')
                    .map(str::trim)
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            });
            add(
                "anthropic_beta",
                betas.and_then(|betas| Raw::of(&betas).ok()),
            );
        }
        ReasoningForm::Effort => {
            let effort = chat
                .reasoning
                .is_on()
                .map(|_| chat.reasoning.effort(chat.max_tokens));
            add(
                "reasoning_effort",
                effort.and_then(|effort| Raw::of(effort.as_str()).ok()),
            );
        }
        _ => {}
    }
    fields
}

/// The tools. Calls in the history want them declared, even where the caller no longer offers any.
fn tools(chat: &Chat) -> Option<Tools<'_>> {
    let mut tools: Vec<Offer<'_>> = Vec::with_capacity(chat.tools.len());
    for tool in &chat.tools {
        match tool {
            Tool::Native(raw) => tools.push(Offer::Native(raw)),
            Tool::Function(function) => {
                tools.push(offer(function));
                tools.extend(
                    function
                        .cache_control
                        .as_ref()
                        .map(|marker| Offer::Marker(Block::marker(marker))),
                );
            }
        }
    }
    let forbidden = chat.tool_choice == Some(ToolChoice::None);
    let called = called(chat);
    if forbidden && called.is_empty() {
        return None;
    }
    if tools.is_empty() {
        tools.extend(called.into_iter().map(|name| Offer::Function {
            tool_spec: Spec {
                name,
                description: None,
                input_schema: Schema {
                    json: anthropic::arguments_schema(None),
                },
                strict: None,
            },
        }));
    }
    let tool_choice = match &chat.tool_choice {
        // There is no word for none.
        None | Some(ToolChoice::None) => None,
        Some(ToolChoice::Auto) => Some(Choice::Auto {}),
        Some(ToolChoice::Required) => Some(Choice::Any {}),
        Some(ToolChoice::Function(name)) => Some(Choice::Tool { name }),
    };
    (!tools.is_empty()).then_some(Tools { tools, tool_choice })
}

fn offer(function: &Function) -> Offer<'_> {
    Offer::Function {
        tool_spec: Spec {
            name: &function.name,
            description: function
                .description
                .as_ref()
                .filter(|text| !text.is_empty()),
            input_schema: Schema {
                json: anthropic::arguments_schema(function.parameters.as_ref()),
            },
            strict: function.strict.filter(|strict| *strict),
        },
    }
}

/// The functions that were called, each once.
fn called(chat: &Chat) -> Vec<&str> {
    let calls = chat.messages.iter().flat_map(|message| match message {
        chat::Message::Assistant(turn) => &turn.calls[..],
        _ => &[],
    });
    let mut names: Vec<&str> = calls.map(|call| call.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn output<'a>(chat: &'a Chat, target: &Target) -> Option<Output<'a>> {
    let ResponseFormat::JsonSchema(JsonSchema {
        name,
        description,
        schema,
        ..
    }) = chat.response_format.as_ref()?
    else {
        return None;
    };
    anthropic::holds_to_schemas(target).then(|| Output {
        text_format: TextFormat {
            kind: "json_schema",
            structure: Structure {
                json_schema: NamedSchema {
                    name: name.as_deref().unwrap_or(UNNAMED),
                    description: description.as_ref(),
                    schema: JsonText::of(anthropic::answer_schema(schema.as_ref()).as_str()),
                },
            },
        },
    })
}

fn tier(word: &str) -> Option<Tier<'_>> {
    ["default", "priority", "flex", "reserved"]
        .contains(&word)
        .then_some(Tier { kind: word })
}

/// A part of an answer that the API gives as an object, where a string of JSON is wanted.
pub(super) fn written(value: &RawValue) -> JsonText {
    JsonText::of(value.get())
}
