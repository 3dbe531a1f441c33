//! The way back to the caller: a place for what comes next, and the knowledge whether anyone still listens.
//!
//! The journey goes on without a caller who leaves, so that no settlement is torn in half; this is all that connects
//! the two. It holds little, so a slow reader slows the upstream down rather than filling memory. What comes in
//! a burst goes through it together.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::handoff::{self, Giver, Taker};
use super::source::StreamError;
use crate::domain::event::{Choice, Forwarded, Maker, Reply};
use crate::domain::generation::Charge;
use crate::domain::ids::{GenerationId, ModelId};
use crate::domain::json::Raw;
use crate::domain::route::Report;
use crate::domain::usage::Usage;

/// The most deliveries in a set.
const TOGETHER: usize = 8;

/// Who answers: what every chunk of an answer repeats.
#[derive(Clone, Debug)]
pub struct Head {
    /// The generation.
    pub id: GenerationId,
    /// Unix seconds.
    pub created: i64,
    /// The concrete model that answers (contract 3.1).
    pub model: ModelId,
    /// The provider's display name.
    pub provider: Arc<str>,
}

/// The proof that a run is settled: what the last bytes of an answer tell.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// What was used.
    pub usage: Usage,
    /// Web searches that the gateway made, beside those that the provider did.
    pub searches: u64,
    /// Calls of the gateway's tools that the model made; `None` where it made none.
    pub tool_calls: Option<u64>,
    /// What was charged.
    pub charge: Charge,
    /// OpenAI's `system_fingerprint`.
    pub system_fingerprint: Option<String>,
    /// The tier that served.
    pub service_tier: Option<String>,
    /// How the endpoint was chosen, for a caller who asked (contract 3.4).
    pub report: Option<Box<Report>>,
}

impl Receipt {
    /// The web searches that were made for the answer, whoever made them.
    pub fn web_searches(&self) -> u64 {
        self.usage.tokens.web_searches.saturating_add(self.searches)
    }
}

/// A complete answer, already settled.
#[derive(Debug)]
pub struct Whole {
    /// Who answered.
    pub head: Head,
    /// The answer.
    pub reply: Reply,
    /// The proof of its settlement.
    pub receipt: Receipt,
}

/// What a run begins with, or why it does not.
pub enum Begun {
    /// A complete answer, already settled.
    Whole(Box<Whole>),
    /// An answer that has begun to stream.
    Stream(Head, Taker<Deliveries>),
}

/// What waits for the settlement, so that a client never sees an answer end that the ledger does not have.
#[derive(Debug, Default)]
pub struct Held {
    /// Finish reasons.
    pub choices: Vec<Choice>,
    /// The provider's own last events; none where the answer is told in choices.
    pub events: Vec<Forwarded>,
}

/// Steps of a streamed answer that go to the client together.
pub type Deliveries = Vec<Delivery>;

/// One step of a streamed answer.
#[derive(Debug)]
pub enum Delivery {
    /// More of a choice.
    Choice(Box<Choice>),
    /// The provider's own event, in the client's form.
    Forwarded(Box<Forwarded>),
    /// What a provider was sent, for a caller who wants to see it.
    Sent(Raw),
    /// Another goes on with the answer from here.
    Maker(Box<Maker>),
    /// The run is settled: what was held back, and the receipt.
    Settled(Held, Box<Receipt>),
    /// The answer broke off after it had begun; with what became of the endpoints, for a caller who asked.
    Broken(StreamError, Option<Box<Report>>),
    /// The answer is complete but could not be settled.
    Unsettled,
}

/// The journey's end of the way back.
pub struct Client<E> {
    /// The caller wants no reasoning to be shown. It is counted and paid for, and goes no further than here.
    hides_reasoning: bool,
    begin: Option<oneshot::Sender<Result<Begun, E>>>,
    stream: Option<Giver<Deliveries>>,
    gathered: Deliveries,
}

/// The caller is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left;

/// Connects a journey with its caller, who may want the reasoning kept back (contract 2.4 `exclude`).
pub fn pair<E>(hides_reasoning: bool) -> (Client<E>, oneshot::Receiver<Result<Begun, E>>) {
    let (begin, begun) = oneshot::channel();
    (
        Client {
            hides_reasoning,
            begin: Some(begin),
            stream: None,
            gathered: Vec::new(),
        },
        begun,
    )
}

impl<E> Client<E> {
    /// Runs `work` unless the caller leaves first, which drops it.
    pub async fn unless_left<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Left> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.left() => Err(Left),
        }
    }

    /// Whether nobody listens any more.
    pub fn has_left(&self) -> bool {
        match (&self.begin, &self.stream) {
            (Some(begin), _) => begin.is_closed(),
            (None, Some(giver)) => giver.is_alone(),
            (None, None) => true,
        }
    }

    /// Answers with a refusal.
    pub fn refuse(&mut self, error: E) {
        self.begin(Err(error));
    }

    /// Answers with a complete reply.
    pub fn whole(&mut self, mut whole: Whole) {
        if self.hides_reasoning {
            let choices = &mut whole.reply.choices;
            choices
                .iter_mut()
                .for_each(|choice| choice.message.hide_reasoning());
        }
        self.begin(Ok(Begun::Whole(Box::new(whole))));
    }

    /// Begins to stream.
    pub fn stream(&mut self, head: Head) {
        let (giver, taker) = handoff::pair();
        self.stream = Some(giver);
        self.begin(Ok(Begun::Stream(head, taker)));
    }

    /// Keeps one step of a stream until the next [`flush`](Self::flush).
    pub fn gather(&mut self, mut delivery: Delivery) {
        if let Delivery::Choice(choice) = &mut delivery
            && self.hides_reasoning
        {
            choice.message.hide_reasoning();
            if choice.is_empty() {
                return;
            }
        }
        self.gathered.push(delivery);
    }

    /// Whether no more steps are to be gathered.
    pub fn is_full(&self) -> bool {
        self.gathered.len() >= TOGETHER
    }

    /// Sends what was gathered; waits while the caller is slow.
    pub async fn flush(&mut self) -> Result<(), Left> {
        if self.gathered.is_empty() {
            return if self.has_left() { Err(Left) } else { Ok(()) };
        }
        let gathered = std::mem::take(&mut self.gathered);
        match &mut self.stream {
            Some(giver) => giver.give(gathered).await.map_err(|_gone| Left),
            None => Err(Left),
        }
    }

    /// Sends one step of a stream, after those that were gathered.
    pub async fn deliver(&mut self, delivery: Delivery) -> Result<(), Left> {
        self.gather(delivery);
        self.flush().await
    }

    fn begin(&mut self, begun: Result<Begun, E>) {
        if let Some(begin) = self.begin.take() {
            // The caller may have left in this very moment; the next delivery notices.
            let _ = begin.send(begun);
        }
    }

    async fn left(&mut self) {
        match (&mut self.begin, &mut self.stream) {
            (Some(begin), _) => begin.closed().await,
            (None, Some(giver)) => giver.alone().await,
            (None, None) => {}
        }
    }
}
