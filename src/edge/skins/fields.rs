//! Fields of a request in a form of its own, read with the place of a mistake.

use serde::de::DeserializeOwned;

use crate::domain::json::{JsonObject, Raw};
use crate::edge::error::ApiError;

/// A field, unless it is absent or `null`.
pub(super) fn field<T: DeserializeOwned>(
    body: &JsonObject,
    name: &str,
) -> Result<Option<T>, ApiError> {
    body.given(name).map(|value| parse(value, name)).transpose()
}

/// A value at `place`, as `messages[2]`.
pub(super) fn parse<T: DeserializeOwned>(value: &Raw, place: &str) -> Result<T, ApiError> {
    let json = &mut serde_json::Deserializer::from_slice(value.as_bytes());
    serde_path_to_error::deserialize(json).map_err(|error| {
        let inside = match error.path().to_string() {
            path if path == "." => String::new(),
            path if path.starts_with('[') => path,
            path => format!(".{path}"),
        };
        // The position in the value says nothing of the position in the body.
        let reason = error.inner().to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        ApiError::invalid(format!("{place}{inside}: {reason}"))
    })
}
