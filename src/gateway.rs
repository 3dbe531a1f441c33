//! The journey of a request, on one page: plan → candidates → hold → attempts → settle → answer.
//!
//! Every skin uses it. Knows the stages and their order; the stages know nothing of each other.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::run::{self, Answer, Exhausted, Outcome};
use crate::auth::FreeLimits;
use crate::catalog::Catalog;
use crate::clock::now_ms;
use crate::domain::call::Call;
use crate::domain::event::Reply;
use crate::domain::principal::Principal;
use crate::domain::quota::QuotaExceeded;
use crate::ledger::{Hold, HoldError, Ledger, SettleError};
use crate::plan::{self, PlanError};
use crate::rank::{self, Candidate, RankError, Ranked, Situation};
use crate::stream::client::{self, Begun, Client, Delivery, Head, Left, Receipt, Whole};
use crate::stream::meter::Meter;
use crate::stream::relay::{self, Ending, Relayed};
use crate::stream::source::EventStream;
use crate::transport::Transport;

mod ceiling;
mod drain;
mod free;
mod record;
mod usage;

pub use ceiling::Ceiling;
use drain::Drains;
use record::{Planned, Run};

/// Serves calls. Cloning shares everything.
#[derive(Clone)]
pub struct Gateway {
    catalog: Catalog,
    ledger: Ledger,
    free_limits: FreeLimits,
    transport: Transport,
    default_model: Option<Arc<str>>,
    tasks: TaskTracker,
    drains: Drains,
}

/// A call under way. Dropping it tells the journey that the caller left.
pub struct Serving {
    /// What is known before an endpoint answers: the generation's id and the model that was asked for.
    pub head: Head,
    /// Resolves when the answer begins, or is refused. A closed channel means the journey panicked.
    pub begun: oneshot::Receiver<Result<Begun, Refusal>>,
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
        ledger: Ledger,
        free_limits: FreeLimits,
        transport: Transport,
        default_model: Option<&str>,
        tasks: TaskTracker,
        hurry: CancellationToken,
    ) -> Self {
        Gateway {
            catalog,
            ledger,
            free_limits,
            transport,
            default_model: default_model.map(Arc::from),
            tasks,
            drains: Drains::new(hurry),
        }
    }

    /// Starts a call's journey.
    pub fn serve(&self, who: Arc<Principal>, call: Call) -> Serving {
        let run = Run::begin(who, call, self.default_model.as_deref(), now_ms());
        let (mut client, begun) = client::pair();
        let head = run.head();
        if self.tasks.is_closed() {
            client.refuse(Refusal::Closing);
        } else {
            self.tasks.spawn(self.clone().journey(run, client));
        }
        Serving { head, begun }
    }

    async fn journey(self, mut run: Run, mut client: Client<Refusal>) {
        if let Err(refusal) = self.answer(&mut run, &mut client).await {
            run.log_refusal(&refusal);
            client.refuse(refusal);
        }
    }

    async fn answer(&self, run: &mut Run, client: &mut Client<Refusal>) -> Result<(), Refusal> {
        let catalog = self.catalog.snapshot();
        let plan = plan::plan(&run.call, self.default_model.as_deref(), &catalog)?;
        let situation = Situation {
            health: &rank::health::Unknown,
            stuck: &[],
            seed: rand::random(),
            at_ms: run.created_at,
        };
        let Ranked { candidates, .. } =
            rank::rank(&plan, &situation).map_err(|error| error.suggesting(&plan, &catalog))?;
        let candidates =
            free::within_limits(&self.free_limits, &run.who.account, candidates).await?;
        run.planned = Planned::of(&plan, &catalog, self.ledger.terms(&run.who));
        let ceiling = Ceiling::of(&plan, &candidates, run.created_at, &run.planned.terms);
        let hold = self
            .ledger
            .hold(&run.who, ceiling.most)
            .await
            .map_err(|error| Refusal::Hold { error, ceiling })?;
        let meter = Meter::new(plan.prompt_tokens);
        match self.attempt(&run.call, client, candidates).await {
            Ok(Ok(outcome)) => {
                run.answered_by(outcome.candidate, outcome.attempts);
                match outcome.answer {
                    Answer::Whole(reply) => self.whole(run, client, hold, meter, *reply).await?,
                    Answer::Stream(stream) => self.stream(run, client, hold, meter, *stream).await,
                }
            }
            Ok(Err(exhausted)) => {
                run.attempts.clone_from(&exhausted.attempts);
                self.ledger.record(hold, run.failed()).await;
                return Err(exhausted.into());
            }
            Err(Left) => self.ledger.record(hold, run.abandoned()).await,
        }
        Ok(())
    }

    /// Runs the attempts. A caller who leaves cancels them, unless they are to be paid for all the same:
    /// then the one under way goes on, and no other begins.
    async fn attempt(
        &self,
        call: &Call,
        client: &mut Client<Refusal>,
        candidates: Vec<Candidate>,
    ) -> Result<Result<Outcome, Exhausted>, Left> {
        let billed = candidates
            .iter()
            .any(|candidate| !candidate.endpoint.provider.cancels);
        let left = AtomicBool::new(false);
        let candidates = candidates
            .into_iter()
            .take_while(|_| !left.load(Ordering::Relaxed));
        let mut attempts = pin!(run::run(&self.transport, call, candidates));
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
        client: &mut Client<Refusal>,
        hold: Hold,
        mut meter: Meter,
        reply: Reply,
    ) -> Result<(), SettleError> {
        run.cancelled = client.has_left();
        meter.reply(&reply);
        let receipt = self.settle(run, hold, &mut meter).await?;
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
        client: &mut Client<Refusal>,
        hold: Hold,
        mut meter: Meter,
        mut stream: EventStream,
    ) {
        client.stream(run.head());
        let Relayed { ending, first } = relay::relay(&mut stream, &mut meter, client).await;
        run.first_token_at = first;
        let last = match ending {
            Ending::Complete(held) => match self.settle(run, hold, &mut meter).await {
                Ok(receipt) => Delivery::Settled(held, Box::new(receipt)),
                Err(error) => {
                    tracing::error!(generation.id = %run.id, %error, "a complete answer could not be settled");
                    Delivery::Unsettled
                }
            },
            Ending::Broken(error) => {
                let usage = meter.usage().await;
                let broken = run.broken(&meter, usage, &error);
                self.ledger.record(hold, broken).await;
                Delivery::Broken(error)
            }
            Ending::Left => {
                run.cancelled = true;
                if !run.can_be_cancelled() {
                    let rest = relay::drain(&mut stream, &mut meter);
                    self.drains.finish(rest).await;
                }
                // At once, before the settlement: the upstream is still at work.
                drop(stream);
                if let Err(error) = self.settle(run, hold, &mut meter).await {
                    tracing::error!(generation.id = %run.id, %error, "a cancelled run could not be settled");
                }
                return;
            }
        };
        // The caller may have left in this very moment; the run is settled all the same.
        let _ = client.deliver(last).await;
    }

    /// Charges the run, durably.
    async fn settle(
        &self,
        run: &Run,
        hold: Hold,
        meter: &mut Meter,
    ) -> Result<Receipt, SettleError> {
        let (usage, reported) = usage::charged(run, meter).await;
        let (mut generation, receipt) = run.finished(meter, usage);
        generation.reported = reported;
        record::log(&generation);
        self.ledger.settle(hold, generation).await?;
        Ok(receipt)
    }
}
