//! A whole answer into a [`Reply`]: one document, or, of those who ask for a stream without naming its form, the events
//! of one in an array.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::candidate::{Candidate, CandidateShape};
use super::gathered::Gathered;
use super::is_later;
use super::usage::UsageShape;
use crate::catalog::snapshot::Target;
use crate::domain::event::{About, Choice, Reply};
use crate::domain::json::JsonText;
use crate::domain::usage::Tokens;
use crate::wire::shape::{Given, List, count, malformed, shape, text, utf8, word};
use crate::wire::{DecodeError, fault};

shape! {
    /// An answer, or an event of a streamed one.
    AnswerShape {
        candidates = "candidates": List<CandidateShape<'a>>,
        feedback = "promptFeedback": FeedbackShape<'a>,
        usage = "usageMetadata": Option<UsageShape<'a>>,
        id = "responseId": Given<'a>,
        error = "error": Given<'a>,
    }
    /// Why a prompt was not answered.
    FeedbackShape {
        reason = "blockReason": Given<'a>,
        message = "blockReasonMessage": Given<'a>,
    }
}

/// Reads a 2xx body.
pub(super) fn read(target: &Target, body: &Bytes) -> Result<Reply, DecodeError> {
    let json = utf8(body)?;
    let mut reader = Reader::new(target);
    let mut gathered = Vec::new();
    if json.trim_start().starts_with('[') {
        let documents: Vec<&RawValue> =
            serde_json::from_str(json).map_err(|error| malformed(&error))?;
        for document in documents {
            reader.document(body, document.get(), &mut gathered)?;
        }
    } else {
        reader.document(body, json, &mut gathered)?;
    }
    if reader.candidates.is_empty() {
        return Err(fault::unlabelled(json).map_or(
            DecodeError::Malformed("no candidates".to_owned()),
            DecodeError::Upstream,
        ));
    }
    // One that does not say why it ended has sources all the same.
    for (candidate, gathered) in reader.candidates.iter_mut().zip(&mut gathered) {
        candidate.cite(gathered);
    }
    Ok(Reply {
        choices: reader.choices(gathered),
        usage: reader.tokens(),
        about: reader.about,
        ..Reply::default()
    })
}

/// What an answer has said so far, document by document.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) candidates: Vec<Candidate>,
    pub(super) about: About,
    counted: Option<Tokens>,
    /// Later models bill each search, earlier ones each answer that made any.
    bills_each_search: bool,
}

impl Reader {
    pub(super) fn new(target: &Target) -> Self {
        Reader {
            candidates: Vec::new(),
            about: About::default(),
            counted: None,
            bills_each_search: is_later(target),
        }
    }

    /// Takes a document in. What its candidates say is added to `gathered`, in their order.
    pub(super) fn document(
        &mut self,
        buffer: &Bytes,
        json: &str,
        gathered: &mut Vec<Gathered>,
    ) -> Result<(), DecodeError> {
        let answer: AnswerShape<'_> =
            serde_json::from_str(json).map_err(|error| malformed(&error))?;
        if let Some(fault) = answer.error.and_then(|_| fault::reported(json)) {
            return Err(DecodeError::Upstream(fault));
        }
        self.learn(&answer);
        let id = self.about.upstream_id.clone().unwrap_or_default();
        for (position, shape) in (0..).zip(&answer.candidates.0) {
            let index = count(shape.index)
                .map_or(position, |index| u32::try_from(index).unwrap_or(u32::MAX));
            let at = self.position(index);
            gathered.resize_with(self.candidates.len().max(gathered.len()), Gathered::default);
            if let (Some(candidate), Some(gathered)) =
                (self.candidates.get_mut(at), gathered.get_mut(at))
            {
                candidate.read(buffer, &id, shape, gathered);
            }
        }
        let refused = word(answer.feedback.reason).filter(|_| answer.candidates.0.is_empty());
        if let Some(reason) = refused {
            self.refuse(&reason, text(buffer, answer.feedback.message), gathered);
        }
        Ok(())
    }

    /// The choices that were gathered.
    pub(super) fn choices(&self, gathered: Vec<Gathered>) -> Vec<Choice> {
        let pairs = self.candidates.iter().zip(gathered);
        pairs
            .map(|(candidate, gathered)| gathered.into_choice(candidate.index))
            .collect()
    }

    /// The counts as far as they are known.
    pub(super) fn tokens(&self) -> Option<Tokens> {
        let searches = self.candidates.iter().map(|candidate| candidate.searches);
        let searches = searches.fold(0, u64::saturating_add);
        let most = if self.bills_each_search { u64::MAX } else { 1 };
        self.counted.map(|tokens| Tokens {
            web_searches: searches.min(most),
            ..tokens
        })
    }

    fn learn(&mut self, answer: &AnswerShape<'_>) {
        let usage = answer.usage.as_ref();
        self.counted = usage.and_then(UsageShape::tokens).or(self.counted);
        if let Some(id) = word(answer.id) {
            self.about.upstream_id = Some(id.into_owned());
        }
        if let Some(tier) = usage.and_then(UsageShape::tier) {
            self.about.service_tier = Some(tier);
        }
    }

    /// The prompt itself was refused: there is no candidate then but this.
    fn refuse(&mut self, reason: &str, message: Option<JsonText>, gathered: &mut Vec<Gathered>) {
        let at = self.position(0);
        gathered.resize_with(self.candidates.len().max(gathered.len()), Gathered::default);
        if let (Some(candidate), Some(gathered)) =
            (self.candidates.get_mut(at), gathered.get_mut(at))
        {
            candidate.refused = true;
            gathered.refused(reason, message);
        }
    }

    /// Where the candidate of this index is, which may be new.
    fn position(&mut self, index: u32) -> usize {
        let known = self
            .candidates
            .iter()
            .position(|known| known.index == index);
        known.unwrap_or_else(|| {
            self.candidates.push(Candidate::new(index));
            self.candidates.len() - 1
        })
    }
}
