//! One HTTP exchange of an attempt, whatever is asked: the call is sent, how long the endpoint wants to be left alone is
//! heeded, and an error status becomes a failure with the provider's words.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use super::health::Vitals;
use super::pace::Pace;
use super::sent::Sent;
use crate::catalog::snapshot::Endpoint;
use crate::clock::now_ms;
use crate::domain::call::Call;
use crate::transport::{Response, Transport};
use crate::wire::{Fault, Wire};

/// How long to wait for the words that go with an error status.
const FAULT_WITHIN: Duration = Duration::from_secs(5);

/// An endpoint, and the way to it.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) transport: &'a Transport,
    pub(super) wire: &'a dyn Wire,
    pub(super) endpoint: &'a Endpoint,
    pub(super) vitals: &'a Vitals,
    pub(super) sent: &'a Sent,
    /// By when the whole answer must be there.
    pub(super) deadline: Instant,
}

impl Line<'_> {
    /// Sends a call, and gives the answer once its head says that all is well, by `first` at the latest.
    pub(super) async fn ask(&self, call: &Call, first: Instant) -> Result<Response, Failure> {
        let encoded = self.wire.encode(call, &self.endpoint.target)?;
        if call.shows_what_is_sent() {
            self.sent.note(&self.endpoint.provider.auth, &encoded.body);
        }
        let response = timeout_at(first, self.transport.send(self.endpoint, encoded))
            .await
            .map_err(|_| Failure::Timeout)??;
        let (status, pace) = (response.status, Pace::of(&response.headers, now_ms()));
        if status.is_success() {
            self.cool(pace.cooling(status));
            return Ok(response);
        }
        // What the head says holds at once; some say it in the words alone.
        self.cool(pace.cooling(status).filter(Option::is_some));
        let told = self.fault(response).await;
        let retry_after = pace.retry_after.or(told.retry_after);
        self.cool(
            Pace {
                retry_after,
                ..pace
            }
            .cooling(status),
        );
        Err(Failure::Fault(Fault {
            retry_after,
            ..told
        }))
    }

    /// The whole answer to a call, which must be there by the deadline.
    pub(super) async fn answer(&self, call: &Call) -> Result<Bytes, Failure> {
        let response = self.ask(call, self.deadline).await?;
        self.whole(response).await
    }

    /// The whole body of an answer.
    pub(super) async fn whole(&self, response: Response) -> Result<Bytes, Failure> {
        let body = timeout_at(self.deadline, response.body.collect());
        Ok(body.await.map_err(|_| Failure::Timeout)??)
    }

    fn cool(&self, wish: Option<Option<Duration>>) {
        if let Some(wish) = wish {
            self.vitals.cool(wish, now_ms());
        }
    }

    /// What an answer with an error status says. A provider that repeats its key does not get it past here.
    async fn fault(&self, response: Response) -> Fault {
        let (status, headers) = (response.status.as_u16(), response.headers);
        let until = self.deadline.min(Instant::now() + FAULT_WITHIN);
        match timeout_at(until, response.body.collect()).await {
            Ok(Ok(body)) => {
                let body = self.endpoint.provider.auth.redact(&body);
                self.wire.fault(status, &headers, &body)
            }
            // The status says enough when the body cannot be read.
            Ok(Err(_)) | Err(_) => self.wire.fault(status, &headers, b""),
        }
    }
}
