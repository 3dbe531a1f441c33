//! The journey of a request, on one page: plan → candidates → hold → search → attempts → settle → answer.
//!
//! Every skin uses it. Knows the stages and their order; the stages know nothing of each other.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::Order;
use crate::attempt::failure::Failure;
use crate::attempt::judge::Case;
use crate::attempt::run::{Answer, Exhausted, Outcome, Upstreams};
use crate::attempt::watch::Watch;
use crate::auth::FreeLimits;
use crate::catalog::Catalog;
use crate::catalog::snapshot::Snapshot;
use crate::clock::now_ms;
use crate::domain::call::Call;
use crate::domain::event::Reply;
use crate::domain::principal::Principal;
use crate::domain::quota::QuotaExceeded;
use crate::domain::route::Report;
use crate::domain::usage::Usage;
use crate::ledger::{Hold, HoldError, SettleError};
use crate::plan::{self, Plan, PlanError};
use crate::plugin::web::{Errand, NoSearch, SearchError, WebSearch};
use crate::rank::sticky::{Cache, Sticky};
use crate::rank::{self, Candidate, RankError, Situation, report};
use crate::stream::client::{self, Begun, Client, Delivery, Head, Held, Left, Receipt, Whole};
use crate::stream::heard::Heard;
use crate::stream::meter::Meter;
use crate::stream::relay::{self, Ending, Relayed};
use crate::stream::source::StreamError;
use crate::stream::tools::ToolCalls;

mod books;
mod ceiling;
mod drain;
mod free;
mod keep;
mod record;
mod search;
mod steps;
mod usage;

pub use books::Books;
pub use ceiling::Ceiling;
use drain::Drains;
pub use keep::HealthKeeper;
use record::{Planned, Run};
use steps::Leaves;

/// Serves calls. Cloning shares everything.
#[derive(Clone)]
pub struct Gateway {
    catalog: Catalog,
    ledger: Books,
    free_limits: FreeLimits,
    web: WebSearch,
    upstreams: Upstreams,
    sticky: Sticky,
    default_model: Option<Arc<str>>,
    tasks: TaskTracker,
    drains: Drains,
}

/// Whom a gateway asks.
pub struct Outside {
    /// Providers of models.
    pub upstreams: Upstreams,
    /// Engines that search the web.
    pub web: WebSearch,
}

/// A call under way. Dropping it tells the journey that the caller left.
pub struct Serving {
    /// What is known before an endpoint answers: the generation's id and the model that was asked for.
    pub head: Head,
    /// Resolves when the answer begins, or is refused. A closed channel means the journey panicked.
    pub begun: oneshot::Receiver<Result<Begun, Refused>>,
}

/// A call that is not answered.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// What became of the endpoints, for a caller who asked (contract 3.4).
    pub report: Option<Box<Report>>,
}

/// Why a call is not answered.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request does not make sense to the catalogue.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// No endpoint fits.
    #[error(transparent)]
    Rank(#[from] RankError),
    /// The web is to be searched, and nobody can.
    #[error(transparent)]
    NoSearch(#[from] NoSearch),
    /// Everything that fits costs nothing, and the account has had its share of that.
    #[error(transparent)]
    FreeLimit(#[from] QuotaExceeded),
    /// The caller cannot pay.
    #[error("{error}")]
    Hold {
        /// What the ledger says.
        error: HoldError,
        /// What the hold was made of, for the message.
        ceiling: Ceiling,
    },
    /// The web search failed, and the operator wants no answer without it.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A later step of the run failed.
    #[error(transparent)]
    Step(#[from] StreamError),
    /// Every endpoint failed.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The answer is there but could not be settled, so it is withheld and not charged.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Closing,
}

/// What accompanies an answer until it is paid for.
struct Paying {
    hold: Hold,
    meter: Meter,
    lesson: Lesson,
}

/// What an answer teaches for the next requests.
struct Lesson {
    /// The attempt that answered, or of several steps the last; `None` while it is elsewhere.
    watch: Option<Watch>,
    cache: Option<Cache>,
    heard: Heard,
}

impl Gateway {
    /// A gateway over its parts; the journeys' tasks belong to `tasks`, which the shutdown awaits, and those
    /// whose caller has left end with `hurry` at the latest.
    pub fn new(
        catalog: Catalog,
        ledger: Books,
        free_limits: FreeLimits,
        Outside { upstreams, web }: Outside,
        default_model: Option<&str>,
        tasks: TaskTracker,
        hurry: CancellationToken,
    ) -> Self {
        Gateway {
            catalog,
            ledger,
            free_limits,
            web,
            upstreams,
            sticky: Sticky::default(),
            default_model: default_model.map(Arc::from),
            tasks,
            drains: Drains::new(hurry),
        }
    }

    /// Starts a call's journey.
    pub fn serve(&self, who: Arc<Principal>, call: Call) -> Serving {
        let run = Run::begin(who, call, self.default_model.as_deref(), now_ms());
        let (mut client, begun) = client::pair(run.call.hides_reasoning());
        let head = run.head();
        if self.tasks.is_closed() {
            client.refuse(Refused {
                refusal: Refusal::Closing,
                report: None,
            });
        } else {
            self.tasks.spawn(self.clone().journey(run, client));
        }
        Serving { head, begun }
    }

    async fn journey(self, mut run: Run, mut client: Client<Refused>) {
        if let Err(refusal) = self.answer(&mut run, &mut client).await {
            run.log_refusal(&refusal);
            self.ledger.refused(&refusal);
            let report = run.report(None);
            client.refuse(Refused { refusal, report });
        }
    }

    async fn answer(&self, run: &mut Run, client: &mut Client<Refused>) -> Result<(), Refusal> {
        let catalog = self.catalog.snapshot();
        let plan = plan::plan(&run.call, self.default_model.as_deref(), &catalog)?;
        let mut candidates = self.ranked(run, &plan, &catalog)?;
        let errand = self.web.errand(&plan, &mut candidates)?;
        let candidates =
            free::within_limits(&self.free_limits, &run.who.account, candidates).await?;
        run.planned = Planned::of(&plan, &catalog, self.ledger.terms(&run.who));
        let (at, terms) = (run.created_at, &run.planned.terms);
        let ceiling = Ceiling::of(&plan, errand.as_ref(), &candidates, at, terms);
        let hold = self
            .ledger
            .hold(&run.who, ceiling.most)
            .await
            .map_err(|error| Refusal::Hold { error, ceiling })?;
        let tool = errand.as_ref().and_then(Errand::tool);
        match self.tried(run, &plan, client, errand, candidates).await {
            Ok(Ok(Outcome {
                candidate,
                answer,
                attempts,
                watch,
            })) => {
                let lesson = Lesson {
                    watch: Some(watch),
                    cache: Cache::of(&run.who.account, &plan, &candidate),
                    heard: Heard {
                        calls: plan.needs.tools().then(ToolCalls::default),
                        citations: run.citations.take(),
                    },
                };
                run.answered_by(candidate, attempts);
                let paying = Paying {
                    hold,
                    meter: Meter::new(run.planned.prompt.tokens()),
                    lesson,
                };
                match (tool, answer) {
                    (Some(tool), first) => {
                        // Large, and seldom: not a part of every journey.
                        Box::pin(self.steps(run, client, paying, tool, first)).await?;
                    }
                    (None, Answer::Whole(reply)) => {
                        self.whole(run, client, paying, *reply).await?;
                    }
                    (None, Answer::Stream(stream)) => {
                        self.stream(run, client, paying, *stream).await;
                    }
                }
            }
            Ok(Err(refusal)) => {
                self.ledger.record(hold, run.failed()).await;
                return Err(refusal);
            }
            Err(Left) => self.ledger.record(hold, run.abandoned()).await,
        }
        Ok(())
    }

    /// The endpoints to try, best first; what became of the others is noted in the run.
    fn ranked(
        &self,
        run: &mut Run,
        plan: &Plan,
        catalog: &Snapshot,
    ) -> Result<Vec<Candidate>, RankError> {
        let situation = Situation {
            health: &self.upstreams.healths().view(run.created_at),
            stuck: &self.sticky.stuck(&run.who.account, plan, run.created_at),
            seed: rand::random(),
            at_ms: run.created_at,
        };
        match rank::rank(plan, &situation) {
            Ok(ranked) => {
                run.route = Some(report::route(plan.strategy, &ranked.verdicts));
                Ok(ranked.candidates)
            }
            Err(error) => {
                run.route = Some(report::route(plan.strategy, error.verdicts()));
                Err(error.suggesting(plan, catalog))
            }
        }
    }

    /// Searches the web where that is wanted, once, and runs the attempts with what was found.
    async fn tried(
        &self,
        run: &mut Run,
        plan: &Plan,
        client: &mut Client<Refused>,
        errand: Option<Errand>,
        candidates: Vec<Candidate>,
    ) -> Result<Result<Outcome, Refusal>, Left> {
        if let Err(error) = self.search(run, client, errand).await? {
            return Ok(Err(error.into()));
        }
        let outcome = self.attempt(&run.call, plan, client, candidates).await?;
        if let Err(exhausted) = &outcome {
            run.attempts.clone_from(&exhausted.attempts);
        }
        Ok(outcome.map_err(Refusal::from))
    }

    /// Runs the attempts. A caller who leaves cancels them, unless they are to be paid for all the same:
    /// then the one under way goes on, and no other begins.
    async fn attempt(
        &self,
        call: &Call,
        plan: &Plan,
        client: &mut Client<Refused>,
        candidates: Vec<Candidate>,
    ) -> Result<Result<Outcome, Exhausted>, Left> {
        let billed = candidates
            .iter()
            .any(|candidate| !candidate.endpoint.provider.cancels);
        let left = AtomicBool::new(false);
        let order = if plan.preferences.order.is_empty() {
            Order::Advised
        } else {
            Order::Exact
        };
        let goes_on = || !left.load(Ordering::Relaxed);
        let mut attempts = pin!(self.upstreams.run(call, candidates, order, goes_on));
        match client.unless_left(&mut attempts).await {
            Err(Left) if billed => {
                left.store(true, Ordering::Relaxed);
                self.drains.finish(attempts).await.ok_or(Left)
            }
            done => done,
        }
    }

    async fn whole(
        &self,
        run: &mut Run,
        client: &mut Client<Refused>,
        paying: Paying,
        mut reply: Reply,
    ) -> Result<(), SettleError> {
        let Paying {
            hold,
            mut meter,
            mut lesson,
        } = paying;
        run.cancelled = client.has_left();
        meter.reply(&reply);
        lesson.heard.reply(&mut reply);
        let receipt = self.settle(run, hold, &mut meter, Some(lesson)).await?;
        client.whole(Whole {
            head: run.head(),
            reply,
            receipt,
        });
        Ok(())
    }

    async fn stream(
        &self,
        run: &mut Run,
        client: &mut Client<Refused>,
        paying: Paying,
        mut stream: impl Leaves,
    ) {
        let Paying {
            hold,
            mut meter,
            mut lesson,
        } = paying;
        client.stream(run.head());
        let Relayed { ending, first } =
            relay::relay(&mut stream, &mut meter, &mut lesson.heard, client).await;
        run.first_token_at = first;
        let last = match ending {
            Ending::Complete(held) => {
                stream.leave(run, &mut lesson);
                let held = Held {
                    choices: lesson.heard.before(held.choices),
                    ..held
                };
                match self.settle(run, hold, &mut meter, Some(lesson)).await {
                    Ok(receipt) => Delivery::Settled(held, Box::new(receipt)),
                    Err(error) => {
                        tracing::error!(generation.id = %run.id, %error, "a complete answer could not be settled");
                        Delivery::Unsettled
                    }
                }
            }
            Ending::Broken(error) => {
                stream.leave(run, &mut lesson);
                if let Some(watch) = lesson.watch {
                    watch.broke(&Failure::from(error.clone()));
                }
                let usage = meter.usage().await;
                let broken = run.broken(&meter, usage, &error);
                self.ledger.record(hold, broken).await;
                Delivery::Broken(error, run.report(None))
            }
            Ending::Left => {
                run.cancelled = true;
                if !run.can_be_cancelled() {
                    stream.no_further();
                    let rest = relay::drain(&mut stream, &mut meter);
                    self.drains.finish(rest).await;
                }
                // At once, before the settlement: the upstream is still at work.
                stream.leave(run, &mut lesson);
                lesson.watch.into_iter().for_each(Watch::left);
                if let Err(error) = self.settle(run, hold, &mut meter, None).await {
                    tracing::error!(generation.id = %run.id, %error, "a cancelled run could not be settled");
                }
                return;
            }
        };
        // The caller may have left in this very moment; the run is settled all the same.
        let _ = client.deliver(last).await;
    }

    /// Learns from a complete answer: how the endpoint does, where the conversation's prompt is cached,
    /// and whether the tool calls can be run.
    fn learn(&self, run: &Run, lesson: Lesson, meter: &Meter, usage: &Usage) {
        let Lesson {
            watch,
            cache,
            heard,
        } = lesson;
        let (tokens, finish) = (usage.tokens, meter.finish());
        let vitals = watch.as_ref().map(Watch::vitals);
        if let Some(watch) = watch {
            watch.complete(&tokens, finish.map(|finish| finish.reason));
        }
        if let Some(cache) = cache {
            self.sticky.answered(cache, tokens.cached, now_ms());
        }
        let tools = run.call.body.given("tools");
        if let (Some(calls), Some(tools), Some(vitals)) =
            (heard.calls.and_then(ToolCalls::finish), tools, vitals)
        {
            self.upstreams.judge().consider(Case {
                vitals,
                tools: tools.clone(),
                calls,
            });
        }
    }

    /// Charges the run, durably, and learns from it what a complete answer teaches.
    async fn settle(
        &self,
        run: &Run,
        hold: Hold,
        meter: &mut Meter,
        lesson: Option<Lesson>,
    ) -> Result<Receipt, SettleError> {
        let (usage, reported) = usage::charged(run, meter).await;
        if let Some(lesson) = lesson {
            self.learn(run, lesson, meter, &usage);
        }
        let (mut generation, receipt) = run.finished(meter, usage);
        generation.reported = reported;
        record::log(&generation);
        self.ledger.settle(hold, generation).await?;
        Ok(receipt)
    }
}
