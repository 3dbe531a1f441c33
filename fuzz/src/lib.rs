//! What the fuzz targets have in common: bytes go the way of a provider's answer, and must mean the same however they
//! were cut into reads, and be JSON wherever they are passed on as such.

use bytes::Bytes;
use http::HeaderMap;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use turnpike::domain::call::Form;
use turnpike::domain::event::Event;
use turnpike::stream::decoding::Decoding;
use turnpike::stream::frames::{FrameError, Framer};
pub use turnpike::wire::WireName;
use turnpike::wire::{DecodeError, Frame, Framing, wire};

pub mod amazon;
mod asked;
mod sound;

use asked::Asked;

/// The bytes as a plain answer, as the body of an error, and as a streamed answer, over this wire.
pub fn answers(name: WireName, bytes: &[u8]) {
    let mut random = random(bytes);
    let wire = wire(name).expect("it is spoken");
    let body = Bytes::copy_from_slice(bytes);
    for form in [Form::Chat, Form::Embeddings, Form::Rerank] {
        let asked = Asked::some(name, form, &mut random);
        if let Ok(reply) = wire.decode(&asked.call, &asked.target, &body) {
            sound::reply(&reply);
        }
    }
    wire.fault(random.random_range(300..600), &HeaderMap::new(), bytes);

    let asked = Asked::some(name, Form::Chat, &mut random);
    let decoder = || wire.decoder(&asked.call, &asked.target);
    let stream = match decoder().framing() {
        Framing::Sse => body,
        Framing::AwsEventStream => amazon::stream(&framed(Framing::Sse, &[body]).0).into(),
    };
    let decode = |pieces: &[Bytes]| -> (Vec<Event>, Result<(), DecodeError>) {
        let (mut decoding, mut events) = (Decoding::new(decoder()), Vec::new());
        let fed = pieces
            .iter()
            .try_for_each(|piece| decoding.feed(piece, &mut events));
        let outcome = fed.and_then(|()| decoding.end(&mut events));
        (events, outcome)
    };
    let whole = decode(std::slice::from_ref(&stream));
    whole.0.iter().for_each(sound::event);
    assert_eq!(decode(&slices(&stream, &mut random)), whole);
}

/// The bytes as a stream of frames.
pub fn frames(framing: Framing, bytes: &[u8]) {
    let stream = Bytes::copy_from_slice(bytes);
    let whole = framed(framing, std::slice::from_ref(&stream));
    let single: Vec<Bytes> = (0..bytes.len()).map(|at| stream.slice(at..=at)).collect();
    assert_eq!(framed(framing, &single), whole);
    assert_eq!(framed(framing, &slices(&stream, &mut random(bytes))), whole);
}

fn framed(framing: Framing, pieces: &[Bytes]) -> (Vec<Frame>, Result<(), FrameError>) {
    let (mut framer, mut frames) = (Framer::new(framing), Vec::new());
    let outcome = pieces
        .iter()
        .try_for_each(|piece| framer.feed(piece, &mut frames));
    if outcome.is_ok() {
        framer.end(&mut frames);
    }
    (frames, outcome)
}

/// Chance that the input decides on, so that an input found once fails again.
fn random(bytes: &[u8]) -> StdRng {
    StdRng::seed_from_u64(u64::from(crc32fast::hash(bytes)))
}

/// The stream in reads of random sizes, of single bytes among them.
fn slices(stream: &Bytes, random: &mut StdRng) -> Vec<Bytes> {
    let mut rest = stream.clone();
    let mut slices = Vec::new();
    while !rest.is_empty() {
        let longest = if random.random() { 4 } else { 1_000 };
        slices.push(rest.split_to(random.random_range(1..=rest.len().min(longest))));
    }
    slices
}
