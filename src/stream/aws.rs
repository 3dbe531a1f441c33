//! Bytes to the messages of Amazon's event streams, wherever the reads ended. Each message carries its length, its
//! headers and two checksums, all of which are held to.

use bytes::{Buf as _, Bytes, BytesMut};

use super::frames::{FrameError, MAX_FRAME};
use crate::wire::Frame;

/// Two lengths and a checksum of them.
const PRELUDE: usize = 12;
/// The checksum at the end.
const TRAILER: usize = 4;

/// Cuts a byte stream into messages. Feed it reads of any size.
#[derive(Debug, Default)]
pub struct AwsFramer {
    /// The beginning of a message whose end has not come.
    partial: BytesMut,
}

/// What the headers of a message say, as far as it matters.
#[derive(Debug, Default)]
struct Headers {
    message_type: Option<String>,
    event_type: Option<String>,
    exception_type: Option<String>,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl AwsFramer {
    /// Takes the next read and appends the messages that it completes.
    pub fn feed(&mut self, bytes: &Bytes, frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        self.partial.extend_from_slice(bytes);
        while let Some(length) = self.length()? {
            if self.partial.len() < length {
                break;
            }
            let message = self.partial.split_to(length).freeze();
            frames.push(frame(&message)?);
        }
        Ok(())
    }

    /// The length of the message that has begun, once it is known.
    fn length(&self) -> Result<Option<usize>, FrameError> {
        let Some(prelude) = self.partial.get(..PRELUDE) else {
            return Ok(None);
        };
        let (lengths, mut sum) = prelude.split_at(PRELUDE - 4);
        if crc32(lengths) != sum.get_u32() {
            return Err(FrameError::Corrupt);
        }
        let length = (&lengths[..4]).get_u32() as usize;
        match length {
            _ if length > MAX_FRAME => Err(FrameError::TooLarge),
            _ if length < PRELUDE + TRAILER => Err(FrameError::Corrupt),
            length => Ok(Some(length)),
        }
    }
}

/// The frame that a whole message is: named for its event, or for what went wrong as `exception:…` or `error:…`.
fn frame(message: &Bytes) -> Result<Frame, FrameError> {
    let (content, mut sum) = message.split_at(message.len() - TRAILER);
    if crc32(content) != sum.get_u32() {
        return Err(FrameError::Corrupt);
    }
    let headers_end = PRELUDE + (&message[4..8]).get_u32() as usize;
    let headers = message
        .get(PRELUDE..headers_end)
        .filter(|_| headers_end <= content.len());
    let headers = Headers::read(headers.ok_or(FrameError::Corrupt)?).ok_or(FrameError::Corrupt)?;
    let data = message.slice(headers_end..content.len());
    Ok(match headers.message_type.as_deref() {
        Some("exception") => Frame {
            event: Some(format!(
                "exception:{}",
                headers.exception_type.unwrap_or_default()
            )),
            data,
        },
        Some("error") => Frame {
            event: Some(format!("error:{}", headers.error_code.unwrap_or_default())),
            // The text stands in a header, where a message of the other kinds has it in its payload.
            data: crate::domain::json::JsonText::of(&headers.error_message.unwrap_or_default())
                .as_bytes()
                .to_vec()
                .into(),
        },
        _ => Frame {
            event: headers.event_type,
            data,
        },
    })
}

impl Headers {
    /// Reads name, type and value one after the other; `None` when they do not fit.
    fn read(mut bytes: &[u8]) -> Option<Self> {
        let mut headers = Headers::default();
        while let Some((length, rest)) = bytes.split_first() {
            let (name, rest) = rest.split_at_checked(usize::from(*length))?;
            let (kind, rest) = rest.split_first()?;
            let (length, rest) = match kind {
                0 | 1 => (0, rest),
                2 => (1, rest),
                3 => (2, rest),
                4 => (4, rest),
                5 | 8 => (8, rest),
                6 | 7 => {
                    let (mut length, rest) = rest.split_at_checked(2)?;
                    (usize::from(length.get_u16()), rest)
                }
                9 => (16, rest),
                _ => return None,
            };
            let (value, rest) = rest.split_at_checked(length)?;
            bytes = rest;
            let place = match name {
                b":message-type" => &mut headers.message_type,
                b":event-type" => &mut headers.event_type,
                b":exception-type" => &mut headers.exception_type,
                b":error-code" => &mut headers.error_code,
                b":error-message" => &mut headers.error_message,
                _ => continue,
            };
            *place = Some(String::from_utf8_lossy(value).into_owned());
        }
        Some(headers)
    }
}

/// The remainders of the checksum for each byte.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                0xedb8_8320 ^ (value >> 1)
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

/// The checksum of Ethernet and gzip.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| TABLE[((sum ^ u32::from(*byte)) & 0xff) as usize] ^ (sum >> 8);
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with these headers.
    fn message(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
        let mut head = Vec::new();
        for (name, value) in headers {
            head.push(name.len() as u8);
            head.extend_from_slice(name.as_bytes());
            head.push(7);
            head.extend_from_slice(&(value.len() as u16).to_be_bytes());
            head.extend_from_slice(value.as_bytes());
        }
        let length = (PRELUDE + head.len() + payload.len() + TRAILER) as u32;
        let mut message = [length.to_be_bytes(), (head.len() as u32).to_be_bytes()].concat();
        message.extend(crc32(&message).to_be_bytes());
        message.extend(head);
        message.extend_from_slice(payload.as_bytes());
        message.extend(crc32(&message).to_be_bytes());
        message
    }

    fn frames(bytes: &[u8], step: usize) -> Result<Vec<(Option<String>, String)>, FrameError> {
        let (mut framer, mut frames) = (AwsFramer::default(), Vec::new());
        for piece in bytes.chunks(step) {
            framer.feed(&Bytes::copy_from_slice(piece), &mut frames)?;
        }
        let text = |frame: Frame| (frame.event, String::from_utf8(frame.data.to_vec()).unwrap());
        Ok(frames.into_iter().map(text).collect())
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn messages_are_named_for_what_they_are() {
        let stream = [
            message(
                &[
                    (":message-type", "event"),
                    (":event-type", "messageStop"),
                    ("p", "x"),
                ],
                "{}",
            ),
            message(
                &[
                    (":message-type", "exception"),
                    (":exception-type", "throttlingException"),
                ],
                r#"{"message":"slow"}"#,
            ),
            message(
                &[
                    (":message-type", "error"),
                    (":error-code", "Internal"),
                    (":error-message", "oh"),
                ],
                "",
            ),
        ]
        .concat();
        let expect = [
            ("messageStop", "{}"),
            ("exception:throttlingException", r#"{"message":"slow"}"#),
            ("error:Internal", r#""oh""#),
        ]
        .map(|(event, data)| (Some(event.to_owned()), data.to_owned()));
        for step in [1, 3, 20, stream.len()] {
            assert_eq!(frames(&stream, step).unwrap(), expect);
        }
        // What is cut off is no message.
        assert_eq!(frames(&stream[..stream.len() - 1], 7).unwrap().len(), 2);
    }

    #[test]
    fn a_changed_bit_is_noticed() {
        let whole = message(&[(":event-type", "x")], "{}");
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(
                frames(&changed, whole.len()),
                Err(FrameError::Corrupt),
                "{at}"
            );
        }
    }

    #[test]
    fn an_endless_message_is_refused() {
        let mut lengths = [u32::MAX.to_be_bytes(), 0_u32.to_be_bytes()].concat();
        lengths.extend(crc32(&lengths).to_be_bytes());
        assert_eq!(frames(&lengths, 12), Err(FrameError::TooLarge));
    }
}
