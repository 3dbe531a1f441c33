//! Fetches what a caller names by address, for providers that take bytes only: the one way by which a field
//! of a request reaches an address.
//!
//! Nothing but GET, no credential, no cookie. Names are resolved once and the connection goes to the very
//! addresses that were looked at, so a name cannot mean one address when it is judged and another when it is
//! called; every redirect is judged anew. Size, time and the number of fetches at once are bounded.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower::Service;
use url::{Host, Url};

use super::guard::Guard;

/// Larger files are refused: what a wire must send inline has limits of this order everywhere.
const LARGEST: usize = 20 << 20;
/// All redirects and the body together may take this long.
const WITHIN: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const MOST_REDIRECTS: usize = 5;
/// Fetches of this process at once, which bounds the memory that they take.
const AT_ONCE: usize = 16;

type Http = Client<HttpsConnector<HttpConnector<Resolver>>, Empty<Bytes>>;

/// Fetches files. Cloning shares the bounds.
#[derive(Clone)]
pub struct Fetcher {
    client: Http,
    guard: Guard,
    places: Arc<Semaphore>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its media type, such as `image/png`: the server's word, or what its first bytes say.
    pub media_type: String,
    /// The file.
    pub bytes: Bytes,
}

/// Why a file was not fetched. Never names the address: it may hold a secret of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Not an `http` or `https` URL, or one with a user name in it.
    #[error("its address is not a plain http or https URL")]
    Address,
    /// The address, or one it redirects to, is not public.
    #[error("its address is not public")]
    Forbidden,
    /// No connection, or it broke.
    #[error("its server cannot be reached")]
    Unreachable,
    /// Not a success.
    #[error("its server answered {0}")]
    Status(u16),
    /// Redirected too often, or nowhere.
    #[error("its server redirects without end")]
    Redirects,
    /// Compressed, though it was asked not to be.
    #[error("its server answers in an encoding that was not asked for")]
    Encoded,
    /// Larger than anything a wire may send inline.
    #[error("it is larger than {} MB", LARGEST >> 20)]
    TooLarge,
    /// Not there in time.
    #[error("its server did not answer in time")]
    Late,
}

impl Fetcher {
    /// Reaches public addresses, and those in `networks`.
    pub(super) fn new(tls: rustls::ClientConfig, networks: &[IpNet]) -> Self {
        let guard = Guard::new(networks);
        let mut connector = HttpConnector::new_with_resolver(Resolver(guard.clone()));
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(https);
        Fetcher {
            client,
            guard,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Fetches the file at `address`.
    pub async fn fetch(&self, address: &str) -> Result<Fetched, FetchError> {
        let address = Url::parse(address).map_err(|_| FetchError::Address)?;
        let fetched = async {
            let place = self.places.acquire().await;
            let _place = place.map_err(|_closed| FetchError::Unreachable)?;
            self.follow(address).await
        };
        timeout(WITHIN, fetched)
            .await
            .map_err(|_| FetchError::Late)?
    }

    async fn follow(&self, mut address: Url) -> Result<Fetched, FetchError> {
        for _ in 0..=MOST_REDIRECTS {
            self.judge(&address)?;
            let response = self
                .client
                .request(request(&address)?)
                .await
                .map_err(|error| reason(&error))?;
            let (head, body) = response.into_parts();
            if head.status.is_redirection() {
                address = target(&address, &head.headers).ok_or(FetchError::Redirects)?;
                continue;
            }
            if !head.status.is_success() {
                return Err(FetchError::Status(head.status.as_u16()));
            }
            let plain = |value: &HeaderValue| value == "identity";
            if !head.headers.get(CONTENT_ENCODING).is_none_or(plain) {
                return Err(FetchError::Encoded);
            }
            if body.size_hint().lower() > LARGEST as u64 {
                return Err(FetchError::TooLarge);
            }
            let body = Limited::new(body, LARGEST).collect().await;
            let bytes = body.map_err(|error| match error.downcast_ref() {
                Some(http_body_util::LengthLimitError { .. }) => FetchError::TooLarge,
                None => FetchError::Unreachable,
            })?;
            return Ok(Fetched::of(&head.headers, bytes.to_bytes()));
        }
        Err(FetchError::Redirects)
    }

    /// What can be said of an address before its name is resolved. The parser has turned every way to write an
    /// IPv4 address (decimal, octal, hexadecimal, short) into that address.
    fn judge(&self, address: &Url) -> Result<(), FetchError> {
        let is_plain = matches!(address.scheme(), "http" | "https")
            && address.username().is_empty()
            && address.password().is_none();
        let literal = match address.host().filter(|_| is_plain) {
            None => return Err(FetchError::Address),
            Some(Host::Domain(_)) => return Ok(()),
            Some(Host::Ipv4(literal)) => IpAddr::V4(literal),
            Some(Host::Ipv6(literal)) => IpAddr::V6(literal),
        };
        if self.guard.admits(literal) {
            Ok(())
        } else {
            Err(FetchError::Forbidden)
        }
    }
}

impl Fetched {
    fn of(headers: &HeaderMap, bytes: Bytes) -> Self {
        let said = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(|value| value.split(';').next().unwrap_or_default().trim())
            .filter(|said| said.contains('/') && !said.ends_with("/octet-stream"));
        Fetched {
            media_type: said.unwrap_or(media_type_of(&bytes)).to_ascii_lowercase(),
            bytes,
        }
    }
}

fn request(address: &Url) -> Result<Request<Empty<Bytes>>, FetchError> {
    Request::get(address.as_str())
        .header(ACCEPT_ENCODING, "identity")
        .header(USER_AGENT, concat!("turnpike/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())
        .map_err(|_| FetchError::Address)
}

fn target(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    from.join(location).ok()
}

/// The resolver's own error lies somewhere below the client's.
fn reason(error: &(dyn std::error::Error + 'static)) -> FetchError {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<FetchError>() {
            return *error;
        }
        cause = error.source();
    }
    FetchError::Unreachable
}

/// What the first bytes of a file say it is.
fn media_type_of(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "image/webp",
        [b'%', b'P', b'D', b'F', ..] => "application/pdf",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "video/mp4",
        _ => "application/octet-stream",
    }
}

/// Resolves names to addresses that the guard admits, and to no others.
#[derive(Clone)]
struct Resolver(Guard);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let guard = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (admitted, others): (Vec<_>, Vec<_>) =
                found.partition(|address| guard.admits(address.ip()));
            match (admitted.is_empty(), others.is_empty()) {
                (true, false) => Err(FetchError::Forbidden.into()),
                _ => Ok(admitted.into_iter()),
            }
        })
    }
}
