//! The end of the journey: the answer is relayed, counted and settled, and its last bytes leave after that.

use super::record::{self, Run};
use super::steps::Leaves;
use super::{Refused, Stages, usage};
use crate::attempt::failure::Failure;
use crate::attempt::judge::Case;
use crate::attempt::watch::Watch;
use crate::clock::now_ms;
use crate::domain::event::Reply;
use crate::domain::usage::{Tokens, Usage};
use crate::ledger::{Hold, SettleError};
use crate::rank::sticky::Cache;
use crate::stream::client::{Client, Delivery, Held, Receipt, Whole};
use crate::stream::heard::Heard;
use crate::stream::meter::Meter;
use crate::stream::relay::{self, Ending, Relayed};
use crate::stream::tools::ToolCalls;

/// What accompanies an answer until it is paid for.
pub(super) struct Paying {
    pub(super) hold: Hold,
    pub(super) meter: Meter,
    pub(super) lesson: Lesson,
}

/// What an answer teaches for the next requests.
pub(super) struct Lesson {
    /// The attempt that answered, or of several steps the last; `None` while it is elsewhere.
    pub(super) watch: Option<Watch>,
    pub(super) cache: Option<Cache>,
    pub(super) heard: Heard,
}

impl Stages {
    /// Settles a whole answer, and hands it over.
    pub(super) async fn whole(
        &self,
        run: &mut Run,
        client: &mut Client<Refused>,
        paying: Box<Paying>,
        mut reply: Reply,
    ) -> Result<(), SettleError> {
        let Paying {
            hold,
            mut meter,
            mut lesson,
        } = *paying;
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

    /// Relays a streamed answer, and settles it before its end is told.
    pub(super) async fn stream(
        &self,
        run: &mut Run,
        client: &mut Client<Refused>,
        mut paying: Box<Paying>,
        mut stream: Box<impl Leaves>,
    ) {
        client.stream(run.head());
        let Paying { meter, lesson, .. } = &mut *paying;
        let Relayed { ending, first } =
            relay::relay(&mut *stream, meter, &mut lesson.heard, client).await;
        run.first_token_at = first;
        // Large, and no part of a stream that goes on.
        Box::pin(self.relayed(run, client, paying, stream, ending)).await;
    }

    /// Settles a streamed answer that came to this end, and tells it.
    async fn relayed(
        &self,
        run: &mut Run,
        client: &mut Client<Refused>,
        paying: Box<Paying>,
        mut stream: Box<impl Leaves>,
        ending: Ending,
    ) {
        let Paying {
            hold,
            mut meter,
            mut lesson,
        } = *paying;
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
                self.ledger.record(hold, broken);
                Delivery::Broken(error, run.report(None))
            }
            Ending::Left => {
                run.cancelled = true;
                if !stream.cancels(run) {
                    stream.no_further();
                    let rest = relay::drain(&mut *stream, &mut meter);
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
    pub(super) async fn settle(
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
        let (settled, receipt) = self.enter(run, hold, meter, usage, reported);
        settled.await?;
        Ok(receipt)
    }

    /// Puts the run into the books; what comes back is over once that is durable.
    fn enter(
        &self,
        run: &Run,
        hold: Hold,
        meter: &Meter,
        usage: Usage,
        reported: Option<Tokens>,
    ) -> (
        impl Future<Output = Result<(), SettleError>> + Send + use<>,
        Receipt,
    ) {
        let (mut generation, receipt) = run.finished(meter, usage);
        generation.reported = reported;
        record::log(&generation);
        (self.ledger.settle(hold, generation), receipt)
    }
}
