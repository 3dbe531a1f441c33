//! Where answers that are forwarded differ from the schemas: providers speak newer and older versions of the forms, and
//! accents of them. Each difference stands here by name; any other is a deviation, and one that no longer occurs is too.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::wires::recordings::are_the_fixtures;

/// A difference.
pub(super) struct Foreign {
    /// The providers that speak so.
    pub(super) of: &'static [&'static str],
    /// Where: the way from the message or the response, or from an event. Elements of a list are `*`.
    pub(super) at: &'static str,
    pub(super) is: Is,
    pub(super) why: &'static str,
}

/// How an object differs.
#[derive(Clone, Copy)]
pub(super) enum Is {
    /// It has a field that the schemas do not name.
    News(&'static str),
    /// One of this type lacks a field that they want; this would do.
    Lacks(&'static str, &'static str, &'static str),
    /// A field that they want to be something is null.
    Null(&'static str),
    /// A field that they want to be an object is a text.
    Text(&'static str),
    /// It is of a type that they do not name.
    Type(&'static str),
}

/// What became of a value.
#[derive(PartialEq, Eq)]
enum Change {
    None,
    Made,
    /// It is not to be looked at.
    Gone,
}

/// Holds forwarded answers to the table.
#[derive(Default)]
pub(super) struct Foreigners {
    /// Places in the table, and providers, whose answers would deviate without it.
    needed: BTreeSet<(usize, &'static str)>,
}

impl Foreigners {
    /// Where a message, a response or an event of `provider` deviates, but for what the table knows.
    pub(super) fn deviations(
        &mut self,
        provider: &str,
        told: &Value,
        mut check: impl FnMut(&Value) -> Vec<String>,
    ) -> Vec<String> {
        if check(told).is_empty() {
            return Vec::new();
        }
        let rows: Vec<(usize, &Foreign)> = rows()
            .filter(|(_, foreign)| foreign.of.contains(&provider))
            .collect();
        let without = |left_out: Option<usize>| {
            let mut value = told.clone();
            let others = rows.iter().filter(|(at, _)| Some(*at) != left_out);
            let gone = others.fold(false, |gone, (_, foreign)| {
                gone || apply(foreign, root(&value), &mut value) == Change::Gone
            });
            (!gone).then_some(value)
        };
        for (at, foreign) in &rows {
            let name = foreign.of.iter().find(|name| **name == provider).unwrap();
            if !self.needed.contains(&(*at, *name))
                && without(Some(*at)).is_some_and(|value| !check(&value).is_empty())
                && apply(foreign, root(told), &mut told.clone()) != Change::None
            {
                self.needed.insert((*at, *name));
            }
        }
        without(None).map_or_else(Vec::new, |value| check(&value))
    }

    /// Stops the test where the table, as far as it is about messages or responses, knows more than occurs.
    #[track_caller]
    pub(super) fn finish(self, form: &str) {
        let mut idle = Vec::new();
        let known = match are_the_fixtures() {
            true => FOREIGN.len(),
            false => usize::MAX,
        };
        for (at, foreign) in rows()
            .take(known)
            .filter(|(_, foreign)| foreign.at.starts_with(form))
        {
            for name in foreign.of {
                if !self.needed.contains(&(at, *name)) {
                    idle.push(format!("{name} at {}: {}", foreign.at, foreign.why));
                }
            }
        }
        assert!(idle.is_empty(), "no longer so:\n{}", idle.join("\n"));
    }
}

/// The whole table.
fn rows() -> impl Iterator<Item = (usize, &'static Foreign)> {
    FOREIGN.iter().chain(ELSEWHERE).enumerate()
}

/// What the way to everything in a value begins with.
fn root(told: &Value) -> &'static str {
    match (told["type"].as_str(), told["object"].as_str()) {
        (Some("message"), _) => "message",
        (_, Some("response")) => "response",
        (Some(kind), _) if kind.starts_with("response.") => "response event",
        _ => "message event",
    }
}

/// The way to a field. What events tell of piece by piece is where it is in the whole.
fn way(above: &str, name: &str) -> String {
    match (above, name) {
        ("response event", "response") => "response".to_owned(),
        ("response event", "item") => "response/output/*".to_owned(),
        ("response event", "part") => "response/output/*/content/*".to_owned(),
        ("response event", "annotation") => "response/output/*/content/*/annotations/*".to_owned(),
        ("message event", "message") => "message".to_owned(),
        ("message event", "content_block") => "message/content/*".to_owned(),
        _ => format!("{above}/{name}"),
    }
}

/// Takes a difference out of a value, wherever it is.
fn apply(foreign: &Foreign, at: &str, value: &mut Value) -> Change {
    let mut change = match at == foreign.at {
        true => foreign.is.taken_out_of(value),
        false => Change::None,
    };
    if change == Change::Gone {
        return change;
    }
    match value {
        Value::Array(elements) => {
            let below = format!("{at}/*");
            elements.retain_mut(|element| {
                let inside = apply(foreign, &below, element);
                let stays = inside != Change::Gone;
                if inside != Change::None {
                    change = Change::Made;
                }
                stays
            });
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                match apply(foreign, &way(at, name), field) {
                    Change::None => {}
                    Change::Made => change = Change::Made,
                    Change::Gone => return Change::Gone,
                }
            }
        }
        _ => {}
    }
    change
}

impl Is {
    fn taken_out_of(self, value: &mut Value) -> Change {
        let Some(fields) = value.as_object_mut() else {
            return Change::None;
        };
        let is_of = |kind: &str| fields.get("type").is_some_and(|own| own == kind);
        let is_odd = match self {
            Is::News(name) => fields.contains_key(name),
            Is::Lacks(kind, name, _) => is_of(kind) && !fields.contains_key(name),
            Is::Null(name) => fields.get(name).is_some_and(Value::is_null),
            Is::Text(name) => fields.get(name).is_some_and(Value::is_string),
            Is::Type(kind) => is_of(kind),
        };
        match self {
            _ if !is_odd => return Change::None,
            Is::News(name) | Is::Null(name) | Is::Text(name) => drop(fields.remove(name)),
            Is::Lacks(_, name, value) => {
                fields.insert(name.to_owned(), serde_json::from_str(value).unwrap());
            }
            Is::Type(_) => return Change::Gone,
        }
        Change::Made
    }
}

#[rustfmt::skip]
const FOREIGN: &[Foreign] = &[
    Foreign { of: &["anthropic"], at: "message/content/*", is: Is::Type("mcp_tool_use"), why: "of a beta: tools behind its own connector" },
    Foreign { of: &["anthropic"], at: "message/content/*", is: Is::Type("mcp_tool_result"), why: "of the same beta" },
    Foreign { of: &["anthropic"], at: "message/content/*/citations/*", is: Is::Lacks("char_location", "file_id", "null"), why: "older than files; a citation is a piece of its block, and none is parsed" },
    Foreign { of: &["bedrock", "openai"], at: "response", is: Is::News("billing"), why: "newer: who pays it" },
    Foreign { of: &["azure", "deepseek"], at: "response", is: Is::News("content_filters"), why: "what Azure's filters found" },
    Foreign { of: &["openai"], at: "response", is: Is::News("conversation"), why: "newer: state, which is not for clients of this gateway" },
    Foreign { of: &["github-copilot"], at: "response", is: Is::News("copilot_usage"), why: "its own accounts" },
    Foreign { of: &["github-copilot"], at: "response event", is: Is::News("copilot_usage"), why: "the same in a stream" },
    Foreign { of: &["azure", "bedrock", "chatgpt-codex", "deepseek", "github-copilot", "openai"], at: "response", is: Is::News("moderation"), why: "newer: what its moderation found" },
    Foreign { of: &["azure", "bedrock", "chatgpt-codex", "deepseek", "github-copilot", "openai"], at: "response", is: Is::News("prompt_cache_retention"), why: "newer: how long the prompt is kept in the cache" },
    Foreign { of: &["azure", "chatgpt-codex", "openai"], at: "response", is: Is::News("tool_usage"), why: "newer: what its tools used" },
    Foreign { of: &["github-copilot"], at: "response", is: Is::Null("output_text"), why: "a field of its SDK's" },
    Foreign { of: &["mistralrs"], at: "response", is: Is::Text("reasoning"), why: "what was thought, in the place of how to think" },
    Foreign { of: &["openai"], at: "response/reasoning", is: Is::News("generate_summary"), why: "older: what `summary` was called" },
    Foreign { of: &["xai"], at: "response/usage", is: Is::News("context_details"), why: "its own accounts" },
    Foreign { of: &["xai"], at: "response/usage", is: Is::News("cost_in_usd_ticks"), why: "its own accounts" },
    Foreign { of: &["xai"], at: "response/usage", is: Is::News("num_server_side_tools_used"), why: "its own accounts" },
    Foreign { of: &["xai"], at: "response/usage", is: Is::News("num_sources_used"), why: "its own accounts" },
    Foreign { of: &["bedrock", "openai"], at: "response/text/format", is: Is::Null("description"), why: "what the request does not say; the schemas leave it out" },
    Foreign { of: &["xai"], at: "response/text/format", is: Is::Lacks("json_schema", "name", "\"answer\""), why: "it forgets the name of a schema" },
    Foreign { of: &["openai"], at: "response/tools/*", is: Is::Type("programmatic_tool_calling"), why: "newer: a tool of its own" },
    Foreign { of: &["openai"], at: "response/tools/*", is: Is::Type("tool_search"), why: "newer: a tool of its own" },
    Foreign { of: &["openai"], at: "response/tools/*", is: Is::News("allowed_callers"), why: "newer: whether programs may call the tool" },
    Foreign { of: &["azure", "openai"], at: "response/tools/*", is: Is::News("output_schema"), why: "newer: what the tool gives back" },
    Foreign { of: &["openai"], at: "response/tools/*", is: Is::News("return_token_budget"), why: "newer: how much a search may bring" },
    Foreign { of: &["openai"], at: "response/tools/*", is: Is::News("search_content_types"), why: "newer: what a search looks for" },
    Foreign { of: &["deepseek"], at: "response/tools/*", is: Is::Null("search_context_size"), why: "what the request does not say; the schemas leave it out" },
    Foreign { of: &["openai"], at: "response/output/*", is: Is::Type("local_shell_call"), why: "an item that the reference's results do not have" },
    Foreign { of: &["openai"], at: "response/output/*", is: Is::Type("mcp_call"), why: "an item that the reference's results do not have" },
    Foreign { of: &["openai"], at: "response/output/*", is: Is::Type("mcp_list_tools"), why: "an item that the reference's results do not have" },
    Foreign { of: &["openai"], at: "response/output/*", is: Is::Type("program"), why: "newer: a program that calls tools" },
    Foreign { of: &["openai"], at: "response/output/*", is: Is::Type("tool_search_call"), why: "newer: tools that are found when they are wanted" },
    Foreign { of: &["openai"], at: "response/output/*", is: Is::Type("tool_search_output"), why: "newer: tools that are found when they are wanted" },
    Foreign { of: &["openai"], at: "response/output/*", is: Is::News("caller"), why: "newer: which program called the tool" },
    Foreign { of: &["openai"], at: "response/output/*", is: Is::News("results"), why: "what a search in files found" },
    Foreign { of: &["bedrock"], at: "response/output/*", is: Is::News("item_id"), why: "a field of events in an item" },
    Foreign { of: &["bedrock"], at: "response/output/*", is: Is::News("output_index"), why: "a field of events in an item" },
    Foreign { of: &["deepseek", "openai"], at: "response/output/*/action", is: Is::Lacks("search", "query", "\"\""), why: "a search that has several questions, or none yet" },
    Foreign { of: &["openai"], at: "response/output/*/action/sources/*", is: Is::Type("api"), why: "a source that is no page" },
    Foreign { of: &["deepseek", "lmstudio"], at: "response/output/*/content/*", is: Is::Type("reasoning_text"), why: "thoughts are told as parts; the schemas tell their text alone" },
    Foreign { of: &["xai"], at: "response/output/*/content/*/annotations/*", is: Is::Lacks("url_citation", "title", "\"\""), why: "it names the page and nothing more" },
    Foreign { of: &["xai"], at: "response/output/*/content/*/annotations/*", is: Is::Lacks("url_citation", "start_index", "0"), why: "it names the page and nothing more" },
    Foreign { of: &["xai"], at: "response/output/*/content/*/annotations/*", is: Is::Lacks("url_citation", "end_index", "0"), why: "it names the page and nothing more" },
    Foreign { of: &["azure", "chatgpt-codex", "github-copilot", "openai"], at: "response event", is: Is::News("obfuscation"), why: "filler, against those who measure pieces" },
    Foreign { of: &["openai"], at: "response event", is: Is::Type("response.queued"), why: "of answers in the background" },
    Foreign { of: &["openai"], at: "response event", is: Is::Type("response.file_search_call.in_progress"), why: "of a tool that the reference's streams do not tell of" },
    Foreign { of: &["openai"], at: "response event", is: Is::Type("response.file_search_call.searching"), why: "of a tool that the reference's streams do not tell of" },
    Foreign { of: &["openai"], at: "response event", is: Is::Type("response.file_search_call.completed"), why: "of a tool that the reference's streams do not tell of" },
    Foreign { of: &["bedrock"], at: "response event", is: Is::Type("response.reasoning_part.added"), why: "its own" },
    Foreign { of: &["bedrock"], at: "response event", is: Is::Type("response.reasoning_part.done"), why: "its own" },
];

/// What the recordings show that are not among the fixtures.
#[rustfmt::skip]
const ELSEWHERE: &[Foreign] = &[
    Foreign { of: &["anthropic"], at: "message event", is: Is::News("context_management"), why: "newer: the schemas have it in whole messages" },
    Foreign { of: &["anthropic"], at: "message event/usage", is: Is::News("service_tier"), why: "newer: the schemas have it in whole messages" },
    Foreign { of: &["anthropic"], at: "message event/usage", is: Is::News("speed"), why: "newer: the schemas have it in whole messages" },
    Foreign { of: &["anthropic"], at: "message/container", is: Is::News("skills"), why: "of a beta" },
    Foreign { of: &["anthropic"], at: "message/content/*/citations/*", is: Is::Lacks("page_location", "file_id", "null"), why: "older than files; a citation is a piece of its block, and none is parsed" },
    Foreign { of: &["anthropic"], at: "message/content/*/content", is: Is::News("abort_reason"), why: "newer: why an adviser stopped" },
    Foreign { of: &["openai"], at: "response/tools/*", is: Is::Null("server_url"), why: "what the request does not say; the schemas leave it out" },
];

mod tests {
    use serde_json::json;

    use super::*;

    /// Only a field that the table knows is let pass, of the providers that it knows it of, and it must be needed.
    #[test]
    fn nothing_else_passes() {
        let check = |value: &Value| {
            let of_response = value["response"].as_object().into_iter().flatten();
            let of_event = value.as_object().into_iter().flatten();
            let known = ["type", "response", "id"];
            let news = of_event
                .chain(of_response)
                .filter(|(name, _)| !known.contains(&name.as_str()));
            news.map(|(name, _)| name.clone()).collect::<Vec<String>>()
        };
        let mut foreigners = Foreigners::default();
        let mut found = |provider: &str, told: Value| foreigners.deviations(provider, &told, check);
        let told = |more: Value| json!({"type": "response.created", "response": more});
        assert!(found("openai", told(json!({"id": "a"}))).is_empty());
        assert!(found("openai", told(json!({"billing": 1}))).is_empty());
        assert_eq!(
            found("openai", told(json!({"billing": 1, "news": 1}))),
            ["news"]
        );
        assert_eq!(found("xai", told(json!({"billing": 1}))), ["billing"]);
        assert_eq!(
            found("openai", json!({"type": "response.created", "billing": 1})),
            ["billing"]
        );
        let needed = foreigners
            .needed
            .iter()
            .map(|(at, of)| (FOREIGN[*at].at, *of));
        assert_eq!(needed.collect::<Vec<_>>(), [("response", "openai")]);
    }
}
