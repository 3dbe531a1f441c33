//! One exchange over HTTP/1, in the task of whoever waits for it: a connection has no task, no queue and no buffer of
//! its own, so a stream that is silent holds little, and a piece that comes wakes one task and is copied once.

mod body;
mod head;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::buf::Chain;
use bytes::{Buf as _, Bytes};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_write_buf;

use super::pool::Pool;
use super::{Body, Response, Source, TransportError};
use body::Framing;
use head::{Head, Malformed};

/// What is read of an answer before it is asked for: a slow reader of a stream makes it wait in full.
const READ_AHEAD: usize = 4 << 10;
/// Longer heads of answers are refused: four times what reverse proxies allow for them.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// A connection that speaks HTTP/1: a socket, or TLS over one, which is much larger.
pub(super) type Stream = Box<dyn Duplex>;

/// What is read from and written to.
pub(super) trait Duplex: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin> Duplex for S {}

/// An answer whose body is still to be read. Dropping it closes the connection, which cancels the exchange.
#[derive(Debug)]
pub(super) struct Reading {
    line: Line,
    /// What of the body came with the head.
    begun: Vec<u8>,
    framing: Framing,
    is_kept: bool,
    pool: Arc<Pool>,
}

/// A connection in use.
#[derive(Debug)]
struct Line {
    stream: Stream,
    /// What of the request is still to be sent.
    unsent: Option<Chain<Bytes, Bytes>>,
    /// Why no more of it can be.
    broken: Option<io::Error>,
}

/// Sends a request and returns once the answer's head is there. The connection goes to `pool` when the body has been read.
pub(super) fn exchange(
    stream: Stream,
    pool: Arc<Pool>,
    request: Request<Bytes>,
) -> impl Future<Output = Result<Response, TransportError>> {
    let (head, body) = request.into_parts();
    let head = Bytes::from(head::write(&head, body.len()));
    let line = Line {
        stream,
        unsent: Some(head.chain(body)),
        broken: None,
    };
    line.answer(pool)
}

/// Whether nothing has come on a connection that nobody uses: not its end, nor anything that nobody asked for.
pub(super) fn is_quiet(stream: &mut Stream) -> bool {
    let mut room = [0];
    let mut context = Context::from_waker(Waker::noop());
    let read = Pin::new(stream).poll_read(&mut context, &mut ReadBuf::new(&mut room));
    read.is_pending()
}

impl Reading {
    /// The next piece; `None` at the end.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, TransportError>> {
        while !self.has_ended() {
            let mut content = Vec::new();
            if self.begun.is_empty() {
                let framing = &mut self.framing;
                let begun = &mut self.begun;
                let read = self.line.poll_read(context, |bytes| {
                    content.reserve_exact(bytes.len());
                    let used = framing.read(bytes, &mut content)?;
                    // Only at the end is anything left.
                    begun.extend_from_slice(&bytes[used..]);
                    Ok(bytes.is_empty())
                });
                let is_over = ready!(read)?;
                if is_over && *framing == Framing::UntilClose {
                    return Poll::Ready(Ok(None));
                }
                if is_over {
                    return Poll::Ready(Err(self.line.lost()));
                }
            } else {
                let begun = std::mem::take(&mut self.begun);
                let used = self.framing.read(&begun, &mut content).map_err(lost)?;
                self.begun.extend_from_slice(&begun[used..]);
            }
            if !content.is_empty() {
                return Poll::Ready(Ok(Some(content.into())));
            }
        }
        Poll::Ready(Ok(None))
    }

    /// Whether all of it has been read, as its length or its last chunk says.
    pub(super) fn has_ended(&self) -> bool {
        self.framing.has_ended()
    }

    /// Gives the connection to those that come next. One that the host will close, on which the request was not sent in
    /// full, or on which more came than was asked for, is of no use to anybody.
    pub(super) fn release(self) {
        let is_clean = self.begun.is_empty() && self.line.unsent.is_none();
        if self.is_kept && self.has_ended() && is_clean {
            self.pool.put(self.line.stream);
        }
    }
}

impl Line {
    async fn answer(mut self, pool: Arc<Pool>) -> Result<Response, TransportError> {
        let (head, begun) = self.head().await?;
        let reading = Reading {
            line: self,
            begun,
            framing: head.framing,
            is_kept: head.is_kept,
            pool,
        };
        let source = if reading.has_ended() {
            reading.release();
            Source::Empty
        } else {
            Source::Http1(Box::new(reading))
        };
        Ok(Response {
            status: head.status,
            headers: head.headers,
            body: Body(source),
        })
    }

    /// The answer's head, and what came with it of the body.
    async fn head(&mut self) -> Result<(Head, Vec<u8>), TransportError> {
        let mut kept: Vec<u8> = Vec::new();
        loop {
            let read = poll_fn(|context| {
                self.poll_read(context, |bytes| {
                    kept.extend_from_slice(bytes);
                    let found = head::read(&kept)?;
                    Ok((found, bytes.is_empty()))
                })
            });
            match read.await? {
                (Some((length, head)), _) => {
                    kept.drain(..length);
                    return Ok((head, kept));
                }
                (None, true) => return Err(self.lost()),
                (None, false) if kept.len() > MAX_HEAD_BYTES => {
                    let reason = "the head of the answer is too long".to_owned();
                    return Err(TransportError::Lost(reason));
                }
                (None, false) => {}
            }
        }
    }

    /// Sends what there is to send, and gives what has come to `take`: nothing at the end.
    fn poll_read<T>(
        &mut self,
        context: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Poll<Result<T, TransportError>> {
        // Who takes no more of a request may have answered it all the same, and say why.
        if self.broken.is_none()
            && let Poll::Ready(Err(error)) = self.poll_send(context)
        {
            self.broken = Some(error);
        }
        let mut room = [const { MaybeUninit::uninit() }; READ_AHEAD];
        let mut read = ReadBuf::uninit(&mut room);
        match ready!(Pin::new(&mut self.stream).poll_read(context, &mut read)) {
            Ok(()) => Poll::Ready(take(read.filled()).map_err(lost)),
            Err(error) => Poll::Ready(Err(lost(error))),
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(unsent) = &mut self.unsent {
            if unsent.has_remaining() {
                let sent = poll_write_buf(Pin::new(&mut self.stream), context, unsent);
                if ready!(sent)? == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
            } else {
                ready!(Pin::new(&mut self.stream).poll_flush(context))?;
                self.unsent = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The connection is over, and the answer is not.
    fn lost(&mut self) -> TransportError {
        match self.broken.take() {
            Some(error) => lost(error),
            None => {
                TransportError::Lost("connection closed before the answer was complete".to_owned())
            }
        }
    }
}

fn lost(error: impl std::error::Error) -> TransportError {
    TransportError::Lost(error.to_string())
}
