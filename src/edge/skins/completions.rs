//! `POST /completions`, the legacy text form (contract 9).

use axum::extract::State;
use axum::response::Response;

use super::chat::OpenAi;
use super::envelope;
use super::serve::{StreamStyle, serve};
use crate::domain::call::{Form, Origin};
use crate::edge::error::ApiError;
use crate::edge::extract::{InferenceCaller, WholeBody};
use crate::gateway::Gateway;

/// Answers a text completion.
pub async fn completions(
    State(gateway): State<Gateway>,
    State(style): State<StreamStyle>,
    InferenceCaller(who): InferenceCaller,
    origin: Origin,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let call = envelope::call(body, origin, Some(Form::Text))?;
    Ok(serve(&gateway, who, call, OpenAi::new(Form::Text), style).await)
}
