//! The heads of a request and of its answer as they stand on the wire (RFC 9112), and what an answer's head says of its
//! body's end.

use std::io::Write as _;
use std::mem::MaybeUninit;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use httparse::{ParserConfig, Status};

use super::body::Framing;

/// More headers than any provider sends.
const MOST_HEADERS: usize = 128;

/// Why what came is not HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// What should be a head is none.
    #[error("the head of the answer is not HTTP: {0}")]
    Head(#[from] httparse::Error),
    /// A name, value or status that HTTP does not have.
    #[error("the head of the answer is not HTTP")]
    Header,
    /// The end of the body cannot be told.
    #[error("the length of the answer is not one")]
    Length,
    /// The host wants to speak another protocol, which nobody asked for.
    #[error("the answer changes the protocol")]
    Upgrade,
    /// The body is not in chunks, though its head says so.
    #[error("the answer is not in chunks")]
    Chunk,
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// How the body is written.
    pub(super) framing: Framing,
    /// Whether the connection serves for another exchange.
    pub(super) is_kept: bool,
}

/// Writes the head of a request with a body of `length` bytes.
pub(super) fn write(request: &Parts, length: usize) -> Vec<u8> {
    let mut head = Vec::with_capacity(1_024);
    head.extend_from_slice(request.method.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(request.uri.path().as_bytes());
    if let Some(query) = request.uri.query() {
        head.push(b'?');
        head.extend_from_slice(query.as_bytes());
    }
    head.extend_from_slice(b" HTTP/1.1\r\n");
    if !request.headers.contains_key(HOST) {
        write_host(&mut head, &request.uri);
    }
    if length > 0 || request.method != Method::GET {
        // A vector takes all that is written.
        let _ = write!(head, "content-length: {length}\r\n");
    }
    for (name, value) in &request.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The host, with its port where that is not the scheme's own.
fn write_host(head: &mut Vec<u8>, uri: &Uri) {
    let own_port = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    head.extend_from_slice(b"host: ");
    head.extend_from_slice(uri.host().unwrap_or_default().as_bytes());
    if let Some(port) = uri.port().filter(|port| port.as_u16() != own_port) {
        head.push(b':');
        head.extend_from_slice(port.as_str().as_bytes());
    }
    head.extend_from_slice(b"\r\n");
}

/// The head of the answer that `bytes` begin with, and how long it is; `None` for as long as its end has not come.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(usize, Head)>, Malformed> {
    let mut begins = 0;
    loop {
        let mut room = [const { MaybeUninit::uninit() }; MOST_HEADERS];
        let mut read = httparse::Response::new(&mut []);
        let parsed = ParserConfig::default().parse_response_with_uninit_headers(
            &mut read,
            &bytes[begins..],
            &mut room,
        )?;
        let Status::Complete(length) = parsed else {
            return Ok(None);
        };
        begins += length;
        let status = read.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or(Malformed::Header)?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Malformed::Upgrade);
        }
        // Others of this class are news of an answer that is still to come (RFC 9110, 15.2).
        if !status.is_informational() {
            let headers = headers(read.headers)?;
            let is_kept = read.version == Some(1) && !says(&headers, &CONNECTION, "close");
            let framing = framing(status, &headers)?;
            // Where both tell the length, somebody on the way may have believed the other.
            let is_clear =
                !(headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH));
            let head = Head {
                is_kept: is_kept && is_clear && framing != Framing::UntilClose,
                status,
                headers,
                framing,
            };
            return Ok(Some((begins, head)));
        }
    }
}

fn headers(read: &[httparse::Header<'_>]) -> Result<HeaderMap, Malformed> {
    let mut headers = HeaderMap::with_capacity(read.len());
    for header in read {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Malformed::Header);
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// How the body's end is told (RFC 9112, 6.3), of an answer to a method that has bodies.
fn framing(status: StatusCode, headers: &HeaderMap) -> Result<Framing, Malformed> {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Length(0));
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        let last = tokens(headers, &TRANSFER_ENCODING).last();
        return Ok(match last {
            Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => Framing::chunked(),
            _ => Framing::UntilClose,
        });
    }
    let mut lengths = tokens(headers, &CONTENT_LENGTH).map(length);
    let Some(first) = lengths.next() else {
        return Ok(Framing::UntilClose);
    };
    // Said twice, it must be the same.
    match first.filter(|first| lengths.all(|other| other == Some(*first))) {
        Some(length) => Ok(Framing::Length(length)),
        None => Err(Malformed::Length),
    }
}

fn length(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| is_number)?
        .parse()
        .ok()
}

fn says(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(word.as_bytes()))
}

/// What stands between the commas of a header.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn written(request: Request<()>, length: usize) -> String {
        String::from_utf8(write(&request.into_parts().0, length)).unwrap()
    }

    #[test]
    fn a_request_names_its_host_and_length() {
        let request =
            Request::post("https://user:pass@a.test:443/v1/x?y=z&u").header("accept", "*/*");
        assert_eq!(
            written(request.body(()).unwrap(), 12),
            "POST /v1/x?y=z&u HTTP/1.1\r\nhost: a.test\r\ncontent-length: 12\r\naccept: */*\r\n\r\n"
        );
        let request = Request::get("http://a.test:443").header("host", "b.test");
        assert_eq!(
            written(request.body(()).unwrap(), 0),
            "GET / HTTP/1.1\r\nhost: b.test\r\n\r\n"
        );
        let request = Request::post("http://[::1]:8000/?q");
        assert_eq!(
            written(request.body(()).unwrap(), 0),
            "POST /?q HTTP/1.1\r\nhost: [::1]:8000\r\ncontent-length: 0\r\n\r\n"
        );
    }

    fn framed(head: &str) -> Result<(Framing, bool), Malformed> {
        let text = format!("{head}\r\n\r\nbody");
        let (length, head) = read(text.as_bytes())?.unwrap();
        assert_eq!(&text[length..], "body");
        Ok((head.framing, head.is_kept))
    }

    #[test]
    fn the_head_tells_where_the_body_ends() {
        let well = |status: &str, rest: &str| framed(&format!("HTTP/1.1 {status}{rest}")).unwrap();
        assert_eq!(
            well("200 OK", "\r\ncontent-length: 12"),
            (Framing::Length(12), true)
        );
        assert_eq!(
            well("200 OK", "\r\ncontent-length: 12, 12"),
            (Framing::Length(12), true)
        );
        assert_eq!(
            well("200", "\r\nTransfer-Encoding: gzip, Chunked"),
            (Framing::chunked(), true)
        );
        assert_eq!(
            well("200", "\r\ntransfer-encoding: gzip"),
            (Framing::UntilClose, false)
        );
        assert_eq!(well("200", ""), (Framing::UntilClose, false));
        assert_eq!(well("204 None", ""), (Framing::Length(0), true));
        assert_eq!(
            well("304 Same", "\r\ncontent-length: 12"),
            (Framing::Length(0), true)
        );
        let both = "\r\ntransfer-encoding: chunked\r\ncontent-length: 3";
        assert_eq!(well("200", both), (Framing::chunked(), false));
        let closes = "\r\nconnection: TE, Close\r\ncontent-length: 3";
        assert_eq!(well("200", closes), (Framing::Length(3), false));
        assert_eq!(
            framed("HTTP/1.0 200 OK\r\ncontent-length: 3"),
            Ok((Framing::Length(3), false))
        );
    }

    #[test]
    fn a_head_that_is_none_is_malformed() {
        for (head, malformed) in [
            ("HTTP/1.1 200\r\ncontent-length: +3", Malformed::Length),
            (
                "HTTP/1.1 200\r\ncontent-length: 3\r\ncontent-length: 4",
                Malformed::Length,
            ),
            (
                "HTTP/1.1 200\r\ncontent-length: 99999999999999999999",
                Malformed::Length,
            ),
            ("HTTP/1.1 200\r\ncontent-length:", Malformed::Length),
            ("HTTP/1.1 101 Switching", Malformed::Upgrade),
            ("HTTP/1.1 099 Low", Malformed::Header),
            ("HTTP/2 200", Malformed::Head(httparse::Error::Version)),
        ] {
            assert_eq!(framed(head), Err(malformed), "{head}");
        }
    }

    #[test]
    fn news_of_an_answer_is_not_the_answer() {
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n";
        for end in 0..text.len() {
            assert!(read(&text[..end]).unwrap().is_none(), "{end}");
        }
        let (length, head) = read(text).unwrap().unwrap();
        assert_eq!((length, head.status), (text.len(), StatusCode::OK));
        assert!(!head.headers.contains_key("link"));
    }
}
