//! What a run generated, and how many tokens that is: for runs whose provider does not say, such as
//! those that were cut off, whose usage would have come last.
//!
//! Not for the way of every request: the tokenizer takes a moment and some 60 MB to unfold when it is first needed, so that
//! whoever counts does so [`aside`].

use std::sync::LazyLock;
use std::thread;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

use crate::domain::json::{self, JsonText};

/// Who counts takes turns: more threads than there are processors count no faster, and each holds memory of its own.
static TURNS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(thread::available_parallelism().map_or(1, usize::from)));

/// Counts on a thread that may block. Fails where counting panics.
pub async fn aside<T: Send + 'static>(
    count: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    // Nobody closes it.
    let _turn = TURNS.acquire().await;
    spawn_blocking(count).await
}

/// How many tokens `text` is: exact for OpenAI's models since GPT-4o, and close for the vocabularies of
/// like size that others have. There is one tokenizer for every family, since each takes its tables in
/// memory and most families publish none.
pub fn tokens(text: &str) -> u64 {
    tiktoken_rs::o200k_base_singleton()
        .encode_ordinary(text)
        .len() as u64
}

/// The text of an answer as it comes in, piece by piece. A piece costs a copy of its bytes; nothing is
/// read before it must be counted.
#[derive(Debug, Default)]
pub struct Generated {
    choices: Vec<Said>,
}

/// What one choice says, escaped as it came.
#[derive(Debug, Default)]
struct Said {
    index: u32,
    text: Vec<u8>,
    reasoning: Vec<u8>,
}

/// Tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// All of them.
    pub completion: u64,
    /// The part that is reasoning.
    pub reasoning: u64,
}

impl Generated {
    /// Adds a piece of the visible text of a choice, a refusal or a tool call.
    pub fn text(&mut self, choice: u32, piece: &JsonText) {
        self.said(choice).text.extend_from_slice(piece.escaped());
    }

    /// Adds a piece of the reasoning of a choice.
    pub fn reasoning(&mut self, choice: u32, piece: &JsonText) {
        self.said(choice)
            .reasoning
            .extend_from_slice(piece.escaped());
    }

    /// Counts everything. Slow.
    pub fn count(&self) -> Counted {
        let tokens = |escaped: &[u8]| tokens(&json::unescape(escaped));
        let mut counted = Counted::default();
        for said in &self.choices {
            let reasoning = tokens(&said.reasoning);
            counted.reasoning += reasoning;
            counted.completion += reasoning + tokens(&said.text);
        }
        counted
    }

    /// The length of everything, escapes included.
    pub fn bytes(&self) -> u64 {
        let length = |said: &Said| (said.text.len() + said.reasoning.len()) as u64;
        self.choices.iter().map(length).sum()
    }

    fn said(&mut self, choice: u32) -> &mut Said {
        let known = self.choices.iter().position(|said| said.index == choice);
        let at = known.unwrap_or_else(|| {
            self.choices.push(Said {
                index: choice,
                ..Said::default()
            });
            self.choices.len() - 1
        });
        &mut self.choices[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_counted_as_its_tokenizer_does() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("The toll is paid once, and once only."), 10);
        assert_eq!(tokens("Straße 🦀 東京"), 6);
    }

    #[test]
    fn pieces_are_counted_as_one_text_however_they_are_cut() {
        let text = "It said \"hello\",\n🦀 and left; \\ that was all.";
        let whole = JsonText::of(text);
        for cut in 0..=text.len() {
            let Some((head, tail)) = text.split_at_checked(cut) else {
                continue;
            };
            let mut generated = Generated::default();
            for piece in [head, tail] {
                generated.text(0, &JsonText::of(piece));
                generated.reasoning(1, &JsonText::of(piece));
            }
            let alone = tokens(&whole.to_text());
            let expect = Counted {
                completion: 2 * alone,
                reasoning: alone,
            };
            assert_eq!(generated.count(), expect, "cut at {cut}");
        }
    }

    #[test]
    fn half_a_character_does_not_hide_the_rest() {
        let mut generated = Generated::default();
        let half: JsonText =
            serde_json::from_str::<Box<serde_json::value::RawValue>>(r#""All is well \ud83e""#)
                .map(|raw| JsonText::slice(&bytes::Bytes::new(), &raw).unwrap())
                .unwrap();
        generated.text(0, &half);
        assert!(generated.count().completion >= tokens("All is well "));
    }
}
