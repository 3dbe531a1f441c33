//! Whether what a provider says was used can be true.
//!
//! Providers send counts that are negative, zero, of another request, or of another unit. A cheap look at lengths tells
//! which reports deserve a count of one's own; only those are counted, off the way of the others, and a report that the
//! count contradicts is replaced by it. Pure.

use super::count::Counted;
use crate::domain::usage::Tokens;

/// A token has at most so many bytes, on average, or the report is looked into. English has four or five; only endless
/// repetition has more than this.
const ANSWER_BYTES_A_TOKEN: u64 = 16;
/// Of a prompt the JSON around it is measured along, and addresses that nobody reads as text.
const PROMPT_BYTES_A_TOKEN: u64 = 32;
/// Shorter texts than this are too short for an average.
const SHORT: u64 = 64;
/// Tokens that a provider may add to a prompt or an answer without showing them: templates, its own instructions.
pub const UNSEEN: u64 = 8_192;
/// A report of less than one in so many counted tokens is wrong; vocabularies differ by less.
const ANSWER_SHORT_OF: u64 = 2;
const PROMPT_SHORT_OF: u64 = 4;

/// What the gateway saw of a run, without counting it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Bytes of the prompt: what is text of it.
    pub prompt_bytes: u64,
    /// Whether there is more to the prompt than its text: media, or what a search by the provider brings in.
    pub prompt_is_open: bool,
    /// The longest prompt that the endpoint takes.
    pub longest_prompt: Option<u64>,
    /// Bytes of the answer, reasoning that was shown included.
    pub answer_bytes: u64,
    /// Whether there may be more to the answer than is shown: reasoning that is not, images, sound.
    pub answer_is_open: bool,
    /// The longest answer that could be expected, over all choices.
    pub longest_answer: u64,
}

/// Which counts of a report are doubtful.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Input tokens.
    pub prompt: Option<Doubt>,
    /// Output tokens.
    pub completion: Option<Doubt>,
}

/// Why a count is doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// There was more than that, by the look of it: to be counted.
    TooFew,
    /// There cannot have been that much.
    TooMany,
}

impl Doubts {
    /// What is doubtful about a report.
    pub fn of(reported: &Tokens, seen: &Seen) -> Self {
        let too_long = seen
            .longest_prompt
            .is_some_and(|longest| reported.prompt > longest.saturating_add(UNSEEN));
        let more_than_sent =
            !seen.prompt_is_open && reported.prompt > seen.prompt_bytes.saturating_add(UNSEEN);
        let shown = reported.completion.saturating_sub(reported.reasoning);
        let more_than_shown =
            !seen.answer_is_open && shown > seen.answer_bytes.saturating_add(UNSEEN);
        // Some providers let a run go a little beyond the cap that they were given.
        let too_much =
            reported.completion > seen.longest_answer.saturating_mul(2).saturating_add(UNSEEN);
        Doubts {
            prompt: doubt(
                too_long || more_than_sent,
                reported.prompt,
                seen.prompt_bytes,
                PROMPT_BYTES_A_TOKEN,
            ),
            completion: doubt(
                more_than_shown || too_much,
                reported.completion,
                seen.answer_bytes,
                ANSWER_BYTES_A_TOKEN,
            ),
        }
    }

    /// Whether nothing is.
    pub fn is_none(&self) -> bool {
        *self == Doubts::default()
    }
}

fn doubt(too_many: bool, reported: u64, bytes: u64, bytes_a_token: u64) -> Option<Doubt> {
    let too_few = match reported {
        0 => bytes > 0,
        reported => bytes >= SHORT && reported.saturating_mul(bytes_a_token) < bytes,
    };
    match (too_many, too_few) {
        (true, _) => Some(Doubt::TooMany),
        (false, true) => Some(Doubt::TooFew),
        (false, false) => None,
    }
}

/// The counts to charge: those of the report that hold against the count, and the count for the others.
pub fn corrected(
    reported: &Tokens,
    doubts: &Doubts,
    counted_prompt: u64,
    counted: Counted,
) -> Tokens {
    let mut tokens = *reported;
    let is_short =
        |reported: u64, short_of: u64, counted: u64| reported.saturating_mul(short_of) < counted;
    let prompt_is_short = is_short(reported.prompt, PROMPT_SHORT_OF, counted_prompt);
    if is_refuted(doubts.prompt, prompt_is_short) {
        tokens.prompt = counted_prompt;
    }
    let answer_is_short = is_short(reported.completion, ANSWER_SHORT_OF, counted.completion);
    if is_refuted(doubts.completion, answer_is_short) {
        tokens.completion = counted.completion;
        tokens.reasoning = counted.reasoning;
    }
    fitting(&tokens)
}

fn is_refuted(doubt: Option<Doubt>, is_short: bool) -> bool {
    match doubt {
        None => false,
        Some(Doubt::TooMany) => true,
        Some(Doubt::TooFew) => is_short,
    }
}

/// The counts with parts that are no larger than their whole.
pub fn fitting(tokens: &Tokens) -> Tokens {
    let mut input = tokens.prompt;
    let mut output = tokens.completion;
    let part = |part: u64, left: &mut u64| {
        let part = part.min(*left);
        *left -= part;
        part
    };
    Tokens {
        cached: part(tokens.cached, &mut input),
        cache_write_5m: part(tokens.cache_write_5m, &mut input),
        cache_write_1h: part(tokens.cache_write_1h, &mut input),
        audio_in: tokens.audio_in.min(tokens.prompt),
        reasoning: part(tokens.reasoning, &mut output),
        audio_out: part(tokens.audio_out, &mut output),
        image_out: tokens.image_out.min(tokens.completion),
        ..*tokens
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEEN: Seen = Seen {
        prompt_bytes: 400,
        prompt_is_open: false,
        longest_prompt: Some(32_768),
        answer_bytes: 2_000,
        answer_is_open: false,
        longest_answer: 4_096,
    };

    fn tokens(prompt: u64, completion: u64) -> Tokens {
        Tokens {
            prompt,
            completion,
            ..Tokens::default()
        }
    }

    #[test]
    fn only_what_cannot_be_is_doubted() {
        use Doubt::{TooFew, TooMany};
        let check = |prompt, completion, expect: (Option<Doubt>, Option<Doubt>)| {
            let Doubts {
                prompt: input,
                completion: output,
            } = Doubts::of(&tokens(prompt, completion), &SEEN);
            assert_eq!((input, output), expect, "{prompt} {completion}");
        };
        check(100, 500, (None, None));
        check(13, 125, (None, None));
        check(0, 500, (Some(TooFew), None));
        check(12, 124, (Some(TooFew), Some(TooFew)));
        check(100, 0, (None, Some(TooFew)));
        check(8_592, 10_192, (None, None));
        check(8_593, 500, (Some(TooMany), None));
        check(100, 10_193, (None, Some(TooMany)));
        check(u64::MAX, u64::MAX, (Some(TooMany), Some(TooMany)));
    }

    #[test]
    fn what_is_not_shown_may_be_more_but_not_without_end() {
        let open = Seen {
            prompt_is_open: true,
            answer_is_open: true,
            longest_answer: 50_000,
            ..SEEN
        };
        assert!(Doubts::of(&tokens(30_000, 60_000), &open).is_none());
        let endless = Doubts::of(&tokens(50_000, 200_000), &open);
        assert_eq!(endless.prompt, Some(Doubt::TooMany));
        assert_eq!(endless.completion, Some(Doubt::TooMany));
        let silent = Seen {
            answer_bytes: 0,
            prompt_bytes: 0,
            ..SEEN
        };
        assert!(Doubts::of(&tokens(0, 0), &silent).is_none());
    }

    #[test]
    fn a_count_that_agrees_clears_the_report() {
        let counted = Counted {
            completion: 40,
            reasoning: 0,
        };
        let doubts = Doubts {
            prompt: Some(Doubt::TooFew),
            completion: Some(Doubt::TooFew),
        };
        assert_eq!(
            corrected(&tokens(10, 20), &doubts, 40, counted),
            tokens(10, 20)
        );
        assert_eq!(
            corrected(&tokens(9, 19), &doubts, 40, counted),
            tokens(40, 40)
        );
        let doubts = Doubts {
            prompt: None,
            completion: Some(Doubt::TooMany),
        };
        assert_eq!(
            corrected(&tokens(7, 9_999), &doubts, 40, counted),
            tokens(7, 40)
        );
    }

    proptest! {
        #[test]
        fn parts_fit_into_their_whole(prompt: u64, completion: u64, parts: [u64; 6]) {
            let [cached, cache_write_5m, cache_write_1h, audio_in, reasoning, audio_out] = parts;
            let reported = Tokens { cached, cache_write_5m, cache_write_1h, audio_in, reasoning, audio_out, ..tokens(prompt, completion) };
            let fit = fitting(&reported);
            let sum = |parts: &[u64]| parts.iter().map(|part| u128::from(*part)).sum::<u128>();
            prop_assert!(sum(&[fit.cached, fit.cache_write_5m, fit.cache_write_1h]) <= u128::from(prompt));
            prop_assert!(sum(&[fit.reasoning, fit.audio_out]) <= u128::from(completion));
            prop_assert_eq!((fit.prompt, fit.completion), (prompt, completion));
            prop_assert_eq!(fitting(&fit), fit);
        }
    }
}
