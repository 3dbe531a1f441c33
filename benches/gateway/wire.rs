//! As much of HTTP/1.1 as both ends of the harness need: read one message, know where it ends, and copy nothing.

use std::time::Instant;

use memchr::memmem;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::Result;

const CHUNKED_END: &[u8] = b"0\r\n\r\n";

/// A connection and what was read from it.
pub(crate) struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The message that was handed out last ends here.
    used: usize,
}

/// An answer, as far as it matters.
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// When the first bytes of the body came.
    pub(crate) first: Instant,
    /// Whether a stream said that it is done, or a plain body came whole.
    pub(crate) complete: bool,
    /// Whether it says when to come back.
    pub(crate) retry_after: bool,
    /// The beginning of the body, for messages about what went wrong.
    pub(crate) text: String,
}

impl Reader {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Reader {
            stream,
            buffer: Vec::with_capacity(16 << 10),
            used: 0,
        }
    }

    /// The socket, to write to.
    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// The body of the next request; `None` when the other side hung up between two.
    pub(crate) async fn request(&mut self) -> Result<Option<&[u8]>> {
        self.buffer.drain(..std::mem::take(&mut self.used));
        let Some(head) = self.head().await? else {
            return Ok(None);
        };
        let length = content_length(&self.buffer[..head]).unwrap_or(0);
        self.at_least(head + length).await?;
        self.used = head + length;
        Ok(Some(&self.buffer[head..self.used]))
    }

    /// The next answer, read to its end.
    pub(crate) async fn answer(&mut self) -> Result<Answer> {
        let head = self.begin().await?;
        let first = Instant::now();
        let status = self.status()?;
        let retry_after = memmem::find(&self.buffer[..head], b"retry-after: ").is_some();
        let complete = match content_length(&self.buffer[..head]) {
            Some(length) => {
                self.at_least(head + length).await?;
                true
            }
            None => {
                while !self.buffer.ends_with(CHUNKED_END) {
                    self.more().await?;
                }
                let tail = self.buffer.len().saturating_sub(64).max(head);
                memmem::find(&self.buffer[tail..], b"[DONE]").is_some()
            }
        };
        let text = &self.buffer[head..self.buffer.len().min(head + 300)];
        Ok(Answer {
            status,
            first,
            complete,
            retry_after,
            text: String::from_utf8_lossy(text).into_owned(),
        })
    }

    /// The next answer's whole body, whose length it must tell.
    pub(crate) async fn text(&mut self) -> Result<String> {
        let head = self.begin().await?;
        let length = content_length(&self.buffer[..head]).ok_or("a body without a length")?;
        self.at_least(head + length).await?;
        Ok(String::from_utf8_lossy(&self.buffer[head..head + length]).into_owned())
    }

    /// Reads up to the first bytes of the next answer's body, and says where the body begins.
    pub(crate) async fn begin(&mut self) -> Result<usize> {
        self.buffer.clear();
        let head = self.head().await?.ok_or("the proxy hung up")?;
        if content_length(&self.buffer[..head]) != Some(0) {
            self.at_least(head + 1).await?;
        }
        Ok(head)
    }

    /// The status of the answer that has begun.
    pub(crate) fn status(&self) -> Result<u16> {
        Ok(std::str::from_utf8(&self.buffer[9..12])?.parse()?)
    }

    /// Reads a stream that has begun to its end, and says whether it is complete.
    pub(crate) async fn rest(&mut self) -> Result<bool> {
        while !self.buffer.ends_with(CHUNKED_END) {
            self.more().await?;
        }
        Ok(memmem::find(&self.buffer, b"[DONE]").is_some())
    }

    /// Reads a single byte and forgets it.
    pub(crate) async fn byte(&mut self) -> Result<()> {
        self.stream.read_u8().await?;
        Ok(())
    }

    async fn head(&mut self) -> Result<Option<usize>> {
        loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                return Ok(Some(end + 4));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn at_least(&mut self, length: usize) -> Result<()> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        Ok(())
    }

    async fn more(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the connection ended inside a message".into()),
            _ => Ok(()),
        }
    }
}

/// `None` for a body in chunks.
fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    })
}
