//! One attempt, watched on behalf of its endpoint's health until its answer has ended.

use std::sync::Arc;

use tokio::time::Instant;

use super::failure::Failure;
use super::health::{Awaited, Trouble, Vitals, Went};
use super::lane::Place;
use crate::clock::now_ms;
use crate::domain::event::FinishReason;
use crate::domain::usage::Tokens;

/// An attempt under way. Whoever has its answer says how it ended; dropped without a word, it says
/// nothing of the endpoint, and gives its place and its right to probe back.
#[derive(Debug)]
pub struct Watch {
    vitals: Arc<Vitals>,
    sent: Instant,
    /// What has not been heard yet of the request that went out.
    awaits: Option<Awaited>,
    told: bool,
    _place: Place,
}

impl Watch {
    pub(super) fn begin(vitals: Arc<Vitals>, place: Place) -> Self {
        Watch {
            vitals,
            sent: Instant::now(),
            awaits: None,
            told: false,
            _place: place,
        }
    }

    /// The health that the attempt adds to.
    pub fn vitals(&self) -> Arc<Vitals> {
        Arc::clone(&self.vitals)
    }

    /// The request goes out.
    pub(super) fn sent(&mut self, awaited: Awaited) {
        self.sent = Instant::now();
        self.awaits = Some(awaited);
        self.vitals.sent(awaited, now_ms());
    }

    /// What was waited for is there.
    pub(super) fn heard(&mut self) {
        if let Some(awaited) = self.awaits.take() {
            self.vitals.heard(awaited, self.sent.elapsed(), now_ms());
        }
    }

    /// The attempt failed. Of an error inside a 200 the wish to be left alone is known only now.
    pub(super) fn failed(mut self, failure: &Failure) {
        if let Some(wish) = failure.retry_after() {
            self.vitals.cool(Some(wish), now_ms());
        }
        let went = failure.went();
        if went != Went::Neither {
            self.note(failure.word(), failure.status());
        }
        self.tell(went);
    }

    /// The answer is complete.
    pub fn complete(mut self, tokens: &Tokens, finish: Option<FinishReason>) {
        if finish == Some(FinishReason::Error) {
            self.note("error_in_answer", None);
        }
        self.tell(match finish {
            Some(FinishReason::Error) => Went::Failed,
            _ => Went::Well {
                output: (tokens.completion, self.sent.elapsed()),
                prompt_tokens: tokens.prompt,
                cached_tokens: tokens.cached,
            },
        });
    }

    /// The answer broke off after it had begun.
    pub fn broke(self, failure: &Failure) {
        self.failed(failure);
    }

    /// The caller left while the answer was coming: it was a good one as far as it went, and says
    /// nothing of its speed.
    pub fn left(mut self) {
        self.tell(Went::Well {
            output: (0, self.sent.elapsed()),
            prompt_tokens: 0,
            cached_tokens: 0,
        });
    }

    fn note(&self, what: &'static str, status: Option<u16>) {
        let at = now_ms();
        self.vitals.troubled(Trouble { at, what, status });
    }

    fn tell(&mut self, went: Went) {
        self.told = true;
        self.vitals.ended(went, now_ms());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        let (waited, now) = (self.sent.elapsed(), now_ms());
        let usual = self.vitals.summary(now).usual_first_token();
        // Nobody waited for its first token, but it is known to be later than usual: without this, an
        // endpoint that others always overtake would look as fast as its luckiest answers.
        let awaits_first = self.awaits == Some(Awaited::FirstToken);
        if awaits_first && usual.is_some_and(|usual| waited > usual) {
            self.vitals.first_token(waited, now);
        }
        self.vitals.ended(Went::Neither, now);
    }
}
