//! The HTTP server: accepts connections, serves them, and lets them finish when told to stop.
//!
//! Speaks HTTP/1.1 and HTTP/2 without TLS on one port; TLS ends at the proxy in front. Knows no route.

mod body;
mod linger;

use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cores::Cores;

use body::Rest;
use linger::Lingering;

pub use body::RequestBody;

/// Connections the system completes while the server is busy accepting others.
const BACKLOG: u32 = 4_096;
/// How long to wait for somebody else to close a file when there are no more to be had.
const OUT_OF_FILES_PAUSE: Duration = Duration::from_millis(100);
/// How often an HTTP/2 client that says nothing is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How a connection over HTTP/2 begins, and no request over HTTP/1.
const HTTP_2: &[u8] = b"PRI";

/// What is held of an answer over HTTP/2 that its client does not read. Over HTTP/1 it is as much as a head may have.
const UNREAD_BYTES: usize = 16 << 10;

/// What answers requests. Each connection has a clone of it.
pub trait Serve: Clone + Send + Sync + 'static {
    /// The answer to a request of somebody at this address.
    fn answer(
        &self,
        request: Request<RequestBody>,
        peer: Option<SocketAddr>,
    ) -> impl Future<Output = Response> + Send + use<Self>;
}

impl<F, A> Serve for F
where
    F: Fn(Request<RequestBody>, Option<SocketAddr>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    fn answer(
        &self,
        request: Request<RequestBody>,
        peer: Option<SocketAddr>,
    ) -> impl Future<Output = Response> + Send + use<F, A> {
        self(request, peer)
    }
}

/// An address that is ours; nothing is accepted yet, though clients may already connect.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest request head, in bytes; at least 8 KiB, which hyper insists on.
    pub header_bytes: usize,
    /// How long a client may take to send a request's head, the wait for its first byte included.
    pub header_timeout: Duration,
    /// The most connections at once; further ones wait in the system's queue.
    pub connections: usize,
    /// How long requests may still run after the order to stop.
    pub drain_timeout: Duration,
}

/// The address could not be taken.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", reason(source))]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

impl Listener {
    /// Takes the address. Port 0 lets the system choose one.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let failed = |source| BindError { address, source };
        let socket = bind(address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Listener { socket, address })
    }

    /// The address that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves on `cores` until `stop`, then closes the door and waits for what is running. Returns how many connections
    /// had to be cut because they took longer than the drain allows.
    pub async fn serve(
        self,
        service: impl Serve,
        limits: Limits,
        cores: &Cores,
        stop: CancellationToken,
    ) -> usize {
        let connections = TaskTracker::new();
        let cut = CancellationToken::new();
        let server = Arc::new(Server {
            http1: http1(&limits),
            any_version: any_version(&limits),
            service,
            limits,
            stop: stop.clone(),
            cut: cut.clone(),
        });
        let places = Arc::new(Semaphore::new(limits.connections));
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, self.accept().await)
            };
            let (place, stream) = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                next = next => next,
            };
            let server = Arc::clone(&server);
            cores.spawn(&connections, async move {
                server.serve(stream).await;
                drop(place);
            });
        }
        drop(self.socket);
        connections.close();
        if timeout(limits.drain_timeout, connections.wait())
            .await
            .is_ok()
        {
            return 0;
        }
        let late = connections.len();
        cut.cancel();
        connections.wait().await;
        late
    }

    /// The next connection. An error of one connection is its own; when the process is out of files, others get time to end.
    async fn accept(&self) -> std::net::TcpStream {
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    // Small chunks of a stream must not wait for the client's acknowledgements.
                    match stream.set_nodelay(true).and_then(|()| stream.into_std()) {
                        Ok(stream) => return stream,
                        Err(error) => {
                            tracing::debug!(%error, "a connection was lost as it was accepted")
                        }
                    }
                }
                Err(error) if of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    sleep(OUT_OF_FILES_PAUSE).await;
                }
            }
        }
    }
}

/// What every connection needs.
struct Server<S> {
    http1: http1::Builder,
    /// Reads some bytes first to see which it is, and then takes them for a read of their own: a buffer more.
    any_version: auto::Builder<TokioExecutor>,
    service: S,
    limits: Limits,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl<S: Serve> Server<S> {
    /// Serves one connection to its end. How it ends is the client's business.
    async fn serve(&self, stream: std::net::TcpStream) {
        let Ok(stream) = TcpStream::from_std(stream) else {
            return;
        };
        let Some(is_http1) = self.is_http1(&stream).await else {
            return;
        };
        let peer = stream.peer_addr().ok();
        let (service, rest) = (self.service.clone(), Rest::default());
        let service = service_fn(move |request| {
            let (service, rest) = (service.clone(), rest.clone());
            // A future that is handed to another has its place twice, in what hyper keeps for each connection: the answer
            // is awaited where it is begun.
            async move {
                let answer = service.answer(rest.of(request), peer).await;
                Ok::<_, Infallible>(rest.after(answer).await)
            }
        });
        let stream = TokioIo::new(Lingering::new(stream));
        if is_http1 {
            let connection = pin!(self.http1.serve_connection(stream, service));
            self.see_out(connection).await;
        } else {
            // Large, beside one over HTTP/1.
            let mut connection = Box::pin(self.any_version.serve_connection(stream, service));
            self.see_out(connection.as_mut()).await;
        }
    }

    /// Whether a client speaks HTTP/1 for sure; `None` when it is not to be served. Until its first byte shows which HTTP it
    /// is, nothing else watches the time.
    async fn is_http1(&self, stream: &TcpStream) -> Option<bool> {
        let mut first = [0; HTTP_2.len()];
        let spoke = tokio::select! {
            peeked = timeout(self.limits.header_timeout, stream.peek(&mut first)) => peeked,
            () = self.stop.cancelled() => return None,
        };
        match spoke {
            Ok(Ok(spoke @ 1..)) => Some(!HTTP_2.starts_with(&first[..spoke])),
            _ => None,
        }
    }

    /// Serves a connection to its end, or to that of what it is at when the order to stop comes.
    async fn see_out<C>(&self, mut connection: Pin<&mut C>)
    where
        C: GracefulConnection<Error: Display>,
    {
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = self.stop.cancelled() => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = self.cut.cancelled() => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // Connections of the previous process that still linger must not keep the address from the next one.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes);
    builder
}

fn any_version(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_send_buf_size(UNREAD_BYTES)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
    builder
}

fn of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process listens there; stop it or choose another address with --listen"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => "this user may not".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
