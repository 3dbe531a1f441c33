//! A plain HTTP client: what a test sees is what is on the wire.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Speaks to one server with one key.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    key: Option<String>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer that is still arriving.
pub(crate) struct Streaming {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    rest: String,
}

impl Http {
    /// A client of the server at `base` (`http://127.0.0.1:port`).
    pub(crate) fn new(base: &str) -> Self {
        Http {
            client: Client::builder(TokioExecutor::new()).build_http(),
            base: base.to_owned(),
            key: None,
        }
    }

    /// The same client with a key.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Http {
            key: Some(key.to_owned()),
            ..self.clone()
        }
    }

    /// A GET.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Bytes::new(), &[]).await
    }

    /// A POST of JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body.to_string().into(), &[])
            .await
    }

    /// Any request, read to its end.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        headers: &[(&str, &str)],
    ) -> Answer {
        let streaming = self.open(method, path, body, headers).await;
        let Streaming {
            status,
            headers,
            body,
            ..
        } = streaming;
        Answer {
            status,
            headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    /// A POST of JSON whose answer is read piece by piece.
    pub(crate) async fn stream(&self, path: &str, body: &Value) -> Streaming {
        self.open(Method::POST, path, body.to_string().into(), &[])
            .await
    }

    /// As [`Http::stream`]; `None` when there is no server.
    pub(crate) async fn try_stream(&self, path: &str, body: &Value) -> Option<Streaming> {
        self.try_open(Method::POST, path, body.to_string().into(), &[])
            .await
    }

    async fn open(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        headers: &[(&str, &str)],
    ) -> Streaming {
        self.try_open(method, path, body, headers)
            .await
            .expect("the server answers")
    }

    async fn try_open(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        headers: &[(&str, &str)],
    ) -> Option<Streaming> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self
            .client
            .request(request.body(Full::new(body)).unwrap())
            .await
            .ok()?;
        let (head, body) = answer.into_parts();
        Some(Streaming {
            status: head.status,
            headers: head.headers,
            body,
            rest: String::new(),
        })
    }
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body's server-sent events, comments left out, the end mark as JSON `"[DONE]"`.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.text().split("\n\n").filter_map(parse_event).collect()
    }
}

impl Streaming {
    /// The next server-sent event or comment block; `None` at the end of the body.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let event = event.to_owned();
                self.rest = rest.to_owned();
                return Some(event);
            }
            let frame = self.body.frame().await?.ok()?;
            self.rest
                .push_str(std::str::from_utf8(frame.data_ref()?).unwrap());
        }
    }

    /// The whole body; `None` when it breaks off.
    pub(crate) async fn rest(self) -> Option<Bytes> {
        Some(self.body.collect().await.ok()?.to_bytes())
    }

    /// The next event with data.
    pub(crate) async fn next_event(&mut self) -> Option<Value> {
        loop {
            if let Some(value) = parse_event(&self.next().await?) {
                return Some(value);
            }
        }
    }
}

fn parse_event(text: &str) -> Option<Value> {
    let data = text.lines().find_map(|line| line.strip_prefix("data: "))?;
    Some(if data == "[DONE]" {
        Value::from("[DONE]")
    } else {
        serde_json::from_str(data).unwrap()
    })
}

/// The joined content of the chunks of one choice.
pub(crate) fn content(events: &[Value]) -> String {
    events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect()
}
