//! The mock provider: a process of its own that does as little as a provider can, so that it is never what is measured.
//!
//! The model's name in the request says how to answer; see [`Manner`].

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::Result;
use crate::wire::Reader;

/// The argument that makes this program the mock provider.
pub(crate) const ROLE: &str = "mock-provider";

/// The slug of the provider that answers broken manners as they say. Another answers the same models well.
pub(crate) const ILL: &str = "ill";

/// Content chunks in a stream.
pub(crate) const CHUNKS: u32 = 64;

/// Between two chunks of a paced stream.
const PACE: Duration = Duration::from_millis(20);

/// How long an idle stream says nothing after its first chunk.
pub(crate) const HOLD: Duration = Duration::from_secs(30);

const PLAIN: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1764000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"The answer of the mock provider is a few sentences long, since most answers are, and says nothing that anybody would want to read twice. It ends here, after about two hundred characters."},"finish_reason":"stop"}],"usage":{"prompt_tokens":500,"completion_tokens":40,"total_tokens":540}}"#;
const CHUNK: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1764000000,"model":"m","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}"#;
const FINISH: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1764000000,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1764000000,"model":"m","choices":[],"usage":{"prompt_tokens":500,"completion_tokens":64,"total_tokens":564}}"#;
const FAILURE: &str =
    r#"{"error":{"message":"The mock provider is out of order","type":"server_error"}}"#;
const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// How long a broken manner hangs before it gives up.
const HANG: Duration = Duration::from_millis(200);

/// How to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// One JSON body, after a prompt of some two kilobytes.
    Plain,
    /// The same after one of a hundred. What a provider says of a prompt must be plausible, or it is counted again.
    Large,
    /// A chunk every [`PACE`].
    Paced,
    /// Chunks as fast as they are taken.
    Unpaced,
    /// One chunk, silence for [`HOLD`], then the rest.
    Idle,
    /// Chunks without end.
    Endless,
    /// Like [`Manner::Plain`] half the time, and else one of the ways in which providers fail.
    BrokenPlain,
    /// Like [`Manner::Unpaced`], likewise.
    BrokenStream,
}

impl Manner {
    /// Every manner.
    pub(crate) const ALL: [Manner; 8] = [
        Manner::Plain,
        Manner::Large,
        Manner::Paced,
        Manner::Unpaced,
        Manner::Idle,
        Manner::Endless,
        Manner::BrokenPlain,
        Manner::BrokenStream,
    ];

    /// How long an answer is made to last.
    pub(crate) fn lasts(self) -> Duration {
        match self {
            Manner::Paced => PACE * CHUNKS,
            _ => Duration::ZERO,
        }
    }

    /// The model that is answered so.
    pub(crate) fn model(self) -> &'static str {
        match self {
            Manner::Plain => "bench/plain",
            Manner::Large => "bench/large",
            Manner::Paced => "bench/paced",
            Manner::Unpaced => "bench/unpaced",
            Manner::Idle => "bench/idle",
            Manner::Endless => "bench/endless",
            Manner::BrokenPlain => "bench/broken-plain",
            Manner::BrokenStream => "bench/broken-stream",
        }
    }

    /// Whether it is a stream.
    pub(crate) fn streams(self) -> bool {
        !matches!(self, Manner::Plain | Manner::Large | Manner::BrokenPlain)
    }

    /// Whether it fails now and then.
    pub(crate) fn is_broken(self) -> bool {
        self.mended() != self
    }

    /// The manner of one who never fails.
    pub(crate) fn mended(self) -> Manner {
        match self {
            Manner::BrokenPlain => Manner::Plain,
            Manner::BrokenStream => Manner::Unpaced,
            well => well,
        }
    }

    fn of(body: &[u8]) -> Manner {
        let named = |manner: &Manner| memmem::find(body, manner.model().as_bytes()).is_some();
        Self::ALL.into_iter().find(named).unwrap_or(Manner::Plain)
    }
}

/// What is sent, made once.
struct Script {
    plain: Vec<u8>,
    large: Vec<u8>,
    first: Vec<u8>,
    chunk: Vec<u8>,
    last: Vec<u8>,
    burst: Vec<u8>,
    failure: Vec<u8>,
}

/// Serves on a port of its own, which it prints.
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr()?.port())?;
    out.flush()?;
    let script = Arc::new(Script::new());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let script = Arc::clone(&script);
        // A proxy that hangs up ends its connection, which is all an error can mean here.
        tokio::spawn(async move { connection(stream, &script).await.ok() });
    }
}

async fn connection(stream: TcpStream, script: &Script) -> Result<()> {
    let mut reader = Reader::new(stream);
    while let Some(body) = reader.request().await? {
        let manner = Manner::of(body);
        let stream = reader.stream();
        if manner.is_broken() {
            match rand::random_range(0..6) {
                0 => {
                    stream.write_all(&script.failure).await?;
                    continue;
                }
                1 => {
                    tokio::time::sleep(HANG).await;
                    stream.write_all(&script.failure).await?;
                    continue;
                }
                // Hangs up amid the answer.
                2 if manner.streams() => return Ok(stream.write_all(&script.first).await?),
                2 => {
                    return Ok(stream
                        .write_all(&script.plain[..script.plain.len() / 2])
                        .await?);
                }
                _ => {}
            }
        }
        match manner {
            Manner::Plain | Manner::BrokenPlain => stream.write_all(&script.plain).await?,
            Manner::Large => stream.write_all(&script.large).await?,
            Manner::Unpaced | Manner::BrokenStream => {
                stream.write_all(&script.first).await?;
                stream.write_all(&script.burst).await?;
                stream.write_all(&script.last).await?;
            }
            Manner::Paced => {
                stream.write_all(&script.first).await?;
                for _ in 1..CHUNKS {
                    tokio::time::sleep(PACE).await;
                    stream.write_all(&script.chunk).await?;
                }
                stream.write_all(&script.last).await?;
            }
            Manner::Endless => {
                stream.write_all(&script.first).await?;
                loop {
                    stream.write_all(&script.burst).await?;
                }
            }
            Manner::Idle => {
                stream.write_all(&script.first).await?;
                tokio::time::sleep(HOLD).await;
                stream.write_all(&script.burst).await?;
                stream.write_all(&script.last).await?;
            }
        }
    }
    Ok(())
}

impl Script {
    fn new() -> Self {
        let chunk = piece(CHUNK);
        let last = [
            piece(FINISH),
            piece(USAGE),
            piece("[DONE]"),
            b"0\r\n\r\n".to_vec(),
        ];
        let large = PLAIN
            .replace("\"prompt_tokens\":500", "\"prompt_tokens\":28000")
            .replace("\"total_tokens\":540", "\"total_tokens\":28040");
        Script {
            plain: whole("200 OK", PLAIN),
            large: whole("200 OK", &large),
            failure: whole("500 Internal Server Error", FAILURE),
            first: [STREAM_HEAD.as_bytes(), &chunk].concat(),
            burst: chunk.repeat(CHUNKS as usize - 1),
            last: last.concat(),
            chunk,
        }
    }
}

fn whole(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// One server-sent event in one chunk of the transfer encoding.
fn piece(data: &str) -> Vec<u8> {
    let event = format!("data: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}
