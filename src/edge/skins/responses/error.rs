//! Errors of Responses (contract 5.6): the usual envelope, which also says that there is no metadata.

use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::edge::error::ApiError;

/// An error before anything was answered.
pub struct ResponsesError(pub(super) ApiError);

impl From<ApiError> for ResponsesError {
    fn from(error: ApiError) -> Self {
        ResponsesError(error)
    }
}

impl IntoResponse for ResponsesError {
    fn into_response(self) -> Response {
        self.0.in_shape(|error| {
            let mut envelope = error.envelope();
            envelope["metadata"] = Value::Null;
            envelope
        })
    }
}

/// `error` of a failed result, whose codes are few.
pub(super) fn of_result(error: &ApiError) -> Value {
    let code = match error.status().as_u16() {
        429 => "rate_limit_exceeded",
        400..=499 => "invalid_prompt",
        _ => "server_error",
    };
    json!({ "code": code, "message": error.message() })
}

/// Whether the request or its answer did not fit the model.
pub(super) fn is_about_length(error: &ApiError) -> bool {
    matches!(
        error.error_type(),
        Some(
            "context_length_exceeded"
                | "max_tokens_exceeded"
                | "token_limit_exceeded"
                | "string_too_long"
        )
    )
}
