//! A call into the body of `POST /responses`.

use serde::Serialize;

use super::input::{self, Item};
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::json::{JsonText, Raw};
use crate::wire::EncodeError;
use crate::wire::chat::search::{Flat, hosts};
use crate::wire::chat::{Chat, Function, ResponseFormat, Search, Tool, ToolChoice};
use crate::wire::quirks::NativeSearch;

/// What to send along beside the answer.
pub(super) const ENCRYPTED: &str = "reasoning.encrypted_content";
const LOGPROBS: &str = "message.output_text.logprobs";
/// A schema must have a name.
const UNNAMED: &str = "answer";

/// The body.
#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    input: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    store: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Offer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tool_calls: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_options: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncation: Option<&'a Raw>,
}

#[derive(Debug, Serialize)]
struct Reasoning<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonObject,
    JsonSchema {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a JsonText>,
        #[serde(skip_serializing_if = "Option::is_none")]
        schema: Option<&'a Raw>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

/// A tool on offer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Offer<'a> {
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a JsonText>,
        parameters: Option<&'a Raw>,
        /// Said always: here, what is not said means yes.
        strict: bool,
    },
    Native(&'a Raw),
    /// The provider's own search of the web.
    Search {
        #[serde(rename = "type")]
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        search_context_size: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        filters: Option<Filters<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_location: Option<Flat<'a>>,
    },
}

/// Where the results of a search may be from.
#[derive(Debug, Serialize)]
struct Filters<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_domains: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excluded_domains: Vec<&'a str>,
}

/// How the model may choose among the tools.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'a str,
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
        let own = |name: &str| call.body.given(name).filter(|_| target.takes(name));
        let logprobs = chat
            .sampling
            .logprobs
            .as_ref()
            .is_some_and(|wanted| wanted.as_str() == "true");
        // Models that do not reason refuse to be asked for what they thought.
        let reasons = target.reasoning.is_some() || chat.reasoning.is_on() == Some(true);
        let include = [(ENCRYPTED, reasons), (LOGPROBS, logprobs)];
        Ok(Body {
            model: &target.upstream_model,
            input: input::of(chat, target)?,
            stream: call.stream,
            store: false,
            include: include
                .into_iter()
                .filter_map(|(name, wanted)| wanted.then_some(name))
                .collect(),
            max_output_tokens: chat.max_tokens,
            temperature: chat.sampling.temperature.as_ref(),
            top_p: chat.sampling.top_p.as_ref(),
            top_logprobs: chat.sampling.top_logprobs.as_ref().filter(|_| logprobs),
            reasoning: reasoning(chat, target),
            text: text(chat),
            tools: chat
                .tools
                .iter()
                .map(Offer::of)
                .chain(
                    chat.search
                        .as_ref()
                        .map(|search| Offer::search(search, target)),
                )
                .collect(),
            tool_choice: chat.tool_choice.as_ref().map(Choice::of),
            parallel_tool_calls: chat.parallel_tool_calls,
            // Counts the calls of built-in tools alone. xAI does not know it.
            max_tool_calls: chat
                .search
                .as_ref()
                .and_then(|search| search.max_uses)
                .filter(|_| !is_xais(target)),
            service_tier: chat.service_tier.as_deref(),
            user: chat.user.as_deref(),
            prompt_cache_key: own("prompt_cache_key"),
            prompt_cache_options: own("prompt_cache_options"),
            truncation: own("truncation"),
        })
    }
}

fn reasoning<'a>(chat: &'a Chat, target: &Target) -> Option<Reasoning<'a>> {
    let wish = &chat.reasoning;
    let known = target
        .reasoning
        .as_ref()
        .map_or(&[][..], |known| &known.efforts);
    let effort = wish
        .is_on()
        .map(|_| wish.effort(chat.max_tokens).among(known).as_str());
    let summary = wish.summary.as_deref();
    (effort.is_some() || summary.is_some()).then_some(Reasoning { effort, summary })
}

fn text(chat: &Chat) -> Option<Text<'_>> {
    let format = chat.response_format.as_ref().map(|format| match format {
        ResponseFormat::JsonObject => Format::JsonObject,
        ResponseFormat::JsonSchema(wanted) => Format::JsonSchema {
            name: wanted.name.as_deref().unwrap_or(UNNAMED),
            description: wanted.description.as_ref(),
            schema: wanted.schema.as_ref(),
            strict: wanted.strict,
        },
    });
    let verbosity = chat.verbosity.map(|verbosity| verbosity.as_str());
    (format.is_some() || verbosity.is_some()).then_some(Text { format, verbosity })
}

impl<'a> Offer<'a> {
    fn of(tool: &'a Tool) -> Self {
        match tool {
            Tool::Native(raw) => Offer::Native(raw),
            Tool::Function(Function {
                name,
                description,
                parameters,
                strict,
                ..
            }) => Offer::Function {
                kind: "function",
                name,
                description: description.as_ref(),
                parameters: parameters.as_ref(),
                strict: strict.unwrap_or(false),
            },
        }
    }
}

impl<'a> Offer<'a> {
    fn search(search: &'a Search, target: &Target) -> Self {
        let xai = is_xais(target);
        // OpenAI's knows no places to leave out; xAI's takes five of one kind.
        let most = if xai { 5 } else { 100 };
        let allowed: Vec<&str> = hosts(&search.allowed).take(most).collect();
        let excludes = xai && allowed.is_empty();
        let excluded = hosts(&search.blocked).take(if excludes { most } else { 0 });
        let filters = Filters {
            excluded_domains: excluded.collect(),
            allowed_domains: allowed,
        };
        let filters = Some(filters).filter(|filters| {
            !filters.allowed_domains.is_empty() || !filters.excluded_domains.is_empty()
        });
        Offer::Search {
            kind: "web_search",
            search_context_size: search.context_size.as_deref().filter(|_| !xai),
            filters,
            user_location: search.location().filter(|_| !xai),
        }
    }
}

fn is_xais(target: &Target) -> bool {
    target.quirks.web_search == Some(NativeSearch::Xai)
}

impl<'a> Choice<'a> {
    fn of(choice: &'a ToolChoice) -> Self {
        match choice {
            ToolChoice::None => Choice::Word("none"),
            ToolChoice::Auto => Choice::Word("auto"),
            ToolChoice::Required => Choice::Word("required"),
            ToolChoice::Function(name) => Choice::Function {
                kind: "function",
                name,
            },
        }
    }
}
