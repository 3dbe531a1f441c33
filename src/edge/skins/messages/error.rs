//! Errors in Anthropic's shape (contract 5.6).

use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::domain::ids::GenerationId;
use crate::edge::error::ApiError;

/// An error, told in this form. It names its run once there is one.
pub struct MessagesError(pub(super) ApiError);

impl From<ApiError> for MessagesError {
    fn from(error: ApiError) -> Self {
        MessagesError(error)
    }
}

/// `error` of the envelope and of the stream's event.
pub(super) fn object(error: &ApiError) -> Value {
    let mut object = json!({ "type": kind(error.status().as_u16()), "message": error.message() });
    if let Some(precise) = error.error_type() {
        object["error_type"] = precise.into();
    }
    object
}

impl IntoResponse for MessagesError {
    fn into_response(self) -> Response {
        self.0.in_shape(envelope)
    }
}

fn envelope(error: &ApiError) -> Value {
    let request = error.run().map(GenerationId::as_str);
    json!({ "type": "error", "error": object(error), "request_id": request })
}

fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
