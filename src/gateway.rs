//! The journey of a request, on one page: plan → candidates → hold → attempts → settle → answer.
//!
//! Every skin uses it. Knows the stages and their order; the stages know nothing of each other.

use std::pin::pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::run::{Answer, Exhausted, Outcome, Upstreams};
use crate::attempt::{Files, Order};
use crate::auth::FreeLimits;
use crate::catalog::Catalog;
use crate::catalog::snapshot::Snapshot;
use crate::clock::now_ms;
use crate::domain::call::Call;
use crate::domain::principal::Principal;
use crate::domain::quota::QuotaExceeded;
use crate::domain::route::Report;
use crate::ledger::{HoldError, SettleError};
use crate::plan::{self, Plan, PlanError};
use crate::plugin::web::{Errand, Errands, NoSearch, SearchError, WebSearch};
use crate::rank::sticky::{Cache, Sticky};
use crate::rank::{self, Candidate, RankError, Situation, report};
use crate::stream::client::{self, Client, Left};
use crate::stream::heard::Heard;
use crate::stream::meter::Meter;
use crate::stream::source::StreamError;
use crate::stream::tools::ToolCalls;

mod answer;
mod books;
mod ceiling;
mod charge;
mod drain;
mod free;
mod keep;
mod record;
mod search;
mod serving;
mod steps;
mod usage;

use answer::{Lesson, Paying};
pub use books::Books;
pub use ceiling::Ceiling;
use drain::Drains;
pub use keep::HealthKeeper;
use record::{Planned, Run};
use search::Asking;
use serving::Journey;
pub use serving::{Beginning, Serving};
use steps::Loop;

/// Serves calls. Cloning shares everything.
#[derive(Clone)]
pub struct Gateway(Arc<Stages>);

/// What the stages of the journey work with.
struct Stages {
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
        Gateway(Arc::new(Stages {
            catalog,
            ledger,
            free_limits,
            web,
            upstreams,
            sticky: Sticky::default(),
            default_model: default_model.map(Arc::from),
            tasks,
            drains: Drains::new(hurry),
        }))
    }

    /// Starts a call's journey, which goes on while its answer is waited for.
    pub fn serve(&self, who: Arc<Principal>, call: Call) -> Serving {
        let stages = Arc::clone(&self.0);
        let mut run = Run::begin(who, call, stages.default_model.as_deref(), now_ms());
        let (mut client, begun) = client::pair(run.call.hides_reasoning());
        let head = run.head();
        if stages.tasks.is_closed() {
            client.refuse(Refused {
                refusal: Refusal::Closing,
                report: None,
            });
            let begun = Beginning::new(begun, None);
            return Serving { head, begun };
        }
        let tasks = stages.tasks.clone();
        let journey = async move { stages.journey(&mut run, &mut client).await };
        let journey: Journey = Box::pin(tasks.track_future(journey));
        Serving {
            head,
            begun: Beginning::new(begun, Some(journey)),
        }
    }
}

impl Stages {
    async fn journey(&self, run: &mut Run, client: &mut Client<Refused>) {
        if let Err(refusal) = self.answer(run, client).await {
            run.log_refusal(&refusal);
            self.ledger.refused(&refusal);
            let report = run.report(None);
            client.refuse(Refused { refusal, report });
        }
    }

    async fn answer(&self, run: &mut Run, client: &mut Client<Refused>) -> Result<(), Refusal> {
        // Large, and over before a stream is told: that does not carry it along.
        match Box::pin(self.ask(run, client)).await? {
            Some((Answer::Whole(reply), paying)) => {
                // Likewise.
                Box::pin(self.whole(run, client, paying, *reply)).await?;
            }
            Some((Answer::Stream(stream), paying)) => {
                self.stream(run, client, paying, stream).await;
            }
            None => {}
        }
        Ok(())
    }

    /// From the call to an endpoint's answer, and what accompanies that until it is paid for. `None` where all is done:
    /// the caller has left, or the gateway's tools were used and the answer is told.
    async fn ask(
        &self,
        run: &mut Run,
        client: &mut Client<Refused>,
    ) -> Result<Option<(Answer, Box<Paying>)>, Refusal> {
        let catalog = self.catalog.snapshot();
        let plan = plan::plan(&run.call, self.default_model.as_deref(), &catalog)?;
        let mut candidates = self.ranked(run, &plan, &catalog)?;
        let errands = self.web.errands(&plan, &mut candidates)?;
        let candidates =
            free::within_limits(&self.free_limits, &run.who.account, candidates).await?;
        run.planned = Planned::of(&plan, &catalog, self.ledger.terms(&run.who));
        let (at, terms) = (run.created_at, &run.planned.terms);
        let ceiling = Ceiling::of(&plan, &errands, &candidates, at, terms);
        let hold = self
            .ledger
            .hold(&run.who, ceiling.most)
            .await
            .map_err(|error| Refusal::Hold { error, ceiling })?;
        let files = Files::default();
        let asking = (&errands, &files);
        match self.tried(run, &plan, client, asking, candidates).await {
            Ok(Ok(Outcome {
                candidate,
                answer,
                attempts,
                watch,
                course,
            })) => {
                let lesson = Lesson {
                    watch: Some(watch),
                    cache: Cache::of(&run.who.account, &plan, &candidate),
                    heard: Heard {
                        calls: plan.needs.tools().then(ToolCalls::default),
                        citations: run.citations.take(),
                    },
                };
                let tool = errands.of(&candidate).and_then(Errand::tool);
                run.answered_by(candidate, attempts);
                let paying = Box::new(Paying {
                    hold,
                    meter: Meter::new(run.planned.prompt.tokens()),
                    lesson,
                });
                let Some(tool) = tool else {
                    return Ok(Some((answer, paying)));
                };
                let begun = Loop {
                    tool,
                    first: answer,
                    others: errands.with_tool(course.rest()),
                    files: &files,
                };
                // Large, and seldom: not a part of every journey.
                Box::pin(self.steps(run, client, paying, begun)).await?;
            }
            Ok(Err(refusal)) => {
                self.ledger.record(hold, run.failed());
                return Err(refusal);
            }
            Err(Left) => self.ledger.record(hold, run.abandoned()),
        }
        Ok(None)
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
                run.route = Some(Arc::new(report::route(plan.strategy, &ranked.verdicts)));
                Ok(ranked.candidates)
            }
            Err(error) => {
                run.route = Some(Arc::new(report::route(plan.strategy, error.verdicts())));
                Err(error.suggesting(plan, catalog))
            }
        }
    }

    /// Runs the attempts, and searches the web for those that want it.
    async fn tried(
        &self,
        run: &mut Run,
        plan: &Plan,
        client: &mut Client<Refused>,
        (errands, files): (&Errands, &Files),
        candidates: Vec<Candidate>,
    ) -> Result<Result<Outcome, Refusal>, Left> {
        let asking = Asking::new(&self.web, run, errands, files);
        let tried = self.attempt(&asking, plan, client, candidates).await;
        let answered = match &tried {
            Ok(Ok(outcome)) => Some(&outcome.candidate),
            Ok(Err(_)) | Err(Left) => None,
        };
        let mut asked = asking.over(answered);
        let error = asked.error.take();
        run.asked(asked);
        Ok(tried?.map_err(|exhausted| {
            run.attempts.clone_from(&exhausted.attempts);
            error.map_or_else(|| exhausted.into(), Refusal::from)
        }))
    }

    /// Runs the attempts. A caller who leaves cancels them, unless they are to be paid for all the same:
    /// then the one under way goes on, and no other begins.
    async fn attempt(
        &self,
        asking: &Asking<'_>,
        plan: &Plan,
        client: &mut Client<Refused>,
        candidates: Vec<Candidate>,
    ) -> Result<Result<Outcome, Exhausted>, Left> {
        let billed = candidates
            .iter()
            .any(|candidate| !candidate.endpoint.provider.cancels);
        let order = if plan.preferences.order.is_empty() {
            Order::Advised
        } else {
            Order::Exact
        };
        let mut attempts = pin!(self.upstreams.run(asking, candidates, order));
        match client.unless_left(&mut attempts).await {
            Err(Left) if billed => {
                asking.leave();
                self.drains.finish(attempts).await.ok_or(Left)
            }
            done => done,
        }
    }
}
