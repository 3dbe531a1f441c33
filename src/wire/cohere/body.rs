//! A call into the body of `POST /chat`.

use serde::Serialize;

use super::conversation::{Conversation, Message};
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::json::{JsonText, Raw};
use crate::wire::EncodeError;
use crate::wire::anthropic::{arguments_schema, holds_to_schemas, in_words};
use crate::wire::chat::{Chat, Function, JsonSchema, ResponseFormat, Tool, ToolChoice};

/// So many stop sequences are taken.
const MOST_STOPS: usize = 5;
/// What an answer may be as long as where nobody says, to take a share of for thinking.
const USUAL_CAP: u64 = 16_000;

/// The body.
#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    documents: Vec<Raw>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Offer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict_tools: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a JsonText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a Raw>,
    // Of the provider's own, for callers who know them.
    #[serde(skip_serializing_if = "Option::is_none")]
    citation_options: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_mode: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<&'a Raw>,
}

/// A tool on offer.
#[derive(Debug, Serialize)]
struct Offer<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Described<'a>,
}

#[derive(Debug, Serialize)]
struct Described<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a JsonText>,
    parameters: Raw,
}

/// The form of the answer: JSON, of a schema where there is one.
#[derive(Debug, Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<&'a Raw>,
}

/// How to think.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Thinking<'a> {
    /// In the provider's own words.
    Given(&'a Raw),
    Made {
        #[serde(rename = "type")]
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        token_budget: Option<u64>,
    },
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
        let own = |name: &str| call.body.given(name);
        let Conversation {
            messages,
            mut documents,
        } = Conversation::of(chat, in_words(chat, target))?;
        documents.extend(own("documents").and_then(Raw::elements).unwrap_or_default());
        let tools = tools(chat)?;
        let sampling = &chat.sampling;
        Ok(Body {
            model: &target.upstream_model,
            messages,
            stream: call.stream,
            documents,
            strict_tools: strict(chat).filter(|_| !tools.is_empty()),
            tools,
            tool_choice: match chat.tool_choice {
                None | Some(ToolChoice::Auto) => None,
                Some(ToolChoice::None) => Some("NONE"),
                Some(ToolChoice::Required | ToolChoice::Function(_)) => Some("REQUIRED"),
            },
            response_format: format(chat, target),
            thinking: thinking(chat, call, target),
            max_tokens: chat.max_tokens,
            stop_sequences: chat.stop.iter().take(MOST_STOPS).collect(),
            temperature: sampling.temperature.as_ref(),
            p: within(sampling.top_p.as_ref(), 0.01, 0.99),
            k: within(sampling.top_k.as_ref(), 0.0, 500.0),
            frequency_penalty: within(sampling.frequency_penalty.as_ref(), 0.0, 1.0),
            presence_penalty: within(sampling.presence_penalty.as_ref(), 0.0, 1.0),
            seed: sampling.seed.as_ref(),
            logprobs: sampling.logprobs.as_ref(),
            citation_options: own("citation_options"),
            safety_mode: own("safety_mode"),
            priority: own("priority"),
        })
    }
}

/// The functions on offer. There is no word for the choice of one: it is offered alone then.
fn tools(chat: &Chat) -> Result<Vec<Offer<'_>>, EncodeError> {
    if chat
        .tools
        .iter()
        .any(|tool| matches!(tool, Tool::Native(_)))
    {
        let reason = "this endpoint takes tools of type `function` alone";
        return Err(EncodeError::Unsupported(reason.to_owned()));
    }
    let chosen = |function: &&Function| match &chat.tool_choice {
        Some(ToolChoice::Function(name)) => function.name == *name,
        _ => true,
    };
    Ok(chat.functions().filter(chosen).map(offer).collect())
}

fn offer(function: &Function) -> Offer<'_> {
    Offer {
        kind: "function",
        function: Described {
            name: &function.name,
            description: function.description.as_ref(),
            parameters: arguments_schema(function.parameters.as_ref()),
        },
    }
}

/// All tools are held to their schemas, or none.
fn strict(chat: &Chat) -> Option<bool> {
    chat.functions()
        .all(|function| function.strict == Some(true))
        .then_some(true)
}

fn format<'a>(chat: &'a Chat, target: &Target) -> Option<Format<'a>> {
    let json_schema = match chat.response_format.as_ref()? {
        ResponseFormat::JsonObject => None,
        ResponseFormat::JsonSchema(JsonSchema { schema, .. }) => {
            schema.as_ref().filter(|_| holds_to_schemas(target))
        }
    };
    Some(Format {
        kind: "json_object",
        json_schema,
    })
}

/// What to say of thinking; `None` leaves it to the model.
fn thinking<'a>(chat: &Chat, call: &'a Call, target: &Target) -> Option<Thinking<'a>> {
    if let Some(given) = call.body.given("thinking") {
        return Some(Thinking::Given(given));
    }
    let wish = &chat.reasoning;
    if !wish.is_on()? {
        return Some(Thinking::Made {
            kind: "disabled",
            token_budget: None,
        });
    }
    let cap = chat.max_tokens.or(target.max_output_tokens);
    let share = || {
        let cap = cap.unwrap_or(USUAL_CAP);
        Some(wish.budget(cap).min(cap.saturating_sub(1)))
    };
    Some(Thinking::Made {
        kind: "enabled",
        token_budget: match (&wish.effort, wish.max_tokens) {
            (None, budget) => budget,
            (Some(_), _) => share(),
        },
    })
}

/// A number within the bounds that the API takes, which are narrower than the contract's.
fn within(given: Option<&Raw>, least: f64, most: f64) -> Option<Raw> {
    let given = given?;
    let bounded = match given.parse::<f64>() {
        Ok(number) if number < least => Raw::of(&least).ok(),
        Ok(number) if number > most => Raw::of(&most).ok(),
        _ => None,
    };
    Some(bounded.unwrap_or_else(|| given.clone()))
}
