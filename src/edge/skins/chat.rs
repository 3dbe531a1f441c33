//! `POST /chat/completions` (contract 2–4).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;

use super::envelope;
use super::render::{self, ChunkFrame, Shape};
use super::serve::{Skin, StreamStyle, serve};
use crate::domain::call::{Form, Origin};
use crate::domain::event::Choice;
use crate::domain::json::Raw;
use crate::domain::principal::Principal;
use crate::edge::error::ApiError;
use crate::edge::extract::{InferenceCaller, WholeBody};
use crate::edge::sse::StreamSkin;
use crate::gateway::Gateway;
use crate::stream::client::{Head, Receipt, Whole};

/// Answers a chat completion. A body with `prompt` instead of `messages` is a text completion (contract 2).
pub async fn chat(
    State(gateway): State<Gateway>,
    State(style): State<StreamStyle>,
    InferenceCaller(who): InferenceCaller,
    origin: Origin,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    answer(&gateway, who, origin, body, style).await
}

/// The same for a caller who is known already, such as a person at the console.
pub async fn answer(
    gateway: &Gateway,
    who: Arc<Principal>,
    origin: Origin,
    body: Bytes,
    style: StreamStyle,
) -> Result<Response, ApiError> {
    let call = envelope::call(body, origin, None)?;
    let skin = OpenAi::new(call.form);
    Ok(serve(gateway, who, call, skin, style).await)
}

/// OpenAI's shapes: chat completions and text completions differ only in how a choice is written.
pub struct OpenAi {
    chunks: ChunkFrame,
}

impl OpenAi {
    /// The shapes of a form.
    pub fn new(form: Form) -> Self {
        let shape = match form {
            Form::Text => Shape::Text,
            _ => Shape::Chat,
        };
        OpenAi {
            chunks: ChunkFrame::new(shape),
        }
    }
}

impl Skin for OpenAi {
    fn whole(&self, whole: &Whole) -> Bytes {
        render::whole(self.chunks.shape(), whole)
    }
}

impl StreamSkin for OpenAi {
    fn choice(&mut self, head: &Head, choice: &Choice, out: &mut Vec<u8>) {
        self.chunks.write_choice(head, choice, out);
    }

    fn sent(&mut self, head: &Head, body: &Raw, out: &mut Vec<u8>) {
        self.chunks.write_sent(head, body, out);
    }

    fn taken_over(&mut self) {
        self.chunks.forget_head();
    }

    fn settled(&mut self, head: &Head, held: &[Choice], receipt: &Receipt, out: &mut Vec<u8>) {
        held.iter()
            .for_each(|choice| self.chunks.write_choice(head, choice, out));
        self.chunks.write_usage(head, receipt, out);
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn failed(&mut self, head: &Head, error: &ApiError, out: &mut Vec<u8>) {
        self.chunks.write_error(head, error, out);
    }
}
