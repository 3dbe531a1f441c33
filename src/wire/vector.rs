//! Embeddings in the encoding that the caller asked for, whatever the provider sends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::value::RawValue;

use super::DecodeError;
use crate::domain::call::Call;
use crate::domain::json::Raw;

/// How the numbers of a vector are written (contract 12 `encoding_format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// A JSON array.
    Numbers,
    /// 32-bit floats, little-endian, in base64.
    Floats,
    /// Signed bytes in base64.
    Bytes,
}

impl Encoding {
    /// The encoding that a call asks for.
    pub(super) fn asked_by(call: &Call) -> Self {
        match call.body.given("encoding_format").map(Raw::as_str) {
            Some("\"base64\"") => Encoding::Floats,
            _ => Encoding::Numbers,
        }
    }
}

/// Reads a vector, an array or a text that is encoded as `sent`, and writes it as `asked`. One that is encoded so already
/// is kept as it stands in the buffer.
pub(super) fn read(
    buffer: &Bytes,
    value: &RawValue,
    sent: Encoding,
    asked: Encoding,
) -> Result<Raw, DecodeError> {
    let is_array = value.get().starts_with('[');
    let sent = if is_array { Encoding::Numbers } else { sent };
    if sent == asked {
        return Ok(Raw::slice(buffer, value));
    }
    let numbers = numbers(value, sent)
        .ok_or_else(|| DecodeError::Malformed("a vector cannot be read".to_owned()))?;
    let written = match asked {
        Encoding::Numbers | Encoding::Bytes => Raw::of(&numbers),
        Encoding::Floats => {
            let bytes: Vec<u8> = numbers
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect();
            Raw::of(&STANDARD.encode(bytes))
        }
    };
    written.map_err(|_| DecodeError::Malformed("a vector cannot be written".to_owned()))
}

/// The numbers; `None` for what holds none, or some that JSON has no word for.
fn numbers(value: &RawValue, sent: Encoding) -> Option<Vec<f32>> {
    let numbers = match sent {
        Encoding::Numbers => serde_json::from_str(value.get()).ok()?,
        Encoding::Floats => {
            let bytes = decoded(value)?;
            let (floats, rest) = bytes.as_chunks::<4>();
            let floats = floats.iter().map(|float| f32::from_le_bytes(*float));
            rest.is_empty().then(|| floats.collect::<Vec<_>>())?
        }
        Encoding::Bytes => decoded(value)?
            .iter()
            .map(|byte| f32::from(byte.cast_signed()))
            .collect(),
    };
    numbers
        .iter()
        .all(|number: &f32| number.is_finite())
        .then_some(numbers)
}

fn decoded(value: &RawValue) -> Option<Vec<u8>> {
    let text: String = serde_json::from_str(value.get()).ok()?;
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn vectors_come_as_they_are_asked_for() {
        let check = |sent: Value, encoding: Encoding, asked: Encoding, expect: Option<&str>| {
            let text = sent.to_string();
            let value: &RawValue = serde_json::from_str(&text).unwrap();
            let read = read(&Bytes::from(text.clone()), value, encoding, asked).ok();
            assert_eq!(read.as_ref().map(Raw::as_str), expect, "{sent}");
        };
        use Encoding::{Bytes as Signed, Floats, Numbers};
        let (array, text) = (json!([0.5, -2.0]), json!("AAAAPwAAAMA="));
        check(array.clone(), Floats, Numbers, Some("[0.5,-2.0]"));
        check(array, Floats, Floats, Some("\"AAAAPwAAAMA=\""));
        check(text.clone(), Floats, Floats, Some("\"AAAAPwAAAMA=\""));
        check(text, Floats, Numbers, Some("[0.5,-2.0]"));
        check(json!("/wJ/"), Signed, Numbers, Some("[-1.0,2.0,127.0]"));
        check(json!("/w=="), Signed, Floats, Some("\"AACAvw==\""));
        check(json!("AAAA"), Floats, Numbers, None);
        check(json!("?"), Floats, Numbers, None);
        check(json!("AADAfw=="), Floats, Numbers, None);
        check(json!(["a"]), Floats, Floats, None);
        check(json!({}), Floats, Numbers, None);
    }
}
