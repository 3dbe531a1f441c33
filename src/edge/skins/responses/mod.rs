//! `POST /responses`, OpenAI's Responses without state (contract 10).
//!
//! A request is rewritten into chat form and then read like any other; an answer is told in items. Nothing is kept
//! between two requests: what would need it is refused.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderMap;

mod answer;
mod error;
mod history;
mod items;
mod request;
#[cfg(test)]
mod tests;

use super::envelope;
use super::serve::{Skin, StreamStyle, serve};
use crate::domain::call::Form;
use crate::domain::event::Choice;
use crate::edge::error::ApiError;
use crate::edge::extract::{InferenceCaller, WholeBody, origin};
use crate::edge::sse::StreamSkin;
use crate::gateway::Gateway;
use crate::stream::client::{Head, Receipt, Whole};
use answer::{Echo, ResponseStream};
use error::ResponsesError;

/// Answers with a response.
pub async fn responses(
    State(gateway): State<Gateway>,
    State(style): State<StreamStyle>,
    caller: Result<InferenceCaller, ApiError>,
    headers: HeaderMap,
    body: Result<WholeBody, ApiError>,
) -> Result<Response, ResponsesError> {
    let InferenceCaller(who) = caller?;
    let (chat, echo) = request::chat(body?.0)?;
    let call = envelope::call(chat, origin(&headers), Some(Form::Chat))?;
    let skin = Responses {
        stream: ResponseStream::new(echo),
    };
    Ok(serve(&gateway, who, call, skin, style).await)
}

/// The shapes of Responses.
struct Responses {
    stream: ResponseStream,
}

impl Responses {
    fn echo(&self) -> &Echo {
        self.stream.echo()
    }
}

impl Skin for Responses {
    fn whole(&self, whole: &Whole) -> Bytes {
        answer::whole(self.echo(), whole)
    }

    fn refused(&self, head: &Head, error: ApiError) -> Response {
        match answer::too_long(self.echo(), head, &error) {
            // A request that is too long has an answer in this form, not an error (contract 5.6).
            Some(result) => axum::Json(result).into_response(),
            None => ResponsesError(error).into_response(),
        }
    }
}

impl StreamSkin for Responses {
    fn choice(&mut self, head: &Head, choice: &Choice, out: &mut Vec<u8>) {
        self.stream.choice(head, choice, out);
    }

    fn settled(&mut self, head: &Head, held: &[Choice], receipt: &Receipt, out: &mut Vec<u8>) {
        self.stream.settled(head, held, receipt, out);
    }

    fn failed(&mut self, head: &Head, error: &ApiError, out: &mut Vec<u8>) {
        self.stream.failed(head, error, out);
    }
}
