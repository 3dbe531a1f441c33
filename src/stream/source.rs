//! A provider's streamed answer as a sequence of events: reads, decodes, watches the clock.
//! Knows no client and no price.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::decoding::Decoding;
use crate::domain::event::{Event, Reply};
use crate::transport::{Body, TransportError};
use crate::wire::{DecodeError, Frame, StreamDecoder};

/// A streamed answer, of one step or of several.
pub trait Events {
    /// The next event; `None` once the answer ended as the protocol says it should.
    fn next(&mut self) -> impl Future<Output = Result<Option<Event>, StreamError>> + Send;

    /// What has been read and not been asked for.
    fn arrived(&mut self) -> impl Iterator<Item = Event>;
}

impl Events for EventStream {
    async fn next(&mut self) -> Result<Option<Event>, StreamError> {
        EventStream::next(self).await
    }

    fn arrived(&mut self) -> impl Iterator<Item = Event> {
        EventStream::arrived(self)
    }
}

/// A streamed answer on its way in. Dropping it cancels the upstream.
pub struct EventStream {
    body: Body,
    decoding: Decoding,
    events: VecDeque<Event>,
    phase: Phase,
    idle: Duration,
    deadline: Instant,
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
            events: VecDeque::new(),
            phase: Phase::Reading,
            idle,
            deadline,
        }
    }

    /// A complete reply as a stream, for a provider that answered a streamed call in one piece.
    pub fn of(reply: Reply) -> Self {
        let about = Event::About(reply.about);
        let events = std::iter::once(about)
            .chain(reply.choices.into_iter().map(Event::from))
            .chain(reply.usage.map(Event::Usage));
        EventStream {
            body: Body::empty(),
            decoding: Decoding::new(Box::new(NothingMore)),
            events: events.collect(),
            phase: Phase::Ended,
            idle: Duration::ZERO,
            deadline: Instant::now(),
        }
    }

    /// The next event; `None` once the answer ended as the protocol says it should.
    pub async fn next(&mut self) -> Result<Option<Event>, StreamError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match &self.phase {
                Phase::Reading => self.read().await,
                Phase::Ended => return Ok(None),
                Phase::Failed(error) => return Err(error.clone()),
            }
        }
    }

    /// What has been read and not been asked for.
    pub fn arrived(&mut self) -> impl Iterator<Item = Event> {
        self.events.drain(..)
    }

    /// Puts back what was read to find the commit point.
    pub fn unread(&mut self, events: Vec<Event>) {
        for event in events.into_iter().rev() {
            self.events.push_front(event);
        }
    }

    /// Reads one piece. What was decoded before an error still comes first: it was generated.
    async fn read(&mut self) {
        let mut events = Vec::new();
        match self.read_into(&mut events).await {
            Ok(phase) => self.phase = phase,
            Err(error) => self.phase = Phase::Failed(error),
        }
        self.events.extend(events);
    }

    async fn read_into(&mut self, events: &mut Vec<Event>) -> Result<Phase, StreamError> {
        let until = self.deadline.min(Instant::now() + self.idle);
        let piece = timeout_at(until, self.body.next())
            .await
            .map_err(|_| StreamError::Stalled)?;
        Ok(match piece.transpose()? {
            Some(bytes) => {
                self.decoding.feed(&bytes, events)?;
                Phase::Reading
            }
            None => {
                self.decoding.end(events)?;
                Phase::Ended
            }
        })
    }
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
