//! The built-in model: an OpenAI-compatible provider without a socket, behind the base URL `internal:echo`.
//!
//! It repeats the last user message, one word a token, and is bound by what binds any model: `max_tokens`, `stop`,
//! `n`, `stream`, `tool_choice`, `response_format`. Knows no plan, owner or price: to the gateway it is an upstream
//! like any other.

mod answer;
mod request;
mod schema;
mod words;

use std::fmt;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use answer::Answer;
use request::Refusal;

/// What an upstream would have sent.
#[derive(Debug)]
pub struct EchoResponse {
    /// The status.
    pub status: StatusCode,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub chunks: Chunks,
}

/// The pieces of a body, made as they are asked for, since a stream is far larger than what it repeats.
pub struct Chunks(Box<dyn Iterator<Item = Bytes> + Send>);

/// Answers a POST of `body` to `path` below the base URL.
pub fn respond(path: &str, body: &Bytes) -> EchoResponse {
    let answer = match path {
        "/chat/completions" => request::chat(body).map(Answer::chat),
        "/completions" => request::text(body).map(Answer::text),
        _ => Err(Refusal::of_path(path)),
    };
    match answer {
        Ok(answer) if answer.streamed() => EchoResponse {
            status: StatusCode::OK,
            content_type: "text/event-stream",
            chunks: Chunks::of(answer.into_stream()),
        },
        Ok(answer) => json(StatusCode::OK, answer.into_body()),
        Err(refusal) => json(refusal.status, error_body(&refusal)),
    }
}

impl Chunks {
    /// The pieces that an iterator makes.
    pub fn of(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Self {
        Chunks(Box::new(pieces))
    }
}

impl Iterator for Chunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.0.next()
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chunks")
    }
}

fn json(status: StatusCode, body: Bytes) -> EchoResponse {
    EchoResponse {
        status,
        content_type: "application/json",
        chunks: Chunks::of(std::iter::once(body)),
    }
}

fn error_body(refusal: &Refusal) -> Bytes {
    let Refusal { message, param, .. } = refusal;
    let error = json!({ "message": message, "type": "invalid_request_error", "param": param, "code": null });
    json!({ "error": error }).to_string().into()
}

#[cfg(test)]
mod tests;
