//! From a call to an HTTP answer, for every skin.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};
use tokio::time::timeout;

use crate::domain::call::Call;
use crate::domain::principal::Principal;
use crate::edge::error::{ApiError, Links};
use crate::edge::sse::{SseBody, StreamSkin};
use crate::gateway::Gateway;
use crate::stream::client::{Begun, Head, Whole};

/// `X-Generation-Id` (contract 1.5).
const GENERATION_ID: HeaderName = HeaderName::from_static("x-generation-id");

/// How streams are written.
#[derive(Clone, Debug)]
pub struct StreamStyle {
    /// How long a stream may be silent before a comment is sent, also before it has begun.
    pub keep_alive: Duration,
    /// Where our pages are, for errors that come as events.
    pub links: Links,
}

/// A skin: how to say a whole answer, and a stream.
pub(super) trait Skin: StreamSkin + Unpin {
    /// The JSON body of a whole answer.
    fn whole(&self, whole: &Whole) -> Bytes;

    /// The answer to a call that was refused before anything was sent.
    fn refused(&self, _head: &Head, error: ApiError) -> Response {
        error.into_response()
    }
}

/// Serves a call through a skin.
///
/// A stream that has not begun after one keep-alive interval is answered 200 with comments:
/// failover goes on behind them, and a failure then comes as an event instead of a status.
pub(super) async fn serve(
    gateway: &Gateway,
    who: Arc<Principal>,
    call: Call,
    skin: impl Skin,
    style: StreamStyle,
) -> Response {
    let (account, streams) = (who.account.clone(), call.stream);
    let mut serving = gateway.serve(who, call);
    let begun = if streams {
        timeout(style.keep_alive, &mut serving.begun).await
    } else {
        Ok((&mut serving.begun).await)
    };
    let mut response = match begun {
        Ok(Ok(Ok(Begun::Whole(whole)))) => json(skin.whole(&whole)),
        Ok(Ok(Ok(Begun::Stream(head, deliveries)))) => {
            events(SseBody::streaming(skin, head, deliveries, style))
        }
        Ok(Ok(Err(refusal))) => {
            skin.refused(&serving.head, ApiError::from(refusal).for_user(&account))
        }
        Ok(Err(_panicked)) => skin.refused(&serving.head, ApiError::internal()),
        Err(_still_waiting) => events(SseBody::waiting(
            skin,
            serving.head.clone(),
            serving.begun,
            style,
        )),
    };
    identify(&mut response, &serving.head);
    response
}

/// Serves a call that is never streamed, and says the answer with `render`.
pub(super) async fn serve_whole(
    gateway: &Gateway,
    who: Arc<Principal>,
    call: Call,
    render: impl FnOnce(&Whole) -> Bytes,
) -> Response {
    let account = who.account.clone();
    let serving = gateway.serve(who, call);
    let mut response = match serving.begun.await {
        Ok(Ok(Begun::Whole(whole))) => json(render(&whole)),
        Ok(Err(refusal)) => ApiError::from(refusal).for_user(&account).into_response(),
        Ok(Ok(Begun::Stream(..))) | Err(_) => ApiError::internal().into_response(),
    };
    identify(&mut response, &serving.head);
    response
}

fn identify(response: &mut Response, head: &Head) {
    if let Ok(id) = HeaderValue::from_str(head.id.as_str()) {
        response.headers_mut().insert(GENERATION_ID, id);
    }
}

fn json(body: Bytes) -> Response {
    (
        [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        body,
    )
        .into_response()
}

fn events<S: StreamSkin + Unpin>(body: SseBody<S>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Keeps nginx and its like from holding chunks back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    (headers, Body::new(body)).into_response()
}
