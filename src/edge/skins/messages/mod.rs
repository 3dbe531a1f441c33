//! `POST /messages`, Anthropic's form (contract 11), and `POST /messages/count_tokens`.
//!
//! A request is rewritten into chat form and then read like any other; an answer is told in content blocks. Where the
//! provider speaks this form itself, it gets the request as it was written, and its answer is forwarded. Blocks and
//! tools that chat form has no word for are for such providers alone; other fields it lacks are left out elsewhere.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

mod answer;
mod error;
mod forward;
mod history;
mod request;
#[cfg(test)]
mod tests;
mod thinking;

use super::envelope;
use super::serve::{Skin, StreamStyle, serve};
use crate::domain::call::{Call, Form, Origin};
use crate::domain::event::{Choice, Forwarded};
use crate::edge::error::ApiError;
use crate::edge::extract::{AnthropicCaller, AnthropicOrigin, WholeBody};
use crate::edge::sse::StreamSkin;
use crate::gateway::Gateway;
use crate::stream::client::{Head, Receipt, Whole};
use crate::stream::count;
use answer::MessageStream;
use error::MessagesError;

/// Answers a message.
pub async fn messages(
    State(gateway): State<Gateway>,
    State(style): State<StreamStyle>,
    caller: Result<AnthropicCaller, ApiError>,
    AnthropicOrigin(origin): AnthropicOrigin,
    body: Result<WholeBody, ApiError>,
) -> Result<Response, MessagesError> {
    let AnthropicCaller(who) = caller?;
    let body = body?.0;
    let (chat, verbatim) = request::read(body)?;
    let call = Call {
        verbatim: Some(verbatim),
        ..in_chat(chat, origin)?
    };
    Ok(serve(&gateway, who, call, Messages::default(), style).await)
}

/// Says how many tokens a message would have, counted here: nothing is sent to a provider, and nothing charged.
pub async fn count_tokens(
    caller: Result<AnthropicCaller, ApiError>,
    AnthropicOrigin(origin): AnthropicOrigin,
    body: Result<WholeBody, ApiError>,
) -> Result<Json<Value>, MessagesError> {
    caller?;
    let (chat, _) = request::read(request::with_max_tokens(body?.0)?)?;
    let call = in_chat(chat, origin)?;
    let counted = count::aside(move || tokens(&call)).await;
    let input_tokens = counted.map_err(|_| ApiError::internal())?;
    Ok(Json(json!({ "input_tokens": input_tokens })))
}

fn in_chat(body: Bytes, origin: Origin) -> Result<Call, ApiError> {
    envelope::call(body, origin, Some(Form::Chat))
}

/// The text of the messages and the tools, and what a message costs beside its text.
fn tokens(call: &Call) -> u64 {
    const A_MESSAGE: u64 = 4;
    let parts = ["messages", "tools"].map(|name| call.body.given(name));
    let values = parts.into_iter().flatten();
    let values = values.filter_map(|value| value.parse::<Value>().ok());
    values
        .flat_map(|value| value.as_array().cloned().unwrap_or_default())
        .map(|element| {
            let mut text = String::new();
            collect_text(&element, &mut text);
            count::tokens(&text) + A_MESSAGE
        })
        .sum()
}

/// Every text in a value but media, whose bytes say nothing of their tokens.
fn collect_text(value: &Value, out: &mut String) {
    match value {
        Value::String(text) if text.starts_with("data:") => {}
        Value::String(text) => {
            out.push_str(text);
            out.push(' ');
        }
        Value::Array(elements) => elements
            .iter()
            .for_each(|element| collect_text(element, out)),
        Value::Object(fields) => fields.values().for_each(|field| collect_text(field, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Anthropic's shapes.
#[derive(Default)]
pub struct Messages {
    stream: MessageStream,
}

impl Skin for Messages {
    fn whole(&self, whole: &Whole) -> Bytes {
        let verbatim = whole.reply.verbatim.as_ref();
        verbatim
            .and_then(|body| forward::whole(body, whole))
            .unwrap_or_else(|| answer::whole(whole))
    }

    fn refused(&self, head: &Head, error: ApiError) -> Response {
        MessagesError(error.of_run(&head.id)).into_response()
    }
}

impl StreamSkin for Messages {
    fn choice(&mut self, head: &Head, choice: &Choice, out: &mut Vec<u8>) {
        self.stream.choice(head, choice, out);
    }

    fn settled(&mut self, head: &Head, held: &[Choice], receipt: &Receipt, out: &mut Vec<u8>) {
        self.stream.settled(head, held, receipt, out);
    }

    fn forwarded(&mut self, head: &Head, event: &Forwarded, out: &mut Vec<u8>) {
        forward::event(head, event, out);
    }

    fn forwarded_last(
        &mut self,
        _: &Head,
        events: &[Forwarded],
        receipt: &Receipt,
        out: &mut Vec<u8>,
    ) {
        forward::last(events, receipt, out);
    }

    fn failed(&mut self, head: &Head, error: &ApiError, out: &mut Vec<u8>) {
        self.stream.failed(head, error, out);
    }
}
