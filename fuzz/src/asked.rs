//! Requests that an answer may belong to: their form, and the quirks of the provider, decide on how it is read.

use std::sync::Arc;

use bytes::Bytes;
use rand::RngExt as _;
use rand::rngs::StdRng;
use turnpike::catalog::snapshot::Target;
use turnpike::domain::call::{Call, Form, Origin, Spoken, Verbatim};
use turnpike::domain::json::JsonObject;
use turnpike::wire::WireName;
use turnpike::wire::quirks::Quirks;

/// A request, and whom it went to.
pub(crate) struct Asked {
    pub(crate) call: Call,
    pub(crate) target: Target,
}

impl Asked {
    /// One of those that the wire reads answers for in different ways.
    pub(crate) fn some(wire: WireName, form: Form, random: &mut StdRng) -> Self {
        let spoken = match wire {
            WireName::Anthropic => Some(Spoken::Messages),
            WireName::Responses => Some(Spoken::Responses),
            _ => None,
        };
        let quirks = Quirks {
            no_done: random.random(),
            reasoning_apart: random.random(),
            think_tags: random.random(),
            byte_vectors: random.random(),
            ..Quirks::default()
        };
        let model = ["gemini-2.5-flash", "gemini-3-pro"][random.random_range(0..2)];
        Asked {
            call: Call {
                form: text_if(form, random.random()),
                body: body(form, random.random()),
                model: None,
                models: Vec::new(),
                stream: true,
                max_tokens: None,
                choices: random.random_range(1..3),
                provider: None,
                plugins: None,
                origin: Origin::default(),
                verbatim: spoken.filter(|_| random.random()).map(verbatim),
            },
            target: Target {
                wire,
                upstream_model: model.to_owned(),
                quirks: Arc::new(quirks),
                unsupported_parameters: Vec::new(),
                max_output_tokens: None,
                reasoning: None,
            },
        }
    }
}

/// What one asks as a chat, one may ask as a text.
fn text_if(form: Form, wanted: bool) -> Form {
    match form {
        Form::Chat if wanted => Form::Text,
        form => form,
    }
}

fn body(form: Form, in_base64: bool) -> JsonObject {
    let body: &'static str = match form {
        Form::Chat | Form::Text => {
            r#"{"messages":[{"role":"user","content":"Hello"}],"tools":[{"type":"function","function":{"name":"f"}}]}"#
        }
        Form::Embeddings if in_base64 => r#"{"input":["a","b"],"encoding_format":"base64"}"#,
        Form::Embeddings => r#"{"input":["a","b"]}"#,
        Form::Rerank => r#"{"query":"a","documents":["b","c"]}"#,
    };
    JsonObject::parse(Bytes::from_static(body.as_bytes())).expect("it is an object")
}

/// The client speaks the provider's own form, and gets the answer as it is.
fn verbatim(form: Spoken) -> Verbatim {
    Verbatim {
        form,
        body: None,
        unsayable: None,
    }
}
