//! A recipient's client on one core: connects to its hosts, and uses again what is connected.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tower::Service as _;

use super::http2::{Sent, Shared};
use super::pool::{Connection, Pool};
use super::{Response, TransportError, http1, root_cause};

/// A connection, with TLS or without.
pub(super) type Connected = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connections to the hosts of one recipient, each with a pool. Mostly that is one host, but an endpoint may have a base URL of its
/// own, and tokens are traded elsewhere.
pub(super) struct Client {
    connector: HttpsConnector<HttpConnector>,
    /// So few that they are looked through.
    pools: Mutex<Vec<(Scheme, Authority, Arc<Pool>)>>,
}

impl Client {
    /// A client whose connections must be there within `connect`.
    pub(super) fn new(tls: &rustls::ClientConfig, connect: Duration) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(connector(connect));
        Client {
            connector,
            pools: Mutex::default(),
        }
    }

    /// Sends a request and returns once the answer's head is there. It is sent once: again only when nothing of it had
    /// gone out.
    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Response, TransportError> {
        let pool = self.pool(request.uri())?;
        match pool.take() {
            Some(Connection::Http1(stream)) => http1::exchange(stream, pool, request).await,
            // Large, beside what goes on over HTTP/1.
            Some(Connection::Http2(shared)) => {
                Box::pin(self.send_shared(shared, pool, request)).await
            }
            None => Box::pin(self.send_anew(pool, request)).await,
        }
    }

    async fn send_shared(
        &self,
        shared: Arc<Shared>,
        pool: Arc<Pool>,
        request: Request<Bytes>,
    ) -> Result<Response, TransportError> {
        match shared.exchange(request).await {
            Sent::Out(answer) => answer,
            Sent::Not(request) => {
                pool.forget(&shared);
                self.send_anew(pool, request).await
            }
        }
    }

    async fn send_anew(
        &self,
        pool: Arc<Pool>,
        request: Request<Bytes>,
    ) -> Result<Response, TransportError> {
        match self.connect(request.uri().clone(), &pool).await? {
            Connection::Http1(stream) => http1::exchange(stream, pool, request).await,
            Connection::Http2(shared) => match shared.exchange(request).await {
                Sent::Out(answer) => answer,
                Sent::Not(_) => Err(TransportError::Lost(
                    "the host takes no request on a new connection".to_owned(),
                )),
            },
        }
    }

    fn pool(&self, uri: &Uri) -> Result<Arc<Pool>, TransportError> {
        let (scheme, host) = uri
            .scheme()
            .zip(uri.authority())
            .ok_or_else(|| TransportError::Address("no host in it".to_owned()))?;
        let mut pools = self.pools.lock();
        let mut known = pools.iter();
        if let Some((_, _, pool)) = known.find(|(of, at, _)| of == scheme && at == host) {
            return Ok(Arc::clone(pool));
        }
        let pool = Arc::<Pool>::default();
        pools.push((scheme.clone(), host.clone(), Arc::clone(&pool)));
        Ok(pool)
    }

    async fn connect(&self, uri: Uri, pool: &Arc<Pool>) -> Result<Connection, TransportError> {
        let _turn = pool.turn().await;
        if let Some(made_meanwhile) = pool.take() {
            return Ok(made_meanwhile);
        }
        let connected = self.connector.clone().call(uri).await;
        let stream = connected.map_err(|error| TransportError::Connect(root_cause(&*error)))?;
        if stream.connected().is_negotiated_h2() {
            let shared = Shared::open(stream).await?;
            return Ok(Connection::Http2(pool.share(shared)));
        }
        Ok(Connection::Http1(match stream {
            MaybeHttpsStream::Http(plain) => Box::new(plain.into_inner()),
            tls => Box::new(TokioIo::new(tls)),
        }))
    }
}

/// Connects with TCP_NODELAY, so that a small chunk never waits for a full segment.
fn connector(timeout: Duration) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(timeout));
    connector.set_keepalive(Some(Duration::from_secs(60)));
    connector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sockets_do_not_wait_for_full_segments() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://{}/", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let stream = connector(Duration::from_secs(1)).call(uri).await.unwrap();
        assert!(stream.inner().nodelay().unwrap());
    }
}
