//! Who makes the steps of a run: the endpoint that made the first, for as long as it can, and then the next that may.

use std::borrow::Cow;
use std::pin::Pin;

use tokio_util::sync::CancellationToken;

use crate::attempt::asked::{Asked, Asks};
use crate::attempt::failure::Failure;
use crate::attempt::run::{Answer, Exhausted, Outcome, Upstreams};
use crate::attempt::watch::Watch;
use crate::attempt::{Files, Order};
use crate::domain::call::Call;
use crate::domain::event::{FinishReason, Maker};
use crate::domain::generation::Attempt;
use crate::domain::usage::Tokens;
use crate::rank::Candidate;
use crate::stream::source::{EventStream, StreamError};
use crate::wire::DecodeError;

/// The endpoints of a run of several steps.
pub(super) struct Makers<'a> {
    upstreams: &'a Upstreams,
    files: &'a Files,
    current: Candidate,
    /// Those that may take over, in order.
    others: Vec<Candidate>,
    /// Whole steps that the current one made.
    made: usize,
    /// Those that made steps before it, and how many.
    before: Vec<(Candidate, usize)>,
    attempts: Vec<Attempt>,
    watch: Option<Watch>,
    /// The step that is being asked for. It outlives whoever waits for it, since it may have to be paid for.
    under_way: Option<UnderWay<'a>>,
    left: CancellationToken,
}

type UnderWay<'a> = Pin<Box<dyn Future<Output = Result<Outcome, Exhausted>> + Send + 'a>>;

/// Who made the steps in the end.
pub(super) struct Made {
    pub(super) by: Candidate,
    pub(super) before: Vec<(Candidate, usize)>,
    /// The tries of the steps after the first.
    pub(super) attempts: Vec<Attempt>,
    pub(super) watch: Option<Watch>,
}

/// One step's call, the same to all.
struct StepAsked<'a> {
    asked: Asked<'a>,
    left: CancellationToken,
}

impl Asks for StepAsked<'_> {
    async fn of(&self, _: &Candidate) -> Result<&Asked<'_>, Failure> {
        Ok(&self.asked)
    }

    fn goes_on(&self) -> bool {
        !self.left.is_cancelled()
    }
}

impl<'a> Makers<'a> {
    /// The one that makes the first step, and those that may go on after it.
    pub(super) fn new(
        upstreams: &'a Upstreams,
        files: &'a Files,
        current: Candidate,
        others: Vec<Candidate>,
        watch: Option<Watch>,
    ) -> Self {
        Makers {
            upstreams,
            files,
            current,
            others,
            made: 0,
            before: Vec::new(),
            attempts: Vec::new(),
            watch,
            under_way: None,
            left: CancellationToken::new(),
        }
    }

    /// The one at work.
    pub(super) fn current(&self) -> &Candidate {
        &self.current
    }

    /// Whether a step is being asked for.
    pub(super) fn are_asked(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether whoever may be at work stops when it is hung up on.
    pub(super) fn cancel(&self) -> bool {
        let cancels = |candidate: &Candidate| candidate.endpoint.provider.cancels;
        cancels(&self.current) && (!self.are_asked() || self.others.iter().all(cancels))
    }

    /// No other endpoint is asked from here on.
    pub(super) fn no_further(&self) {
        self.left.cancel();
    }

    /// A step is over; the next is asked for. [`Makers::answer`] waits for it.
    pub(super) fn ask(&mut self, call: &Call, used: &Tokens) {
        self.made += 1;
        if let Some(watch) = self.watch.take() {
            watch.complete(used, Some(FinishReason::ToolCalls));
        }
        let mut candidates = vec![self.current.clone()];
        candidates.extend(self.others.iter().cloned());
        let asks = StepAsked {
            asked: Asked::new(Cow::Owned(call.clone()), self.files),
            left: self.left.clone(),
        };
        let upstreams = self.upstreams;
        self.under_way = Some(Box::pin(async move {
            upstreams.run(&asks, candidates, Order::Exact).await
        }));
    }

    /// The answer to the step that was asked for, and who makes it where that is another than before.
    pub(super) async fn answer(
        &mut self,
    ) -> Result<(EventStream, Option<Box<Maker>>), StreamError> {
        let Some(under_way) = &mut self.under_way else {
            return Err(DecodeError::Truncated.into());
        };
        let outcome = under_way.await;
        self.under_way = None;
        match outcome {
            Ok(Outcome {
                candidate,
                answer,
                attempts,
                watch,
                course,
            }) => {
                self.attempts.extend(attempts);
                self.watch = Some(watch);
                self.others = course.rest();
                Ok((events_of(answer), self.taken_over_by(candidate)))
            }
            Err(exhausted) => {
                self.attempts.extend(exhausted.attempts);
                let last = exhausted.failures.into_iter().next_back();
                Err(last.map_or(DecodeError::Truncated.into(), |(_, failure)| told(failure)))
            }
        }
    }

    /// Who made the steps.
    pub(super) fn over(self) -> Made {
        Made {
            by: self.current,
            before: self.before,
            attempts: self.attempts,
            watch: self.watch,
        }
    }

    fn taken_over_by(&mut self, candidate: Candidate) -> Option<Box<Maker>> {
        let (before, after) = (&self.current, &candidate);
        if before.model.id == after.model.id && before.endpoint.tag == after.endpoint.tag {
            return None;
        }
        let maker = Maker {
            model: candidate.model.id.clone(),
            provider: candidate.endpoint.provider.name.clone(),
        };
        let before = std::mem::replace(&mut self.current, candidate);
        self.before.push((before, std::mem::take(&mut self.made)));
        Some(Box::new(maker))
    }
}

/// An answer as a stream, whole or not.
pub(super) fn events_of(answer: Answer) -> EventStream {
    match answer {
        Answer::Whole(reply) => EventStream::of(*reply),
        Answer::Stream(stream) => *stream,
    }
}

/// A failure of every endpoint, as it is told of a stream that has begun.
fn told(failure: Failure) -> StreamError {
    match failure {
        Failure::Fault(fault) => DecodeError::Upstream(fault).into(),
        Failure::Timeout => StreamError::Stalled,
        _ => DecodeError::Truncated.into(),
    }
}
