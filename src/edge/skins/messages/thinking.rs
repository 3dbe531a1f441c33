//! Thinking blocks ⇄ `reasoning_details` (contract 3.5).
//!
//! Anthropic's own blocks map one to one. What other providers encrypt has no block of its own: it travels whole inside
//! a redacted block, which clients send back unchanged, and is unpacked on the way in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::json::Raw;

const CLAUDE: &str = "anthropic-claude-v1";

/// Marks a redacted block that holds a detail of another provider.
const PACKED: &str = "turnpike:";

#[derive(Deserialize)]
struct Encrypted {
    data: String,
    format: Option<String>,
}

/// The data of a redacted block for an encrypted detail.
pub(super) fn data(detail: &Raw) -> String {
    match detail.parse::<Encrypted>() {
        Ok(Encrypted {
            data,
            format: Some(format),
        }) if format == CLAUDE => data,
        _ => format!("{PACKED}{}", STANDARD_NO_PAD.encode(detail.as_bytes())),
    }
}

/// The detail that a thinking block stands for. A block without a signature was not Claude's.
pub(super) fn thinking(text: &str, signature: Option<&str>, index: usize) -> Value {
    let signature = signature.filter(|signature| !signature.is_empty());
    let format = signature.map_or("unknown", |_| CLAUDE);
    json!({ "type": "reasoning.text", "text": text, "signature": signature, "format": format, "index": index })
}

/// Whether a redacted block holds a detail of another provider.
pub(super) fn is_packed(data: &str) -> bool {
    data.starts_with(PACKED)
}

/// The detail that a redacted block stands for.
pub(super) fn redacted(data: &str, index: usize) -> Value {
    let unpacked = data
        .strip_prefix(PACKED)
        .and_then(|packed| STANDARD_NO_PAD.decode(packed).ok())
        .and_then(|detail| serde_json::from_slice(&detail).ok());
    unpacked.unwrap_or_else(
        || json!({ "type": "reasoning.encrypted", "data": data, "format": CLAUDE, "index": index }),
    )
}
