//! `POST /responses`, OpenAI's Responses without state (contract 10).
//!
//! A request is rewritten into chat form and then read like any other; an answer is told in items. Where the provider
//! speaks this form itself, it gets the request as it was written, and its answer is forwarded. Nothing is kept between
//! two requests: what would need it is refused.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

mod answer;
mod error;
mod forward;
mod history;
mod items;
mod logprobs;
mod parts;
mod request;
#[cfg(test)]
mod tests;

use super::envelope;
use super::serve::{Skin, StreamStyle, serve};
use crate::domain::call::{Call, Form, Origin};
use crate::domain::event::{Choice, Forwarded};
use crate::domain::json::{JsonObject, Raw};
use crate::edge::error::ApiError;
use crate::edge::extract::{InferenceCaller, WholeBody};
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
    origin: Origin,
    body: Result<WholeBody, ApiError>,
) -> Result<Response, ResponsesError> {
    let InferenceCaller(who) = caller?;
    let (chat, echo, verbatim) = request::read(body?.0)?;
    let call = Call {
        verbatim: Some(verbatim),
        ..envelope::call(chat, origin, Some(Form::Chat))?
    };
    Ok(serve(&gateway, who, call, Responses::of(echo), style).await)
}

/// The shapes of Responses.
pub struct Responses {
    stream: ResponseStream,
}

impl Responses {
    /// The shapes of the answer to a request with this body, parts of which it repeats.
    pub fn to(body: &JsonObject) -> Self {
        Responses::of(Echo::of(body))
    }

    fn of(echo: Echo) -> Self {
        Responses {
            stream: ResponseStream::new(echo),
        }
    }

    fn echo(&self) -> &Echo {
        self.stream.echo()
    }
}

impl Skin for Responses {
    fn whole(&self, whole: &Whole) -> Bytes {
        let verbatim = whole.reply.verbatim.as_ref();
        verbatim
            .and_then(|body| self.stream.forward(&whole.head).whole(body, whole))
            .unwrap_or_else(|| answer::whole(self.echo(), whole))
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

    fn sent(&mut self, _: &Head, body: &Raw, _: &mut Vec<u8>) {
        self.stream.sent(body);
    }

    fn forwarded(&mut self, head: &Head, event: &Forwarded, out: &mut Vec<u8>) {
        self.stream.forwarded(head, event, out);
    }

    fn forwarded_last(
        &mut self,
        head: &Head,
        events: &[Forwarded],
        receipt: &Receipt,
        out: &mut Vec<u8>,
    ) {
        self.stream.forwarded_last(head, events, receipt, out);
    }

    fn failed(&mut self, head: &Head, error: &ApiError, out: &mut Vec<u8>) {
        self.stream.failed(head, error, out);
    }
}
