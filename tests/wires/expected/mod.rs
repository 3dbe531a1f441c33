//! What recorded answers say, read from their JSON by the shortest way there is: one reader for each protocol, which
//! shares no code with the wire, knows nothing of speed and may hold everything in memory.

use serde_json::Value;

use super::recordings::Recording;

pub(crate) mod anthropic;
pub(crate) mod bedrock;
pub(crate) mod cohere;
pub(crate) mod gemini;
pub(crate) mod openai;
pub(crate) mod responses;

/// The payloads of a stream's events without the final `[DONE]`, or the one plain body.
pub(crate) fn documents(recording: &Recording) -> Vec<Value> {
    let Value::String(stream) = &recording.response.body else {
        return vec![recording.response.body.clone()];
    };
    let payloads = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim);
    payloads
        .filter(|payload| *payload != "[DONE]")
        .map(|payload| serde_json::from_str(payload).unwrap())
        .collect()
}

/// Where in a stream of server-sent events the first line begins that `is_last`, by its text and what it says.
fn last_words_at(recording: &Recording, is_last: fn(&str, &Value) -> bool) -> usize {
    let stream = recording.response.body.as_str().unwrap();
    let last = |line: &str| {
        let Some(payload) = line.strip_prefix("data:").map(str::trim) else {
            return false;
        };
        let document = serde_json::from_str(payload).unwrap_or_else(|_| payload.into());
        is_last(line, &document)
    };
    stream
        .split_inclusive('\n')
        .take_while(|line| !last(line))
        .map(str::len)
        .sum()
}

/// The first of the values that is a text.
pub(crate) fn first_text<const N: usize>(values: [&Value; N]) -> &str {
    values
        .into_iter()
        .find_map(Value::as_str)
        .unwrap_or_default()
}

/// The elements of an array, and none of anything else.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
