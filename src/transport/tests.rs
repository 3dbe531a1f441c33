//! A client before hosts on loopback that answer in every way in which HTTP lets them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response as Answer};
use http_body_util::Full;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::prelude::*;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::client::Client;
use super::{Response, TransportError};

/// A host that answers every request in the same way, and counts its connections.
struct Host {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _serving: AbortOnDropHandle<()>,
}

impl Host {
    /// Each connection is `serve`'s.
    async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Host
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let serving = async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                stream.set_nodelay(true).unwrap();
                tasks.spawn(serve(stream));
            }
        };
        Host {
            address,
            connections,
            _serving: AbortOnDropHandle::new(tokio::spawn(serving)),
        }
    }

    /// Answers with these bytes, cut where `cuts` say, and hangs up after an answer if it `closes`.
    async fn saying(answer: Vec<u8>, cuts: Vec<usize>, closes: bool) -> Host {
        Host::start(move |mut stream| {
            let (answer, cuts) = (answer.clone(), cuts.clone());
            async move {
                while read_request(&mut stream).await? {
                    let mut rest = &answer[..];
                    for cut in &cuts {
                        let (piece, others) = rest.split_at(*cut % (rest.len() + 1));
                        stream.write_all(piece).await?;
                        stream.flush().await?;
                        tokio::task::yield_now().await;
                        rest = others;
                    }
                    stream.write_all(rest).await?;
                    if closes {
                        break;
                    }
                }
                Ok(())
            }
        })
        .await
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn post(&self, scheme: &str, body: impl Into<Bytes>) -> Request<Bytes> {
        let uri = format!("{scheme}://localhost:{}/v1/x?y=z", self.address.port());
        Request::post(uri).body(body.into()).unwrap()
    }

    async fn ask(&self, client: &Client) -> Result<(u16, Bytes), TransportError> {
        whole(client.send(self.post("http", "question")).await?).await
    }
}

async fn whole(response: Response) -> Result<(u16, Bytes), TransportError> {
    let status = response.status.as_u16();
    Ok((status, response.body.collect().await?))
}

/// Reads one request with a content length; `false` at the end of the connection.
async fn read_request(stream: &mut TcpStream) -> io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("POST /v1/x?y=z HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("host: localhost:"), "{head}");
    let (_, length) = head.split_once("content-length: ").unwrap();
    let length = length.split_once('\r').unwrap().0.parse().unwrap();
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(true)
}

fn client() -> Client {
    with_roots(rustls::RootCertStore::empty())
}

fn with_roots(roots: rustls::RootCertStore) -> Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::new(&tls, Duration::from_secs(10))
}

/// An answer, how it ends, and whether its connection serves again.
struct Case {
    answer: &'static str,
    closes: bool,
    status: u16,
    body: &'static str,
    is_kept: bool,
}

const CASES: [Case; 9] = [
    Case {
        answer: "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer",
        closes: false,
        status: 200,
        body: "answer",
        is_kept: true,
    },
    Case {
        answer: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nans\r\n3;a=b\r\nwer\r\n0\r\n\r\n",
        closes: false,
        status: 200,
        body: "answer",
        is_kept: true,
    },
    Case {
        answer: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nanswer\r\n0\r\nx-cost: 1\r\nx-more: 2\r\n\r\n",
        closes: false,
        status: 200,
        body: "answer",
        is_kept: true,
    },
    Case {
        answer: "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\n\r\nwait",
        closes: false,
        status: 429,
        body: "wait",
        is_kept: true,
    },
    Case {
        answer: "HTTP/1.1 204 No Content\r\n\r\n",
        closes: false,
        status: 204,
        body: "",
        is_kept: true,
    },
    Case {
        answer: "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 4\r\n\r\ngone",
        closes: false,
        status: 302,
        body: "gone",
        is_kept: true,
    },
    Case {
        answer: "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 6\r\n\r\nanswer",
        closes: true,
        status: 200,
        body: "answer",
        is_kept: false,
    },
    Case {
        answer: "HTTP/1.1 200 OK\r\n\r\nanswer",
        closes: true,
        status: 200,
        body: "answer",
        is_kept: false,
    },
    Case {
        answer: "HTTP/1.0 500 Oh\r\ncontent-length: 6\r\n\r\nbroken",
        closes: true,
        status: 500,
        body: "broken",
        is_kept: false,
    },
];

/// Answers that are cut short, or are none.
const BROKEN: [&str; 7] = [
    "",
    "HTTP/1.1 200 OK\r\ncontent-le",
    "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nans",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nans",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nanswer\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nsix\r\nanswer\r\n0\r\n\r\n",
    "SMTP hello\r\n\r\n",
];

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_answer_is_read_however_it_is_cut(
        case in 0..CASES.len(),
        cuts in proptest::collection::vec(0_usize..200, 0..12),
    ) {
        let case = &CASES[case];
        block_on(async {
            let host = Host::saying(case.answer.into(), cuts, case.closes).await;
            let client = client();
            for _ in 0..3 {
                let (status, body) = host.ask(&client).await.unwrap();
                assert_eq!((status, &*body), (case.status, case.body.as_bytes()));
            }
            assert_eq!(host.connections(), if case.is_kept { 1 } else { 3 });
        });
    }

    #[test]
    fn an_answer_that_is_cut_short_is_lost(
        broken in 0..BROKEN.len(),
        cuts in proptest::collection::vec(0_usize..100, 0..6),
    ) {
        block_on(async {
            let host = Host::saying(BROKEN[broken].into(), cuts, true).await;
            let lost = host.ask(&client()).await;
            assert!(matches!(lost, Err(TransportError::Lost(_))), "{lost:?}");
        });
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(100_000));
    let host = Host::saying(endless.into(), vec![], false).await;
    let refused = host.ask(&client()).await;
    assert!(
        matches!(&refused, Err(TransportError::Lost(reason)) if reason.contains("too long")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_long_head_is_read() {
    let value = "y".repeat(20_000);
    let answer = format!("HTTP/1.1 200 OK\r\nx-long: {value}\r\ncontent-length: 2\r\n\r\nok");
    let host = Host::saying(answer.into(), vec![9_000, 10_000], false).await;
    let response = client().send(host.post("http", "question")).await.unwrap();
    assert_eq!(response.headers["x-long"], value);
    assert_eq!(whole(response).await.unwrap(), (200, "ok".into()));
}

#[tokio::test]
async fn what_nobody_asked_for_is_no_answer_to_the_next() {
    let more = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nanswerHTTP/1.1 200 OK\r\n\r\nsmuggled";
    let host = Host::saying(more.into(), vec![], false).await;
    let client = client();
    for _ in 0..2 {
        assert_eq!(host.ask(&client).await.unwrap().1, "answer");
    }
    assert_eq!(host.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_not_used_again() {
    // Answers as if it kept the connection, and closes it.
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nanswer";
    let host = Host::saying(answer.into(), vec![], true).await;
    let client = client();
    for asked in 1..=3 {
        let response = client.send(host.post("http", "question")).await.unwrap();
        // The end is there before the connection is given back.
        let mut body = response.body;
        let mut read = Vec::new();
        while let Some(piece) = body.next().await {
            read.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(read, b"answer");
        tokio::task::yield_now().await;
        assert_eq!(host.connections(), asked);
    }
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_is_sent() {
    // Reads nothing of a body that no socket holds, says why, and hangs up.
    let host = Host::start(async |mut stream: TcpStream| {
        let refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 7\r\n\r\ntoo big";
        stream.write_all(refusal).await?;
        // The client is done when it hangs up.
        tokio::io::copy(&mut stream.take(1 << 20), &mut tokio::io::sink()).await?;
        Ok(())
    })
    .await;
    let question = vec![b'q'; 64 << 20];
    let answer = client().send(host.post("http", question)).await.unwrap();
    assert_eq!(whole(answer).await.unwrap(), (413, "too big".into()));
}

#[tokio::test]
async fn a_stream_that_is_dropped_closes_its_connection() {
    let (hung_up, hears) = (CancellationToken::new(), CancellationToken::new());
    let host = Host::start({
        let (hung_up, hears) = (hung_up.clone(), hears.clone());
        move |mut stream: TcpStream| {
            let (hung_up, hears) = (hung_up.clone(), hears.clone());
            async move {
                read_request(&mut stream).await?;
                let first = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nans\r\n";
                stream.write_all(first).await?;
                hears.cancelled().await;
                assert_eq!(stream.read(&mut [0]).await?, 0);
                hung_up.cancel();
                Ok(())
            }
        }
    })
    .await;
    let mut response = client().send(host.post("http", "question")).await.unwrap();
    assert_eq!(response.body.next().await.unwrap().unwrap(), "ans");
    drop(response);
    hears.cancel();
    hung_up.cancelled().await;
}

/// A host that speaks HTTP/2 alone, answers when it may, and takes `most` requests on a connection.
async fn over_http2(gate: Arc<Semaphore>, most: usize) -> (Host, Client) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(signed.cert.der().clone()).unwrap();
    let key = PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key.into())
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let host = Host::start(move |stream| {
        let (acceptor, gate) = (acceptor.clone(), Arc::clone(&gate));
        async move {
            let stream = acceptor.accept(stream).await?;
            let (asked, enough) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
            let answer = {
                let enough = enough.clone();
                move |_: Request<hyper::body::Incoming>| {
                    let (gate, asked, enough) =
                        (Arc::clone(&gate), Arc::clone(&asked), enough.clone());
                    async move {
                        if asked.fetch_add(1, Ordering::SeqCst) + 1 == most {
                            enough.cancel();
                        }
                        let _passed = gate.acquire().await;
                        Ok::<_, io::Error>(Answer::new(Full::new(Bytes::from_static(b"answer"))))
                    }
                }
            };
            let serving = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::pin!(serving);
            tokio::select! {
                _ = &mut serving => return Ok(()),
                () = enough.cancelled() => serving.as_mut().graceful_shutdown(),
            }
            let _ = serving.await;
            Ok(())
        }
    })
    .await;
    (host, with_roots(roots))
}

#[tokio::test]
async fn exchanges_share_a_connection_over_http2_up_to_a_hundred() {
    let gate = Arc::new(Semaphore::new(1));
    let (host, client) = over_http2(Arc::clone(&gate), usize::MAX).await;
    let ask = async || whole(client.send(host.post("https", "question")).await?).await;
    ask().await.unwrap();
    let closed = gate.acquire().await.unwrap();
    let all = futures_util::future::join_all((0..150).map(|_| ask()));
    let open = async {
        while host.connections() < 2 {
            tokio::task::yield_now().await;
        }
        drop(closed);
    };
    let (answers, ()) = tokio::join!(all, open);
    for answer in answers {
        assert_eq!(answer.unwrap(), (200, "answer".into()));
    }
    assert_eq!(host.connections(), 2);
}

#[tokio::test]
async fn a_host_that_takes_no_more_requests_gets_a_new_connection() {
    let (host, client) = over_http2(Arc::new(Semaphore::new(1_000)), 2).await;
    for _ in 0..7 {
        let answer = client.send(host.post("https", "question")).await.unwrap();
        assert_eq!(whole(answer).await.unwrap(), (200, "answer".into()));
    }
    assert!(host.connections() >= 4, "{}", host.connections());
}
