//! Answers of Google's Gemini API and of Vertex AI.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{documents, first_text, list};
use crate::wires::meaning::{Arguments, Called, Counts, Meaning, Said};
use crate::wires::recordings::Recording;

/// Reasons that some clients ask for by number.
const NUMBERED: [&str; 3] = ["", "STOP", "MAX_TOKENS"];

/// What the recording must be read as.
pub(crate) fn meaning(recording: &Recording) -> Meaning {
    let mut meaning = Meaning::default();
    let mut searches = 0;
    let mut sources: BTreeMap<u64, Sources> = BTreeMap::new();
    for document in all(recording) {
        let blocked = &document["promptFeedback"];
        if let Some(native) = blocked["blockReason"].as_str() {
            let said = meaning.choices.entry(0).or_default();
            said.finish = Some(("content_filter".to_owned(), native.to_owned()));
            said.refusal += first_text([&blocked["blockReasonMessage"]]);
        }
        for (position, candidate) in (0..).zip(list(&document["candidates"])) {
            let index = candidate["index"].as_u64().unwrap_or(position);
            let said = meaning.choices.entry(index).or_default();
            read(candidate, said);
            sources.entry(index).or_default().read(candidate);
            let queries = list(&candidate["groundingMetadata"]["webSearchQueries"]);
            searches += queries.iter().filter(|query| *query != "").count() as u64;
        }
        let usage = &document["usageMetadata"];
        if usage["promptTokenCount"].is_u64() {
            meaning.tokens = Some(counts(usage));
        }
    }
    for (index, sources) in sources {
        meaning.choices.entry(index).or_default().cited = Some(sources.in_order());
    }
    if let Some(tokens) = &mut meaning.tokens {
        // Of a model that is billed by the answer.
        tokens.searches = Some(searches.min(1));
    }
    meaning
}

/// Where in a stream the event begins that ends the answer.
pub(crate) fn last_words_at(recording: &Recording) -> usize {
    super::last_words_at(recording, |_, document| {
        let candidates = list(&document["candidates"]);
        candidates.iter().any(|one| !one["finishReason"].is_null())
    })
}

/// The error that the recording holds: message and code.
pub(crate) fn error(recording: &Recording) -> Option<(String, Option<String>)> {
    all(recording).iter().find_map(|document| {
        let error = &document["error"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some((text(&error["message"])?, text(&error["status"])))
    })
}

/// The documents, which come in an array where no form of a stream was asked for.
fn all(recording: &Recording) -> Vec<Value> {
    let documents = documents(recording).into_iter();
    documents
        .flat_map(|document| match document {
            Value::Array(documents) => documents,
            one => vec![one],
        })
        .collect()
}

/// Addresses of pages, and where in the text the passages begin that rest on them.
#[derive(Default)]
struct Sources {
    pages: Vec<String>,
    places: Vec<(u64, String)>,
}

impl Sources {
    fn read(&mut self, candidate: &Value) {
        let grounding = &candidate["groundingMetadata"];
        let chunks = list(&grounding["groundingChunks"]).iter();
        let chunks: Vec<&Value> = chunks.map(|chunk| &chunk["web"]["uri"]).collect();
        let mut place = |start: &Value, uri: &Value| {
            if let Some(uri) = uri.as_str() {
                let start = start.as_u64().unwrap_or(0);
                self.places.push((start, uri.to_owned()));
            }
        };
        for support in list(&grounding["groundingSupports"]) {
            for chunk in list(&support["groundingChunkIndices"]) {
                let chunk = usize::try_from(chunk.as_u64().unwrap()).unwrap();
                place(&support["segment"]["startIndex"], chunks[chunk]);
            }
        }
        let repeated = list(&candidate["citationMetadata"]["citations"]);
        for page in repeated.iter().filter(|page| page["endIndex"].is_u64()) {
            place(&page["startIndex"], &page["uri"]);
        }
        let repeated = repeated.iter().map(|page| &page["uri"]);
        let pages = chunks.into_iter().chain(repeated);
        let pages = pages.filter_map(Value::as_str);
        self.pages.extend(pages.map(str::to_owned));
    }

    /// Each passage's in the order of the text, then those of no passage.
    fn in_order(mut self) -> Vec<String> {
        self.places.sort_by_key(|(start, _)| *start);
        let mut cited: Vec<String> = self.places.into_iter().map(|(_, uri)| uri).collect();
        for page in self.pages {
            if !cited.contains(&page) {
                cited.push(page);
            }
        }
        cited
    }
}

fn read(candidate: &Value, said: &mut Said) {
    for part in list(&candidate["content"]["parts"]) {
        read_part(part, said);
    }
    let reason = &candidate["finishReason"];
    let native = match reason.as_u64() {
        Some(number) => NUMBERED[usize::try_from(number).unwrap()],
        None => first_text([reason]),
    };
    let word = match native {
        "" => return,
        "STOP" if said.calls.is_empty() => "stop",
        "STOP" => "tool_calls",
        "MAX_TOKENS" => "length",
        "SAFETY" => "content_filter",
        "UNEXPECTED_TOOL_CALL" => "error",
        other => panic!("{other}"),
    };
    said.finish = Some((word.to_owned(), native.to_owned()));
}

fn read_part(part: &Value, said: &mut Said) {
    let (call, signature) = (&part["functionCall"], &part["thoughtSignature"]);
    let last = said.reasoning_details.last().cloned().unwrap_or_default();
    let goes_on = part["thought"] == true && last["type"] == "reasoning.text";
    let index = last["index"]
        .as_u64()
        .map_or(0, |last| last + u64::from(!goes_on));
    let mut signed = |id: &Value| {
        if signature.is_string() {
            let mut detail = json!({"type": "reasoning.encrypted", "format": "google-gemini-v1", "data": signature, "index": index});
            if !id.is_null() {
                detail["id"] = id.clone();
            }
            said.reasoning_details.push(detail);
        }
    };
    if call.is_object() {
        signed(&call["id"]);
        if call["name"].is_string() {
            let at = said.calls.len() as u64;
            let called = Called {
                id: call["id"].as_str().map(str::to_owned),
                name: first_text([&call["name"]]).to_owned(),
                arguments: Arguments(match &call["args"] {
                    Value::Null => "{}".to_owned(),
                    args => args.to_string(),
                }),
            };
            said.calls.insert(at, called);
        }
        let last = said.calls.values_mut().last();
        if let Some(last) = last.filter(|_| call["partialArgs"].is_array()) {
            let mut arguments: Value = serde_json::from_str(&last.arguments.0).unwrap();
            list(&call["partialArgs"])
                .iter()
                .for_each(|one| put(one, &mut arguments));
            last.arguments = Arguments(arguments.to_string());
        }
    } else if part["thought"] == true {
        said.reasoning += first_text([&part["text"]]);
        let mut detail = json!({"type": "reasoning.text", "format": "google-gemini-v1", "text": part["text"], "index": index});
        if signature.is_string() {
            detail["signature"] = signature.clone();
        }
        said.reasoning_details.push(detail);
    } else if part["text"].is_string() || part["inlineData"].is_object() {
        signed(&Value::Null);
        said.text += first_text([&part["text"]]);
    }
}

/// Puts a value in its place: `$.list[0].name`, or the next piece of a text.
fn put(argument: &Value, arguments: &mut Value) {
    let path = first_text([&argument["jsonPath"]]);
    let steps = path.trim_start_matches('$').split(['.', '[']);
    let mut place = arguments;
    for step in steps.filter(|step| !step.is_empty()) {
        place = match step.strip_suffix(']') {
            Some(at) => {
                let at: usize = at.parse().unwrap();
                if place.is_null() {
                    *place = json!([]);
                }
                let items = place.as_array_mut().unwrap();
                items.resize(items.len().max(at + 1), Value::Null);
                &mut items[at]
            }
            None => &mut place[step],
        };
    }
    if let Some(more) = argument["stringValue"].as_str() {
        *place = json!(place.as_str().unwrap_or_default().to_owned() + more);
    } else {
        *place = argument["numberValue"].clone();
    }
}

fn counts(usage: &Value) -> Counts {
    let count = |name: &str| usage[name].as_u64().unwrap_or_default();
    Counts {
        prompt: count("promptTokenCount") + count("toolUsePromptTokenCount"),
        completion: count("candidatesTokenCount") + count("thoughtsTokenCount"),
        cached: count("cachedContentTokenCount"),
        reasoning: count("thoughtsTokenCount"),
        ..Counts::default()
    }
}
