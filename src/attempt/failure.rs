//! Why an attempt failed, and where the loop may go next (contract 6.8).

use std::time::Duration;

use super::health::Went;
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
    /// Too many of this server's requests are with the provider already.
    #[error("too many requests are with the provider already")]
    Crowded,
    /// The web was to be searched first, and that failed.
    #[error("the web search failed")]
    Unsearched,
}

/// Where the loop may go after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To the next endpoint.
    Endpoint,
    /// To the next model: another endpoint of this one would fail alike.
    Model,
    /// To an endpoint that takes longer prompts, or else to the next model.
    LongerContext,
}

impl Failure {
    /// Where the loop may go next. A fault of the request itself follows it to every endpoint of
    /// the model; everything else is the provider's own trouble.
    pub fn next(&self) -> Next {
        match self {
            Failure::Fault(fault) if fault.is_context_overflow() => Next::LongerContext,
            Failure::Fault(fault) if fault.is_the_requests() => Next::Model,
            Failure::Unsearched => Next::Model,
            _ => Next::Endpoint,
        }
    }

    /// What the failure says of the endpoint's health (contract 6.5).
    pub fn went(&self) -> Went {
        match self {
            Failure::Connect(_) | Failure::Lost(_) | Failure::Timeout | Failure::Unusable(_) => {
                Went::Failed
            }
            Failure::Unsayable(_) | Failure::Crowded | Failure::Unsearched => Went::Neither,
            Failure::Fault(fault) if fault.is_the_requests() || fault.is_context_overflow() => {
                Went::Neither
            }
            Failure::Fault(fault) => match fault.status {
                429 => Went::Limited,
                403 => Went::Refused,
                401 | 402 | 404 | 408 => Went::Failed,
                405..=499 => Went::Neither,
                _ => Went::Failed,
            },
        }
    }

    /// The upstream's HTTP status, where one arrived.
    pub fn status(&self) -> Option<u16> {
        match self {
            Failure::Fault(fault) if fault.status > 0 => Some(fault.status),
            _ => None,
        }
    }

    /// How long the provider asks to be left alone, where it says.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Failure::Fault(fault) => fault.retry_after,
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
            Failure::Crowded => "crowded",
            Failure::Unsearched => "unsearched",
        }
    }
}

impl Fault {
    /// Whether the request itself is at fault, at this endpoint as at any other.
    pub fn is_the_requests(&self) -> bool {
        matches!(self.status, 400 | 413 | 422) || self.is_content_policy()
    }

    /// Whether the prompt is longer than the endpoint takes.
    pub fn is_context_overflow(&self) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        let said = |words: &str| self.message.contains(words);
        matches!(self.status, 0 | 400 | 413 | 422)
            && (matches!(
                code,
                "context_length_exceeded" | "exceed_context_size_error"
            ) || said("context length")
                || said("context size")
                || said("prompt is too long")
                // Gemini's words.
                || said("input token count"))
    }

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
            TransportError::NoToken(fault) => Failure::Fault(fault),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, code: &str, next: Next, went: Went) {
        let failure = Failure::Fault(Fault {
            status,
            code: Some(code.to_owned()),
            ..Fault::default()
        });
        assert_eq!(
            (failure.next(), failure.went()),
            (next, went),
            "{status} {code}"
        );
    }

    /// Contract 6.8, where to go, and 6.5, whose fault it is.
    #[test]
    fn every_status_says_where_to_go_and_whose_fault_it_is() {
        for status in [
            401, 402, 404, 408, 500, 501, 502, 503, 504, 520, 524, 529, 0,
        ] {
            check(status, "", Next::Endpoint, Went::Failed);
        }
        check(429, "", Next::Endpoint, Went::Limited);
        check(403, "", Next::Endpoint, Went::Refused);
        check(409, "", Next::Endpoint, Went::Neither);
        check(400, "", Next::Model, Went::Neither);
        check(413, "", Next::Model, Went::Neither);
        check(422, "", Next::Model, Went::Neither);
        check(403, "content_policy_violation", Next::Model, Went::Neither);
        check(400, "content_filter", Next::Model, Went::Neither);
        check(
            400,
            "context_length_exceeded",
            Next::LongerContext,
            Went::Neither,
        );
    }

    #[test]
    fn a_prompt_that_is_too_long_is_known_by_its_words_too() {
        for message in [
            "This model's maximum context length is 8192 tokens.",
            "prompt is too long: 210000 tokens > 200000 maximum",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ] {
            let fault = Fault {
                status: 400,
                message: message.to_owned(),
                ..Fault::default()
            };
            assert_eq!(
                Failure::Fault(fault).next(),
                Next::LongerContext,
                "{message}"
            );
        }
    }

    #[test]
    fn what_breaks_below_http_is_the_endpoints_fault() {
        for failure in [
            Failure::Connect(String::new()),
            Failure::Lost(String::new()),
            Failure::Timeout,
            Failure::Unusable(String::new()),
        ] {
            assert_eq!(
                (failure.next(), failure.went()),
                (Next::Endpoint, Went::Failed)
            );
        }
        for failure in [Failure::Unsayable(String::new()), Failure::Crowded] {
            assert_eq!(
                (failure.next(), failure.went()),
                (Next::Endpoint, Went::Neither)
            );
        }
    }
}
