//! Log-probabilities in the shape of chat completions.

use serde_json::{Value, json};

use crate::domain::json::Raw;
use crate::wire::shape::{Given, List, shape};

shape! {
    /// The chosen tokens, and beside each, where they were asked for, the likeliest ones.
    LogprobsShape {
        chosen = "chosenCandidates": List<TokenShape<'a>>,
        likeliest = "topCandidates": List<LikeliestShape<'a>>,
    }
    LikeliestShape {
        tokens = "candidates": List<TokenShape<'a>>,
    }
    TokenShape {
        token = "token": Given<'a>,
        logprob = "logProbability": Given<'a>,
    }
}

/// The entries of `content`.
pub(super) fn entries(given: &LogprobsShape<'_>) -> Vec<Value> {
    let of_place = |at: usize| {
        let likeliest = given.likeliest.0.get(at);
        let tokens = likeliest
            .into_iter()
            .flat_map(|likeliest| &likeliest.tokens.0);
        tokens.map(entry).collect::<Vec<_>>()
    };
    let entries = given.chosen.0.iter().enumerate().map(|(at, token)| {
        let mut entry = entry(token);
        entry["top_logprobs"] = json!(of_place(at));
        entry
    });
    entries.collect()
}

/// The entries as a choice has them; `None` when there are none.
pub(super) fn of_choice(entries: &[Value]) -> Option<Raw> {
    let some = !entries.is_empty();
    some.then(|| Raw::of(&json!({"content": entries})).ok())?
}

fn entry(token: &TokenShape<'_>) -> Value {
    let text: String = token
        .token
        .and_then(|token| serde_json::from_str(token.get()).ok())
        .unwrap_or_default();
    json!({"token": text, "logprob": token.logprob, "bytes": text.as_bytes()})
}
