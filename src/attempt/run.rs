//! The failover loop: candidates in order, until one answers well.
//!
//! The commit point is here: a streamed answer is good once it carries content, reasoning, a tool
//! call or a finish reason. Up to there nothing has reached the client, so every failure may go on.

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use tokio::time::{Instant, timeout_at};

use super::batch;
use super::failure::{Failure, Next};
use crate::domain::call::{Call, Form};
use crate::domain::event::{Event, Reply};
use crate::domain::generation::Attempt;
use crate::rank::Candidate;
use crate::stream::source::EventStream;
use crate::transport::{Response, Transport};
use crate::wire::{self, Wire};

/// An answer, and how it was come by.
pub struct Outcome {
    /// Who answered.
    pub candidate: Candidate,
    /// The answer.
    pub answer: Answer,
    /// Every try, the good one last.
    pub attempts: Vec<Attempt>,
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
    /// The smallest `Retry-After` among them, in seconds.
    pub retry_after: Option<u64>,
}

/// Tries the candidates in order.
pub async fn run(
    transport: &Transport,
    call: &Call,
    candidates: impl IntoIterator<Item = Candidate>,
) -> Result<Outcome, Exhausted> {
    let mut exhausted = Exhausted {
        attempts: Vec::new(),
        failures: Vec::new(),
        retry_after: None,
    };
    let mut given_up_on = None;
    for candidate in candidates {
        if given_up_on.as_ref() == Some(&candidate.model.id) {
            continue;
        }
        let started = Instant::now();
        let result = attempt(transport, call, &candidate, &mut exhausted.retry_after).await;
        exhausted
            .attempts
            .push(record(&candidate, result.as_ref().err(), started));
        match result {
            Ok(answer) => {
                return Ok(Outcome {
                    candidate,
                    answer,
                    attempts: exhausted.attempts,
                });
            }
            Err(failure) => {
                if failure.next() == Next::Model {
                    given_up_on = Some(candidate.model.id.clone());
                }
                exhausted.failures.push((candidate, failure));
            }
        }
    }
    Err(exhausted)
}

async fn attempt(
    transport: &Transport,
    call: &Call,
    candidate: &Candidate,
    retry_after: &mut Option<u64>,
) -> Result<Answer, Failure> {
    let endpoint = &candidate.endpoint;
    let wire = wire::wire(endpoint.target.wire).ok_or_else(|| {
        Failure::Unsayable("this build does not speak the provider's protocol".into())
    })?;
    let timeouts = endpoint.provider.timeouts;
    let deadline = Instant::now() + timeouts.total;
    // A plain answer comes whole, so the time to its first byte is the time of the whole generation.
    let first = if call.stream {
        deadline.min(Instant::now() + timeouts.first_token)
    } else {
        deadline
    };
    if call.form == Form::Embeddings {
        return batch::embed(transport, wire, call, endpoint, deadline)
            .await
            .map(|reply| Answer::Whole(Box::new(reply)))
            .map_err(|rejected| rejected.noted(retry_after));
    }
    let encoded = wire.encode(call, &endpoint.target)?;
    let response = timeout_at(first, transport.send(endpoint, encoded))
        .await
        .map_err(|_| Failure::Timeout)??;
    if !response.status.is_success() {
        note_retry_after(&response, retry_after);
        return Err(fault(wire, response, deadline).await);
    }
    if call.stream && !is_json(&response) {
        let stream = EventStream::new(
            response.body,
            wire.decoder(call, &endpoint.target),
            timeouts.idle,
            deadline,
        );
        return timeout_at(first, commit(stream))
            .await
            .map_err(|_| Failure::Timeout)?;
    }
    let body = timeout_at(deadline, response.body.collect())
        .await
        .map_err(|_| Failure::Timeout)??;
    let reply = wire.decode(call, &endpoint.target, &body)?;
    match reply {
        reply if reply.is_empty() => Err(Failure::Unusable("the answer is empty".into())),
        reply if call.stream => Ok(Answer::Stream(Box::new(EventStream::of(reply)))),
        reply => Ok(Answer::Whole(Box::new(reply))),
    }
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

pub(super) async fn fault(wire: &dyn Wire, response: Response, deadline: Instant) -> Failure {
    let (status, headers) = (response.status.as_u16(), response.headers);
    match timeout_at(deadline, response.body.collect()).await {
        Ok(Ok(body)) => Failure::Fault(wire.fault(status, &headers, &body)),
        // The status says enough when the body cannot be read.
        Ok(Err(_)) | Err(_) => Failure::Fault(wire.fault(status, &headers, b"")),
    }
}

/// A provider that was asked for a stream may still answer with one JSON body.
fn is_json(response: &Response) -> bool {
    response
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}

pub(super) fn note_retry_after(response: &Response, smallest: &mut Option<u64>) {
    let seconds = response
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    *smallest = match (*smallest, seconds) {
        (Some(known), Some(new)) => Some(known.min(new)),
        (known, new) => known.or(new),
    };
}

fn record(candidate: &Candidate, failure: Option<&Failure>, started: Instant) -> Attempt {
    Attempt {
        provider_name: candidate.endpoint.provider.name.clone(),
        endpoint: candidate.endpoint.tag.clone(),
        model: candidate.model.id.clone(),
        status: failure.map_or(Some(200), Failure::status),
        failure: failure.map(|failure| failure.word().to_owned()),
        latency_ms: i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX),
    }
}
