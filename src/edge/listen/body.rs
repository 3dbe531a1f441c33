//! A request's body, and whether all of it was read.
//!
//! A connection over which part of a request was never read cannot carry another one. Its client is told so, before it
//! sends the next request in vain.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// The body of a request as it comes in.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    unread: Arc<AtomicBool>,
}

/// Whether the request that a connection carries has a body of which something is still to be read. HTTP/2 carries several
/// at once, and needs no such care.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    /// Notes a request.
    pub(super) fn request(&self, request: Request<Incoming>) -> Request<RequestBody> {
        let has_more = request.version() < Version::HTTP_2 && !request.body().is_end_stream();
        self.0.store(has_more, Relaxed);
        request.map(|incoming| RequestBody {
            incoming,
            unread: Arc::clone(&self.0),
        })
    }

    /// Says in an answer whether another request may follow.
    pub(super) fn answer<B>(&self, mut answer: Response<B>) -> Response<B> {
        if self.0.load(Relaxed) {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
        }
        answer
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        if frame.is_none() || self.incoming.is_end_stream() {
            self.unread.store(false, Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
