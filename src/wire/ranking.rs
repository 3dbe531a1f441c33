//! Orders of documents, in the two spellings that providers have for them. Shared by the wires that rank.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::shape::{Given, List, count, shape};
use super::{DecodeError, EncodeError};
use crate::domain::call::Call;
use crate::domain::event::Ranked;
use crate::domain::json::Raw;

shape! {
    /// A document's place among those of the request, and how relevant it is.
    RankedShape {
        index = "index": Given<'a>,
        relevance_score = "relevance_score": Given<'a>,
        score = "score": Given<'a>,
    }
}

/// The documents of `call`, in order.
pub(super) fn documents(call: &Call) -> Vec<Raw> {
    let documents = call.body.given("documents").and_then(Raw::elements);
    documents.unwrap_or_default()
}

/// The text of a document, as it was written; `None` for one that shows something.
pub(super) fn text(document: &Raw) -> Option<Raw> {
    if document.text().is_some() {
        return Some(document.clone());
    }
    let object = document.object()?;
    object
        .given("text")
        .filter(|_| object.given("image").is_none())
        .cloned()
}

/// A document that an endpoint cannot read.
pub(super) fn text_alone() -> EncodeError {
    EncodeError::Unsupported("this endpoint ranks documents of text alone".to_owned())
}

/// Reads an order of the documents of `call`: the best first, whatever the provider's order, and no more than asked.
pub(super) fn read(
    buffer: &Bytes,
    call: &Call,
    List(shapes): &List<RankedShape<'_>>,
) -> Result<Vec<Ranked>, DecodeError> {
    let documents = documents(call).len();
    let malformed = |reason: &str| DecodeError::Malformed(reason.to_owned());
    let mut seen = vec![false; documents];
    let mut ranked: Vec<(f64, Ranked)> = Vec::with_capacity(shapes.len());
    for shape in shapes {
        let index = count(shape.index).and_then(|index| usize::try_from(index).ok());
        let index = index
            .filter(|index| *index < documents)
            .ok_or_else(|| malformed("a rank of no document"))?;
        if std::mem::replace(&mut seen[index], true) {
            return Err(malformed("two ranks of one document"));
        }
        let (score, value) = shape
            .relevance_score
            .or(shape.score)
            .and_then(number)
            .ok_or_else(|| malformed("a rank without a score"))?;
        let document = Ranked {
            index,
            score: Raw::slice(buffer, value),
        };
        ranked.push((score, document));
    }
    ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let top = call.body.given("top_n").and_then(|top| top.parse().ok());
    let top: usize = top.unwrap_or(documents);
    Ok(ranked
        .into_iter()
        .take(top)
        .map(|(_, document)| document)
        .collect())
}

fn number(value: &RawValue) -> Option<(f64, &RawValue)> {
    let number: f64 = serde_json::from_str(value.get()).ok()?;
    number.is_finite().then_some((number, value))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::call::{Form, Origin};
    use crate::domain::json::JsonObject;

    fn order(results: Value, top_n: Option<u64>) -> Result<Vec<(usize, String)>, DecodeError> {
        let body = json!({"documents": ["a", "b", "c"], "top_n": top_n});
        let call = Call {
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
        };
        let buffer = Bytes::from(results.to_string());
        let text = std::str::from_utf8(&buffer).unwrap();
        let ranked = read(&buffer, &call, &serde_json::from_str(text).unwrap())?;
        let pair = |ranked: Ranked| (ranked.index, ranked.score.as_str().to_owned());
        Ok(ranked.into_iter().map(pair).collect())
    }

    #[test]
    fn the_best_come_first_and_no_more_than_asked() {
        let results = json!([{"index": 0, "relevance_score": 0.25}, {"index": 2, "score": 0.75}, {"index": 1, "relevance_score": -1}]);
        let expect = [(2, "0.75"), (0, "0.25"), (1, "-1")];
        let expect = expect.map(|(index, score): (usize, &str)| (index, score.to_owned()));
        assert_eq!(order(results.clone(), None).unwrap(), expect);
        assert_eq!(order(results, Some(1)).unwrap(), expect[..1]);
    }

    #[test]
    fn what_is_no_order_is_malformed() {
        let rank = |index: Value, score: Value| json!({"index": index, "relevance_score": score});
        for results in [
            json!([rank(json!(3), json!(1))]),
            json!([rank(json!(null), json!(1))]),
            json!([rank(json!(0), json!(1)), rank(json!(0), json!(2))]),
            json!([rank(json!(0), json!("high"))]),
            json!([rank(json!(0), json!(null))]),
        ] {
            assert!(order(results.clone(), None).is_err(), "{results}");
        }
    }
}
