//! The loop of the server tool `openrouter:web_search` (contract 8.3): the model asks, the gateway searches, the model
//! goes on, until it has its answer or has asked often enough. One run, whose every step is counted and charged.
//!
//! A step whose endpoint fails before it says anything goes to the next candidate, as a plain call does; the steps before
//! are made and stay who made them. One that fails everywhere, or breaks off, fails the run, which is not charged then.

use super::record::Run;
use super::{Paying, Refusal, Refused, Stages};
use crate::attempt::Files;
use crate::attempt::run::Answer;
use crate::domain::call::Call;
use crate::domain::event::{Choice, Event, FinishReason, Reply};
use crate::domain::search::SearchTool;
use crate::domain::stop::Stop;
use crate::domain::terms::Terms;
use crate::domain::usage::{Tokens, Usage, UsageSource};
use crate::ledger::price;
use crate::plan::estimate::Prompt;
use crate::plugin::web::EngineSettings;
use crate::plugin::web::tool::{self, NAME, Offer};
use crate::rank::Candidate;
use crate::stream::citations::Citations;
use crate::stream::client::{Client, Left, Whole};
use crate::stream::relay;
use crate::stream::source::{EventStream, Events, StreamError};
use crate::stream::turn::{Asked, Turn};
use crate::wire::DecodeError;

mod leaves;
mod makers;
mod searches;
mod tally;

pub(super) use leaves::Leaves;
use makers::{Makers, events_of};
use searches::Searches;
use tally::{Step, Tally};

/// What a run of several steps begins with.
pub(super) struct Loop<'a> {
    /// The engine to ask whenever the model wants it, and on which terms.
    pub(super) tool: Box<(EngineSettings, SearchTool)>,
    /// The answer to the first step.
    pub(super) first: Answer,
    /// Those that may make steps where the endpoint of the first fails.
    pub(super) others: Vec<Candidate>,
    /// What the request names by address.
    pub(super) files: &'a Files,
}

/// The steps of one run, as one sequence of events.
pub(super) struct Steps<'a> {
    makers: Makers<'a>,
    searches: Searches<'a>,
    tally: Tally,
    call: Call,
    created_at: i64,
    terms: Terms,
    /// Whether the model may still ask.
    offer: Offer,
    stream: EventStream,
    turn: Turn,
    /// What the provider says of the step.
    reported: Option<Tokens>,
    ended: bool,
}

impl Stages {
    /// Answers in steps, whole or as a stream.
    pub(super) async fn steps(
        &self,
        run: &mut Run,
        client: &mut Client<Refused>,
        mut paying: Box<Paying>,
        begun: Loop<'_>,
    ) -> Result<(), Refusal> {
        let Some(candidate) = run.answered().cloned() else {
            return Ok(());
        };
        paying.lesson.heard.citations = Some(Citations::awaiting());
        let Loop {
            tool,
            first,
            others,
            files,
        } = begun;
        let watch = paying.lesson.watch.take();
        let steps = Steps {
            makers: Makers::new(&self.upstreams, files, candidate, others, watch),
            tally: Tally::new(stops(&tool.1)),
            searches: Searches::new(&self.web, run.id.clone(), *tool),
            call: run.call.clone(),
            created_at: run.created_at,
            terms: run.planned.terms,
            offer: Offer::Given,
            stream: events_of(first),
            turn: Turn::new(NAME),
            reported: None,
            ended: false,
        };
        if run.call.stream {
            self.stream(run, client, paying, Box::new(steps)).await;
            return Ok(());
        }
        self.gathered(run, client, paying, steps).await
    }

    /// All steps in one reply.
    async fn gathered(
        &self,
        run: &mut Run,
        client: &mut Client<Refused>,
        paying: Box<Paying>,
        mut steps: Steps<'_>,
    ) -> Result<(), Refusal> {
        let Paying {
            hold,
            mut meter,
            mut lesson,
        } = *paying;
        let mut choice = Choice::default();
        let ending = loop {
            match client.unless_left(steps.next()).await {
                Ok(Ok(Some(event))) => {
                    meter.event(&event);
                    lesson.heard.event(&event);
                    if let Event::Choice(piece) = event {
                        choice.extend(*piece);
                    }
                }
                Ok(Ok(None)) => break Ok(()),
                Ok(Err(error)) => break Err(error),
                Err(Left) => {
                    run.cancelled = true;
                    if !steps.cancels(run) {
                        steps.no_further();
                        let rest = relay::drain(&mut steps, &mut meter);
                        self.drains.finish(rest).await;
                    }
                    break Ok(());
                }
            }
        };
        steps.leave(run, &mut lesson);
        if let Err(error) = ending {
            let usage = meter.usage().await;
            let broken = run.broken(&meter, usage, &error);
            self.ledger.record(hold, broken);
            return Err(error.into());
        }
        let annotated = lesson.heard.before(Vec::new());
        annotated.into_iter().for_each(|piece| choice.extend(piece));
        let lesson = (!run.cancelled).then_some(lesson);
        let receipt = self.settle(run, hold, &mut meter, lesson).await?;
        let reply = Reply {
            choices: vec![choice],
            ..Reply::default()
        };
        client.whole(Whole {
            head: run.head(),
            reply,
            receipt,
        });
        Ok(())
    }
}

impl Steps<'_> {
    /// Goes on where the model waits for results; otherwise the answer has ended.
    async fn turned(&mut self) -> Result<Option<Event>, StreamError> {
        if !self.makers.are_asked() {
            let Some(asked) = self.asked() else {
                self.ended = true;
                let last = self.turn.finish().map(|finish| Choice {
                    finish: Some(finish),
                    ..Choice::default()
                });
                return Ok(last.map(Event::from));
            };
            self.ask(asked).await?;
        }
        let (stream, maker) = self.makers.answer().await?;
        self.stream = stream;
        self.turn = Turn::new(NAME);
        self.reported = None;
        Ok(Some(Event::Step(maker)))
    }

    /// The calls that the model waits for, where it may still make any.
    fn asked(&mut self) -> Option<Vec<Asked>> {
        self.searches.requested(self.turn.newly_asked());
        self.turn.asked().filter(|_| self.offer == Offer::Given)
    }

    /// Asks for the next step, with the results of what the last one asked for.
    async fn ask(&mut self, asked: Vec<Asked>) -> Result<(), StreamError> {
        let results = self.searches.results(asked).await;
        if self.is_told_to_stop() || self.searches.are_spent() {
            self.offer = Offer::Spent;
        }
        let said = self.turn.message();
        self.call = tool::answered(&self.call, &said, &results, self.offer)
            .map_err(|error| DecodeError::Malformed(error.to_string()))?;
        let used = self.reported.unwrap_or_default();
        self.makers.ask(&self.call, &used);
        Ok(())
    }

    /// Whether one of the caller's conditions is met by the step that is over.
    fn is_told_to_stop(&mut self) -> bool {
        if !self.tally.counts() {
            return false;
        }
        let tokens = self.reported.unwrap_or_else(|| Tokens {
            prompt: Prompt::of(&self.call).tokens(),
            ..Tokens::default()
        });
        let usage = Usage {
            tokens,
            source: UsageSource::Reported,
        };
        let charge = price::charge(
            &self.makers.current().endpoint.pricing,
            Some(&usage),
            Some(FinishReason::Stop),
            self.created_at,
            &self.terms,
        );
        let step = Step {
            tokens: tokens.total(),
            cost: charge.net,
            searches: self.searches.searched().price,
            called: self.turn.called(),
            finish: self.turn.ended(),
        };
        self.tally.ends_with(&step)
    }
}

/// The caller's conditions, with the tool by the name that the model knows it by.
fn stops(tool: &SearchTool) -> Vec<Stop> {
    let named = |stop: &Stop| match stop {
        Stop::Called(name) if SearchTool::is_kind(name) => Stop::Called(NAME.to_owned()),
        stop => stop.clone(),
    };
    tool.stops.iter().map(named).collect()
}

impl Events for Steps<'_> {
    async fn next(&mut self) -> Result<Option<Event>, StreamError> {
        while !self.ended {
            match self.stream.next().await? {
                Some(Event::Choice(mut choice)) => {
                    self.turn.take(&mut choice);
                    if !choice.is_empty() {
                        return Ok(Some(Event::Choice(choice)));
                    }
                }
                Some(Event::Usage(tokens)) => {
                    self.reported = Some(tokens);
                    return Ok(Some(Event::Usage(tokens)));
                }
                Some(event) => return Ok(Some(event)),
                None => {
                    let event = self.turned().await?;
                    if event.is_some() {
                        return Ok(event);
                    }
                }
            }
        }
        Ok(None)
    }

    fn arrived(&mut self) -> impl Iterator<Item = Event> {
        self.stream.arrived()
    }
}
