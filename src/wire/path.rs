//! Paths that name a model.

use std::fmt::Write as _;

/// `text` as one segment of a path: every byte but the unreserved ones is escaped, as signatures want it too.
pub(super) fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte))
            }
            // Writing to a string cannot fail.
            _ => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_cannot_leave_its_segment() {
        assert_eq!(segment("claude-opus-4-1"), "claude-opus-4-1");
        assert_eq!(segment("anthropic.claude-v2:1"), "anthropic.claude-v2%3A1");
        assert_eq!(segment("../x?y#é"), "..%2Fx%3Fy%23%C3%A9");
    }
}
