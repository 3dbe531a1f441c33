//! A provider's streamed answer as a sequence of events: reads, decodes, watches the clock.
//! Knows no client and no price.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};

use super::decoding::Decoding;
use crate::domain::event::{Event, Reply};
use crate::transport::{Body, TransportError};
use crate::wire::{DecodeError, Frame, StreamDecoder};

/// Bytes that are decoded at once: events take more room than the bytes they are made of, and wait for a slow reader.
const DECODED_AT_ONCE: usize = 1 << 10;

/// Pieces that come so close together are a burst.
const BURST: Duration = Duration::from_micros(500);

/// A streamed answer, of one step or of several.
pub trait Events {
    /// The next event; `None` once the answer ended as the protocol says it should.
    fn next(&mut self) -> impl Future<Output = Result<Option<Event>, StreamError>> + Send;

    /// Whether the next event is there already. `false` says nothing: it may be.
    fn has_more(&mut self) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }

    /// What has been read and not been asked for.
    fn arrived(&mut self) -> impl Iterator<Item = Event>;
}

impl Events for EventStream {
    async fn next(&mut self) -> Result<Option<Event>, StreamError> {
        EventStream::next(self).await
    }

    async fn has_more(&mut self) -> bool {
        EventStream::has_more(self).await
    }

    fn arrived(&mut self) -> impl Iterator<Item = Event> {
        EventStream::arrived(self)
    }
}

/// A streamed answer on its way in. Dropping it cancels the upstream.
pub struct EventStream {
    body: Body,
    decoding: Decoding,
    undecoded: Bytes,
    events: VecDeque<Event>,
    phase: Phase,
    idle: Duration,
    deadline: Instant,
    /// When the last piece came, and whether soon after the one before.
    last: Instant,
    bursts: bool,
}

enum Phase {
    Reading,
    Ended,
    Failed(StreamError),
}

/// Why a streamed answer broke off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The connection broke.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The bytes are not the protocol, report an error, or end too early.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Nothing came for the provider's idle time, or the whole took too long.
    #[error("the provider sent nothing for too long")]
    Stalled,
}

impl EventStream {
    /// Reads `body` with `decoder`; silence of `idle` or passing `deadline` is a failure.
    pub fn new(
        body: Body,
        decoder: Box<dyn StreamDecoder>,
        idle: Duration,
        deadline: Instant,
    ) -> Self {
        EventStream {
            body,
            decoding: Decoding::new(decoder),
            undecoded: Bytes::new(),
            events: VecDeque::new(),
            phase: Phase::Reading,
            idle,
            deadline,
            last: Instant::now(),
            bursts: false,
        }
    }

    /// A complete reply as a stream, for a provider that answered a streamed call in one piece.
    pub fn of(reply: Reply) -> Self {
        let about = Event::About(reply.about);
        let events = std::iter::once(about)
            .chain(reply.choices.into_iter().map(Event::from))
            .chain(reply.usage.map(Event::Usage));
        let (body, decoder) = (Body::empty(), Box::new(NothingMore));
        EventStream {
            events: events.collect(),
            phase: Phase::Ended,
            ..EventStream::new(body, decoder, Duration::ZERO, Instant::now())
        }
    }

    /// The next event; `None` once the answer ended as the protocol says it should.
    pub async fn next(&mut self) -> Result<Option<Event>, StreamError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match &self.phase {
                Phase::Reading if !self.undecoded.is_empty() => self.decode(),
                Phase::Reading => self.read().await,
                Phase::Ended => return Ok(None),
                Phase::Failed(error) => return Err(error.clone()),
            }
        }
    }

    /// Whether the next event is there already. In a burst others get a turn before the answer is no: what brings the
    /// bytes over HTTP/2 is one of them.
    pub async fn has_more(&mut self) -> bool {
        let mut waits = self.bursts;
        while self.events.is_empty() && matches!(self.phase, Phase::Reading) {
            if !self.undecoded.is_empty() {
                self.decode();
            } else if let Some(piece) = self.body.next().now_or_never() {
                self.take(piece);
            } else if std::mem::take(&mut waits) {
                after_the_others().await;
            } else {
                break;
            }
        }
        !self.events.is_empty()
    }

    /// What has been read and not been asked for.
    pub fn arrived(&mut self) -> impl Iterator<Item = Event> {
        while !self.undecoded.is_empty() {
            self.decode();
        }
        self.events.drain(..)
    }

    /// Puts back what was read to find the commit point.
    pub fn unread(&mut self, events: Vec<Event>) {
        for event in events.into_iter().rev() {
            self.events.push_front(event);
        }
    }

    /// Waits for one piece.
    async fn read(&mut self) {
        let until = self.deadline.min(Instant::now() + self.idle);
        match timeout_at(until, self.body.next()).await {
            Ok(piece) => self.take(piece),
            Err(_) => self.phase = Phase::Failed(StreamError::Stalled),
        }
    }

    fn take(&mut self, piece: Option<Result<Bytes, TransportError>>) {
        let now = Instant::now();
        self.bursts = now - self.last < BURST;
        self.last = now;
        match piece {
            // A stream that never lets anybody wait has a deadline too.
            Some(Ok(_)) if now > self.deadline => self.phase = Phase::Failed(StreamError::Stalled),
            Some(Ok(bytes)) => {
                self.undecoded = bytes;
                self.decode();
            }
            Some(Err(error)) => self.phase = Phase::Failed(error.into()),
            None => {
                self.phase = Phase::Ended;
                self.decoded(|decoding, events| decoding.end(events));
            }
        }
    }

    /// Decodes some of what was read.
    fn decode(&mut self) {
        let some = self.undecoded.len().min(DECODED_AT_ONCE);
        let some = self.undecoded.split_to(some);
        self.decoded(|decoding, events| decoding.feed(&some, events));
    }

    /// What was decoded before an error still comes first: it was generated.
    fn decoded(
        &mut self,
        decode: impl FnOnce(&mut Decoding, &mut Vec<Event>) -> Result<(), DecodeError>,
    ) {
        let mut events = Vec::new();
        if let Err(error) = decode(&mut self.decoding, &mut events) {
            self.undecoded.clear();
            self.phase = Phase::Failed(error.into());
        }
        self.events.extend(events);
    }
}

/// Lets those run once that are ready to. Unlike tokio's own yield it asks the system for nothing, which would cost more
/// than a chunk does.
async fn after_the_others() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The decoder of a stream that has already been read.
struct NothingMore;

impl StreamDecoder for NothingMore {
    fn frame(&mut self, _: &Frame, _: &mut Vec<Event>) -> Result<(), DecodeError> {
        Ok(())
    }

    fn end(&mut self, _: &mut Vec<Event>) -> Result<(), DecodeError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::super::decoding::tests::Counts;
    use super::*;
    use crate::echo::{Chunks, EchoResponse};
    use crate::transport::Response;
    use crate::wire::Framing;

    fn stream(
        pieces: impl Iterator<Item = Bytes> + Send + 'static,
        deadline: Instant,
    ) -> EventStream {
        let response = Response::from(EchoResponse {
            status: StatusCode::OK,
            content_type: "text/event-stream",
            chunks: Chunks::of(pieces),
        });
        let idle = Duration::from_secs(3_600);
        EventStream::new(
            response.body,
            Box::new(Counts(Framing::Sse)),
            idle,
            deadline,
        )
    }

    #[tokio::test]
    async fn what_was_read_has_arrived_decoded_or_not() {
        const EVENTS: usize = DECODED_AT_ONCE;
        let piece = Bytes::from("data: a\n\n".repeat(EVENTS));
        let later = Instant::now() + Duration::from_secs(3_600);
        let mut stream = stream(std::iter::once(piece), later);
        assert_eq!(stream.next().await, Ok(Some(Event::Step(None))));
        assert!(stream.events.len() < EVENTS / 2);
        assert_eq!(stream.arrived().count(), EVENTS - 1);
        assert_eq!(stream.next().await, Ok(None));
    }

    #[tokio::test]
    async fn a_stream_that_never_lets_anybody_wait_has_a_deadline() {
        let endless = std::iter::repeat(Bytes::from_static(b"data: a\n\n"));
        let mut stream = stream(endless, Instant::now());
        let stalled = loop {
            stream.has_more().await;
            if let Err(error) = stream.next().await {
                break error;
            }
        };
        assert_eq!(stalled, StreamError::Stalled);
    }
}
