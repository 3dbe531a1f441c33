//! Writing JSON around what is JSON already.

use bytes::Bytes;

use super::{JsonText, Raw};

/// Writes one JSON object field by field into a buffer.
#[derive(Debug)]
pub struct ObjectWriter {
    out: Vec<u8>,
}

impl ObjectWriter {
    /// An empty object with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        out.push(b'{');
        ObjectWriter { out }
    }

    /// Adds a field whose value is already JSON.
    pub fn raw(&mut self, name: &str, value: &[u8]) -> &mut Self {
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        write_string(&mut self.out, name);
        self.out.push(b':');
        self.out.extend_from_slice(value);
        self
    }

    /// Adds a field with a string value.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.raw(name, JsonText::of(value).as_bytes())
    }

    /// The finished object.
    pub fn finish(mut self) -> Bytes {
        self.out.push(b'}');
        self.out.into()
    }

    /// The finished object, as a value to be put into another.
    pub fn finish_raw(self) -> Raw {
        Raw(self.finish())
    }
}

/// Appends `text` as a JSON string literal.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f => &[],
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[plain_from..at]);
        if escape.is_empty() {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(escape);
        }
        plain_from = at + 1;
    }
    out.extend_from_slice(&text.as_bytes()[plain_from..]);
    out.push(b'"');
}
