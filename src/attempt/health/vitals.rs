//! One endpoint's health: what is counted of it, and what that amounts to. Of fixed size.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};

use super::breaker::{Breaker, Patience, State};
use super::recent::Recent;
use super::ring::{Mark, Ring, Served, Span, Tally};
use super::silence::Silence;
use super::stored::{self, Windows};
use super::summary::{self, Summary, Tallies};
use crate::domain::ids::{EndpointTag, ModelId};
use crate::rank::health::{Health, Standing};

const FIVE_MINUTES: Span = Span {
    slot_ms: 30_000,
    slots: 10,
};
const HALF_HOUR: Span = Span {
    slot_ms: 180_000,
    slots: 10,
};
const DAY: Span = Span {
    slot_ms: 3_600_000,
    slots: 24,
};
/// The end of the day's window that tool calls are judged by (contract 6.9).
const TWO_HOURS: Span = Span { slots: 3, ..DAY };

/// A summary is made anew after a second …
const SUMMARY_LIVES_MS: i64 = 1_000;
/// … or once a sixteenth more is known, whatever comes first.
const NEWS: u32 = 16;

/// The health of one endpoint.
#[derive(Debug)]
pub struct Vitals {
    pub(super) model: ModelId,
    pub(super) tag: EndpointTag,
    five_minutes: Ring,
    half_hour: Ring,
    day: Ring,
    recent: Recent,
    recovery: Recovery,
    breaker: Breaker,
    silences: [Silence; 2],
    patience: Patience,
    /// What was marked so far, modulo 2³²: tells whether a summary or a stored row is still true.
    marks: AtomicU32,
    summary: ArcSwap<Made>,
    trouble: ArcSwapOption<Trouble>,
    /// What other processes measured.
    elsewhere: ArcSwapOption<Windows>,
}

/// A summary, and when it was made of what.
#[derive(Debug, Default)]
struct Made {
    summary: Summary,
    at: i64,
    marks: u32,
}

/// The first that is heard of a request when all goes well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The first token of a stream.
    FirstToken,
    /// The whole answer.
    Whole,
}

impl Awaited {
    /// Of a request for a stream, or for a plain answer.
    pub fn of(stream: bool) -> Self {
        if stream {
            Awaited::FirstToken
        } else {
            Awaited::Whole
        }
    }
}

/// Something that went wrong at an endpoint. Not in the provider's words: they may quote a prompt or a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// When, Unix milliseconds.
    pub at: i64,
    /// What, as one stable word.
    pub what: &'static str,
    /// The provider's status, where it answered.
    pub status: Option<u16>,
}

/// How a request went, as far as it is the endpoint's doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Went {
    /// It was answered well.
    Well {
        /// Output tokens, and the time from sending the request to the end of the answer.
        output: (u64, Duration),
        /// Input tokens.
        prompt_tokens: u64,
        /// Those of them that came from the endpoint's cache.
        cached_tokens: u64,
    },
    /// The endpoint failed (contract 6.5: 401, 402, 404, 5xx, a broken or unusable answer).
    Failed,
    /// The endpoint refused and means it (403): no failure, yet no reason to go on asking.
    Refused,
    /// The endpoint was too busy (429).
    Limited,
    /// It says nothing of the endpoint: the request was at fault, or the caller left.
    Neither,
}

impl Vitals {
    pub(super) fn new(model: ModelId, tag: EndpointTag, patience: Patience) -> Self {
        Vitals {
            model,
            tag,
            five_minutes: Ring::new(FIVE_MINUTES),
            half_hour: Ring::new(HALF_HOUR),
            day: Ring::new(DAY),
            recent: Recent::default(),
            recovery: Recovery::default(),
            breaker: Breaker::default(),
            silences: Default::default(),
            patience,
            marks: AtomicU32::new(0),
            summary: ArcSwap::default(),
            trouble: ArcSwapOption::empty(),
            elsewhere: ArcSwapOption::empty(),
        }
    }

    /// Notes that a request was sent. One too many to an endpoint that has fallen silent, and it is
    /// paused.
    pub fn sent(&self, awaited: Awaited, now: i64) {
        let (silence, summary) = (self.silence(awaited), self.summary(now));
        silence.sent(now);
        let hopeless = match awaited {
            Awaited::FirstToken => summary.hopeless_first_token(),
            Awaited::Whole => summary.hopeless_whole(),
        };
        let is_stuck = hopeless
            .is_some_and(|hopeless| silence.is_telling(self.patience.failures, hopeless, now));
        if is_stuck && let Some(until) = self.breaker.trip(&self.patience, now) {
            self.break_silence();
            self.log(
                "endpoint has fallen silent and is paused",
                Some(until - now),
            );
        }
    }

    /// Notes that what was waited for came, and after how long.
    pub fn heard(&self, awaited: Awaited, took: Duration, now: i64) {
        self.break_silence();
        match awaited {
            Awaited::FirstToken => self.first_token(took, now),
            Awaited::Whole => self.mark(Mark::Whole(whole_millis(took)), now),
        }
    }

    /// Notes how long the first token took, or how long it was waited for in vain.
    pub fn first_token(&self, took: Duration, now: i64) {
        self.mark(Mark::FirstToken(whole_millis(took)), now);
    }

    /// Notes whether an answer's tool calls can be run.
    pub fn tool_calls(&self, bad: bool, now: i64) {
        self.mark(Mark::ToolCalls { bad }, now);
    }

    /// Notes how a request went.
    pub fn ended(&self, went: Went, now: i64) {
        match went {
            Went::Well {
                output: (tokens, took),
                prompt_tokens,
                cached_tokens,
            } => {
                self.mark(
                    Mark::Served(Served {
                        throughput: tenths_a_second(tokens, took),
                        prompt_tokens,
                        cached_tokens,
                    }),
                    now,
                );
                self.recent.count(false, now);
                self.recovery.served.fetch_add(1, Relaxed);
                self.break_silence();
                if self.breaker.succeeded(now) {
                    self.recent.forget();
                    self.recovery.begin(now);
                    self.log("endpoint is well again", None);
                }
            }
            Went::Failed => {
                self.mark(Mark::Failed, now);
                self.recent.count(true, now);
                self.recovery.failed.fetch_add(1, Relaxed);
                self.strike(now);
            }
            Went::Refused => {
                self.recent.count(true, now);
                self.strike(now);
            }
            Went::Limited => {
                self.mark(Mark::Limited, now);
                self.breaker.release_probe();
            }
            Went::Neither => self.breaker.release_probe(),
        }
    }

    /// Notes what went wrong, for people to see.
    pub fn troubled(&self, trouble: Trouble) {
        self.trouble.store(Some(Arc::new(trouble)));
    }

    /// What last went wrong.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble.load().as_deref().copied()
    }

    /// Leaves the endpoint alone for as long as it asked, or for the usual pause when it did not say.
    pub fn cool(&self, wish: Option<Duration>, now: i64) {
        let pause = wish.unwrap_or(self.patience.pause);
        let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX / 2);
        self.breaker.cool(now.saturating_add(millis), now);
    }

    /// Whether a request that ranked it here may go there now: not while another probes a half-open
    /// breaker. A paused endpoint ranks last, and who comes to it all the same has nowhere else to go.
    pub fn admits(&self, now: i64) -> bool {
        self.breaker.state(now) != State::HalfOpen || self.breaker.claim_probe(now)
    }

    /// What ranking reads. An endpoint whose pause is over ranks as if it were well, so that one
    /// request finds out.
    pub fn health(&self, now: i64) -> Health {
        let mut health = self.made(now).summary.health;
        if let Some(standing) = self.recovery.standing(now) {
            health.standing = standing;
        }
        let standing = match self.breaker.state(now) {
            State::Paused(_) => Standing::Resting,
            State::HalfOpen => Standing::Well,
            State::Closed if self.recent.is_outage(now) => health.standing.max(Standing::Outage),
            State::Closed => health.standing,
        };
        Health { standing, ..health }
    }

    /// What the counts amount to now: for people, who see what they have just done.
    pub fn summary_now(&self, now: i64) -> Summary {
        self.summary.store(Arc::default());
        self.summary(now)
    }

    /// What the counts amount to, at most a second old: for requests.
    pub fn summary(&self, now: i64) -> Summary {
        self.made(now).summary
    }

    fn made(&self, now: i64) -> Guard<Arc<Made>> {
        let (made, marks) = (self.summary.load(), self.marks.load(Relaxed));
        let news = marks.wrapping_sub(made.marks);
        let is_old = now - made.at >= SUMMARY_LIVES_MS || news > made.marks / NEWS;
        if !is_old {
            return made;
        }
        let made = Arc::new(Made {
            summary: Summary::of(&self.tallies(now)),
            at: now,
            marks,
        });
        self.summary.store(Arc::clone(&made));
        Guard::from_inner(made)
    }

    /// How much was marked so far.
    pub(super) fn marks(&self) -> u32 {
        self.marks.load(Relaxed)
    }

    /// What this process measured.
    pub(super) fn measured(&self, now: i64) -> Windows {
        Windows {
            five_minutes: self.five_minutes.slots(now),
            half_hour: self.half_hour.slots(now),
            day: self.day.slots(now),
        }
    }

    /// Takes note of what all other processes measured, instead of what was known of them before.
    pub(super) fn learn(&self, elsewhere: Windows) {
        self.elsewhere.store(Some(Arc::new(elsewhere)));
        self.summary.store(Arc::default());
    }

    fn mark(&self, mark: Mark, now: i64) {
        for ring in [&self.five_minutes, &self.half_hour, &self.day] {
            ring.mark(mark, now);
        }
        self.marks.fetch_add(1, Relaxed);
    }

    fn silence(&self, awaited: Awaited) -> &Silence {
        let [first_token, whole] = &self.silences;
        match awaited {
            Awaited::FirstToken => first_token,
            Awaited::Whole => whole,
        }
    }

    fn break_silence(&self) {
        self.silences.iter().for_each(Silence::broken);
    }

    fn strike(&self, now: i64) {
        if let Some(until) = self.breaker.failed(&self.patience, now) {
            self.log("endpoint keeps failing and is paused", Some(until - now));
        }
    }

    fn log(&self, what: &'static str, pause_ms: Option<i64>) {
        tracing::warn!(endpoint.model = %self.model, endpoint.tag = %self.tag, pause_ms, "{what}");
    }

    fn tallies(&self, now: i64) -> Tallies {
        let mut tallies = Tallies::default();
        self.five_minutes.add_to(now, &mut tallies.five_minutes);
        self.half_hour.add_to(now, &mut tallies.half_hour);
        self.day.add_to(now, &mut tallies.day);
        let latest = TWO_HOURS.first_at(now);
        for tally in self.day.slots(now).range(latest..).map(|(_, tally)| tally) {
            tallies.two_hours.add(tally);
        }
        if let Some(elsewhere) = &*self.elsewhere.load() {
            let add = |slots, span, sum: &mut Tally| stored::add_current(slots, span, now, sum);
            add(
                &elsewhere.five_minutes,
                FIVE_MINUTES,
                &mut tallies.five_minutes,
            );
            add(&elsewhere.half_hour, HALF_HOUR, &mut tallies.half_hour);
            add(&elsewhere.day, DAY, &mut tallies.day);
            add(&elsewhere.day, TWO_HOURS, &mut tallies.two_hours);
        }
        tallies
    }
}

/// How requests went since a probe found the endpoint well again. Until its old failures have left every
/// window, it is judged by these: an outage that is over must not keep the traffic away.
#[derive(Debug, Default)]
struct Recovery {
    /// Unix milliseconds; 0 for never.
    at: AtomicI64,
    served: AtomicU32,
    failed: AtomicU32,
}

impl Recovery {
    fn begin(&self, now: i64) {
        self.served.store(0, Relaxed);
        self.failed.store(0, Relaxed);
        self.at.store(now, Relaxed);
    }

    fn standing(&self, now: i64) -> Option<Standing> {
        let since = now - self.at.load(Relaxed);
        let window = HALF_HOUR.slot_ms * HALF_HOUR.slots as i64;
        (since < window).then(|| {
            let (served, failed) = (self.served.load(Relaxed), self.failed.load(Relaxed));
            summary::standing_of(served, failed).unwrap_or_default()
        })
    }
}

/// Contract 6.5: output tokens over the whole time. A token or two say nothing of speed.
fn tenths_a_second(tokens: u64, took: Duration) -> Option<u32> {
    const FEWEST: u64 = 2;
    let micros = took.as_micros().max(1);
    let tenths = u128::from(tokens) * 10_000_000 / micros;
    (tokens >= FEWEST).then(|| u32::try_from(tenths).unwrap_or(u32::MAX))
}

fn whole_millis(took: Duration) -> u32 {
    u32::try_from(took.as_millis()).unwrap_or(u32::MAX)
}
