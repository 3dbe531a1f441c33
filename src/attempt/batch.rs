//! Embeddings at one endpoint: a call with more or longer inputs than the endpoint takes at once goes in several requests,
//! whose answers are joined in order. One that fails fails them all, so that a client never has vectors of two providers.

use futures_util::future::try_join_all;

use super::ask::Line;
use super::failure::Failure;
use crate::domain::call::Call;
use crate::domain::event::Reply;
use crate::domain::input;
use crate::domain::json::{JsonObject, Raw};
use crate::domain::usage::Tokens;
use crate::wire::quirks::Quirks;

/// Requests of one call that are under way at once.
const AT_ONCE: usize = 4;

/// Prose has about four bytes to a token; code, numbers and other scripts have fewer.
const FEWEST_BYTES_PER_TOKEN: usize = 2;

/// A part of a call, small enough for the endpoint.
struct Part {
    call: Call,
    inputs: usize,
}

/// Embeds the inputs of a call.
pub(super) async fn embed(line: Line<'_>, call: &Call) -> Result<Reply, Failure> {
    let parts = cut(call, &line.endpoint.target.quirks)?;
    let mut replies = Vec::with_capacity(parts.len());
    for group in parts.chunks(AT_ONCE) {
        let exchanges = group.iter().map(|part| exchange(line, part));
        replies.extend(try_join_all(exchanges).await?);
    }
    Ok(join(replies))
}

/// The call in parts that the endpoint takes.
fn cut(call: &Call, quirks: &Quirks) -> Result<Vec<Part>, Failure> {
    let inputs = call
        .body
        .given("input")
        .map(input::parts)
        .unwrap_or_default();
    let groups = groups(&inputs, quirks);
    if groups.len() <= 1 {
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
    groups.into_iter().map(part).collect()
}

/// The inputs in their order, in groups of so many, and of so many tokens together, as one request may have. One that is
/// too long by itself is for the provider to refuse.
fn groups<'a>(inputs: &'a [Raw], quirks: &Quirks) -> Vec<&'a [Raw]> {
    let most = quirks.max_inputs.unwrap_or(usize::MAX);
    let most_tokens = quirks.max_input_tokens.unwrap_or(usize::MAX);
    let (mut groups, mut rest) = (Vec::new(), inputs);
    while !rest.is_empty() {
        let mut tokens = 0_usize;
        let fits = |input: &&Raw| {
            tokens = tokens.saturating_add(tokens_at_most(input));
            tokens <= most_tokens
        };
        let count = rest.iter().take(most).take_while(fits).count().max(1);
        let (group, others) = rest.split_at(count);
        groups.push(group);
        rest = others;
    }
    groups
}

/// A guess that errs on the high side: a request that is too long is refused, and one more does little harm.
fn tokens_at_most(input: &Raw) -> usize {
    match input.elements() {
        Some(elements) if input::is_tokens(&elements) => elements.len(),
        _ => input.as_bytes().len() / FEWEST_BYTES_PER_TOKEN,
    }
}

async fn exchange(line: Line<'_>, part: &Part) -> Result<Reply, Failure> {
    let body = line.answer(&part.call).await?;
    let reply = line.wire.decode(&part.call, &line.endpoint.target, &body)?;
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(inputs: Value, most: Option<usize>, most_tokens: Option<usize>, expect: &[usize]) {
        let quirks = Quirks {
            max_inputs: most,
            max_input_tokens: most_tokens,
            ..Quirks::default()
        };
        let inputs = input::parts(&Raw::of(&inputs).unwrap());
        let groups = groups(&inputs, &quirks);
        let sizes: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        assert_eq!(sizes, expect);
        assert_eq!(groups.concat(), inputs, "all, in their order");
    }

    #[test]
    fn a_request_has_as_many_inputs_and_tokens_as_it_may() {
        let texts = json!(["aaaaaa", "bbbbbb", "cccccc", "dddddd", "eeeeee"]);
        check(texts.clone(), None, None, &[5]);
        check(texts.clone(), Some(2), None, &[2, 2, 1]);
        // With its quotes each has eight bytes: four tokens at most.
        check(texts.clone(), None, Some(8), &[2, 2, 1]);
        check(texts.clone(), Some(3), Some(12), &[3, 2]);
        check(texts, Some(3), Some(1), &[1, 1, 1, 1, 1]);
        check(json!([[1, 2, 3], [4], [5, 6]]), None, Some(4), &[2, 1]);
        check(json!([]), Some(1), Some(1), &[]);
    }
}
