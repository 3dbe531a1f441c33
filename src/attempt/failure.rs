//! Why an attempt failed, and where the loop may go next (contract 6.8).

use crate::stream::source::StreamError;
use crate::transport::TransportError;
use crate::wire::{DecodeError, EncodeError, Fault};

/// Why an attempt did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection.
    #[error("could not connect: {0}")]
    Connect(String),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Lost(String),
    /// Nothing came in time.
    #[error("the provider did not answer in time")]
    Timeout,
    /// An error status, or an error object inside a 200.
    #[error("{}", .0.message)]
    Fault(Fault),
    /// An answer that is not the protocol, or is empty, or ends too early.
    #[error("unusable answer: {0}")]
    Unusable(String),
    /// The call cannot be said in the provider's protocol.
    #[error("{0}")]
    Unsayable(String),
}

/// Where the loop may go after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To the next endpoint.
    Endpoint,
    /// To the next model: another endpoint of this one would fail alike.
    Model,
}

impl Failure {
    /// Where the loop may go next. A fault of the request itself follows it to every endpoint of
    /// the model; everything else is the provider's own trouble.
    pub fn next(&self) -> Next {
        match self {
            Failure::Fault(fault)
                if matches!(fault.status, 400 | 413 | 422) || fault.is_content_policy() =>
            {
                Next::Model
            }
            _ => Next::Endpoint,
        }
    }

    /// The upstream's HTTP status, where one arrived.
    pub fn status(&self) -> Option<u16> {
        match self {
            Failure::Fault(fault) if fault.status > 0 => Some(fault.status),
            _ => None,
        }
    }

    /// One stable word for records and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Failure::Connect(_) => "connect",
            Failure::Lost(_) => "connection_lost",
            Failure::Timeout => "timeout",
            Failure::Fault(fault) if fault.status == 429 => "rate_limited",
            Failure::Fault(_) => "upstream_error",
            Failure::Unusable(_) => "unusable_answer",
            Failure::Unsayable(_) => "unsupported",
        }
    }
}

impl Fault {
    /// Whether the provider refused the content rather than the request's form.
    pub fn is_content_policy(&self) -> bool {
        self.code
            .as_deref()
            .is_some_and(|code| code.contains("content_policy") || code.contains("content_filter"))
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Address(reason) | TransportError::Connect(reason) => {
                Failure::Connect(reason)
            }
            TransportError::Lost(reason) => Failure::Lost(reason),
            TransportError::TooLarge => Failure::Unusable(error.to_string()),
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Upstream(fault) => Failure::Fault(fault),
            DecodeError::Malformed(_) | DecodeError::Truncated => {
                Failure::Unusable(error.to_string())
            }
        }
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Transport(error) => error.into(),
            StreamError::Decode(error) => error.into(),
            StreamError::Stalled => Failure::Timeout,
        }
    }
}

impl From<EncodeError> for Failure {
    fn from(error: EncodeError) -> Self {
        Failure::Unsayable(error.to_string())
    }
}
