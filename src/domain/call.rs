//! What a client asks for, in chat form. Made once by a skin; no later stage reads the request again.

use super::json::{JsonObject, Raw};

/// A request for a completion, for embeddings or for an order. What it is about stays raw bytes inside `body`.
#[derive(Clone, Debug)]
pub struct Call {
    /// What the body holds and the answer must look like.
    pub form: Form,
    /// The body in the form's OpenAI shape, unknown fields included.
    pub body: JsonObject,
    /// The model slug; `None` means the default model.
    pub model: Option<String>,
    /// Further models to try, in order (contract 2.1 `models`, at most 3).
    pub models: Vec<String>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// The caller's cap on output tokens.
    pub max_tokens: Option<u64>,
    /// How many choices are wanted, at least 1.
    pub choices: u64,
    /// The `provider` object (contract 6.2), unparsed.
    pub provider: Option<Raw>,
    /// The `plugins` array (contract 8.1), unparsed.
    pub plugins: Option<Raw>,
    /// Who calls, as far as the request says.
    pub origin: Origin,
    /// The request as it was written, where that was in a form of its own.
    pub verbatim: Option<Verbatim>,
}

/// A request in a form of its own, beside what was made of it in chat form: for endpoints that speak the same form.
#[derive(Clone, Debug)]
pub struct Verbatim {
    /// The form of the request, and of its answer.
    pub form: Spoken,
    /// The body; `None` where it holds what this gateway alone understands.
    pub body: Option<JsonObject>,
    /// What the chat form has no word for: endpoints that speak another form cannot serve the call.
    pub unsayable: Option<String>,
}

/// The forms that clients and providers have in common beside OpenAI's chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// Anthropic's Messages.
    Messages,
    /// OpenAI's Responses.
    Responses,
}

/// The shapes a call can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `messages` in, a message out (contract 2).
    Chat,
    /// `prompt` in, text out (contract 9).
    Text,
    /// `input` in, a vector for each of its parts out (contract 12).
    Embeddings,
    /// `query` and `documents` in, the documents in the order of their relevance out (contract 12).
    Rerank,
}

/// What a request says of its application and end user (contract 1.4, 2.1). Recorded, not trusted.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// `HTTP-Referer`: the application's address.
    pub referer: Option<String>,
    /// `X-OpenRouter-Title` or `X-Title`: the application's name.
    pub title: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `session_id` or `x-session-id`.
    pub session_id: Option<String>,
    /// `user`: the end user, as the caller names them.
    pub external_user: Option<String>,
    /// Whether `X-OpenRouter-Metadata: enabled` asks for the routing report (contract 3.4).
    pub wants_metadata: bool,
    /// `x-anthropic-beta`: features of Anthropic's that are asked for by name, joined by commas.
    pub anthropic_beta: Option<String>,
}

impl Call {
    /// The slugs to try, in order; the default model stands in only where the call names none at all.
    pub fn slugs<'a>(&'a self, default_model: Option<&'a str>) -> Vec<&'a str> {
        let default_model = default_model.filter(|_| self.models.is_empty());
        let first = self.model.as_deref().or(default_model);
        first
            .into_iter()
            .chain(self.models.iter().map(String::as_str))
            .collect()
    }

    /// Whether the caller wants the model to reason in silence: `reasoning.exclude`, or `include_reasoning: false`
    /// (contract 2.4).
    pub fn hides_reasoning(&self) -> bool {
        #[derive(serde::Deserialize)]
        struct Reasoning {
            exclude: Option<bool>,
        }
        let excluded = |raw: &Raw| {
            raw.parse::<Reasoning>()
                .is_ok_and(|reasoning| reasoning.exclude == Some(true))
        };
        self.body.given("reasoning").is_some_and(excluded)
            || self
                .body
                .given("include_reasoning")
                .is_some_and(|given| given.as_bytes() == b"false")
    }

    /// Whether the caller wants to see what providers are sent: `debug.echo_upstream_body`, of streams alone (contract
    /// 4.5).
    pub fn shows_what_is_sent(&self) -> bool {
        #[derive(serde::Deserialize)]
        struct Debug {
            echo_upstream_body: Option<bool>,
        }
        let asks = |raw: &Raw| {
            raw.parse::<Debug>()
                .is_ok_and(|debug| debug.echo_upstream_body == Some(true))
        };
        self.stream && self.body.given("debug").is_some_and(asks)
    }

    /// Whether the client wants its answer in `form`.
    pub fn is_spoken_in(&self, form: Spoken) -> bool {
        self.verbatim
            .as_ref()
            .is_some_and(|verbatim| verbatim.form == form)
    }

    /// The call after its body was changed: what was written is not what is to be sent.
    pub fn rewritten(self) -> Self {
        let unsayable = self
            .verbatim
            .filter(|verbatim| verbatim.unsayable.is_some());
        let verbatim = unsayable.map(|verbatim| Verbatim {
            body: None,
            ..verbatim
        });
        Call { verbatim, ..self }
    }

    /// What cannot be said of the call to an endpoint that speaks `form`; `None` for nothing.
    pub fn unsayable_in(&self, form: Option<Spoken>) -> Option<&str> {
        let verbatim = self.verbatim.as_ref()?;
        let is_own = form == Some(verbatim.form) && verbatim.body.is_some();
        verbatim.unsayable.as_deref().filter(|_| !is_own)
    }

    /// Whether the request gives `parameter` a value.
    pub fn uses(&self, parameter: &str) -> bool {
        self.body.given(parameter).is_some()
    }
}
