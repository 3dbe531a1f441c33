//! What a run used, in the units that are priced.

use serde::{Deserialize, Serialize};

/// Counts of priced units. Token classes overlap as providers report them: `cached`,
/// `cache_write_5m`, `cache_write_1h` and `audio_in` are parts of `prompt`; `reasoning`,
/// `audio_out` and `image_out` are parts of `completion`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// All input tokens.
    pub prompt: u64,
    /// All output tokens.
    pub completion: u64,
    /// Input tokens read from the provider's prompt cache.
    #[serde(skip_serializing_if = "is_default")]
    pub cached: u64,
    /// Input tokens written to a cache that lives five minutes.
    #[serde(skip_serializing_if = "is_default")]
    pub cache_write_5m: u64,
    /// Input tokens written to a cache that lives one hour.
    #[serde(skip_serializing_if = "is_default")]
    pub cache_write_1h: u64,
    /// Output tokens spent on reasoning.
    #[serde(skip_serializing_if = "is_default")]
    pub reasoning: u64,
    /// Input tokens that were audio.
    #[serde(skip_serializing_if = "is_default")]
    pub audio_in: u64,
    /// Output tokens that were audio.
    #[serde(skip_serializing_if = "is_default")]
    pub audio_out: u64,
    /// Output tokens that were images.
    #[serde(skip_serializing_if = "is_default")]
    pub image_out: u64,
    /// Images in the prompt that are priced apiece.
    #[serde(skip_serializing_if = "is_default")]
    pub images: u64,
    /// Web searches that the provider ran.
    #[serde(skip_serializing_if = "is_default")]
    pub web_searches: u64,
    /// Units of a search that were billed in place of tokens: a query over up to a hundred documents.
    #[serde(skip_serializing_if = "is_default")]
    pub search_units: u64,
}

impl Tokens {
    /// These and others, counted together.
    pub fn plus(&self, other: &Tokens) -> Tokens {
        let add = |a: u64, b: u64| a.saturating_add(b);
        Tokens {
            prompt: add(self.prompt, other.prompt),
            completion: add(self.completion, other.completion),
            cached: add(self.cached, other.cached),
            cache_write_5m: add(self.cache_write_5m, other.cache_write_5m),
            cache_write_1h: add(self.cache_write_1h, other.cache_write_1h),
            reasoning: add(self.reasoning, other.reasoning),
            audio_in: add(self.audio_in, other.audio_in),
            audio_out: add(self.audio_out, other.audio_out),
            image_out: add(self.image_out, other.image_out),
            images: add(self.images, other.images),
            web_searches: add(self.web_searches, other.web_searches),
            search_units: add(self.search_units, other.search_units),
        }
    }

    /// Input and output together.
    pub fn total(&self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }
}

/// Who counted, so that an estimate is never mistaken for the provider's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider reported the counts.
    Reported,
    /// The provider was silent; the gateway counted what it saw.
    Estimated,
    /// The provider reported counts that could not be right; they were corrected.
    Clamped,
}

impl UsageSource {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            UsageSource::Reported => "reported",
            UsageSource::Estimated => "estimated",
            UsageSource::Clamped => "clamped",
        }
    }
}

/// The usage of one run and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The counts that are charged.
    pub tokens: Tokens,
    /// Who counted them.
    pub source: UsageSource,
}
/// What is zero, or as always, is not written: a record is written for every run.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
