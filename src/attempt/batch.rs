//! Embeddings at one endpoint: a call with more inputs than the endpoint takes at once goes in several requests, whose
//! answers are joined in order. One that fails fails them all, so that a client never has vectors of two providers.

use futures_util::future::try_join_all;
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use super::run::{fault, note_retry_after};
use crate::catalog::snapshot::Endpoint;
use crate::domain::call::Call;
use crate::domain::event::Reply;
use crate::domain::input;
use crate::domain::json::{JsonObject, Raw};
use crate::domain::usage::Tokens;
use crate::transport::Transport;
use crate::wire::Wire;

/// Requests of one call that are under way at once.
const AT_ONCE: usize = 4;

/// A part of a call, small enough for the endpoint.
struct Part {
    call: Call,
    inputs: usize,
}

/// Why an attempt did not answer, and when to come back.
pub(super) struct Rejected {
    failure: Failure,
    retry_after: Option<u64>,
}

impl Rejected {
    /// The failure; its hint joins the smallest known.
    pub(super) fn noted(self, smallest: &mut Option<u64>) -> Failure {
        *smallest = smallest.iter().copied().chain(self.retry_after).min();
        self.failure
    }
}

/// Embeds the inputs of a call.
pub(super) async fn embed(
    transport: &Transport,
    wire: &dyn Wire,
    call: &Call,
    endpoint: &Endpoint,
    deadline: Instant,
) -> Result<Reply, Rejected> {
    let parts = cut(call, endpoint.target.quirks.max_inputs).map_err(|failure| Rejected {
        failure,
        retry_after: None,
    })?;
    let mut replies = Vec::with_capacity(parts.len());
    for group in parts.chunks(AT_ONCE) {
        let exchanges = group
            .iter()
            .map(|part| exchange(transport, wire, part, endpoint, deadline));
        replies.extend(try_join_all(exchanges).await?);
    }
    Ok(join(replies))
}

/// The call in parts of at most `most` inputs.
fn cut(call: &Call, most: Option<usize>) -> Result<Vec<Part>, Failure> {
    let inputs = call
        .body
        .given("input")
        .map(input::parts)
        .unwrap_or_default();
    let most = most.unwrap_or(usize::MAX).max(1);
    if inputs.len() <= most {
        let (call, inputs) = (call.clone(), inputs.len());
        return Ok(vec![Part { call, inputs }]);
    }
    let part = |inputs: &[Raw]| {
        let mut body = call.body.splice(|name| name != "input");
        let some = Raw::array(inputs.iter().map(Raw::as_str));
        body.raw("input", some.as_bytes());
        let body = JsonObject::parse(body.finish());
        let call = Call {
            body: body.map_err(|error| Failure::Unsayable(error.to_string()))?,
            ..call.clone()
        };
        let inputs = inputs.len();
        Ok(Part { call, inputs })
    };
    inputs.chunks(most).map(part).collect()
}

async fn exchange(
    transport: &Transport,
    wire: &dyn Wire,
    part: &Part,
    endpoint: &Endpoint,
    deadline: Instant,
) -> Result<Reply, Rejected> {
    let mut retry_after = None;
    let answered = answer(transport, wire, part, endpoint, deadline, &mut retry_after).await;
    answered.map_err(|failure| Rejected {
        failure,
        retry_after,
    })
}

async fn answer(
    transport: &Transport,
    wire: &dyn Wire,
    part: &Part,
    endpoint: &Endpoint,
    deadline: Instant,
    retry_after: &mut Option<u64>,
) -> Result<Reply, Failure> {
    let encoded = wire.encode(&part.call, &endpoint.target)?;
    let response = timeout_at(deadline, transport.send(endpoint, encoded))
        .await
        .map_err(|_| Failure::Timeout)??;
    if !response.status.is_success() {
        note_retry_after(&response, retry_after);
        return Err(fault(wire, endpoint, response, deadline).await);
    }
    let body = timeout_at(deadline, response.body.collect())
        .await
        .map_err(|_| Failure::Timeout)??;
    let reply = wire.decode(&part.call, &endpoint.target, &body)?;
    match (reply.vectors.len(), part.inputs) {
        (vectors, inputs) if vectors == inputs => Ok(reply),
        (vectors, inputs) => Err(Failure::Unusable(format!(
            "{vectors} vectors for {inputs} inputs"
        ))),
    }
}

/// One answer out of those of the parts. Counts are known where every part has them.
fn join(replies: Vec<Reply>) -> Reply {
    let prompt: Option<u64> = replies.iter().map(|reply| Some(reply.usage?.prompt)).sum();
    let about = replies.first().map(|reply| reply.about.clone());
    Reply {
        vectors: replies
            .into_iter()
            .flat_map(|reply| reply.vectors)
            .collect(),
        usage: prompt.map(|prompt| Tokens {
            prompt,
            ..Tokens::default()
        }),
        about: about.unwrap_or_default(),
        ..Reply::default()
    }
}
