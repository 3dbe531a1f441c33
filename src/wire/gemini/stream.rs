//! A streamed answer, event by event, into [`Event`]s. Each event is a document like a whole answer, with a piece of it.

use super::answer::Reader;
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::event::Event;
use crate::wire::progress::{Progress, Said, emit_choice};
use crate::wire::{DecodeError, Frame, StreamDecoder};

/// Remembers of the events so far what the next ones depend on.
#[derive(Debug)]
pub(super) struct ChunkDecoder {
    progress: Progress,
    reader: Reader,
    /// How many candidates the call asked for.
    wanted: usize,
}

impl ChunkDecoder {
    pub(super) fn new(call: &Call, target: &Target) -> Self {
        ChunkDecoder {
            progress: Progress::default(),
            reader: Reader::new(target),
            wanted: usize::try_from(call.choices).unwrap_or(1).max(1),
        }
    }
}

impl StreamDecoder for ChunkDecoder {
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<(), DecodeError> {
        let json = match self.progress.read(frame)? {
            Said::Nothing => return Ok(()),
            Said::Json(json) => json,
            Said::Error(fault) => return Err(DecodeError::Upstream(fault)),
        };
        let (about, tokens) = (self.reader.about.clone(), self.reader.tokens());
        let mut gathered = Vec::new();
        self.reader.document(&frame.data, json, &mut gathered)?;
        if self.reader.about != about {
            events.push(Event::About(self.reader.about.clone()));
        }
        for choice in self.reader.choices(gathered) {
            emit_choice(choice, events);
        }
        let news = self.reader.tokens().filter(|news| Some(*news) != tokens);
        events.extend(news.map(Event::Usage));
        Ok(())
    }

    /// Nothing marks the end but that every candidate has said why it ended. The counts may come after that, so it is
    /// looked at last.
    fn end(&mut self, _: &mut Vec<Event>) -> Result<(), DecodeError> {
        let candidates = &self.reader.candidates;
        let refused = candidates.iter().any(|candidate| candidate.refused);
        let all = candidates.len() >= self.wanted
            && candidates.iter().all(|candidate| candidate.finished);
        if refused || all {
            self.progress.finish();
        }
        self.progress.end()
    }
}
