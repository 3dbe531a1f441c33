//! The wish to reason (contract 2.4), whichever of its spellings the caller uses.

use serde::Deserialize;

use crate::domain::call::Call;

/// A budget of reasoning tokens is not smaller than this, nor larger than the next (contract 2.4).
const BUDGETS: std::ops::RangeInclusive<u64> = 1_024..=128_000;
/// The cap that is assumed where the caller sets none.
const USUAL_CAP: u64 = 16_000;

/// The `reasoning` object with the shorthands laid over it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Wish {
    /// How hard to think, as the caller writes it.
    pub effort: Option<String>,
    /// How many tokens to think for.
    pub max_tokens: Option<u64>,
    /// Whether to think at all.
    pub enabled: Option<bool>,
    /// Whether to keep the thoughts from the caller.
    pub exclude: Option<bool>,
    /// `auto`, `concise` or `detailed`.
    pub summary: Option<String>,
}

/// Levels of effort, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// None at all.
    None,
    /// As little as there is.
    Minimal,
    /// Little.
    Low,
    /// The usual.
    Medium,
    /// Much.
    High,
    /// More.
    Xhigh,
    /// As much as there is.
    Max,
}

impl Wish {
    /// What `call` wishes.
    pub fn of(call: &Call) -> Self {
        let mut wish: Wish = call
            .body
            .given("reasoning")
            .and_then(|raw| raw.parse().ok())
            .unwrap_or_default();
        if let Some(effort) = call
            .body
            .given("reasoning_effort")
            .and_then(|raw| raw.parse().ok())
        {
            wish.effort = Some(effort);
        }
        wish
    }

    /// Whether to reason; `None` when the call leaves it to the model.
    pub fn is_on(&self) -> Option<bool> {
        match (self.effort.as_deref(), self.max_tokens, self.enabled) {
            (_, _, Some(false)) | (Some("none"), _, _) | (None, Some(0), _) => Some(false),
            (None, None, None) => None,
            _ => Some(true),
        }
    }

    /// The effort, which a budget of an answer of at most `cap` tokens expresses less finely.
    pub fn effort(&self, cap: Option<u64>) -> Effort {
        if self.is_on() == Some(false) {
            return Effort::None;
        }
        match (self.effort.as_deref(), self.max_tokens) {
            (Some(effort), _) => Effort::named(effort).unwrap_or(Effort::Medium),
            (None, None) => Effort::Medium,
            (None, Some(budget)) => Effort::nearest_to(budget, cap),
        }
    }

    /// The tokens to think for in an answer of at most `cap` tokens: what the caller says, or the effort's share.
    pub fn budget(&self, cap: u64) -> u64 {
        let wanted = match self.max_tokens {
            Some(budget) if self.effort.is_none() => budget,
            _ => cap.saturating_mul(self.effort(Some(cap)).percent()) / 100,
        };
        wanted.clamp(*BUDGETS.start(), *BUDGETS.end())
    }
}

impl Effort {
    const ALL: [Effort; 7] = [
        Effort::None,
        Effort::Minimal,
        Effort::Low,
        Effort::Medium,
        Effort::High,
        Effort::Xhigh,
        Effort::Max,
    ];

    /// The level that `word` names.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == word)
    }

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Effort::None => "none",
            Effort::Minimal => "minimal",
            Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::Xhigh => "xhigh",
            Effort::Max => "max",
        }
    }

    /// The level of `known` that is nearest, the lower of two; this one when none is known.
    pub fn among(self, known: &[String]) -> Self {
        let known = known.iter().filter_map(|word| Effort::named(word));
        let distance = |effort: &Effort| ((*effort as i8) - (self as i8)).unsigned_abs();
        known
            .filter(|effort| self == Effort::None || *effort != Effort::None)
            .min_by_key(|effort| (distance(effort), *effort))
            .unwrap_or(self)
    }

    /// The share of an answer that may be spent on thinking (contract 2.4).
    fn percent(self) -> u64 {
        match self {
            Effort::None => 0,
            Effort::Minimal => 10,
            Effort::Low => 20,
            Effort::Medium => 50,
            Effort::High => 80,
            Effort::Xhigh | Effort::Max => 95,
        }
    }

    /// The level whose share the budget comes nearest to.
    fn nearest_to(budget: u64, cap: Option<u64>) -> Self {
        let percent = budget.saturating_mul(100) / cap.unwrap_or(USUAL_CAP).max(1);
        match percent {
            0..15 => Effort::Minimal,
            15..35 => Effort::Low,
            35..65 => Effort::Medium,
            _ => Effort::High,
        }
    }
}
