//! What an answer says, whatever bytes said it: the value that tests compare.

use std::collections::BTreeMap;

use serde_json::Value;
use turnpike::domain::event::{Choice, Event, Reply};
use turnpike::domain::json::{JsonText, Raw};
use turnpike::domain::usage::Tokens;

/// A whole answer.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Meaning {
    /// By index.
    pub(crate) choices: BTreeMap<u64, Said>,
    pub(crate) tokens: Option<Counts>,
}

/// What one choice says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    pub(crate) refusal: String,
    /// The blocks of all pieces in order.
    pub(crate) reasoning_details: Vec<Value>,
    /// By index.
    pub(crate) calls: BTreeMap<u64, Called>,
    /// Addresses that the text cites, in order; not compared where left out.
    pub(crate) cited: Option<Vec<String>>,
    /// The contract's word and the provider's.
    pub(crate) finish: Option<(String, String)>,
}

/// A call of a tool.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Called {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) arguments: Arguments,
}

/// A call's arguments: equal when they are the same JSON, however it is spelled.
#[derive(Debug, Default)]
pub(crate) struct Arguments(pub(crate) String);

/// The counts that are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) prompt: u64,
    pub(crate) completion: u64,
    pub(crate) cached: u64,
    pub(crate) reasoning: u64,
    /// Written to a cache for five minutes and for an hour; not compared where the recording's reader leaves it out.
    pub(crate) written: Option<(u64, u64)>,
    /// Searches on the provider's side; not compared where left out.
    pub(crate) searches: Option<u64>,
}

impl PartialEq for Arguments {
    fn eq(&self, other: &Self) -> bool {
        match (self.json(), other.json()) {
            (Ok(ours), Ok(theirs)) => ours == theirs,
            // Cut off by the limit of tokens, say.
            (Err(_), Err(_)) => self.0 == other.0,
            _ => false,
        }
    }
}

impl Arguments {
    /// A call without arguments has none to give: clients expect the empty object then.
    fn json(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_str(if self.0.is_empty() { "{}" } else { &self.0 })
    }
}

impl Meaning {
    /// What the gateway read from a plain answer.
    pub(crate) fn of_reply(reply: Reply) -> Self {
        let usage = reply.usage.map(Event::Usage);
        let choices = reply.choices.into_iter().map(Box::new).map(Event::Choice);
        Meaning::of_events(choices.chain(usage))
    }

    /// What the gateway read from a stream.
    pub(crate) fn of_events(events: impl IntoIterator<Item = Event>) -> Self {
        let mut meaning = Meaning::default();
        for event in events {
            match event {
                Event::Choice(choice) => meaning.add(&choice),
                Event::Usage(tokens) => meaning.tokens = Some(tokens.into()),
                Event::About(_) | Event::Step(_) | Event::Forwarded(_) | Event::Sent(_) => {}
            }
        }
        meaning
    }

    fn add(&mut self, choice: &Choice) {
        let said = self.choices.entry(choice.index.into()).or_default();
        let message = &choice.message;
        said.text += &text(&message.content);
        said.reasoning += &text(&message.reasoning);
        said.refusal += &text(&message.refusal);
        said.reasoning_details
            .extend(items(&message.reasoning_details));
        let url = |note: Value| note["url_citation"]["url"].as_str().map(str::to_owned);
        said.cited
            .get_or_insert_default()
            .extend(items(&message.annotations).into_iter().filter_map(url));
        for call in &message.tool_calls {
            let called = said.calls.entry(call.index.into()).or_default();
            if let Some(id) = &call.id {
                assert!(called.id.is_none(), "the id of a call comes once");
                called.id = Some(id.to_text());
            }
            called.name += &text(&call.name);
            called.arguments.0 += &text(&call.arguments);
        }
        if let Some(finish) = &choice.finish {
            said.finish = Some((finish.reason.as_str().to_owned(), finish.native.clone()));
        }
    }
}

impl From<Tokens> for Counts {
    fn from(tokens: Tokens) -> Self {
        Counts {
            prompt: tokens.prompt,
            completion: tokens.completion,
            cached: tokens.cached,
            reasoning: tokens.reasoning,
            written: Some((tokens.cache_write_5m, tokens.cache_write_1h)),
            searches: Some(tokens.web_searches),
        }
    }
}

impl Said {
    /// Puts the pieces of one thought together, as clients do: the words one after the other, the signature last.
    pub(crate) fn join_thoughts(&mut self) {
        let mut whole: Vec<Value> = Vec::new();
        for piece in std::mem::take(&mut self.reasoning_details) {
            let last = whole.last_mut().filter(|last| {
                let same = |field: &str| last[field] == piece[field] && !piece[field].is_null();
                same("index") && same("type") && last["signature"].is_null()
            });
            let Some(last) = last else {
                whole.push(piece);
                continue;
            };
            for (field, value) in piece.as_object().unwrap() {
                match (last[field].as_str(), value.as_str()) {
                    (Some(so_far), Some(more)) if field == "text" => {
                        last[field] = (so_far.to_owned() + more).into()
                    }
                    _ => last[field] = value.clone(),
                }
            }
        }
        self.reasoning_details = whole;
    }
}

fn text(piece: &Option<JsonText>) -> String {
    piece.as_ref().map(JsonText::to_text).unwrap_or_default()
}

fn items(array: &Option<Raw>) -> Vec<Value> {
    array
        .as_ref()
        .map(|array| array.parse().unwrap())
        .unwrap_or_default()
}
