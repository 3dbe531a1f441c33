//! The failover loop: candidates in order, until one answers well.
//!
//! The commit point is here: a streamed answer is good once it carries content, reasoning, a tool
//! call or a finish reason. Up to there nothing has reached the client, so every failure may go on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::header::CONTENT_TYPE;
use tokio::time::{Instant, sleep, timeout_at};

use super::ask::Line;
use super::asked::{Asked, Asks};
use super::batch;
use super::course::{Course, Order};
use super::failure::Failure;
use super::health::{Awaited, Healths};
use super::hedge::Budget;
use super::judge::Judge;
use super::lane::Lanes;
use super::policy::Policy;
use super::sent::Sent;
use super::watch::Watch;
use crate::clock::now_ms;
use crate::domain::call::{Call, Form};
use crate::domain::event::{Event, Reply};
use crate::domain::generation::Attempt;
use crate::rank::Candidate;
use crate::stream::source::EventStream;
use crate::transport::{Response, Transport};
use crate::wire::{self, Wire};

/// Where attempts go, and what is known of it. Cloning shares everything.
#[derive(Clone)]
pub struct Upstreams {
    transport: Transport,
    healths: Healths,
    lanes: Lanes,
    policy: Policy,
    budget: Arc<Budget>,
    judge: Judge,
}

/// An answer, and how it was come by.
pub struct Outcome {
    /// Who answered.
    pub candidate: Candidate,
    /// The answer.
    pub answer: Answer,
    /// Every try, the good one last.
    pub attempts: Vec<Attempt>,
    /// To be told how the answer ended.
    pub watch: Watch,
    /// Those that were not tried.
    pub course: Course,
}

/// A good answer.
pub enum Answer {
    /// A complete one.
    Whole(Box<Reply>),
    /// One that has begun: its first event commits.
    Stream(Box<EventStream>),
}

/// No candidate answered.
#[derive(Debug, thiserror::Error)]
#[error("every endpoint failed")]
pub struct Exhausted {
    /// Every try.
    pub attempts: Vec<Attempt>,
    /// What went wrong with each, in the same order.
    pub failures: Vec<(Candidate, Failure)>,
    /// The shortest of the waits that they asked for.
    pub retry_after: Option<Duration>,
}

impl Upstreams {
    /// Attempts over a dialer, with nothing measured yet, and with a judge of their tool calls.
    pub fn new(transport: Transport, policy: Policy, judge: Judge) -> Self {
        Upstreams {
            transport,
            healths: Healths::new(policy.patience),
            lanes: Lanes::new(policy.width),
            policy,
            budget: Arc::default(),
            judge,
        }
    }

    /// How the endpoints do.
    pub fn healths(&self) -> &Healths {
        &self.healths
    }

    /// Who looks at tool calls.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// Tries the candidates in order, for as long as an answer is wanted.
    pub async fn run(
        &self,
        asks: &impl Asks,
        candidates: Vec<Candidate>,
        order: Order,
    ) -> Result<Outcome, Exhausted> {
        let mut course = Course::new(candidates, order);
        let mut tries = Tries::default();
        let sent = Sent::default();
        while asks.goes_on()
            && let Some(candidate) = course.next(|candidate| self.admits(candidate))
        {
            // What is asked may be yet to be made. That is none of the endpoint's time.
            let asked = asks.of(&candidate).await;
            if !asks.goes_on() {
                break;
            }
            let late = asked.map(|asked| self.hedges_after(asked.call(), &candidate, &course));
            let answered = match late {
                Ok(Some(after)) => {
                    let asking = (asks, &sent);
                    self.hedged(asking, candidate, after, &mut course, &mut tries)
                        .await
                }
                Ok(None) | Err(_) => {
                    let asking = (asks, &sent);
                    let tried = self.try_one(asking, candidate, course.has_more()).await;
                    tries.note(tried, &mut course)
                }
            };
            if let Some((candidate, mut answer, watch)) = answered {
                if let Answer::Stream(stream) = &mut answer {
                    stream.unread(sent.into_events());
                }
                return Ok(Outcome {
                    candidate,
                    answer,
                    attempts: tries.0.attempts,
                    watch,
                    course,
                });
            }
        }
        Err(tries.0)
    }

    fn admits(&self, candidate: &Candidate) -> bool {
        self.healths.of(&candidate.endpoint).admits(now_ms())
    }

    /// After how long a second endpoint may be asked as well; `None` for not at all.
    fn hedges_after(
        &self,
        call: &Call,
        candidate: &Candidate,
        course: &Course,
    ) -> Option<Duration> {
        let percent = self.policy.hedge_percent?;
        if !call.stream || percent == 0 || !course.has_more_of(&candidate.model.id) {
            return None;
        }
        self.budget.count();
        let vitals = self.healths.of(&candidate.endpoint);
        vitals.summary(now_ms()).usual_first_token()
    }

    /// Tries a candidate and, once it is slower than usual and the budget allows, the next one beside
    /// it. The first good answer wins; what is still running then is cancelled.
    async fn hedged(
        &self,
        asking: (&impl Asks, &Sent),
        candidate: Candidate,
        after: Duration,
        course: &mut Course,
        tries: &mut Tries,
    ) -> Option<Answered> {
        let mut running = FuturesUnordered::new();
        let mut names = vec![(candidate.clone(), Instant::now())];
        running.push(self.try_one(asking, candidate, true));
        let mut late = Box::pin(sleep(after));
        let mut may_hedge = true;
        loop {
            tokio::select! {
                biased;
                tried = running.next() => {
                    let tried = tried?;
                    names.retain(|(candidate, _)| !is_same(candidate, &tried.candidate));
                    if tried.result.is_ok() {
                        names.iter().for_each(|(candidate, started)| tries.cancelled(candidate, *started));
                    }
                    let answered = tries.note(tried, course);
                    if answered.is_some() || running.is_empty() {
                        return answered;
                    }
                }
                () = &mut late, if may_hedge => {
                    may_hedge = false;
                    let percent = self.policy.hedge_percent.unwrap_or(0);
                    let second = || course.next(|candidate| self.admits(candidate));
                    if let Some(second) = self.budget.take(percent).then(second).flatten() {
                        names.push((second.clone(), Instant::now()));
                        running.push(self.try_one(asking, second, course.has_more()));
                    }
                }
            }
        }
    }

    async fn try_one(
        &self,
        (asks, sent): (&impl Asks, &Sent),
        candidate: Candidate,
        has_others: bool,
    ) -> Tried {
        let asked = asks.of(&candidate).await;
        let started = Instant::now();
        let result = match asked {
            Ok(asked) => self.attempt(asked, &candidate, has_others, sent).await,
            Err(failure) => Err(failure),
        };
        Tried {
            candidate,
            started,
            result,
        }
    }

    async fn attempt(
        &self,
        asked: &Asked<'_>,
        candidate: &Candidate,
        has_others: bool,
        sent: &Sent,
    ) -> Result<(Answer, Watch), Failure> {
        let endpoint = &candidate.endpoint;
        let wire = wire::wire(wire::of_call(asked.call(), &endpoint.target)).ok_or_else(|| {
            Failure::Unsayable("this build does not speak the provider's protocol".into())
        })?;
        let call = asked.by(endpoint, wire, self.transport.fetcher()).await?;
        let place = self
            .lanes
            .enter(&endpoint.provider)
            .await
            .map_err(|_full| Failure::Crowded)?;
        let mut watch = Watch::begin(self.healths.of(endpoint), place);
        let exchanged = self.exchange((call, sent), wire, candidate, has_others, &mut watch);
        match exchanged.await {
            Ok(answer) => Ok((answer, watch)),
            Err(failure) => {
                watch.failed(&failure);
                Err(failure)
            }
        }
    }

    async fn exchange(
        &self,
        (call, sent): (&Call, &Sent),
        wire: &dyn Wire,
        candidate: &Candidate,
        has_others: bool,
        watch: &mut Watch,
    ) -> Result<Answer, Failure> {
        let endpoint = &candidate.endpoint;
        let timeouts = endpoint.provider.timeouts;
        let deadline = Instant::now() + timeouts.total;
        // A plain answer comes whole, so the time to its first byte is the time of the whole generation.
        let first = if call.stream {
            deadline.min(Instant::now() + self.first_token_within(candidate, has_others))
        } else {
            deadline
        };
        let vitals = watch.vitals();
        let line = Line {
            transport: &self.transport,
            wire,
            endpoint,
            vitals: &vitals,
            sent,
            deadline,
        };
        if call.form == Form::Embeddings {
            let reply = batch::embed(line, call).await?;
            return Ok(Answer::Whole(Box::new(reply)));
        }
        if let Some(reason) = call.unsayable_in(wire.speaks()) {
            return Err(Failure::Unsayable(reason.to_owned()));
        }
        watch.sent(Awaited::of(call.stream));
        let response = line.ask(call, first).await?;
        if call.stream && !is_json(&response) {
            let stream = EventStream::new(
                response.into_body(),
                wire.decoder(call, &endpoint.target),
                timeouts.idle,
                deadline,
            );
            let answer = timeout_at(first, commit(stream))
                .await
                .map_err(|_| Failure::Timeout)??;
            watch.heard();
            return Ok(answer);
        }
        let body = line.whole(response).await?;
        let reply = wire.decode(call, &endpoint.target, &body)?;
        match reply {
            reply if reply.is_empty() => Err(Failure::Unusable("the answer is empty".into())),
            reply if call.stream => Ok(Answer::Stream(Box::new(EventStream::of(reply)))),
            reply => {
                watch.heard();
                Ok(Answer::Whole(Box::new(reply)))
            }
        }
    }

    /// How long to wait for the first token: as the provider's configuration says, and less for an
    /// endpoint whose history shows that it would have come by now, if there is another to go to.
    fn first_token_within(&self, candidate: &Candidate, has_others: bool) -> Duration {
        let most = candidate.endpoint.provider.timeouts.first_token;
        if !has_others {
            return most;
        }
        let summary = self.healths.of(&candidate.endpoint).summary(now_ms());
        summary.hopeless_first_token().map_or(most, |hopeless| {
            hopeless.max(self.policy.least_first_token).min(most)
        })
    }
}

type Answered = (Candidate, Answer, Watch);

/// One try and what came of it.
struct Tried {
    candidate: Candidate,
    started: Instant,
    result: Result<(Answer, Watch), Failure>,
}

/// The tries so far; what is left of them when none succeeds.
struct Tries(Exhausted);

impl Default for Tries {
    fn default() -> Self {
        Tries(Exhausted {
            attempts: Vec::new(),
            failures: Vec::new(),
            retry_after: None,
        })
    }
}

impl Tries {
    /// Records a try. A failure rules out what would fail alike; a good answer is handed back.
    fn note(&mut self, tried: Tried, course: &mut Course) -> Option<Answered> {
        let Tried {
            candidate,
            started,
            result,
        } = tried;
        let failure = result.as_ref().err();
        let (status, word) = (
            failure.map_or(Some(200), Failure::status),
            failure.map(Failure::word),
        );
        self.record(&candidate, status, word, started);
        match result {
            Ok((answer, watch)) => Some((candidate, answer, watch)),
            Err(failure) => {
                course.after(&candidate, &failure);
                let waits = self.0.retry_after.into_iter().chain(failure.retry_after());
                self.0.retry_after = waits.min();
                self.0.failures.push((candidate, failure));
                None
            }
        }
    }

    /// Records a try that was given up because another was faster.
    fn cancelled(&mut self, candidate: &Candidate, started: Instant) {
        self.record(candidate, None, Some("cancelled"), started);
    }

    fn record(
        &mut self,
        candidate: &Candidate,
        status: Option<u16>,
        failure: Option<&'static str>,
        started: Instant,
    ) {
        self.0.attempts.push(Attempt {
            provider_name: candidate.endpoint.provider.name.clone(),
            endpoint: candidate.endpoint.tag.clone(),
            model: candidate.model.id.clone(),
            status,
            failure: failure.map(str::to_owned),
            latency_ms: i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX),
        });
    }
}

fn is_same(a: &Candidate, b: &Candidate) -> bool {
    a.model.id == b.model.id && a.endpoint.tag == b.endpoint.tag
}

/// Reads up to the first event that is worth an answer.
async fn commit(mut stream: EventStream) -> Result<Answer, Failure> {
    let mut before = Vec::new();
    loop {
        let event = stream
            .next()
            .await?
            .ok_or_else(|| Failure::Unusable("the answer is empty".into()))?;
        let commits = Event::commits(&event);
        before.push(event);
        if commits {
            stream.unread(before);
            return Ok(Answer::Stream(Box::new(stream)));
        }
    }
}

/// A provider that was asked for a stream may still answer with one JSON body.
fn is_json(response: &Response) -> bool {
    response
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}
