//! Log-probabilities in the contract's shape.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::json::Raw;
use crate::wire::shape::{Given, List, shape};

shape! {
    /// A piece of the text, and one number for each of its tokens.
    LogprobShape {
        text = "text": Given<'a>,
        logprobs = "logprobs": List<Given<'a>>,
    }
}

#[derive(Serialize)]
struct Logprobs<'a> {
    content: Vec<Token<'a>>,
}

#[derive(Serialize)]
struct Token<'a> {
    token: &'a RawValue,
    logprob: f64,
    /// Not told.
    bytes: Option<()>,
    /// None but the token's own is told.
    top_logprobs: [(); 0],
}

/// Reads them.
pub(super) fn read(pieces: &[LogprobShape<'_>]) -> Option<Raw> {
    let content: Vec<Token<'_>> = pieces.iter().filter_map(token).collect();
    (!content.is_empty())
        .then(|| Raw::of(&Logprobs { content }).ok())
        .flatten()
}

/// A piece of several tokens cannot be taken apart: it is one, as likely as all of them together.
fn token<'a>(piece: &LogprobShape<'a>) -> Option<Token<'a>> {
    let numbers = piece.logprobs.0.iter().flatten();
    let numbers: Vec<f64> = numbers
        .filter_map(|number| number.get().parse().ok())
        .collect();
    Some(Token {
        token: piece.text.filter(|_| !numbers.is_empty())?,
        logprob: numbers.iter().sum(),
        bytes: None,
        top_logprobs: [],
    })
}
