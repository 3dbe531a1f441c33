//! Text that must never be printed.

use std::fmt;

/// A credential. Prints as `[redacted]`; [`Secret::expose`] is the one way to its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a credential, without the white space that files and shells leave around it.
    pub fn new(text: &str) -> Self {
        Secret(text.trim().to_owned())
    }

    /// Wraps a credential that may begin or end with white space, such as a password.
    pub fn verbatim(text: &str) -> Self {
        Secret(text.to_owned())
    }

    /// The credential itself, for a request header or a signature and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
