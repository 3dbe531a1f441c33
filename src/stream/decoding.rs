//! A provider's streamed answer from bytes to events: the framer, and behind it the wire's decoder. Does no I/O.

use bytes::Bytes;

use super::frames::Framer;
use crate::domain::event::Event;
use crate::wire::{DecodeError, Frame, StreamDecoder};

/// One streamed answer. Feed it reads of any size, then tell it the [`end`](Self::end).
///
/// Where the reads end does not matter: what was complete before an error still becomes events, as it was generated.
pub struct Decoding {
    framer: Framer,
    decoder: Box<dyn StreamDecoder>,
}

impl Decoding {
    /// An answer of which nothing has come.
    pub fn new(decoder: Box<dyn StreamDecoder>) -> Self {
        Decoding {
            framer: Framer::new(decoder.framing()),
            decoder,
        }
    }

    /// Takes the next read and appends the events that it completes. After an error there is nothing more to read.
    pub fn feed(&mut self, bytes: &Bytes, events: &mut Vec<Event>) -> Result<(), DecodeError> {
        let mut frames = Vec::new();
        let cut = self.framer.feed(bytes, &mut frames);
        self.decode(&frames, events)?;
        cut.map_err(|error| DecodeError::Malformed(error.to_string()))
    }

    /// The upstream closed the stream: an error, unless the answer had ended.
    pub fn end(&mut self, events: &mut Vec<Event>) -> Result<(), DecodeError> {
        let mut frames = Vec::new();
        self.framer.end(&mut frames);
        self.decode(&frames, events)?;
        self.decoder.end(events)
    }

    fn decode(&mut self, frames: &[Frame], events: &mut Vec<Event>) -> Result<(), DecodeError> {
        frames
            .iter()
            .try_for_each(|frame| self.decoder.frame(frame, events))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::stream::frames::MAX_FRAME;
    use crate::wire::{Framing, StreamDecoder};

    /// Gives an event for each frame.
    pub(in crate::stream) struct Counts(pub(in crate::stream) Framing);

    impl StreamDecoder for Counts {
        fn frame(&mut self, _: &Frame, events: &mut Vec<Event>) -> Result<(), DecodeError> {
            events.push(Event::Step(None));
            Ok(())
        }

        fn end(&mut self, _: &mut Vec<Event>) -> Result<(), DecodeError> {
            Ok(())
        }

        fn framing(&self) -> Framing {
            self.0
        }
    }

    #[test]
    fn what_came_before_an_error_in_the_same_read_counts() {
        let mut read = b"data: a\n\ndata: b\n\n".to_vec();
        read.resize(MAX_FRAME + 100, b'x');
        let mut events = Vec::new();
        let outcome = Decoding::new(Box::new(Counts(Framing::Sse))).feed(&read.into(), &mut events);
        assert!(matches!(outcome, Err(DecodeError::Malformed(_))));
        assert_eq!(events.len(), 2);
    }
}
