//! Cohere's counts. What is billed leaves out the instructions that the provider itself puts before a conversation,
//! and is what the gateway counts: the bill and the catalogue's prices are for it.

use crate::domain::usage::Tokens;
use crate::wire::shape::{Given, count, shape};

shape! {
    /// The `usage` of an answer, or the `meta` of vectors and rankings.
    UsageShape {
        billed = "billed_units": CountsShape<'a>,
        tokens = "tokens": CountsShape<'a>,
        cached = "cached_tokens": Given<'a>,
    }
    /// Counts of one kind.
    CountsShape {
        input = "input_tokens": Given<'a>,
        output = "output_tokens": Given<'a>,
        reasoning = "reasoning_tokens": Given<'a>,
        image = "image_tokens": Given<'a>,
        search_units = "search_units": Given<'a>,
    }
}

impl UsageShape<'_> {
    /// The counts of a conversation; `None` when there are none. The cache is told of all that was read, and can be
    /// more than what is billed.
    pub(super) fn tokens(&self) -> Option<Tokens> {
        let prompt = count(self.billed.input).or_else(|| count(self.tokens.input));
        let completion = count(self.billed.output).or_else(|| count(self.tokens.output));
        prompt.or(completion)?;
        let known = |count: Option<u64>| count.unwrap_or(0);
        let (prompt, completion) = (known(prompt), known(completion));
        Some(Tokens {
            prompt,
            completion,
            cached: known(count(self.cached)).min(prompt),
            reasoning: known(count(self.tokens.reasoning)).min(completion),
            ..Tokens::default()
        })
    }

    /// The counts of a ranking, which is billed by units of a search.
    pub(super) fn searched(&self) -> Option<Tokens> {
        Some(Tokens {
            search_units: count(self.billed.search_units)?,
            ..Tokens::default()
        })
    }

    /// The counts of what was embedded: texts and images alike are prompt.
    pub(super) fn embedded(&self) -> Option<Tokens> {
        let (texts, images) = (count(self.billed.input), count(self.billed.image));
        texts.or(images)?;
        let known = |count: Option<u64>| count.unwrap_or(0);
        Some(Tokens {
            prompt: known(texts).saturating_add(known(images)),
            ..Tokens::default()
        })
    }
}
