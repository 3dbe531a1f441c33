//! How large a request for an order of documents is: the query is read again with each document, and what is billed by
//! the search is billed by pieces of documents.

use super::estimate::Prompt;
use crate::domain::call::{Call, Form};
use crate::domain::json::Raw;

/// A unit of a search covers so many documents (Cohere's measure).
const DOCUMENTS_PER_UNIT: u64 = 100;
/// A document of more tokens, the query counted in, is as many documents as it has pieces of this size.
const TOKENS_PER_DOCUMENT: u64 = 500;

/// The query alone.
pub(super) fn query(call: &Call) -> Prompt {
    call.body
        .given("query")
        .map(Prompt::of_value)
        .unwrap_or_default()
}

/// The documents, and the query once for each.
pub(super) fn prompt(call: &Call) -> Prompt {
    let query = query(call);
    let sum = |sum: Prompt, document: Prompt| Prompt {
        text_bytes: sum
            .text_bytes
            .saturating_add(document.text_bytes)
            .saturating_add(query.text_bytes),
        media: sum.media.saturating_add(document.media),
    };
    documents(call).fold(Prompt::default(), sum)
}

/// The most units of a search that a call can be billed as; none where nothing is ranked.
pub(super) fn search_units(call: &Call) -> u64 {
    if call.form != Form::Rerank {
        return 0;
    }
    let query = query(call).tokens();
    let room = TOKENS_PER_DOCUMENT.saturating_sub(query).max(1);
    let pieces = documents(call).map(|document| document.tokens().div_ceil(room).max(1));
    let pieces = pieces.fold(0, u64::saturating_add);
    pieces.div_ceil(DOCUMENTS_PER_UNIT)
}

fn documents(call: &Call) -> impl Iterator<Item = Prompt> {
    let documents = call.body.given("documents").and_then(Raw::elements);
    documents.unwrap_or_default().into_iter().map(|document| {
        let prompt = Prompt::of_value(&document);
        let object = document.object();
        let shows = object.is_some_and(|object| object.given("image").is_some());
        Prompt {
            media: prompt.media.max(u64::from(shows)),
            ..prompt
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::call::Origin;
    use crate::domain::json::JsonObject;

    fn call(query: &str, documents: Value) -> Call {
        let body = json!({"query": query, "documents": documents});
        Call {
            form: Form::Rerank,
            body: JsonObject::parse(body.to_string().into()).unwrap(),
            model: None,
            models: Vec::new(),
            stream: false,
            max_tokens: Some(0),
            choices: 1,
            provider: None,
            plugins: None,
            origin: Origin::default(),
            verbatim: None,
        }
    }

    #[test]
    fn a_unit_is_a_hundred_documents_or_pieces_of_one() {
        let check = |query: &str, documents: Value, expect| {
            assert_eq!(search_units(&call(query, documents)), expect);
        };
        check("a", json!(["b"]), 1);
        check("a", json!(vec!["b"; 100]), 1);
        check("a", json!(vec!["b"; 101]), 2);
        // Five pieces each.
        check("a", json!(vec!["word ".repeat(1_900); 20]), 1);
        check("a", json!(vec!["word ".repeat(1_900); 21]), 2);
        check(&"word ".repeat(1_000), json!(["b"]), 1);
    }

    #[test]
    fn the_query_counts_with_each_document() {
        let text = "x".repeat(998);
        let bytes = |documents: Value| prompt(&call(&text, documents)).text_bytes;
        assert_eq!(bytes(json!([text])), 2_000);
        assert_eq!(bytes(json!([text, text])), 4_000);
    }
}
