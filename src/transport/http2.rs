//! Connections over HTTP/2, each of which many exchanges share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::client::Connected;
use super::{Body, Response, Source, TransportError, root_cause};

/// What a provider may send of an answer before it is asked for …
const STREAM_WINDOW: u32 = 128 << 10;
/// … and of all answers on a connection: so much that many slow readers together do not hold up the others.
const CONNECTION_WINDOW: u32 = 64 << 20;
/// So many exchanges share a connection; then the next is made. Hosts allow a hundred or more (RFC 9113, 6.5.2), and what is
/// beyond would wait for another's end.
const MOST_SHARING: usize = 100;
/// A connection with exchanges on it is asked for a sign of life so often …
const PING_EVERY: Duration = Duration::from_secs(30);
/// … which must come within this time.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// A connection that exchanges share. It closes when the last of them, and the pool, have dropped it.
#[derive(Debug)]
pub(super) struct Shared {
    sender: SendRequest<Full<Bytes>>,
    used: Mutex<Instant>,
    _work: AbortOnDropHandle<()>,
}

/// An answer whose body is still to be read, and the connection it comes on.
#[derive(Debug)]
pub(super) struct Reading {
    body: Incoming,
    _shared: Arc<Shared>,
}

/// What became of a request.
pub(super) enum Sent {
    /// It went out.
    Out(Result<Response, TransportError>),
    /// Nothing of it did, since the host takes no more requests on this connection.
    Not(Request<Bytes>),
}

impl Shared {
    /// Begins to speak HTTP/2 on a connection.
    pub(super) async fn open(stream: Connected) -> Result<Self, TransportError> {
        let opened = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN)
            .handshake(stream)
            .await;
        let (sender, connection) =
            opened.map_err(|error| TransportError::Connect(root_cause(&error)))?;
        let work = async {
            // Whoever has an exchange on the connection hears of its end.
            let _ = connection.await;
        };
        Ok(Shared {
            sender,
            used: Mutex::new(Instant::now()),
            _work: AbortOnDropHandle::new(tokio::spawn(work)),
        })
    }

    /// Whether its host, or a fault, has not ended it.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Whether one more exchange can begin; the pool holds it too.
    pub(super) fn has_room(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) <= MOST_SHARING
    }

    /// Whether it is open, and anybody uses it or has within the time that idle connections are kept.
    pub(super) fn is_of_use(self: &Arc<Self>, now: Instant, idle: Duration) -> bool {
        let is_in_use = Arc::strong_count(self) > 1;
        self.is_open() && (is_in_use || now.duration_since(*self.used.lock()) < idle)
    }

    /// Sends a request and returns once the answer's head is there.
    pub(super) async fn exchange(self: &Arc<Self>, request: Request<Bytes>) -> Sent {
        *self.used.lock() = Instant::now();
        let body = request.body().clone();
        let answer = self.sender.clone().try_send_request(request.map(Full::new));
        match answer.await {
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                let reading = Reading {
                    body,
                    _shared: Arc::clone(self),
                };
                Sent::Out(Ok(Response {
                    status: head.status,
                    headers: head.headers,
                    body: Body(Source::Http2(reading)),
                }))
            }
            Err(mut failed) => match failed.take_message() {
                Some(request) => Sent::Not(request.map(|_| body)),
                None => Sent::Out(Err(TransportError::Lost(root_cause(failed.error())))),
            },
        }
    }
}

impl Reading {
    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, TransportError>> {
        loop {
            match self.body.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(bytes) => return Some(Ok(bytes)),
                    Err(_trailers) => continue,
                },
                Err(error) => return Some(Err(TransportError::Lost(root_cause(&error)))),
            }
        }
    }
}
