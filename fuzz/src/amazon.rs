//! Amazon's event streams, with the checksums that no mutation would ever hit.

use turnpike::wire::Frame;

/// Two lengths and a checksum of them.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;
/// The kind of a header's value that is text.
const TEXT: u8 = 7;

/// Frames as messages one after the other.
pub fn stream(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(message).collect()
}

/// A frame as a message. Its name says of which type it is, as the framer names it.
fn message(frame: &Frame) -> Vec<u8> {
    let name = frame.event.as_deref().unwrap_or_default();
    let (kind, label, name) = match name.split_once(':') {
        Some(("exception", name)) => ("exception", ":exception-type", name),
        Some(("error", name)) => ("error", ":error-code", name),
        _ => ("event", ":event-type", name),
    };
    let head = [header(":message-type", kind), header(label, name)].concat();
    let length = PRELUDE + head.len() + frame.data.len() + CHECKSUM;
    let lengths = [length, head.len()].map(|length| u32::try_from(length).unwrap_or(u32::MAX));
    let mut message = lengths.map(u32::to_be_bytes).concat();
    message.extend([0; CHECKSUM]);
    message.extend(head);
    message.extend_from_slice(&frame.data);
    message.extend([0; CHECKSUM]);
    with_checksums(&message)
}

/// A name of at most 255 bytes, and a text.
fn header(name: &str, text: &str) -> Vec<u8> {
    let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let mut header = vec![u8::try_from(name.len()).unwrap_or(u8::MAX)];
    header.extend_from_slice(name.as_bytes());
    header.push(TEXT);
    header.extend(length.to_be_bytes());
    header.extend_from_slice(text.as_bytes());
    header
}

/// The same bytes with the checksums that their messages, as long as they say they are, should have.
pub fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut rest = &mut out[..];
    while rest.len() >= PRELUDE {
        seal(&mut rest[..PRELUDE]);
        let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length < PRELUDE + CHECKSUM || length > rest.len() {
            break;
        }
        let (message, after) = rest.split_at_mut(length);
        seal(message);
        rest = after;
    }
    out
}

/// Writes the checksum of what stands before it at the end.
fn seal(bytes: &mut [u8]) {
    let end = bytes.len() - CHECKSUM;
    let sum = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_be_bytes());
}
