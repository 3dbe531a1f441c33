//! A run as a stream of server-sent events. What is ready goes out in one write; while nothing is,
//! comments keep the connection alive.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep};

use super::error::ApiError;
use super::skins::StreamStyle;
use crate::domain::event::{Choice, Forwarded};
use crate::domain::json::Raw;
use crate::gateway::Beginning;
use crate::stream::client::{Begun, Deliveries, Delivery, Head, Receipt};
use crate::stream::handoff::Taker;

/// The comment that the reference sends (contract 4.2); clients ignore it.
const KEEP_ALIVE: &[u8] = b": OPENROUTER PROCESSING\n\n";

/// Ready deliveries are joined up to this many bytes a write.
const WRITE_BYTES: usize = 4 << 10;

/// Writes the data of an event. A line break in it stands between values, never in one.
pub fn write_data(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    let from = out.len();
    out.extend_from_slice(data);
    for byte in &mut out[from..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\n\n");
}

/// How a skin says the steps of a stream.
pub trait StreamSkin: Send + 'static {
    /// More of a choice.
    fn choice(&mut self, head: &Head, choice: &Choice, out: &mut Vec<u8>);

    /// The end: held-back finish reasons, usage, the end mark.
    fn settled(&mut self, head: &Head, held: &[Choice], receipt: &Receipt, out: &mut Vec<u8>);

    /// The head is another from here.
    fn taken_over(&mut self) {}

    /// What a provider was sent; a form that has no word for it says nothing.
    fn sent(&mut self, _: &Head, _body: &Raw, _: &mut Vec<u8>) {}

    /// An event of a provider that speaks the skin's own form.
    fn forwarded(&mut self, _: &Head, _: &Forwarded, _: &mut Vec<u8>) {}

    /// The end of a stream of such events: the last of them, with the usage.
    fn forwarded_last(&mut self, _: &Head, _: &[Forwarded], _: &Receipt, _: &mut Vec<u8>) {}

    /// The one last event of a stream that failed. Its head names no provider when none had answered.
    fn failed(&mut self, head: &Head, error: &ApiError, out: &mut Vec<u8>);
}

/// The body of a streamed answer.
pub struct SseBody<S> {
    skin: S,
    head: Head,
    source: Source,
    style: StreamStyle,
    keep_alive: Pin<Box<Sleep>>,
}

enum Source {
    /// Nothing has begun; only comments were sent.
    Waiting(Beginning),
    Streaming(Taker<Deliveries>),
    Over,
}

impl<S: StreamSkin> SseBody<S> {
    /// A body for an answer that has begun.
    pub fn streaming(
        skin: S,
        head: Head,
        deliveries: Taker<Deliveries>,
        style: StreamStyle,
    ) -> Self {
        Self::new(skin, head, Source::Streaming(deliveries), style)
    }

    /// A body for an answer that has not begun yet. From here on errors are events.
    pub fn waiting(skin: S, head: Head, begun: Beginning, style: StreamStyle) -> Self {
        // A client that does not read its comments must not hold up the failover behind them.
        let begun = begun.apart();
        let mut body = Self::new(skin, head, Source::Waiting(begun), style);
        // The wait that led here was one interval already: the first comment is due now.
        body.keep_alive.as_mut().reset(Instant::now());
        body
    }

    fn new(skin: S, head: Head, source: Source, style: StreamStyle) -> Self {
        SseBody {
            skin,
            head,
            source,
            keep_alive: Box::pin(sleep(style.keep_alive)),
            style,
        }
    }

    /// Writes what is ready. Pending when nothing more is.
    fn write_ready(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<()> {
        while out.len() < WRITE_BYTES {
            match &mut self.source {
                Source::Over => return Poll::Ready(()),
                Source::Waiting(begun) => match Pin::new(begun).poll(context) {
                    Poll::Ready(Ok(Ok(Begun::Stream(head, deliveries)))) => {
                        self.head = head;
                        self.source = Source::Streaming(deliveries);
                    }
                    Poll::Ready(Ok(Err(refused))) => self.fail(&refused.into(), out),
                    Poll::Ready(Ok(Ok(Begun::Whole(_))) | Err(_)) => {
                        self.fail(&ApiError::internal(), out)
                    }
                    Poll::Pending => return Poll::Pending,
                },
                Source::Streaming(deliveries) => match deliveries.poll_take(context) {
                    Poll::Ready(Some(deliveries)) => {
                        deliveries
                            .into_iter()
                            .for_each(|delivery| self.write(delivery, out));
                    }
                    // The journey ended without a word: it panicked. Never a cut stream that looks complete.
                    Poll::Ready(None) => self.fail(&ApiError::internal(), out),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
        Poll::Ready(())
    }

    fn write(&mut self, delivery: Delivery, out: &mut Vec<u8>) {
        match delivery {
            Delivery::Choice(choice) => self.skin.choice(&self.head, &choice, out),
            Delivery::Forwarded(event) => self.skin.forwarded(&self.head, &event, out),
            Delivery::Sent(body) => self.skin.sent(&self.head, &body, out),
            Delivery::Maker(maker) => {
                self.head.model = maker.model;
                self.head.provider = maker.provider;
                self.skin.taken_over();
            }
            Delivery::Settled(held, receipt) => {
                if held.events.is_empty() {
                    self.skin.settled(&self.head, &held.choices, &receipt, out);
                } else {
                    self.skin
                        .forwarded_last(&self.head, &held.events, &receipt, out);
                }
                self.source = Source::Over;
            }
            Delivery::Broken(error, report) => {
                self.fail(&ApiError::from(&error).reporting(report), out);
            }
            Delivery::Unsettled => self.fail(
                &ApiError::busy("The answer could not be accounted for and was not charged"),
                out,
            ),
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        let error = error.clone().linked(&self.style.links);
        self.skin.failed(&self.head, &error, out);
        self.source = Source::Over;
    }
}

impl<S: StreamSkin + Unpin> Body for SseBody<S> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let body = self.get_mut();
        if matches!(body.source, Source::Over) {
            return Poll::Ready(None);
        }
        let mut out = Vec::new();
        let waits = body.write_ready(context, &mut out).is_pending();
        if out.is_empty() && waits {
            if body.keep_alive.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            out.extend_from_slice(KEEP_ALIVE);
        }
        body.keep_alive
            .as_mut()
            .reset(Instant::now() + body.style.keep_alive);
        // What waits for a slow client should be no larger than what it says.
        if out.len() >= WRITE_BYTES {
            out.shrink_to_fit();
        }
        Poll::Ready(Some(Ok(Frame::data(out.into()))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Over)
    }
}
