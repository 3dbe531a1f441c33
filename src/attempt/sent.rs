//! What endpoints were sent, for a caller who wants to see it (contract 4.5 `debug.echo_upstream_body`). Secrets and bulk
//! data are taken out.

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;

use crate::catalog::snapshot::Auth;
use crate::domain::event::Event;
use crate::domain::json::{JsonObject, Raw};

/// Longer words than this are no words: files in base64, signatures of thoughts.
const LONGEST_WORD: usize = 1_000;

/// What was sent so far, in order. Empty, and costs nothing, where nobody wants to see it.
#[derive(Debug, Default)]
pub(super) struct Sent(Mutex<Vec<Raw>>);

impl Sent {
    /// Notes the body of a request to a provider that knows us by `auth`.
    pub(super) fn note(&self, auth: &Auth, body: &Bytes) {
        self.0.lock().extend(shown(auth, body));
    }

    /// What is told of it.
    pub(super) fn into_events(self) -> Vec<Event> {
        self.0.into_inner().into_iter().map(Event::Sent).collect()
    }
}

/// A body as it may be shown; `None` for one that is no JSON object.
fn shown(auth: &Auth, body: &Bytes) -> Option<Raw> {
    let body = auth.redact(body);
    let mut body: Value = serde_json::from_slice(&body).ok()?;
    clean(&mut body, "");
    let shown = Raw::of(&body).ok()?;
    JsonObject::parse(shown.bytes().clone()).ok()?;
    Some(shown)
}

/// Cleans a value that is called `name`.
fn clean(value: &mut Value, name: &str) {
    match value {
        Value::String(text) if is_secret(name) => "[redacted]".clone_into(text),
        Value::String(text) => {
            if let Some(short) = shortened(text) {
                *text = short;
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| clean(element, name)),
        // The headers that a server of tools is to be sent may all be secret, whatever they are called.
        Value::Object(fields) if name == "headers" => {
            let values = fields.values_mut();
            values.for_each(|value| clean(value, "authorization"));
        }
        Value::Object(fields) => {
            let fields = fields.iter_mut();
            fields.for_each(|(name, value)| clean(value, name));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['-', '_'], "");
    let parts = ["authorization", "apikey", "secret", "password"];
    parts.iter().any(|part| name.contains(part)) || name.ends_with("token")
}

/// What is shown of bulk data; `None` for anything else.
fn shortened(text: &str) -> Option<String> {
    let (head, data) = match text.split_once(";base64,") {
        Some((head, data)) if head.starts_with("data:") => (format!("{head};base64,"), data),
        _ => (String::new(), text),
    };
    let is_bulk = data.len() > LONGEST_WORD && !data.bytes().any(|byte| byte.is_ascii_whitespace());
    is_bulk.then(|| format!("{head}[{} bytes]", data.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::secret::Secret;

    #[test]
    fn secrets_and_bulk_data_are_taken_out_and_nothing_else() {
        let bulk = "QUJD".repeat(300);
        let long = "Four words and more. ".repeat(100);
        let body = json!({
            "model": "orca", "max_tokens": 9, "messages": [{"role": "user", "content": [
                {"type": "text", "text": long}, {"type": "text", "text": "my key is sk-1"},
                {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{bulk}")}},
                {"type": "image", "source": {"data": bulk}}
            ]}],
            "mcp_servers": [{"name": "z", "authorization_token": "hush"}],
            "tools": [{"type": "mcp", "headers": {"X-Any": "hush", "Accept": ["hush"]}, "authorization": "hush"}],
            "logit_bias": {"token": 1}
        });
        let auth = Auth::Bearer(Secret::new("sk-1"));
        let shown = shown(&auth, &body.to_string().into()).unwrap();
        let shown: Value = shown.parse().unwrap();
        let expect = json!({
            "model": "orca", "max_tokens": 9, "messages": [{"role": "user", "content": [
                {"type": "text", "text": long}, {"type": "text", "text": "my key is [redacted]"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,[1200 bytes]"}},
                {"type": "image", "source": {"data": "[1200 bytes]"}}
            ]}],
            "mcp_servers": [{"name": "z", "authorization_token": "[redacted]"}],
            "tools": [{"type": "mcp", "headers": {"X-Any": "[redacted]", "Accept": ["[redacted]"]}, "authorization": "[redacted]"}],
            "logit_bias": {"token": 1}
        });
        assert_eq!(shown, expect);
        assert!(super::shown(&auth, &Bytes::from_static(b"[1]")).is_none());
    }
}
