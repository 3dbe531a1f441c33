//! The body of an answer as it stands on the wire (RFC 9112, 6 and 7): where it ends, and what of it is content.

use super::head::Malformed;

/// What a host may say in one body beside its content and the sizes of the chunks: extensions and trailers, which nobody
/// here reads.
const MOST_BESIDE: u32 = 32 << 10;

/// How a body is written, and how far it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// In chunks.
    Chunked(Chunks),
    /// Until the connection closes.
    UntilClose,
}

/// A body in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunks {
    place: Place,
    beside: u32,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The first digit of a chunk's size.
    Size,
    /// More of its digits, or their end.
    Digits(u64),
    /// What a host adds to the size, up to the end of the line.
    Extension(u64),
    /// The last byte of the line with the size.
    SizeEnd(u64),
    /// So many bytes of content, at least one.
    Content(u64),
    /// The two bytes after the content.
    ContentEnd,
    ContentEnded,
    /// The first byte of a trailer, or of the last line, which is empty.
    Trailer,
    /// More of the trailer.
    TrailerRest,
    TrailerEnd,
    /// The last byte of all.
    LastEnd,
    Ended,
}

impl Framing {
    /// A body in chunks, of which nothing has been read.
    pub(super) fn chunked() -> Self {
        Framing::Chunked(Chunks {
            place: Place::Size,
            beside: 0,
        })
    }

    /// Whether all of it has been read. What ends with the connection has not until that closes.
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Framing::Length(left) => *left == 0,
            Framing::Chunked(chunks) => chunks.place == Place::Ended,
            Framing::UntilClose => false,
        }
    }

    /// Adds to `content` what `bytes` hold of it, and says how many of them were the body's.
    pub(super) fn read(&mut self, bytes: &[u8], content: &mut Vec<u8>) -> Result<usize, Malformed> {
        match self {
            Framing::Length(left) => {
                let some = first(bytes, *left);
                *left -= some.len() as u64;
                content.extend_from_slice(some);
                Ok(some.len())
            }
            Framing::Chunked(chunks) => chunks.read(bytes, content),
            Framing::UntilClose => {
                content.extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }
}

impl Chunks {
    fn read(&mut self, bytes: &[u8], content: &mut Vec<u8>) -> Result<usize, Malformed> {
        let mut rest = bytes;
        while self.place != Place::Ended {
            if let Place::Content(left) = self.place {
                let some = first(rest, left);
                content.extend_from_slice(some);
                rest = &rest[some.len()..];
                self.place = match left - some.len() as u64 {
                    0 => Place::ContentEnd,
                    left => Place::Content(left),
                };
            }
            let Some((byte, others)) = rest.split_first() else {
                break;
            };
            self.place = self.step(*byte)?;
            rest = others;
        }
        Ok(bytes.len() - rest.len())
    }

    /// Where a byte that is no content leads.
    fn step(&mut self, byte: u8) -> Result<Place, Malformed> {
        use Place::*;
        Ok(match (self.place, byte) {
            (Size, _) => Digits(digit(byte).ok_or(Malformed::Chunk)?),
            (Digits(size), b'\r') => SizeEnd(size),
            (Digits(size), b';' | b' ' | b'\t') => Extension(size),
            (Digits(size), _) => Digits(with_digit(size, byte).ok_or(Malformed::Chunk)?),
            (Extension(size), b'\r') => SizeEnd(size),
            (Extension(size), _) => self.beside(Extension(size))?,
            (SizeEnd(0), b'\n') => Trailer,
            (SizeEnd(size), b'\n') => Content(size),
            (ContentEnd, b'\r') => ContentEnded,
            (ContentEnded, b'\n') => Size,
            (Trailer, b'\r') => LastEnd,
            (TrailerRest, b'\r') => TrailerEnd,
            (Trailer | TrailerRest, _) => self.beside(TrailerRest)?,
            (TrailerEnd, b'\n') => Trailer,
            (LastEnd, b'\n') => Ended,
            _ => return Err(Malformed::Chunk),
        })
    }

    fn beside(&mut self, place: Place) -> Result<Place, Malformed> {
        self.beside += 1;
        if self.beside > MOST_BESIDE {
            return Err(Malformed::Chunk);
        }
        Ok(place)
    }
}

fn with_digit(size: u64, byte: u8) -> Option<u64> {
    size.checked_mul(16)?.checked_add(digit(byte)?)
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// The first bytes, `most` of them at most.
fn first(bytes: &[u8], most: u64) -> &[u8] {
    let length = usize::try_from(most).unwrap_or(usize::MAX);
    &bytes[..bytes.len().min(length)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What of a body in chunks is content, and what comes after it, read as `cuts` say.
    fn read(body: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, bool, usize), Malformed> {
        let mut framing = Framing::chunked();
        let (mut content, mut rest, mut used) = (Vec::new(), body, 0);
        for cut in cuts.iter().copied().chain([usize::MAX]) {
            let (piece, others) = rest.split_at(cut.min(rest.len()));
            used += framing.read(piece, &mut content)?;
            rest = others;
        }
        Ok((content, framing.has_ended(), used))
    }

    proptest! {
        #[test]
        fn chunks_are_read_however_they_are_cut(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
            extension in prop_oneof![Just(""), Just(";a=b"), Just(" ; \t")],
            trailers in prop_oneof![Just(""), Just("x-cost: 1\r\n"), Just("a: b\r\nc: d\r\n")],
            cuts in proptest::collection::vec(0_usize..30, 0..20),
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend(format!("{:X}{extension}\r\n", chunk.len()).into_bytes());
                body.extend(chunk);
                body.extend(b"\r\n");
            }
            body.extend(format!("00{extension}\r\n{trailers}\r\n").into_bytes());
            let length = body.len();
            body.extend(b"HTTP/1.1 200 OK");
            prop_assert_eq!(read(&body, &cuts), Ok((chunks.concat(), true, length)));
        }

        #[test]
        fn whatever_comes_is_no_panic(body in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&body, &[]);
        }
    }

    #[test]
    fn what_is_not_in_chunks_is_malformed() {
        for body in [
            "\r\n",
            ";\r\n",
            "g\r\n",
            "+1\r\na",
            "1\n",
            "1\r\nab",
            "1\r\na\n",
            "1\r\na\r\r",
            "0\r\n\rx",
            "0\r\na\rx",
            "10000000000000000\r\n",
            "-1\r\n",
            "0x1\r\n",
        ] {
            assert_eq!(
                read(body.as_bytes(), &[]),
                Err(Malformed::Chunk),
                "{body:?}"
            );
        }
        for endless in ["1;", "0\r\nx"] {
            let body = format!("{endless}{}", "y".repeat(40_000));
            assert_eq!(
                read(body.as_bytes(), &[]),
                Err(Malformed::Chunk),
                "{endless:?}"
            );
        }
    }

    #[test]
    fn a_length_ends_where_it_says() {
        let mut framing = Framing::Length(5);
        let mut content = Vec::new();
        assert_eq!(framing.read(b"abc", &mut content), Ok(3));
        assert!(!framing.has_ended());
        assert_eq!(framing.read(b"defg", &mut content), Ok(2));
        assert!(framing.has_ended());
        assert_eq!(content, b"abcde");
    }
}
