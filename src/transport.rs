//! The one dialer: every outbound request goes through here, and nothing else knows an HTTP client.
//!
//! Each provider and each other service has a client and so a pool of its own, which keeps a stalling provider from
//! holding up the others; and it has one on each core, which keeps a request on the thread where it came. Base URLs come
//! from the operator alone, so private addresses are allowed.
//! Redirects are never followed. What a request names by address goes through `fetch` and its guard.

mod client;
mod fetch;
mod guard;
mod http1;
mod http2;
mod pool;
mod token;

use std::collections::HashMap;
use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use ipnet::IpNet;
use parking_lot::RwLock;

pub use fetch::{FetchError, Fetched, Fetcher};

use crate::catalog::snapshot::{Auth, Endpoint};
use crate::clock;
use crate::cores::PerCore;
use crate::domain::ids::ProviderSlug;
use crate::domain::secret::Secret;
use crate::echo;
use crate::wire::{Encoded, Fault, sign};

use client::Client;
use token::Tokens;

/// The base URL of the model that lives in this process (see [`crate::echo`]).
pub const ECHO_BASE_URL: &str = "internal:echo";

/// Longer answers are refused rather than held in memory.
const MAX_BODY_BYTES: usize = 128 << 20;

/// Sends requests to providers. Cloning shares the pools.
#[derive(Clone)]
pub struct Transport {
    tls: Arc<rustls::ClientConfig>,
    clients: Arc<PerCore<RwLock<HashMap<ProviderSlug, Pooled>>>>,
    fetcher: Fetcher,
    tokens: Tokens,
}

#[derive(Clone)]
struct Pooled {
    client: Arc<Client>,
    connect: Duration,
}

/// A service beside the models' providers, such as a search engine.
#[derive(Clone, Debug)]
pub struct Service {
    /// Names its pool of connections.
    pub name: ProviderSlug,
    /// Its address, which the operator says.
    pub base_url: String,
    /// How requests prove who pays.
    pub auth: Auth,
    /// How long a connection may take.
    pub connect: Duration,
}

/// Where a request goes, and what every request there carries.
struct Recipient<'a> {
    name: &'a ProviderSlug,
    base_url: &'a str,
    auth: &'a Auth,
    headers: &'a [(HeaderName, HeaderValue)],
    connect: Duration,
}

/// A provider's answer, its body still to be read.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

/// A body that arrives piece by piece. Dropping it closes the exchange, which cancels the upstream.
#[derive(Debug)]
pub struct Body(Source);

#[derive(Debug)]
enum Source {
    Http1(Box<http1::Reading>),
    Http2(http2::Reading),
    Echo(echo::Chunks),
    Empty,
}

/// Why an exchange failed below HTTP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The address is not a URL, or TLS could not be set up.
    #[error("bad address: {0}")]
    Address(String),
    /// No connection: refused, unresolvable, TLS failure, connect timeout.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection broke before or within the answer.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The answer is longer than the gateway will hold.
    #[error("the answer is larger than is read")]
    TooLarge,
    /// The provider gives no token for its key.
    #[error("no token: {}", .0.message)]
    NoToken(Fault),
}

impl Transport {
    /// A dialer with the web's root certificates, which fetches callers' files from public addresses and from
    /// `networks`. Fails only when TLS itself cannot be set up.
    pub fn new(networks: &[IpNet]) -> Result<Self, TransportError> {
        let roots = rustls::RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportError::Address(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
        Ok(Transport {
            fetcher: Fetcher::new(tls.clone(), networks),
            tls: Arc::new(tls),
            clients: Arc::new(PerCore::new(|_| RwLock::default())),
            tokens: Tokens::default(),
        })
    }

    /// What fetches the files that a request names by address.
    pub fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// Sends `encoded` to `endpoint` and returns once the answer's headers are there.
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        encoded: Encoded,
    ) -> Result<Response, TransportError> {
        let base_url = endpoint
            .base_url
            .as_deref()
            .unwrap_or(&endpoint.provider.base_url);
        if base_url == ECHO_BASE_URL {
            return Ok(Response::from(echo::respond(&encoded.path, &encoded.body)));
        }
        let provider = &endpoint.provider;
        let recipient = Recipient {
            name: &provider.slug,
            base_url,
            auth: &provider.auth,
            headers: &provider.headers,
            connect: provider.timeouts.connect,
        };
        self.exchange(&recipient, Method::POST, encoded).await
    }

    /// Asks a service that is no provider of models.
    pub async fn ask(
        &self,
        service: &Service,
        method: Method,
        encoded: Encoded,
    ) -> Result<Response, TransportError> {
        let recipient = Recipient {
            name: &service.name,
            base_url: &service.base_url,
            auth: &service.auth,
            headers: &[],
            connect: service.connect,
        };
        self.exchange(&recipient, method, encoded).await
    }

    async fn exchange(
        &self,
        recipient: &Recipient<'_>,
        method: Method,
        encoded: Encoded,
    ) -> Result<Response, TransportError> {
        let client = self.client(recipient);
        let token = match recipient.auth {
            Auth::Google(account) => Some(self.tokens.of(account, &client).await?),
            _ => None,
        };
        let request = request(recipient, token.as_ref(), method, encoded)?;
        client.send(request).await
    }

    /// The recipient's client on this core; made at first use, and again when a reload changed the connect timeout.
    fn client(&self, recipient: &Recipient<'_>) -> Arc<Client> {
        let connect = recipient.connect;
        let clients = self.clients.here();
        if let Some(pooled) = clients
            .read()
            .get(recipient.name)
            .filter(|pooled| pooled.connect == connect)
        {
            return Arc::clone(&pooled.client);
        }
        let client = Arc::new(Client::new(&self.tls, connect));
        clients.write().insert(
            recipient.name.clone(),
            Pooled {
                client: Arc::clone(&client),
                connect,
            },
        );
        client
    }
}

impl Response {
    /// The body alone: a long stream does not carry the headers along.
    pub fn into_body(self) -> Body {
        self.body
    }
}

impl Body {
    /// A body that is over.
    pub fn empty() -> Self {
        Body(Source::Empty)
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, TransportError>> {
        match &mut self.0 {
            Source::Echo(chunks) => chunks.next().map(Ok),
            Source::Empty => None,
            Source::Http2(reading) => reading.next().await,
            Source::Http1(reading) => {
                let piece = poll_fn(|context| reading.poll_next(context)).await;
                let is_last = reading.has_ended() || !matches!(piece, Ok(Some(_)));
                if is_last && let Source::Http1(reading) = mem::replace(&mut self.0, Source::Empty)
                {
                    reading.release();
                }
                piece.transpose()
            }
        }
    }

    /// The whole body, in one piece.
    pub async fn collect(self) -> Result<Bytes, TransportError> {
        self.collect_at_most(MAX_BODY_BYTES).await
    }

    /// The whole body, in one piece, unless it is longer than so many bytes.
    pub async fn collect_at_most(mut self, most: usize) -> Result<Bytes, TransportError> {
        let Some(first) = self.next().await.transpose()? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await.transpose()? else {
            return Ok(first);
        };
        let mut whole = [first, second].concat();
        while let Some(piece) = self.next().await.transpose()? {
            if whole.len() + piece.len() > most {
                return Err(TransportError::TooLarge);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.into())
    }
}

impl From<echo::EchoResponse> for Response {
    fn from(echo: echo::EchoResponse) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(echo.content_type));
        Response {
            status: echo.status,
            headers,
            body: Body(Source::Echo(echo.chunks)),
        }
    }
}

/// The request as the recipient gets it: the wire's headers, the operator's, the key. Nothing of the caller's.
fn request(
    recipient: &Recipient<'_>,
    token: Option<&Secret>,
    method: Method,
    encoded: Encoded,
) -> Result<Request<Bytes>, TransportError> {
    let uri = address(recipient, &encoded.path)?;
    let mut headers = encoded.headers;
    if method != Method::GET {
        headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("application/json"));
    }
    headers
        .entry(ACCEPT)
        .or_insert(HeaderValue::from_static("*/*"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("turnpike/", env!("CARGO_PKG_VERSION"))),
    );
    for (name, value) in recipient.headers {
        headers.insert(name.clone(), value.clone());
    }
    match recipient.auth {
        Auth::None | Auth::Query(..) => {}
        Auth::Bearer(key) => drop(headers.insert(AUTHORIZATION, bearer(key)?)),
        Auth::Google(_) => headers.extend(
            token
                .map(bearer)
                .transpose()?
                .map(|value| (AUTHORIZATION, value)),
        ),
        Auth::Header(name, key) => drop(headers.insert(name.clone(), secret_header(key.expose())?)),
        Auth::Aws(key) => headers.extend(
            sign::signature(key, &uri, &encoded.body, clock::now_ms())
                .map_err(|reason| TransportError::Address(reason.to_owned()))?,
        ),
    }
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .body(encoded.body)
        .map_err(|error| TransportError::Address(error.to_string()))?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The whole address. No error shows it, since a key may stand in its query.
fn address(recipient: &Recipient<'_>, path: &str) -> Result<Uri, TransportError> {
    let base_url = recipient.base_url;
    let mut address = format!("{}{path}", base_url.trim_end_matches('/'));
    if let Auth::Query(name, key) = recipient.auth {
        let pair = serde_urlencoded::to_string([(name, key.expose())])
            .map_err(|_| TransportError::Address("the key cannot stand in an address".into()))?;
        address.push(if path.contains('?') { '&' } else { '?' });
        address.push_str(&pair);
    }
    address
        .parse()
        .map_err(|_| TransportError::Address(base_url.to_owned()))
}

fn bearer(key: &Secret) -> Result<HeaderValue, TransportError> {
    secret_header(&format!("Bearer {}", key.expose()))
}

fn secret_header(text: &str) -> Result<HeaderValue, TransportError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        TransportError::Address("the key has characters that no header can carry".into())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The innermost cause: what an operator wants to read.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
