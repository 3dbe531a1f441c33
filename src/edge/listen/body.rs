//! A request's body, and what becomes of the rest when an answer comes before all of it was read.
//!
//! A short rest is read and thrown away, so that the connection can carry the next request. Over a long one it cannot,
//! and the client is told so, before it sends the next in vain.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio::time::timeout;

/// The longest rest that is read.
const SHORT: u64 = 64 << 10;
/// How long it may take to come.
const PATIENCE: Duration = Duration::from_secs(1);

/// The body of a request as it comes in.
#[derive(Debug)]
pub struct RequestBody {
    /// There until it is dropped.
    incoming: Option<Incoming>,
    rest: Option<Rest>,
}

/// What its reader left of the body of the request that a connection carries. HTTP/2 carries several at once, and needs no
/// such care.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest(Arc<Mutex<Option<Incoming>>>);

impl Rest {
    /// Notes a request.
    pub(super) fn of(&self, request: Request<Incoming>) -> Request<RequestBody> {
        let rest = (request.version() < Version::HTTP_2).then(|| self.clone());
        request.map(|incoming| RequestBody {
            incoming: Some(incoming),
            rest,
        })
    }

    /// The answer to that request, once there is way for another, or with the word that none may follow.
    pub(super) async fn after<B>(&self, mut answer: Response<B>) -> Response<B> {
        let rest = self.0.lock().take();
        // Large, and seldom.
        if let Some(rest) = rest
            && !Box::pin(is_read(rest)).await
        {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
        }
        answer
    }
}

/// Reads a rest to its end, if it is short.
async fn is_read(rest: Incoming) -> bool {
    let is_short = rest.size_hint().upper().is_some_and(|most| most <= SHORT);
    is_short && matches!(timeout(PATIENCE, rest.collect()).await, Ok(Ok(_)))
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let (Some(incoming), Some(rest)) = (self.incoming.take(), &self.rest)
            && !incoming.is_end_stream()
        {
            *rest.0.lock() = Some(incoming);
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.incoming {
            Some(incoming) => Pin::new(incoming).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.incoming.as_ref().map(Body::size_hint);
        hint.unwrap_or_default()
    }
}
