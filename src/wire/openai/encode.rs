//! A call into the body of `POST /chat/completions` or `POST /completions`.

use super::messages::{self, MessageRules};
use super::{reasoning, tools};
use crate::catalog::snapshot::Target;
use crate::domain::call::{Call, Form};
use crate::domain::json::{JsonText, ObjectWriter, Raw};
use crate::wire::chat;
use crate::wire::chat::search::{self, hosts};
use crate::wire::quirks::{MaxTokensName, NativeSearch};
use crate::wire::{EncodeError, Encoded};

/// Fields of the contract (2.1) that speak to the gateway; strict providers answer unknown fields with a 400.
const GATEWAY_ONLY: &[&str] = &[
    // Routing.
    "models",
    "provider",
    "route",
    "preset",
    "session_id",
    // What the gateway does around the call.
    "plugins",
    "transforms",
    "max_tool_calls",
    "stop_server_tools_when",
    "x_search_filter",
    "cache_control",
    "speed",
    // What it reports.
    "usage",
    "trace",
    "debug",
];

/// Fields that are written anew, where the target takes them.
const REWRITTEN: &[&str] = &[
    "model",
    "messages",
    "prompt",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "user",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "reasoning_effort",
    "include_reasoning",
    "service_tier",
    "metadata",
    "structured_outputs",
    "web_search_options",
];

/// Perplexity's field for the places of its search.
const DOMAIN_FILTER: &str = "search_domain_filter";

/// Fields that mean something else, or nothing, when a text completion is sent as a chat.
const TEXT_ONLY: &[&str] = &["suffix", "echo", "best_of", "logprobs"];

/// The request for `call` at `target`.
pub(super) fn encode(call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
    let wanted = Wanted { call, target };
    let mut body = call.body.splice(|name| wanted.passes(name));
    body.text("model", &target.upstream_model);
    wanted.prompt(&mut body)?;
    wanted.stream(&mut body);
    wanted.max_tokens(&mut body);
    wanted.tools(&mut body);
    wanted.renamed(&mut body);
    wanted.identity(&mut body);
    wanted.search(&mut body);
    reasoning::write(call, target, &mut body);
    let path = if wanted.form() == Form::Text {
        "/completions"
    } else {
        "/chat/completions"
    };
    Ok(Encoded::json(path, body.finish()))
}

/// What a call wants, and what its target takes of it.
pub(super) struct Wanted<'a> {
    pub(super) call: &'a Call,
    pub(super) target: &'a Target,
}

impl Wanted<'_> {
    /// The form in which the call is sent.
    fn form(&self) -> Form {
        if self.target.quirks.text_completions {
            self.call.form
        } else {
            Form::Chat
        }
    }

    /// Whether a field goes upstream as it came. `null` says nothing that its absence does not.
    pub(super) fn passes(&self, name: &str) -> bool {
        let lost = self.call.form != self.form() && TEXT_ONLY.contains(&name);
        let rewritten = REWRITTEN.contains(&name)
            || self
                .target
                .quirks
                .renames
                .iter()
                .any(|(ours, _)| ours == name);
        !lost
            && !rewritten
            && !GATEWAY_ONLY.contains(&name)
            && self.takes(name)
            && self.call.uses(name)
    }

    /// Whether the target does not refuse the parameter.
    fn takes(&self, name: &str) -> bool {
        self.target.takes(name)
    }

    /// The value of a field that the call gives and the target takes.
    pub(super) fn given(&self, name: &str) -> Option<&Raw> {
        self.call.body.given(name).filter(|_| self.takes(name))
    }

    fn prompt(&self, body: &mut ObjectWriter) -> Result<(), EncodeError> {
        match (self.call.form, self.form()) {
            (Form::Text, Form::Text) => copy(body, "prompt", self.call.body.given("prompt")),
            (Form::Text, _) => {
                let prompt = self
                    .call
                    .body
                    .given("prompt")
                    .map(chat::only_text)
                    .transpose()?;
                let mut message =
                    ObjectWriter::with_capacity(64 + prompt.as_ref().map_or(0, JsonText::len));
                message.text("role", "user");
                message.raw(
                    "content",
                    prompt.as_ref().map_or(b"\"\"", JsonText::as_bytes),
                );
                body.raw("messages", &[b"[", &*message.finish(), b"]"].concat());
            }
            (Form::Chat | Form::Embeddings | Form::Rerank, _) => {
                if let Some(given) = self.call.body.given("messages") {
                    let rewritten =
                        messages::rewritten(given, &MessageRules::of(&self.target.quirks));
                    body.raw("messages", rewritten.as_ref().unwrap_or(given).as_bytes());
                }
            }
        }
        Ok(())
    }

    /// Usage is asked for in every stream, as the ledger needs it.
    fn stream(&self, body: &mut ObjectWriter) {
        if !self.call.stream {
            return;
        }
        body.raw("stream", b"true");
        if !self.target.quirks.no_stream_options && self.takes("stream_options") {
            let given = self.call.body.given("stream_options").and_then(Raw::object);
            let mut options = match given {
                Some(given) => given.splice(|name| name != "include_usage"),
                None => ObjectWriter::with_capacity(32),
            };
            options.raw("include_usage", b"true");
            body.raw("stream_options", &options.finish());
        }
    }

    /// The cap, under the name that the target knows.
    fn max_tokens(&self, body: &mut ObjectWriter) {
        let (old, new) = ("max_tokens", "max_completion_tokens");
        let by_name = |name| self.call.body.given(name).map(|cap| (name, cap));
        let Some((callers, cap)) = by_name(new).or_else(|| by_name(old)) else {
            return;
        };
        let name = match self.target.quirks.max_tokens_name {
            // The older API never learned the newer name.
            _ if self.form() == Form::Text => old,
            Some(MaxTokensName::MaxTokens) => old,
            Some(MaxTokensName::MaxCompletionTokens) => new,
            None => callers,
        };
        let other = if name == old { new } else { old };
        if let Some(name) = [name, other].into_iter().find(|name| self.takes(name)) {
            body.raw(name, cap.as_bytes());
        }
    }

    /// Tools, without those that the gateway itself would run. A choice among none is left out, too.
    fn tools(&self, body: &mut ObjectWriter) {
        let given = self.call.body.given("tools");
        let offered = self
            .given("tools")
            .and_then(|tools| tools::offered(tools, self.target.quirks.cache_control));
        copy(body, "tools", offered.as_ref());
        if offered.is_some() || given.is_none() {
            copy(
                body,
                "tool_choice",
                self.given("tool_choice")
                    .filter(|choice| !tools::is_gateways(choice)),
            );
            copy(
                body,
                "parallel_tool_calls",
                self.given("parallel_tool_calls"),
            );
        }
    }

    /// The provider's own search of the web, where it is made in a chat.
    fn search(&self, body: &mut ObjectWriter) {
        let Some(given) = self.given(search::FIELD) else {
            return;
        };
        match self.target.quirks.web_search {
            // Nobody knows how: the caller may.
            None => copy(body, search::FIELD, Some(given)),
            Some(NativeSearch::Options) => {
                copy(body, search::FIELD, search::standard(given).as_ref());
            }
            Some(NativeSearch::Perplexity) => {
                copy(body, search::FIELD, search::standard(given).as_ref());
                let wish = chat::Search::of(self.call, self.target).unwrap_or_default();
                let filter = perplexity_filter(&wish);
                if !filter.is_empty() && !self.call.uses(DOMAIN_FILTER) {
                    copy(body, DOMAIN_FILTER, Raw::of(&filter).ok().as_ref());
                }
            }
            Some(NativeSearch::Tool | NativeSearch::Responses | NativeSearch::Xai) => {}
        }
    }

    pub(super) fn renamed(&self, body: &mut ObjectWriter) {
        for (ours, theirs) in &self.target.quirks.renames {
            copy(
                body,
                theirs,
                self.given(ours)
                    .filter(|_| !REWRITTEN.contains(&ours.as_str())),
            );
        }
    }

    /// Who asks, and what is kept of it.
    pub(super) fn identity(&self, body: &mut ObjectWriter) {
        if let Some(user) = self.given("user") {
            body.text("user", &chat::hashed(user));
        }
        // OpenAI takes `metadata` only with what it stores.
        if self
            .call
            .body
            .given("store")
            .is_some_and(|store| store.as_bytes() == b"true")
        {
            copy(body, "metadata", self.given("metadata"));
        }
        if let Some(tier) = self.given("service_tier") {
            // The contract's other name for the same tier (6.7).
            let fast = tier.as_bytes() == b"\"fast\"";
            body.raw(
                "service_tier",
                if fast {
                    b"\"priority\""
                } else {
                    tier.as_bytes()
                },
            );
        }
        // A flag of the contract, and an object of vLLM's.
        copy(
            body,
            "structured_outputs",
            self.given("structured_outputs")
                .filter(|value| value.as_bytes()[0] == b'{'),
        );
    }
}

/// Domains to keep to, or with a minus before them to leave out; it takes twenty of one kind.
fn perplexity_filter(wish: &chat::Search) -> Vec<String> {
    const MOST: usize = 20;
    match wish.allowed.as_slice() {
        [] => hosts(&wish.blocked)
            .map(|host| format!("-{host}"))
            .take(MOST)
            .collect(),
        allowed => hosts(allowed).map(str::to_owned).take(MOST).collect(),
    }
}

fn copy(body: &mut ObjectWriter, name: &str, value: Option<&Raw>) {
    if let Some(value) = value {
        body.raw(name, value.as_bytes());
    }
}
