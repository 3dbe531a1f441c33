//! How requests to an issuer leave: through the one dialer, without redirects, bounded in time and size.

use std::future::Future;
use std::time::Duration;

use openidconnect::{HttpRequest, HttpResponse};
use tokio::time::timeout;

use crate::catalog::snapshot::Auth;
use crate::domain::ids::ProviderSlug;
use crate::transport::{Service, Transport, TransportError};
use crate::wire::Encoded;

/// A person is waiting.
const WITHIN: Duration = Duration::from_secs(5);
/// Descriptions, keys and tokens are a few kilobytes.
const LARGEST: usize = 1 << 20;

/// Sends requests to one issuer.
#[derive(Clone)]
pub(super) struct Dialer {
    transport: Transport,
    pool: ProviderSlug,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// The exchange failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It took too long.
    #[error("it did not answer in time")]
    Late,
    /// The answer is none.
    #[error("its answer is odd: {0}")]
    Odd(#[from] http::Error),
}

impl Dialer {
    /// With a pool of connections of its own.
    pub(super) fn new(transport: Transport, issuer: &str) -> Self {
        Dialer {
            transport,
            pool: ProviderSlug::from(format!("sign-in/{issuer}")),
        }
    }

    /// Sends a request and takes the whole answer.
    pub(super) fn call(
        &self,
        request: HttpRequest,
    ) -> impl Future<Output = Result<HttpResponse, DialError>> + Send + use<> {
        let dialer = self.clone();
        async move {
            timeout(WITHIN, dialer.exchange(request))
                .await
                .map_err(|_| DialError::Late)?
        }
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, DialError> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query();
        let path = path.map_or_else(|| "/".to_owned(), ToString::to_string);
        let origin = head.uri.scheme_str().zip(head.uri.authority());
        let (scheme, authority) = origin
            .ok_or_else(|| TransportError::Address("an issuer named no whole address".into()))?;
        let service = Service {
            name: self.pool.clone(),
            base_url: format!("{scheme}://{authority}"),
            auth: Auth::None,
            connect: WITHIN,
        };
        let encoded = Encoded {
            path,
            headers: head.headers,
            body: body.into(),
        };
        let answer = self.transport.ask(&service, head.method, encoded).await?;
        let body = answer.body.collect_at_most(LARGEST).await?;
        let mut response = http::Response::builder()
            .status(answer.status)
            .body(body.to_vec())?;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}
