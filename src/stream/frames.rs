//! Bytes to server-sent events, wherever the reads ended. Does no I/O and knows nothing of what
//! the events say.
//!
//! Works line by line: a line that lies inside one read is a slice of it, and only a line that
//! two reads share is copied. So a usual event costs no copy, and input in single bytes costs no
//! more than one copy.

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr2};
use smallvec::SmallVec;

use super::aws::AwsFramer;
use crate::wire::{Frame, Framing};

/// The largest event that is accepted: an image or a minute of audio in base64 fits.
pub const MAX_FRAME: usize = 16 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Cuts a byte stream into events. Feed it reads of any size, then tell it the [`end`](Self::end).
#[derive(Debug, Default)]
pub struct SseFramer {
    /// The beginning of a line whose end has not come.
    partial: BytesMut,
    /// The last read ended in a carriage return; a line feed that follows belongs to it.
    after_return: bool,
    /// At least one line is behind us, so that a byte order mark would be text.
    begun: bool,
    event: Option<String>,
    data: SmallVec<[Bytes; 1]>,
    /// Bytes in `data`.
    size: usize,
    comments: u64,
}

/// Why bytes cannot be cut into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// An event larger than [`MAX_FRAME`].
    #[error("an event of the stream is larger than {MAX_FRAME} bytes")]
    TooLarge,
    /// Lengths or checksums that do not fit, where there are some.
    #[error("the stream is corrupt")]
    Corrupt,
}

/// Cuts a stream into frames, whichever way its protocol frames them.
#[derive(Debug)]
pub enum Framer {
    /// Server-sent events.
    Sse(SseFramer),
    /// Amazon's binary messages.
    Aws(AwsFramer),
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Sse => Framer::Sse(SseFramer::new()),
            Framing::AwsEventStream => Framer::Aws(AwsFramer::default()),
        }
    }

    /// Takes the next read and appends the frames that it completes.
    pub fn feed(&mut self, bytes: &Bytes, frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        match self {
            Framer::Sse(framer) => framer.feed(bytes, frames),
            Framer::Aws(framer) => framer.feed(bytes, frames),
        }
    }

    /// The stream has ended. A message of a known length that was cut off is none.
    pub fn end(&mut self, frames: &mut Vec<Frame>) {
        match self {
            Framer::Sse(framer) => framer.end(frames),
            Framer::Aws(_) => {}
        }
    }
}

impl SseFramer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many comments have come: each is a sign of life (contract 6.5).
    pub fn comments(&self) -> u64 {
        self.comments
    }

    /// Takes the next read and appends the events that it completes.
    pub fn feed(&mut self, bytes: &Bytes, frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        let mut at = 0;
        while at < bytes.len() {
            if std::mem::take(&mut self.after_return) && bytes[at] == b'\n' {
                at += 1;
                continue;
            }
            let Some(length) = memchr2(b'\n', b'\r', &bytes[at..]) else {
                self.partial.extend_from_slice(&bytes[at..]);
                break;
            };
            let line = self.whole_line(bytes, at, at + length);
            self.line(line, frames);
            self.check_size()?;
            self.after_return = bytes[at + length] == b'\r';
            at += length + 1;
        }
        self.check_size()
    }

    /// The stream has ended: an event that lacks its blank line, or its line end, still counts.
    pub fn end(&mut self, frames: &mut Vec<Frame>) {
        let line = self.partial.split().freeze();
        if !line.is_empty() {
            self.line(line, frames);
        }
        self.dispatch(frames);
    }

    /// The line that ends at `end`, with the beginning that earlier reads left.
    fn whole_line(&mut self, bytes: &Bytes, start: usize, end: usize) -> Bytes {
        if self.partial.is_empty() {
            return bytes.slice(start..end);
        }
        self.partial.extend_from_slice(&bytes[start..end]);
        self.partial.split().freeze()
    }

    fn line(&mut self, mut line: Bytes, frames: &mut Vec<Frame>) {
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(BYTE_ORDER_MARK) {
            line = line.slice(BYTE_ORDER_MARK.len()..);
        }
        if line.is_empty() {
            return self.dispatch(frames);
        }
        let colon = memchr(b':', &line).unwrap_or(line.len());
        match &line[..colon] {
            b"" => self.comments += 1,
            b"data" => {
                let value = value(&line, colon);
                self.size += value.len() + 1;
                self.data.push(value);
            }
            b"event" => {
                self.event = Some(String::from_utf8_lossy(&value(&line, colon)).into_owned())
            }
            // `id` and `retry` serve reconnecting, which a paid answer cannot do.
            _ => {}
        }
    }

    /// A blank line: the event is complete. Without data it is none.
    fn dispatch(&mut self, frames: &mut Vec<Frame>) {
        let event = self.event.take();
        self.size = 0;
        let mut lines = std::mem::take(&mut self.data);
        let data = match lines.len() {
            0 => return,
            1 => lines.remove(0),
            _ => lines.join(&b"\n"[..]).into(),
        };
        frames.push(Frame { event, data });
    }

    fn check_size(&self) -> Result<(), FrameError> {
        if self.size + self.partial.len() > MAX_FRAME {
            Err(FrameError::TooLarge)
        } else {
            Ok(())
        }
    }
}

/// What follows the colon, without the one space that may stand there.
fn value(line: &Bytes, colon: usize) -> Bytes {
    let start = match line.get(colon + 1) {
        None => line.len(),
        Some(b' ') => colon + 2,
        Some(_) => colon + 1,
    };
    line.slice(start..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The events of `text`, read in pieces that end at `cuts`, and the number of comments.
    fn frames(text: &[u8], cuts: &[usize]) -> (Vec<Frame>, u64) {
        let (mut framer, mut frames, mut start) = (SseFramer::new(), Vec::new(), 0);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
        cuts.sort_unstable();
        for end in cuts.into_iter().chain([text.len()]) {
            framer
                .feed(&Bytes::copy_from_slice(&text[start..end]), &mut frames)
                .unwrap();
            start = end;
        }
        framer.end(&mut frames);
        (frames, framer.comments())
    }

    #[track_caller]
    fn check(text: &str, expect: &[(Option<&str>, &str)]) {
        let (frames, _) = frames(text.as_bytes(), &[]);
        let found: Vec<_> = frames
            .iter()
            .map(|frame| {
                (
                    frame.event.as_deref(),
                    std::str::from_utf8(&frame.data).unwrap(),
                )
            })
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn every_line_end_serves() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["data: a", "", "data: b", "data: c", "", ""].join(end);
            check(&text, &[(None, "a"), (None, "b\nc")]);
        }
    }

    #[test]
    fn fields_are_read_as_the_standard_says() {
        check("data:a\n\n", &[(None, "a")]);
        check("data:  a\n\n", &[(None, " a")]);
        check("data\n\n", &[(None, "")]);
        check(
            "event: error\nid: 7\nretry: 1\ndata: x\n\n",
            &[(Some("error"), "x")],
        );
        check("event: lost\n\ndata: x\n\n", &[(None, "x")]);
        check("datum: a\n\n\n\n", &[]);
        check(
            "\u{feff}data: a\n\ndata: \u{feff}b\n\n",
            &[(None, "a"), (None, "\u{feff}b")],
        );
    }

    #[test]
    fn the_last_event_needs_no_blank_line() {
        check("data: a\n\ndata: [DONE]", &[(None, "a"), (None, "[DONE]")]);
        check("data: a\n", &[(None, "a")]);
        check("", &[]);
    }

    #[test]
    fn comments_are_counted_and_are_no_events() {
        let (frames, comments) = frames(b": OPENROUTER PROCESSING\n\n:\n\ndata: a\n\n", &[]);
        assert_eq!((frames.len(), comments), (1, 2));
    }

    #[test]
    fn a_line_inside_one_read_is_not_copied() {
        let read = Bytes::from_static(b"data: {\"a\":1}\n\n");
        let mut frames = Vec::new();
        SseFramer::new().feed(&read, &mut frames).unwrap();
        assert_eq!(frames[0].data.as_ptr(), read[6..].as_ptr());
    }

    #[test]
    fn an_endless_event_is_refused() {
        let long = Bytes::from(vec![b'x'; MAX_FRAME / 2]);
        let lines = |lead: &'static [u8], tail: &'static [u8]| {
            let mut framer = SseFramer::new();
            (0..4).try_for_each(|_| {
                framer.feed(&Bytes::from_static(lead), &mut Vec::new())?;
                framer.feed(&long, &mut Vec::new())?;
                framer.feed(&Bytes::from_static(tail), &mut Vec::new())
            })
        };
        assert_eq!(lines(b"", b""), Err(FrameError::TooLarge));
        assert_eq!(lines(b"data: ", b"\n"), Err(FrameError::TooLarge));
        assert_eq!(lines(b"data: ", b"\n\n"), Ok(()));
    }

    proptest! {
        #[test]
        fn the_reads_do_not_matter(
            text in r"(data: ?[a-zé😀]{0,4}|:|event: [a-z]|\u{feff}|\r|\n|\r\n|data){0,24}",
            cuts in proptest::collection::vec(any::<usize>(), 0..6),
        ) {
            let bytes = text.as_bytes();
            let whole = frames(bytes, &[]);
            prop_assert_eq!(&frames(bytes, &cuts), &whole);
            prop_assert_eq!(&frames(bytes, &(0..bytes.len()).collect::<Vec<_>>()), &whole);
        }
    }
}
