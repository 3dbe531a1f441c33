//! Gemini's counts. What a cache answered is part of its prompt; thoughts stand beside the answer, and what its own
//! tools put into the prompt beside the prompt.

use std::borrow::Cow;

use crate::domain::usage::Tokens;
use crate::wire::shape::{Given, List, count, shape, word};

shape! {
    /// A `usageMetadata` object. In a stream each event has one, each for the whole so far.
    UsageShape {
        prompt = "promptTokenCount": Given<'a>,
        prompt_of_tools = "toolUsePromptTokenCount": Given<'a>,
        answer = "candidatesTokenCount": Given<'a>,
        thoughts = "thoughtsTokenCount": Given<'a>,
        cached = "cachedContentTokenCount": Given<'a>,
        prompt_details = "promptTokensDetails": List<PartShape<'a>>,
        cache_details = "cacheTokensDetails": List<PartShape<'a>>,
        answer_details = "candidatesTokensDetails": List<PartShape<'a>>,
        tier = "serviceTier": Given<'a>,
        // Vertex AI's word for the tier.
        traffic = "trafficType": Given<'a>,
    }
    /// A part of a count.
    PartShape {
        modality = "modality": Given<'a>,
        tokens = "tokenCount": Given<'a>,
    }
}

impl UsageShape<'_> {
    /// The counts; `None` when there are none yet, as in most events of Vertex AI.
    pub(super) fn tokens(&self) -> Option<Tokens> {
        count(self.prompt).or_else(|| count(self.answer))?;
        let known = |value| count(value).unwrap_or(0);
        let thoughts = known(self.thoughts);
        let sound = of(&self.prompt_details, "AUDIO");
        Some(Tokens {
            prompt: known(self.prompt).saturating_add(known(self.prompt_of_tools)),
            completion: known(self.answer).saturating_add(thoughts),
            cached: known(self.cached),
            reasoning: thoughts,
            // Sound that a cache answered has the price of the cache.
            audio_in: sound.saturating_sub(of(&self.cache_details, "AUDIO")),
            audio_out: of(&self.answer_details, "AUDIO"),
            image_out: of(&self.answer_details, "IMAGE"),
            ..Tokens::default()
        })
    }

    /// The tier that served, in the contract's words (6.7).
    pub(super) fn tier(&self) -> Option<String> {
        let named = word(self.tier).map(|tier| tier.to_ascii_lowercase());
        match named.as_deref() {
            Some("standard") => Some("default".to_owned()),
            Some(_) => named,
            None => match word(self.traffic).map(Cow::into_owned)?.as_str() {
                "ON_DEMAND" => Some("default".to_owned()),
                "ON_DEMAND_PRIORITY" => Some("priority".to_owned()),
                "ON_DEMAND_FLEX" => Some("flex".to_owned()),
                _ => None,
            },
        }
    }
}

fn of(parts: &List<PartShape<'_>>, modality: &str) -> u64 {
    let of_it = |part: &&PartShape<'_>| word(part.modality).as_deref() == Some(modality);
    let counts = parts.0.iter().filter(of_it);
    counts
        .filter_map(|part| count(part.tokens))
        .fold(0, u64::saturating_add)
}
