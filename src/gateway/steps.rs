//! The loop of the server tool `openrouter:web_search` (contract 8.3): the model asks, the gateway searches, the model
//! goes on, until it has its answer or has asked often enough. One run, whose every step is counted and charged.
//!
//! All steps are made by the endpoint that made the first, so that one list prices them. One that fails fails the run,
//! which is not charged then.

use super::record::Run;
use super::search::MARK;
use super::{Gateway, Lesson, Paying, Refusal, Refused};
use crate::attempt::Order;
use crate::attempt::run::{Answer, Outcome};
use crate::attempt::watch::Watch;
use crate::domain::call::Call;
use crate::domain::event::{Choice, Event, FinishReason, Reply};
use crate::domain::generation::Attempt;
use crate::domain::ids::{GenerationId, random_text};
use crate::domain::search::{SearchTool, Searched, Source, Wish};
use crate::domain::usage::Tokens;
use crate::plugin::web::tool::{self, NAME, Offer};
use crate::plugin::web::{EngineSettings, quote};
use crate::rank::Candidate;
use crate::stream::citations::Citations;
use crate::stream::client::{Client, Left, Whole};
use crate::stream::source::{EventStream, Events, StreamError};
use crate::stream::turn::{Asked, Turn};
use crate::wire::DecodeError;

/// What a model is told instead of results.
const NO_QUERY: &str = "The call has no query.";
const NO_MORE: &str = "No more searches are allowed for this request. Answer with what is known.";
const FAILED: &str = "The search failed. Answer without it, and say so.";
const NOTHING: &str = "Nothing was found.";

/// The steps of one run, as one sequence of events.
pub(super) struct Steps<'a> {
    gateway: &'a Gateway,
    id: GenerationId,
    candidate: Candidate,
    call: Call,
    engine: EngineSettings,
    tool: SearchTool,
    /// Whether the model may still ask.
    offer: Offer,
    uses: u64,
    stream: EventStream,
    turn: Turn,
    tokens: Tokens,
    watch: Option<Watch>,
    ended: bool,
    work: Work,
}

/// What the steps leave behind.
#[derive(Default)]
pub(super) struct Work {
    /// The tries of the steps after the first.
    pub(super) attempts: Vec<Attempt>,
    /// The pages that the answer may cite.
    pub(super) sources: Vec<Source>,
    /// For the records.
    pub(super) searched: Searched,
}

/// A source of events that leaves something behind when it is done with.
pub(super) trait Leaves: Events {
    /// Nobody listens any more: what is under way is the last of it.
    fn no_further(&mut self);

    /// Writes down what there is, and closes.
    fn leave(self, run: &mut Run, lesson: &mut Lesson);
}

impl Leaves for EventStream {
    fn no_further(&mut self) {}

    fn leave(self, _: &mut Run, _: &mut Lesson) {}
}

impl Leaves for Steps<'_> {
    fn no_further(&mut self) {
        self.offer = Offer::Spent;
    }

    fn leave(self, run: &mut Run, lesson: &mut Lesson) {
        let Work {
            attempts,
            sources,
            searched,
        } = self.work;
        run.goes_on_with(self.call);
        run.attempts.extend(attempts);
        run.search = (self.uses > 0).then_some(searched);
        lesson.watch = self.watch;
        if let Some(citations) = &mut lesson.heard.citations {
            citations.found(sources);
        }
    }
}

impl Gateway {
    /// Answers in steps, whole or as a stream.
    pub(super) async fn steps(
        &self,
        run: &mut Run,
        client: &mut Client<Refused>,
        mut paying: Paying,
        tool: (EngineSettings, SearchTool),
        first: Answer,
    ) -> Result<(), Refusal> {
        let Some(candidate) = run.answered().cloned() else {
            return Ok(());
        };
        paying.lesson.heard.citations = Some(Citations::awaiting());
        let watch = paying.lesson.watch.take();
        let steps = Steps::begun(self, run, candidate, tool, first, watch);
        if run.call.stream {
            self.stream(run, client, paying, steps).await;
            return Ok(());
        }
        self.gathered(run, client, paying, steps).await
    }

    /// All steps in one reply.
    async fn gathered(
        &self,
        run: &mut Run,
        client: &mut Client<Refused>,
        paying: Paying,
        mut steps: Steps<'_>,
    ) -> Result<(), Refusal> {
        let Paying {
            hold,
            mut meter,
            mut lesson,
        } = paying;
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
                    break Ok(());
                }
            }
        };
        steps.leave(run, &mut lesson);
        if let Err(error) = ending {
            let usage = meter.usage().await;
            let broken = run.broken(&meter, usage, &error);
            self.ledger.record(hold, broken).await;
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

impl<'a> Steps<'a> {
    /// The steps of a run whose first one has begun.
    fn begun(
        gateway: &'a Gateway,
        run: &Run,
        candidate: Candidate,
        (engine, tool): (EngineSettings, SearchTool),
        answer: Answer,
        watch: Option<Watch>,
    ) -> Self {
        let searched = Searched {
            engine: engine.engine.as_str().to_owned(),
            by_the_model: true,
            ..Searched::default()
        };
        Steps {
            gateway,
            id: run.id.clone(),
            candidate,
            call: run.call.clone(),
            engine,
            tool,
            offer: Offer::Given,
            uses: 0,
            stream: events_of(answer),
            turn: Turn::new(NAME),
            tokens: Tokens::default(),
            watch,
            ended: false,
            work: Work {
                searched,
                ..Work::default()
            },
        }
    }

    /// Goes on where the model waits for results; otherwise the answer has ended.
    async fn turned(&mut self) -> Result<Option<Event>, StreamError> {
        let asked = self.turn.asked().filter(|_| self.offer == Offer::Given);
        let Some(asked) = asked else {
            self.ended = true;
            let last = self.turn.finish().map(|finish| Choice {
                finish: Some(finish),
                ..Choice::default()
            });
            return Ok(last.map(Event::from));
        };
        let mut results = Vec::with_capacity(asked.len());
        for one in asked {
            let result = self.result(&one).await;
            results.push((one.id, result));
        }
        let spent = self.uses >= self.tool.max_uses || self.results_left() == 0;
        self.offer = if spent { Offer::Spent } else { Offer::Given };
        let said = self.turn.message();
        self.call = tool::answered(&self.call, &said, &results, self.offer)
            .map_err(|error| DecodeError::Malformed(error.to_string()))?;
        if let Some(watch) = self.watch.take() {
            watch.complete(&self.tokens, Some(FinishReason::ToolCalls));
        }
        self.turn = Turn::new(NAME);
        self.stream = self.next_answer().await?;
        Ok(Some(Event::Step))
    }

    async fn next_answer(&mut self) -> Result<EventStream, StreamError> {
        let candidates = vec![self.candidate.clone()];
        let upstreams = &self.gateway.upstreams;
        match upstreams
            .run(&self.call, candidates, Order::Exact, || true)
            .await
        {
            Ok(Outcome {
                answer,
                attempts,
                watch,
                ..
            }) => {
                self.work.attempts.extend(attempts);
                self.watch = Some(watch);
                Ok(events_of(answer))
            }
            Err(exhausted) => {
                self.work.attempts.extend(exhausted.attempts);
                Err(DecodeError::Truncated.into())
            }
        }
    }

    /// What the model is told of one of its calls.
    async fn result(&mut self, asked: &Asked) -> String {
        let Some(query) = tool::query(&asked.arguments) else {
            return NO_QUERY.to_owned();
        };
        let left = self.results_left();
        if self.uses >= self.tool.max_uses || left == 0 {
            return NO_MORE.to_owned();
        }
        self.uses += 1;
        let wish = Wish {
            max_results: self.tool.wish.max_results.min(left),
            ..self.tool.wish.clone()
        };
        match self.gateway.web.search(&self.engine, &wish, &query).await {
            Ok(sources) => {
                let searched = &mut self.work.searched;
                let price = self.engine.price.of(wish.mode, sources.len());
                searched.searches += 1;
                searched.results += sources.len() as u64;
                searched.price = searched.price.saturating_add(price);
                let text = match sources.as_slice() {
                    [] => NOTHING.to_owned(),
                    found => quote::quotation(found, &random_text(MARK)),
                };
                let known = &mut self.work.sources;
                for source in sources {
                    if !known.iter().any(|known| known.url == source.url) {
                        known.push(source);
                    }
                }
                text
            }
            Err(error) => {
                tracing::warn!(generation.id = %self.id, search.engine = %self.engine.engine, %error, "a web search failed");
                self.work.searched.failure = Some(error.word().to_owned());
                FAILED.to_owned()
            }
        }
    }

    fn results_left(&self) -> usize {
        let had = usize::try_from(self.work.searched.results).unwrap_or(usize::MAX);
        self.tool.max_total_results.saturating_sub(had)
    }
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
                    self.tokens = tokens;
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

fn events_of(answer: Answer) -> EventStream {
    match answer {
        Answer::Whole(reply) => EventStream::of(*reply),
        Answer::Stream(stream) => *stream,
    }
}
