//! What the echo model reads of a request: OpenAI's fields, checked as OpenAI does.

use http::StatusCode;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::schema;
use super::words;

/// A request, decided: what to say, and how.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) model: String,
    /// One text to repeat for each prompt; a chat has one.
    pub(super) says: Vec<Says>,
    /// How often each is repeated.
    pub(super) choices: usize,
    /// How many tokens each choice may have.
    pub(super) max_tokens: u64,
    pub(super) prompt_tokens: u64,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
}

/// The most choices of one answer.
const MOST_CHOICES: usize = 128;

/// The most tokens of one answer, so that what fits into a request cannot fill the memory.
const MOST_TOKENS: u64 = 65_536;

/// What a choice consists of.
#[derive(Clone, Debug)]
pub(super) enum Says {
    /// Plain text.
    Text(String),
    /// A call of a tool.
    Tool { name: String, arguments: String },
}

/// Why a request is not answered.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
    pub(super) param: Option<&'static str>,
}

impl Refusal {
    /// There is nothing at `path`.
    pub(super) fn of_path(path: &str) -> Self {
        Refusal {
            status: StatusCode::NOT_FOUND,
            message: format!("the echo model serves no {path}"),
            param: None,
        }
    }
}

/// Reads the body of a chat completion.
pub(super) fn chat(body: &[u8]) -> Result<Request, Refusal> {
    let chat: ChatBody = parse(body)?;
    if chat.messages.is_empty() {
        return Err(refuse("messages", "messages must not be empty"));
    }
    let text = chat.last_user_text();
    let prompt_tokens = chat
        .messages
        .iter()
        .map(|message| words::count(&message.content.text()))
        .sum::<u64>()
        .max(1);
    let says = match chat.tool()? {
        Some(function) => {
            let arguments = function.parameters.as_ref().map_or_else(
                || "{}".to_owned(),
                |schema| schema::example(schema, &text).to_string(),
            );
            Says::Tool {
                name: function.name.clone(),
                arguments,
            }
        }
        None => Says::Text(chat.common.cut_at_stop(chat.formatted(text)?)),
    };
    chat.common.decide(vec![says], prompt_tokens)
}

/// Reads the body of a text completion.
pub(super) fn text(body: &[u8]) -> Result<Request, Refusal> {
    let text: TextBody = parse(body)?;
    let prompts = text.prompt.into_texts();
    let prompt_tokens = prompts
        .iter()
        .map(|prompt| words::count(prompt))
        .sum::<u64>()
        .max(1);
    let repeat = |prompt: String| {
        let said = text.common.cut_at_stop(or_nothing_to_repeat(&prompt));
        Says::Text(if text.echo { prompt + &said } else { said })
    };
    let says = prompts.into_iter().map(repeat).collect();
    text.common.decide(says, prompt_tokens)
}

#[derive(Deserialize)]
struct ChatBody {
    messages: Vec<Message>,
    #[serde(default, deserialize_with = "null_is_default")]
    tools: Vec<Tool>,
    tool_choice: Option<ToolChoice>,
    response_format: Option<ResponseFormat>,
    #[serde(flatten)]
    common: Common,
}

#[derive(Deserialize)]
struct TextBody {
    prompt: Prompt,
    #[serde(default, deserialize_with = "null_is_default")]
    echo: bool,
    #[serde(flatten)]
    common: Common,
}

#[derive(Deserialize)]
struct Common {
    model: String,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    n: Option<usize>,
    stop: Option<Stop>,
    #[serde(default, deserialize_with = "null_is_default")]
    stream: bool,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default, deserialize_with = "null_is_default")]
    content: Content,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Prompt {
    One(String),
    Many(Vec<String>),
    Tokens(Vec<u64>),
    ManyTokens(Vec<Vec<u64>>),
}

#[derive(Deserialize)]
struct Tool {
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    parameters: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ToolChoice {
    Word(String),
    Named { function: FunctionName },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct FunctionName {
    name: String,
}

#[derive(Deserialize)]
struct ResponseFormat {
    r#type: String,
    json_schema: Option<JsonSchema>,
}

#[derive(Deserialize)]
struct JsonSchema {
    schema: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

impl ChatBody {
    fn last_user_text(&self) -> String {
        let last = self
            .messages
            .iter()
            .rev()
            .find(|message| message.role == "user");
        or_nothing_to_repeat(
            &last
                .map(|message| message.content.text())
                .unwrap_or_default(),
        )
    }

    /// The tool to call, if the request insists on one.
    fn tool(&self) -> Result<Option<&Function>, Refusal> {
        let mut functions = self.tools.iter().filter_map(|tool| tool.function.as_ref());
        let unknown = || {
            refuse(
                "tool_choice",
                "tool_choice asks for a tool that is not among the tools",
            )
        };
        match &self.tool_choice {
            Some(ToolChoice::Word(word)) if word == "required" => {
                functions.next().map(Some).ok_or_else(unknown)
            }
            Some(ToolChoice::Named { function }) => functions
                .find(|tool| tool.name == function.name)
                .map(Some)
                .ok_or_else(unknown),
            Some(ToolChoice::Word(_) | ToolChoice::Other(_)) | None => Ok(None),
        }
    }

    /// The text in the form that `response_format` asks for.
    fn formatted(&self, text: String) -> Result<String, Refusal> {
        let Some(format) = &self.response_format else {
            return Ok(text);
        };
        match (format.r#type.as_str(), &format.json_schema) {
            ("json_object", _) => Ok(serde_json::json!({ "echo": text }).to_string()),
            ("json_schema", Some(JsonSchema { schema })) => Ok(schema.as_ref().map_or_else(
                || "{}".to_owned(),
                |schema| schema::example(schema, &text).to_string(),
            )),
            ("json_schema", None) => Err(refuse(
                "response_format",
                "response_format lacks json_schema",
            )),
            _ => Ok(text),
        }
    }
}

impl Common {
    fn cut_at_stop(&self, text: String) -> String {
        let stops = match &self.stop {
            None => &[],
            Some(Stop::One(stop)) => std::slice::from_ref(stop),
            Some(Stop::Many(stops)) => stops.as_slice(),
        };
        let first = stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| text.find(stop))
            .min();
        first.map_or_else(|| text.clone(), |at| text[..at].to_owned())
    }

    fn decide(self, says: Vec<Says>, prompt_tokens: u64) -> Result<Request, Refusal> {
        let choices = self.n.unwrap_or(1);
        let max_tokens = self
            .max_completion_tokens
            .or(self.max_tokens)
            .unwrap_or(MOST_TOKENS);
        let total = says.len().saturating_mul(choices);
        if says.is_empty() {
            return Err(refuse("prompt", "prompt must not be empty"));
        }
        if !(1..=MOST_CHOICES).contains(&total) {
            return Err(refuse(
                "n",
                "n must be at least 1, and n for each prompt at most 128 in all",
            ));
        }
        if max_tokens == 0 {
            return Err(refuse("max_tokens", "max_tokens must be at least 1"));
        }
        let max_tokens = max_tokens.min(MOST_TOKENS / total as u64);
        let include_usage = self
            .stream_options
            .is_some_and(|options| options.include_usage);
        Ok(Request {
            model: self.model,
            says,
            choices,
            max_tokens,
            prompt_tokens,
            stream: self.stream,
            include_usage,
        })
    }
}

impl Content {
    fn text(&self) -> String {
        match self {
            Content::Text(text) => text.clone(),
            Content::Parts(parts) => parts
                .iter()
                .filter_map(|part| part.text.as_deref())
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Content::Text(String::new())
    }
}

impl Prompt {
    fn into_texts(self) -> Vec<String> {
        match self {
            Prompt::One(text) => vec![text],
            Prompt::Many(texts) => texts,
            Prompt::Tokens(tokens) => vec![spelled(&tokens)],
            Prompt::ManyTokens(prompts) => prompts.iter().map(|tokens| spelled(tokens)).collect(),
        }
    }
}

/// There is no vocabulary to look token numbers up in, so the numbers themselves are repeated.
fn spelled(tokens: &[u64]) -> String {
    tokens
        .iter()
        .map(u64::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// An empty answer would look like a failed one.
fn or_nothing_to_repeat(text: &str) -> String {
    if text.trim().is_empty() {
        "There is no text to repeat.".to_owned()
    } else {
        text.to_owned()
    }
}

fn null_is_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal {
        status: StatusCode::BAD_REQUEST,
        message: error.to_string(),
        param: None,
    })
}

fn refuse(param: &'static str, message: &str) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        message: message.to_owned(),
        param: Some(param),
    }
}
