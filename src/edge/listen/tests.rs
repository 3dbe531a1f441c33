//! What a client notices of the server itself.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use super::*;

const LIMITS: Limits = Limits {
    header_bytes: 8 << 10,
    header_timeout: Duration::from_secs(20),
    connections: 100,
    drain_timeout: Duration::from_secs(20),
};

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<usize>,
}

fn loopback() -> Listener {
    Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()
}

fn start(router: Router, limits: Limits) -> Running {
    let listener = loopback();
    let (address, stop) = (listener.address(), CancellationToken::new());
    Running {
        address,
        stop: stop.clone(),
        served: tokio::spawn(async move {
            let cores = Cores::start().unwrap();
            listener.serve(of(router), limits, &cores, stop).await
        }),
    }
}

fn of(router: Router) -> impl Serve {
    move |request: Request<RequestBody>, _| {
        let router = router.clone();
        async move {
            let Ok(answer) = router.oneshot(request).await;
            answer
        }
    }
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// A route that says when it was entered and answers when it is let go.
fn gated() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&entered), Arc::clone(&go));
    let handler = async move || {
        tell.notify_one();
        wait.notified().await;
        "late"
    };
    (Router::new().route("/", get(handler)), entered, go)
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Sends a request and reads until the server closes.
async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const GET_AND_CLOSE: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn every_accepted_socket_sends_without_delay() {
    let listener = loopback();
    let (stream, _client) = tokio::join!(listener.accept(), connect(listener.address()));
    assert!(stream.nodelay().unwrap());
}

#[tokio::test]
async fn speaks_both_versions_on_one_port() {
    let server = start(hello(), LIMITS);
    assert!(
        exchange(&mut connect(server.address).await, GET_AND_CLOSE)
            .await
            .ends_with("hello")
    );
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let answer = client
        .get(format!("http://{}/", server.address).parse().unwrap())
        .await
        .unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "hello"
    );
    drop(client);
    server.stop.cancel();
    assert_eq!(server.served.await.unwrap(), 0);
}

#[tokio::test]
async fn a_running_request_finishes_after_the_order_to_stop() {
    let (router, entered, go) = gated();
    let server = start(router, LIMITS);
    let (mut busy, mut idle, mut silent) = tokio::join!(
        connect(server.address),
        connect(server.address),
        connect(server.address)
    );
    busy.write_all(GET.as_bytes()).await.unwrap();
    entered.notified().await;
    server.stop.cancel();
    // Those that ask for nothing are closed at once, and nobody new is let in.
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    assert!(TcpStream::connect(server.address).await.is_err());
    go.notify_one();
    assert!(exchange(&mut busy, "").await.ends_with("late"));
    assert_eq!(server.served.await.unwrap(), 0);
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_is_cut() {
    let (router, entered, _go) = gated();
    let server = start(
        router,
        Limits {
            drain_timeout: Duration::from_millis(50),
            ..LIMITS
        },
    );
    let mut busy = connect(server.address).await;
    busy.write_all(GET.as_bytes()).await.unwrap();
    entered.notified().await;
    server.stop.cancel();
    assert_eq!(server.served.await.unwrap(), 1);
    assert_eq!(exchange(&mut busy, "").await, "");
}

#[tokio::test]
async fn a_client_that_leaves_drops_its_request() {
    struct Told(Arc<Notify>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let (entered, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, told) = (Arc::clone(&entered), Arc::clone(&dropped));
    let handler = async move || {
        let _told = Told(Arc::clone(&told));
        tell.notify_one();
        std::future::pending::<Body>().await
    };
    let server = start(Router::new().route("/", get(handler)), LIMITS);
    let mut stream = connect(server.address).await;
    stream.write_all(GET.as_bytes()).await.unwrap();
    entered.notified().await;
    drop(stream);
    dropped.notified().await;
}

#[tokio::test]
async fn a_large_head_is_refused() {
    let server = start(hello(), LIMITS);
    let large = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n",
        "a".repeat(10 << 10)
    );
    let mut answer = [0; 12];
    let mut stream = connect(server.address).await;
    stream.write_all(large.as_bytes()).await.unwrap();
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
}

#[tokio::test]
async fn who_sends_more_than_is_read_still_gets_the_answer() {
    let refuse = post(async || StatusCode::PAYLOAD_TOO_LARGE);
    let server = start(Router::new().route("/", refuse), LIMITS);
    let large = vec![b'a'; 16 << 20];
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        large.len()
    );
    let mut stream = connect(server.address).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&large).await.unwrap();
    let answer = exchange(&mut stream, "").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // So that no other request is sent after it.
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_short_request_that_was_not_read_is_followed_by_the_next() {
    let refuse = post(async || StatusCode::SERVICE_UNAVAILABLE);
    let server = start(Router::new().route("/", refuse), LIMITS);
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n";
    let mut stream = connect(server.address).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    let last = head.replace("host: x", "host: x\r\nconnection: close") + "hello";
    let answers = exchange(&mut stream, &last).await;
    assert_eq!(&first, b"HTTP/1.1 503");
    assert_eq!(answers.matches("HTTP/1.1 503").count(), 1, "{answers}");
}

#[tokio::test]
async fn a_silent_client_is_cut() {
    let server = start(
        hello(),
        Limits {
            header_timeout: Duration::from_millis(50),
            ..LIMITS
        },
    );
    assert_eq!(exchange(&mut connect(server.address).await, "").await, "");
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_cut() {
    let server = start(
        hello(),
        Limits {
            header_timeout: Duration::from_millis(50),
            ..LIMITS
        },
    );
    assert_eq!(
        exchange(&mut connect(server.address).await, "GET / HT").await,
        ""
    );
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let (router, entered, go) = gated();
    let server = start(
        router,
        Limits {
            connections: 1,
            ..LIMITS
        },
    );
    let (mut first, mut second) = (connect(server.address).await, connect(server.address).await);
    first.write_all(GET_AND_CLOSE.as_bytes()).await.unwrap();
    second.write_all(GET_AND_CLOSE.as_bytes()).await.unwrap();
    entered.notified().await;
    assert!(
        timeout(Duration::from_millis(50), entered.notified())
            .await
            .is_err(),
        "the second waits"
    );
    go.notify_one();
    assert!(exchange(&mut first, "").await.ends_with("late"));
    entered.notified().await;
    go.notify_one();
    assert!(exchange(&mut second, "").await.ends_with("late"));
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let first = loopback();
    let error = Listener::bind(first.address()).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!(
            "cannot listen on {}: another process",
            first.address()
        )),
        "{error}"
    );
}
