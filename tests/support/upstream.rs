//! A provider on loopback that does exactly what a test tells it to, on the bare socket: answers,
//! streams, stalls, breaks off, resets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A request as the provider saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) head: String,
    /// A text, where it is no JSON.
    pub(crate) body: Value,
}

impl Seen {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Whether a stream was asked for.
    pub(crate) fn streams(&self) -> bool {
        self.body["stream"] == true
    }
}

/// One thing a provider does with a connection.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Writes bytes.
    Write(Vec<u8>),
    /// Takes its time.
    Wait(Duration),
    /// Says nothing more until the gateway hangs up.
    Silence,
    /// Resets the connection.
    Reset,
}

/// What a provider does with one request; then it closes the connection.
pub(crate) type Script = Vec<Step>;

/// A provider under a test's command.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    hung_up: Arc<AtomicUsize>,
    change: Arc<Notify>,
    server: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Upstream {
    /// Starts a provider that answers each request with the script that `answer` gives.
    pub(crate) async fn start(
        answer: impl Fn(&Seen) -> Script + Send + Sync + 'static,
    ) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, hung_up, change) = (
            Arc::default(),
            Arc::new(AtomicUsize::new(0)),
            Arc::new(Notify::new()),
        );
        let shared = Shared {
            answer: Box::new(answer),
            seen: Arc::clone(&seen),
            hung_up: Arc::clone(&hung_up),
            change: Arc::clone(&change),
        };
        let shared = Arc::new(shared);
        let server = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(Arc::clone(&shared).serve(socket));
            }
        });
        Upstream {
            address,
            seen,
            hung_up,
            change,
            server,
        }
    }

    /// A provider that always answers `text`, plain or streamed word by word.
    pub(crate) async fn answering(text: &'static str) -> Upstream {
        Upstream::start(move |seen| answer(seen, text)).await
    }

    /// An address where nothing listens.
    pub(crate) async fn nobody() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
    }

    /// An address that never completes a connection: its queue of connections that nobody accepts is full.
    pub(crate) async fn black_hole() -> BlackHole {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(connected) =
            timeout(Duration::from_millis(50), TcpStream::connect(address)).await
        {
            waiting.push(connected.unwrap());
        }
        BlackHole {
            address,
            _listener: listener,
            _waiting: waiting,
        }
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// How many requests came.
    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().len()
    }

    /// Waits until `count` requests have come.
    pub(crate) async fn called(&self, count: usize) {
        loop {
            let notified = self.change.notified();
            if self.calls() >= count {
                return;
            }
            notified.await;
        }
    }

    /// Waits until the gateway has hung up on `count` silent answers.
    pub(crate) async fn hung_up(&self, count: usize) {
        loop {
            let notified = self.change.notified();
            if self.hung_up.load(Ordering::SeqCst) >= count {
                return;
            }
            notified.await;
        }
    }

    /// `[[providers]]` with this provider as `slug`, serving `acme/orca` at the given prices.
    pub(crate) fn provider(&self, slug: &str, prompt: &str, completion: &str) -> String {
        provider_at(
            &format!("http://{}/v1", self.address),
            slug,
            prompt,
            completion,
        )
    }
}

/// See [`Upstream::black_hole`].
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

/// `[[providers]]` for a provider at `base_url`, serving `acme/orca`.
pub(crate) fn provider_at(base_url: &str, slug: &str, prompt: &str, completion: &str) -> String {
    format!(
        r#"
        [[providers]]
        slug = "{slug}"
        name = "{slug} Inc"
        wire = "openai"
        base_url = "{base_url}"

        [[providers.models]]
        id = "acme/orca"
        upstream_model = "orca-at-{slug}"
        context_length = 32768
        max_output_tokens = 4096
        pricing = {{ prompt = "{prompt}", completion = "{completion}" }}
        supported_parameters = ["tools", "tool_choice", "max_tokens", "temperature", "response_format"]
        "#
    )
}

/// `[[providers]]` for a provider at `address`, serving the embedding model `acme/shoal` at this price, with these
/// quirks.
pub(crate) fn shoal_at(address: SocketAddr, slug: &str, prompt: &str, quirks: &str) -> String {
    format!(
        r#"
        [[providers]]
        slug = "{slug}"
        name = "{slug} Inc"
        wire = "openai"
        base_url = "http://{address}/v1"
        quirks = {{ {quirks} }}

        [[providers.models]]
        id = "acme/shoal"
        type = "embedding"
        upstream_model = "shoal-at-{slug}"
        context_length = 8192
        pricing = {{ prompt = "{prompt}" }}
        "#
    )
}

/// A vector for each input: a text that is a number has that number in it, and every input costs three tokens.
pub(crate) fn vectors(seen: &Seen) -> Script {
    let input = &seen.body["input"];
    let inputs = match input.as_array() {
        Some(inputs) if !input[0].is_number() => inputs.clone(),
        _ => vec![input.clone()],
    };
    let number = |input: &Value| {
        input
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0.5)
    };
    let vector = |(index, input): (usize, &Value)| json!({"object": "embedding", "index": index, "embedding": [number(input), -2.0]});
    let data: Vec<Value> = inputs.iter().enumerate().map(vector).collect();
    let tokens = 3 * inputs.len();
    json_body(
        200,
        &json!({"object": "list", "data": data, "model": "shoal", "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}),
    )
}

/// `[[providers]]` for a provider at `address` of this wire, serving the reranker `acme/sieve` at these prices, with
/// these quirks.
pub(crate) fn sieve_at(
    address: SocketAddr,
    slug: &str,
    wire: &str,
    pricing: &str,
    quirks: &str,
) -> String {
    format!(
        r#"
        [[providers]]
        slug = "{slug}"
        name = "{slug} Inc"
        wire = "{wire}"
        base_url = "http://{address}/v1"
        quirks = {{ {quirks} }}

        [[providers.models]]
        id = "acme/sieve"
        type = "rerank"
        upstream_model = "sieve-at-{slug}"
        context_length = 4096
        pricing = {{ {pricing} }}
        "#
    )
}

/// A rank for each document, in their order: a document that is a number is as relevant as that. Jina's form, and with
/// `top_k` in the request Voyage's; every document costs three tokens.
pub(crate) fn ranks(seen: &Seen) -> Script {
    let documents = seen.body["documents"].as_array().unwrap();
    let score = |document: &Value| document.as_str()?.parse::<f64>().ok();
    let rank = |(index, document): (usize, &Value)| json!({"index": index, "relevance_score": score(document).unwrap_or(0.5)});
    let ranks: Vec<Value> = documents.iter().enumerate().map(rank).collect();
    let field = if seen.body["top_k"].is_null() {
        "results"
    } else {
        "data"
    };
    let tokens = 3 * documents.len();
    json_body(
        200,
        &json!({field: ranks, "model": "sieve", "usage": {"total_tokens": tokens}}),
    )
}

struct Shared {
    answer: Box<dyn Fn(&Seen) -> Script + Send + Sync>,
    seen: Arc<Mutex<Vec<Seen>>>,
    hung_up: Arc<AtomicUsize>,
    change: Arc<Notify>,
}

impl Shared {
    async fn serve(self: Arc<Self>, mut socket: TcpStream) {
        socket.set_nodelay(true).unwrap();
        let Some(seen) = read_request(&mut socket).await else {
            return;
        };
        self.seen.lock().push(seen.clone());
        self.change.notify_waiters();
        for step in (self.answer)(&seen) {
            match step {
                Step::Write(bytes) => {
                    if socket.write_all(&bytes).await.is_err() {
                        self.count_hang_up();
                        return;
                    }
                }
                Step::Wait(time) => tokio::time::sleep(time).await,
                Step::Silence => {
                    while socket.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
                    self.count_hang_up();
                    return;
                }
                Step::Reset => {
                    socket.set_zero_linger().unwrap();
                    return;
                }
            }
        }
    }

    fn count_hang_up(&self) {
        self.hung_up.fetch_add(1, Ordering::SeqCst);
        self.change.notify_waiters();
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().unwrap())
            });
            if bytes.len() >= end + 4 + length.unwrap_or(0) {
                let body = &bytes[end + 4..];
                let text = || match body {
                    [] => Value::Null,
                    body => String::from_utf8_lossy(body).into(),
                };
                let body = serde_json::from_slice(body).unwrap_or_else(|_| text());
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                return Some(Seen { path, head, body });
            }
        }
        let mut piece = vec![0; 16 << 10];
        match socket.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

/// `text` as an OpenAI-compatible provider says it: ten prompt tokens, a completion token a word.
pub(crate) fn answer(seen: &Seen, text: &str) -> Script {
    if seen.streams() {
        stream_of(text)
    } else {
        json_body(200, &completion(text))
    }
}

/// A chat completion with `text`.
pub(crate) fn completion(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "orca-large",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": usage(text),
    })
}

/// A streamed chat completion with `text`, word by word.
pub(crate) fn stream_of(text: &str) -> Script {
    let mut script = vec![sse_head()];
    script.extend(words(text).map(|word| event(&chunk(&json!({"content": word}), None))));
    script.push(event(&chunk(&json!({}), Some("stop"))));
    script.push(event(&json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "orca-large", "choices": [], "usage": usage(text)})));
    script.push(done());
    script
}

/// The words of a text, with their spaces.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(' ')
}

/// The usage an honest provider reports for `text`.
pub(crate) fn usage(text: &str) -> Value {
    let completion = words(text).count();
    json!({"prompt_tokens": 10, "completion_tokens": completion, "total_tokens": 10 + completion})
}

/// One chunk of a stream.
pub(crate) fn chunk(delta: &Value, finish: Option<&str>) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "orca-large",
           "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

/// The head of a streamed answer.
pub(crate) fn sse_head() -> Step {
    Step::Write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec(),
    )
}

/// A server-sent event.
pub(crate) fn event(data: &Value) -> Step {
    Step::Write(format!("data: {data}\n\n").into_bytes())
}

/// The end mark.
pub(crate) fn done() -> Step {
    Step::Write(b"data: [DONE]\n\n".to_vec())
}

/// A whole JSON answer.
pub(crate) fn json_body(status: u16, body: &Value) -> Script {
    json_with(status, "", body)
}

/// A whole JSON answer with further headers, each ended by CRLF.
pub(crate) fn json_with(status: u16, headers: &str, body: &Value) -> Script {
    let body = body.to_string();
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    vec![Step::Write(text.into_bytes())]
}
