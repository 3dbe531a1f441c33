//! What a request needs of an endpoint: parameters it must understand, media it must see.
//! Found in the raw bytes; messages are never parsed here.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::catalog::PARAMETERS;
use crate::domain::call::{Call, Form};

/// What a request needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Parameters of the contract's vocabulary that the request gives a meaning, sorted as there.
    pub parameters: Vec<&'static str>,
    /// Media in its messages: `image`, `file`, `audio`, `video`.
    pub input: Vec<&'static str>,
    /// Images in its messages or in what is to be embedded, which some endpoints price apiece.
    pub images: u64,
    /// Media it wants in the answer, text aside: `image`, `audio`.
    pub output: Vec<&'static str>,
}

/// Parameters that go to the endpoints which understand them as soon as there is one (contract 6.1).
pub const SOFT: [&str; 4] = [
    "tools",
    "response_format",
    "structured_outputs",
    "verbosity",
];

impl Needs {
    /// The needs of a call.
    pub fn of(call: &Call) -> Self {
        let found = |name: &str| call.body.given(name).map(|value| media(value.as_bytes()));
        // Which of the models that embed can see is not known; what their pictures cost is.
        let (input, images) = match call.form {
            Form::Embeddings => (Vec::new(), found("input").unwrap_or_default().1),
            _ => found("messages").unwrap_or_default(),
        };
        Needs {
            parameters: PARAMETERS
                .into_iter()
                .filter(|name| uses(call, name))
                .collect(),
            input,
            images,
            output: outputs(call),
        }
    }

    /// Whether the request uses tools.
    pub fn tools(&self) -> bool {
        self.parameters.contains(&"tools")
    }

    /// The soft parameters among its needs.
    pub fn soft(&self) -> impl Iterator<Item = &'static str> {
        let needed = |name: &&'static str| self.parameters.contains(name);
        SOFT.into_iter().filter(needed)
    }
}

/// Whether `supported`, an endpoint's list, covers a needed parameter. Names that the wire
/// translates into each other stand for one another.
pub fn covers(supported: &[String], needed: &str) -> bool {
    let has = |name: &str| supported.iter().any(|known| known == name);
    has(needed)
        || match needed {
            "max_tokens" => has("max_completion_tokens"),
            "max_completion_tokens" => has("max_tokens"),
            "reasoning_effort" | "include_reasoning" => has("reasoning"),
            "reasoning" => has("reasoning_effort"),
            _ => false,
        }
}

/// A value that asks for what happens anyway is no need.
fn uses(call: &Call, name: &str) -> bool {
    if name == "structured_outputs" {
        return response_type(call).is_some_and(|kind| kind == "json_schema")
            || call
                .body
                .given(name)
                .is_some_and(|value| value.as_str() == "true");
    }
    let Some(value) = call.body.given(name) else {
        return false;
    };
    match (name, value.as_str()) {
        ("tools", tools) => tools.trim_start_matches('[').trim_start() != "]",
        ("tool_choice", "\"none\"" | "\"auto\"") | ("parallel_tool_calls", "true") => false,
        ("logprobs" | "include_reasoning", "false") => false,
        ("response_format", _) => response_type(call).is_none_or(|kind| kind != "text"),
        _ => true,
    }
}

fn response_type(call: &Call) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Format {
        r#type: String,
    }
    let format: Format = call.body.given("response_format")?.parse().ok()?;
    Some(format.r#type)
}

fn outputs(call: &Call) -> Vec<&'static str> {
    let wanted: Vec<String> = call
        .body
        .given("modalities")
        .and_then(|value| value.parse().ok())
        .unwrap_or_default();
    ["image", "audio"]
        .into_iter()
        .filter(|kind| wanted.iter().any(|wanted| wanted == kind))
        .collect()
}

/// What stands before the kind of a content part; how to look for it is worked out once.
static TYPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""type""#));

/// The kinds of content parts, and how many of them are images. A quote inside a string is escaped, so `"type"` with both its quotes
/// is a name or a whole value and never a piece of someone's text.
fn media(messages: &[u8]) -> (Vec<&'static str>, u64) {
    let (mut found, mut images) = (Vec::new(), 0);
    for at in TYPE.find_iter(messages) {
        let rest = messages[at + 6..].trim_ascii_start();
        let Some(value) = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start) else {
            continue;
        };
        let kind = match value {
            [b'"', b'i', b'm', b'a', b'g', b'e', ..] => "image",
            value if value.starts_with(b"\"input_image") => "image",
            value if value.starts_with(b"\"input_audio") => "audio",
            value if value.starts_with(b"\"file\"") || value.starts_with(b"\"input_file") => "file",
            value if value.starts_with(b"\"video_url") || value.starts_with(b"\"input_video") => {
                "video"
            }
            _ => continue,
        };
        images += u64::from(kind == "image");
        if !found.contains(&kind) {
            found.push(kind);
        }
    }
    (found, images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_are_found_in_parts_and_not_in_text() {
        let check = |messages: &str, expect: &[&str]| {
            assert_eq!(media(messages.as_bytes()).0, expect, "{messages}");
        };
        check(r#"[{"role":"user","content":"hi"}]"#, &[]);
        check(
            r#"[{"content":[{"type":"text","text":"a"},{"type" : "image_url","image_url":{}}]}]"#,
            &["image"],
        );
        check(
            r#"[{"content":[{"type":"input_audio"},{"type":"file"},{"type":"input_audio"},{"type":"video_url"}]}]"#,
            &["audio", "file", "video"],
        );
        check(r#"[{"content":"{\"type\":\"image_url\"}"}]"#, &[]);
        check(r#"[{"content":"type"},{"type":"file_search"}]"#, &[]);
        let two = br#"[{"content":[{"type":"image_url"},{"type":"text"},{"type":"input_image"}]}]"#;
        assert_eq!(media(two), (vec!["image"], 2));
    }
}
