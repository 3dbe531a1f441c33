//! Requests in Anthropic's form and in that of Responses, to providers that speak another: what they say reaches the
//! provider, and what cannot be said there stands here.

use http::StatusCode;
use serde_json::Value;

use super::recordings::recordings;
use super::served::serving_with;
use super::spliced::{LARGE, MESSAGES, RESPONSES, Same, replay};
use crate::support::upstream::Upstream;

/// A form, and the protocols that it is translated into.
struct Translated {
    same: &'static Same,
    /// Protocols, each with recordings of a provider that answers, and whether it takes back what others thought.
    into: &'static [(&'static str, &'static str, bool)],
    /// Fields that other protocols have words for.
    said: &'static [&'static str],
    /// Fields that none has.
    unsaid: &'static [(&'static str, &'static str)],
    /// Where in a request the caller's own words are, by the names of fields.
    words: &'static [&'static str],
    /// The type of what was thought, and can be read by whoever thought it alone.
    thoughts: &'static str,
}

/// What a request is refused for that no endpoint's protocol can say, by the words of the refusal.
const UNSAYABLE: [(&str, &str); 6] = [
    ("is run by Anthropic alone", "tools that Anthropic runs"),
    (
        "a block of a type that Anthropic alone takes",
        "what those tools did before",
    ),
    ("is run by OpenAI alone", "tools that OpenAI runs"),
    (
        "names a tool that OpenAI alone runs",
        "the choice of one of them",
    ),
    (
        "an item of a type that OpenAI alone takes",
        "what those tools did before",
    ),
    (
        "web search is not configured",
        "a search of the web, where neither the provider makes one nor an engine",
    ),
];

const OF_MESSAGES: Translated = Translated {
    same: &MESSAGES,
    into: &[
        ("openai", "openai-chat", true),
        ("responses", "openai-responses", false),
        ("gemini", "gemini-generate", false),
    ],
    said: &[
        "cache_control",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "service_tier",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    ],
    unsaid: &[
        ("anthropic_version", "belongs to the address"),
        ("context_management", "Anthropic alone clears what is old"),
        ("mcp_servers", "Anthropic alone connects to them"),
        (
            "output_format",
            "what `output_config` was called in a preview",
        ),
    ],
    words: &[
        "text",
        "name",
        "description",
        "data",
        "url",
        "id",
        "tool_use_id",
        "input",
        "content",
        "system",
    ],
    thoughts: "redacted_thinking",
};

const OF_RESPONSES: Translated = Translated {
    same: &RESPONSES,
    into: &[
        ("openai", "openai-chat", true),
        ("anthropic", "anthropic-messages", false),
        ("gemini", "gemini-generate", false),
    ],
    said: &[
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "provider",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_p",
        "user",
    ],
    unsaid: &[
        ("background", "answers come at once"),
        ("context_management", "OpenAI alone sums up what is old"),
        ("moderation", "OpenAI alone moderates"),
        ("truncation", "OpenAI alone cuts what is too long"),
    ],
    words: &[
        "text",
        "name",
        "description",
        "arguments",
        "call_id",
        "output",
        "image_url",
        "file_data",
        "instructions",
        "input",
        "content",
    ],
    thoughts: "reasoning",
};

#[tokio::test]
async fn recorded_messages_are_translated_for_others() {
    check(&OF_MESSAGES).await;
}

#[tokio::test]
async fn recorded_requests_for_responses_are_translated_for_others() {
    check(&OF_RESPONSES).await;
}

async fn check(form: &Translated) {
    let mut lost = Vec::new();
    for (wire, answers, takes_thoughts) in form.into {
        let answers = recordings(answers);
        let good = answers
            .iter()
            .find(|one| one.succeeded() && !one.streamed());
        let script = replay(good.unwrap());
        let upstream = Upstream::start(move |_| script.clone()).await;
        let (server, _folder) = serving_with(wire, &upstream, "sk-1", LARGE).await;
        for recording in recordings(form.same.api) {
            let Some(fields) = recording.request.body.as_object() else {
                continue;
            };
            let mut body = recording.request.body.clone();
            body["model"] = "acme/orca".into();
            body["stream"] = false.into();
            let answer = server.http.post(form.same.path, &body).await;
            if answer.status.is_client_error() && (form.same.refused)(&body).is_some() {
                continue;
            }
            let text = answer.text();
            if answer.status == StatusCode::BAD_REQUEST
                && UNSAYABLE.iter().any(|(words, _)| text.contains(words))
            {
                continue;
            }
            let mut report =
                |what: String| lost.push(format!("{} over {wire}: {what}", recording.name));
            if answer.status != StatusCode::OK {
                report(text);
                continue;
            }
            let unknown = fields.iter().filter(|(name, value)| {
                let is_known = form.said.contains(&name.as_str())
                    || form.unsaid.iter().any(|(unsaid, _)| unsaid == name);
                !value.is_null() && !is_known
            });
            unknown.for_each(|(name, _)| report(format!("nobody says what becomes of {name}")));
            let sent = everything(&upstream.seen().pop().unwrap().body);
            let said = fields
                .iter()
                .filter(|(name, _)| form.said.contains(&name.as_str()));
            let mut said: Value = said
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            // OpenAI alone asks for a name of the form that an answer is to have.
            if let Some(format) = said.pointer_mut("/text/format") {
                format["name"] = Value::Null;
            }
            if !takes_thoughts {
                forget(&mut said, form.thoughts);
            }
            // A tool that may not be called is not offered, where nobody asks which of them may.
            let allowed = said["tool_choice"]["tools"].as_array().cloned();
            if let (Some(allowed), Some(tools)) = (allowed, said["tools"].as_array_mut()) {
                tools.retain(|tool| allowed.iter().any(|one| one["name"] == tool["name"]));
            }
            said["model"] = Value::Null;
            for word in words(&said, form.words) {
                // Of a data URL the data.
                let word = word.rsplit(";base64,").next().unwrap_or_default().trim();
                if !sent.contains(word) {
                    report(format!("{word:?} is lost"));
                }
            }
        }
        server.stop().await;
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

/// Takes out what is of this type.
fn forget(value: &mut Value, kind: &str) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|value| forget(value, kind)),
        Value::Array(elements) => {
            elements.retain(|element| element["type"] != kind);
            elements
                .iter_mut()
                .for_each(|element| forget(element, kind));
        }
        _ => {}
    }
}

/// The caller's words in a request: texts in fields of these names.
fn words(value: &Value, names: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let Value::Object(fields) = value else {
        for element in value.as_array().into_iter().flatten() {
            found.extend(words(element, names));
        }
        return found;
    };
    for (name, value) in fields {
        match value {
            Value::String(text) if name == "arguments" => {
                let arguments = serde_json::from_str(text).unwrap_or(Value::Null);
                found.extend(strings(&arguments));
            }
            Value::String(text) if names.contains(&name.as_str()) => found.push(text.clone()),
            // A call's arguments, whatever their names are.
            Value::Object(_) if name == "input" => found.extend(strings(value)),
            Value::Object(_) | Value::Array(_) => found.extend(words(value, names)),
            _ => {}
        }
    }
    found
}

/// Every text in a value.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(elements) => elements.iter().flat_map(strings).collect(),
        Value::Object(fields) => fields.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

/// Every text in a value, and in the JSON that is a text there.
fn everything(value: &Value) -> String {
    let texts = strings(value).into_iter().map(|text| {
        let inside = serde_json::from_str::<Value>(&text)
            .ok()
            .filter(|inside| !inside.is_string());
        let inside = inside.map(|inside| everything(&inside)).unwrap_or_default();
        format!("{text}\n{inside}\n")
    });
    texts.collect()
}
