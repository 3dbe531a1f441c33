//! Log-probabilities of a text as items tell them. Chat form may leave open how a token is written in bytes; here it must be
//! said.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::json::Raw;

/// As chat form has them. Those of a refusal have no place here.
#[derive(Deserialize)]
struct Logprobs {
    content: Option<Vec<Token>>,
}

/// A token of the text, and the likeliest ones in its place.
#[derive(Deserialize, Serialize)]
struct Token {
    #[serde(flatten)]
    own: Likely,
    #[serde(default)]
    top_logprobs: Vec<Likely>,
}

#[derive(Deserialize, Serialize)]
struct Likely {
    token: String,
    logprob: f64,
    bytes: Option<Vec<u8>>,
}

/// The tokens of a piece; none where nothing is known of them.
pub(super) fn tokens(given: Option<&Raw>) -> Vec<Value> {
    let read = given.and_then(|given| given.parse::<Logprobs>().ok());
    let tokens = read.and_then(|read| read.content).unwrap_or_default();
    let told = tokens.into_iter().map(|mut token| {
        let likeliest = token.top_logprobs.iter_mut();
        likeliest.for_each(Likely::spell);
        token.own.spell();
        json!(token)
    });
    told.collect()
}

impl Likely {
    fn spell(&mut self) {
        let token = &self.token;
        self.bytes.get_or_insert_with(|| token.as_bytes().to_vec());
    }
}
