//! A call into the body of `POST /messages`.

use serde::Serialize;

use super::block::Block;
use super::conversation::{self, Conversation};
use super::schema;
use super::thinking::{self, Thinking};
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::json::{JsonText, Raw};
use crate::wire::EncodeError;
use crate::wire::chat::search::Flat;
use crate::wire::chat::{
    CacheControl, Chat, Effort, Function, ResponseFormat, Search, Tool, ToolChoice,
};

/// The cap on output tokens, which every request must have, where neither the caller nor the catalogue knows one.
pub(in crate::wire) const USUAL_CAP: u64 = 4_096;
/// So many places of a prompt can be marked for the cache.
pub(super) const MOST_MARKERS: usize = 4;
/// What callers who want JSON get where the API has no switch for it: an instruction.
const JSON_ONLY: &str = "Answer with one JSON object and nothing else.";

/// The body. Those who name the model in the path and the version in the body (Vertex, Bedrock) fill it otherwise.
#[derive(Debug, Default, Serialize)]
pub(in crate::wire) struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) anthropic_version: Option<&'static str>,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<conversation::Message<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::wire) stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Offer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a JsonText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    // Of the provider's own, for callers who know them.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_management: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mcp_servers: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inference_geo: Option<&'a Raw>,
}

/// A tool on offer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Offer<'a> {
    Function {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a JsonText>,
        input_schema: Raw,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a CacheControl>,
    },
    Native(&'a Raw),
    /// The provider's own search of the web.
    Search {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_uses: Option<u64>,
        #[serde(skip_serializing_if = "is_empty")]
        allowed_domains: &'a [String],
        #[serde(skip_serializing_if = "is_empty")]
        blocked_domains: &'a [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        user_location: Option<Flat<'a>>,
    },
}

/// How the model may choose among the tools.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Choice<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    user_id: &'a str,
}

/// How hard to work, and in which form to answer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum OutputConfig<'a> {
    /// In the provider's own words.
    Given(&'a Raw),
    Made {
        #[serde(skip_serializing_if = "Option::is_none")]
        effort: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<Format>,
    },
}

#[derive(Debug, Serialize)]
struct Format {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: Raw,
}

impl<'a> Body<'a> {
    /// What `call` asks, without the model and whether it is streamed.
    pub(in crate::wire) fn of(
        chat: &'a Chat,
        call: &'a Call,
        target: &'a Target,
    ) -> Result<Self, EncodeError> {
        if call.choices > 1 {
            let reason = "this endpoint gives one choice; `n` must be 1";
            return Err(EncodeError::Unsupported(reason.to_owned()));
        }
        let Conversation {
            mut system,
            mut messages,
        } = conversation::of(chat)?;
        system.extend(in_words(chat, target).map(Block::text));
        let tools: Vec<Offer<'a>> = chat
            .tools
            .iter()
            .map(|tool| Offer::of(tool, target))
            .chain(chat.search.as_ref().map(Offer::search))
            .collect();
        if let Some(marker) = &chat.cache_control {
            mark_last(&tools, &mut system, &mut messages, marker);
        }
        let max_tokens = chat
            .max_tokens
            .or(target.max_output_tokens)
            .unwrap_or(USUAL_CAP);
        let thinking = thinking::of(chat, call, target, max_tokens);
        let thinks = thinking.as_ref().is_some_and(Thinking::is_on);
        let own = |name: &str| call.body.given(name);
        Ok(Body {
            max_tokens,
            system,
            messages,
            tools,
            tool_choice: Choice::of(chat),
            output_config: OutputConfig::of(chat, call, target)?,
            // A model that thinks takes no other temperature than its own, nor a choice among the likeliest.
            temperature: chat
                .sampling
                .temperature
                .as_ref()
                .filter(|_| !thinks)
                .map(tempered),
            // It takes one of the two, not both.
            top_p: chat
                .sampling
                .top_p
                .as_ref()
                .filter(|_| !thinks && chat.sampling.temperature.is_none()),
            // Models that take no temperature take no such choice either.
            top_k: chat
                .sampling
                .top_k
                .as_ref()
                .filter(|_| !thinks && target.takes("temperature")),
            thinking,
            stop_sequences: chat.stop.iter().filter(|text| !is_blank(text)).collect(),
            metadata: chat.user.as_deref().map(|user_id| Metadata { user_id }),
            service_tier: chat.service_tier.as_deref().and_then(tier),
            context_management: own("context_management"),
            container: own("container"),
            mcp_servers: own("mcp_servers"),
            inference_geo: own("inference_geo"),
            ..Body::default()
        })
    }

    /// The body as JSON.
    pub(in crate::wire) fn written(&self) -> Result<Vec<u8>, EncodeError> {
        serde_json::to_vec(self).map_err(|error| EncodeError::Unsupported(error.to_string()))
    }
}

impl<'a> Offer<'a> {
    fn of(tool: &'a Tool, target: &Target) -> Self {
        match tool {
            Tool::Native(raw) => Offer::Native(raw),
            Tool::Function(Function {
                name,
                description,
                parameters,
                strict,
                cache_control,
            }) => Offer::Function {
                name,
                description: description.as_ref(),
                input_schema: schema::of_arguments(parameters.as_ref()),
                strict: strict.filter(|strict| *strict && holds_to_schemas(target)),
                cache_control: cache_control.as_ref(),
            },
        }
    }
}

impl<'a> Offer<'a> {
    /// The tool takes one of the two lists; what is allowed says more.
    fn search(search: &'a Search) -> Self {
        let blocked: &[String] = if search.allowed.is_empty() {
            &search.blocked
        } else {
            &[]
        };
        Offer::Search {
            kind: "web_search_20250305",
            name: "web_search",
            max_uses: search.max_uses,
            allowed_domains: &search.allowed,
            blocked_domains: blocked,
            user_location: search.location(),
        }
    }
}

fn is_empty(places: &[String]) -> bool {
    places.is_empty()
}

impl<'a> Choice<'a> {
    fn of(chat: &'a Chat) -> Option<Self> {
        let alone = chat.parallel_tool_calls == Some(false);
        let choice = |kind, name| {
            Some(Choice {
                kind,
                name,
                disable_parallel_tool_use: alone.then_some(true),
            })
        };
        match &chat.tool_choice {
            None if alone => choice("auto", None),
            None => None,
            Some(ToolChoice::Auto) => choice("auto", None),
            Some(ToolChoice::Required) => choice("any", None),
            Some(ToolChoice::Function(name)) => choice("tool", Some(name)),
            Some(ToolChoice::None) => Some(Choice {
                kind: "none",
                name: None,
                disable_parallel_tool_use: None,
            }),
        }
    }
}

impl<'a> OutputConfig<'a> {
    fn of(chat: &Chat, call: &'a Call, target: &Target) -> Result<Option<Self>, EncodeError> {
        if let Some(given) = call.body.given("output_config") {
            return Ok(Some(OutputConfig::Given(given)));
        }
        let effort = effort(chat, target).map(Effort::as_str);
        let format = match &chat.response_format {
            Some(ResponseFormat::JsonSchema(wanted)) if holds_to_schemas(target) => Some(Format {
                kind: "json_schema",
                schema: schema::of_answer(wanted.schema.as_ref()),
            }),
            Some(_) | None => None,
        };
        let says_something = effort.is_some() || format.is_some();
        Ok(says_something.then_some(OutputConfig::Made { effort, format }))
    }
}

/// How hard to work: what the caller says of it, or of thinking where that is all there is to steer. Only models that
/// are known to take an effort are told one.
pub(in crate::wire) fn effort(chat: &Chat, target: &Target) -> Option<Effort> {
    let known = &target.reasoning.as_ref()?.efforts;
    let takes = thinking::is_adaptive(target) || target.reasoning.as_ref()?.budget;
    let of_thinking = || {
        let thinks = chat.reasoning.is_on() == Some(true) && thinking::is_adaptive(target);
        let says = chat.reasoning.effort.is_some() || chat.reasoning.max_tokens.is_some();
        (thinks && says).then(|| chat.reasoning.effort(chat.max_tokens))
    };
    let wanted = chat.verbosity.or_else(of_thinking)?;
    (takes && !known.is_empty()).then(|| wanted.among(known))
}

/// Marks the last block that can be marked, unless all markers are used up (contract 2.1 `cache_control`).
fn mark_last<'a>(
    tools: &[Offer<'_>],
    system: &mut [Block<'a>],
    messages: &mut [conversation::Message<'a>],
    marker: &'a CacheControl,
) {
    let marked = |tool: &&Offer<'_>| {
        matches!(
            tool,
            Offer::Function {
                cache_control: Some(_),
                ..
            }
        )
    };
    let blocks = || {
        system
            .iter()
            .chain(messages.iter().flat_map(|message| &message.content))
    };
    let markers =
        tools.iter().filter(marked).count() + blocks().filter(|block| block.is_marked()).count();
    if markers >= MOST_MARKERS {
        return;
    }
    let blocks = system
        .iter_mut()
        .chain(messages.iter_mut().flat_map(|message| &mut message.content));
    if let Some(last) = blocks.rev().find(|block| block.can_be_marked()) {
        last.mark(marker);
    }
}

/// The wish for JSON in words, where there is no field for it: JSON of any shape, and models from before schemas.
pub(in crate::wire) fn in_words(chat: &Chat, target: &Target) -> Option<JsonText> {
    match chat.response_format.as_ref()? {
        ResponseFormat::JsonSchema(_) if holds_to_schemas(target) => None,
        ResponseFormat::JsonSchema(_) | ResponseFormat::JsonObject => json_in_words(chat),
    }
}

/// The wish for JSON in words.
pub(in crate::wire) fn json_in_words(chat: &Chat) -> Option<JsonText> {
    Some(match chat.response_format.as_ref()? {
        ResponseFormat::JsonSchema(wanted) => {
            let schema = schema::of_answer(wanted.schema.as_ref());
            let words = format!(
                "{JSON_ONLY} It must fit this JSON Schema: {}",
                schema.as_str()
            );
            JsonText::of(&words)
        }
        ResponseFormat::JsonObject => JsonText::of(JSON_ONLY),
    })
}

/// Whether the model can be held to a schema.
pub(in crate::wire) fn holds_to_schemas(target: &Target) -> bool {
    target.takes("structured_outputs")
}

/// The contract allows up to 2, Anthropic up to 1.
pub(in crate::wire) fn tempered(temperature: &Raw) -> Raw {
    let hot = temperature
        .parse::<f64>()
        .is_ok_and(|temperature| temperature > 1.0);
    if hot {
        Raw::of(&1).unwrap_or_else(|_| temperature.clone())
    } else {
        temperature.clone()
    }
}

/// A sequence of white space alone is refused.
fn is_blank(text: &JsonText) -> bool {
    text.to_text().trim().is_empty()
}

/// The tiers of which the API knows: a priority tier if the account has one, and the standard one.
pub(super) fn tier(word: &str) -> Option<&'static str> {
    match word {
        "auto" | "priority" => Some("auto"),
        "default" | "standard" | "standard_only" => Some("standard_only"),
        _ => None,
    }
}
