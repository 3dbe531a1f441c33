//! Why no endpoint is left, in the terms of contract 5.4.

use crate::catalog::snapshot::{Endpoint, Lack, Snapshot};
use crate::plan::{Entry, Plan};

use super::Verdict;
use super::filter::{self, Refusal, longest_output};

/// So many other models are suggested at most.
const SUGGESTIONS: usize = 3;

/// Why no endpoint is left.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RankError {
    /// Every provider of the models lacks its key.
    #[error("No endpoints found for {model}. Set one of these to enable a provider: {}", .variables.join(", "))]
    NotConfigured {
        /// The first model.
        model: String,
        /// The variables that would enable a provider.
        variables: Vec<String>,
    },
    /// Nothing serves the models.
    #[error("No endpoints found for {model}.")]
    NoEndpoints {
        /// The first model.
        model: String,
    },
    /// The prompt fits no endpoint.
    #[error(
        "This endpoint's maximum context length is {longest} tokens. However, you requested about {requested} tokens."
    )]
    TooLong {
        /// The first model.
        model: String,
        /// About what the call asks for.
        requested: u64,
        /// The longest context on offer.
        longest: u64,
    },
    /// What the caller asks for leaves none.
    #[error("{}", .0.message)]
    Filtered(Box<Filtered>),
}

/// What left no endpoint.
#[derive(Clone, Debug)]
pub struct Filtered {
    /// In words, with the fragments that clients look for (contract 5.5).
    pub message: String,
    /// The models that were asked for.
    pub models: Vec<String>,
    /// The contract's words for the filters that refused.
    pub excluded_by: Vec<&'static str>,
    /// The one field that refused every endpoint, and what would have been enough.
    pub constraint: Option<(&'static str, String)>,
    /// Whether only data policies refused.
    pub privacy: bool,
    /// Other models that would serve the request.
    pub suggestions: Vec<String>,
    /// Every endpoint's refusal.
    pub verdicts: Vec<Verdict>,
}

impl RankError {
    /// The error for a plan all of whose endpoints were refused.
    pub(super) fn of(plan: &Plan, verdicts: Vec<Verdict>) -> Self {
        let model = plan
            .entries
            .first()
            .map(|entry| entry.model.id.to_string())
            .unwrap_or_default();
        let refusals: Vec<(Refusal, &Endpoint)> = verdicts
            .iter()
            .filter_map(|verdict| Some((verdict.decision.err()?, &*verdict.endpoint)))
            .filter(|(refusal, _)| *refusal != Refusal::NotConfigured)
            .collect();
        if refusals.is_empty() {
            return nothing_enabled(plan, model);
        }
        let all = |test: fn(Refusal) -> bool| refusals.iter().all(|(refusal, _)| test(*refusal));
        if all(|refusal| refusal == Refusal::Context) {
            let limits = refusals
                .iter()
                .filter_map(|(_, endpoint)| endpoint.context_length);
            return RankError::TooLong {
                model,
                requested: plan.prompt_tokens + plan.max_tokens.unwrap_or(0),
                longest: limits.max().unwrap_or(0),
            };
        }
        let is_privacy = |refusal| matches!(refusal, Refusal::Training | Refusal::Retention);
        let mut excluded_by: Vec<&'static str> = Vec::new();
        for word in refusals
            .iter()
            .filter_map(|(refusal, _)| refusal.excluded_by())
        {
            if !excluded_by.contains(&word) {
                excluded_by.push(word);
            }
        }
        let filtered = Filtered {
            message: message(plan, &model, &refusals),
            models: plan
                .entries
                .iter()
                .map(|entry| entry.model.id.to_string())
                .collect(),
            excluded_by,
            constraint: constraint(plan, &refusals),
            privacy: all(is_privacy),
            suggestions: Vec::new(),
            verdicts,
        };
        RankError::Filtered(Box::new(filtered))
    }

    /// The same error with other models of the same authors that would serve the request.
    #[must_use]
    pub fn suggesting(mut self, plan: &Plan, catalog: &Snapshot) -> Self {
        if let RankError::Filtered(filtered) = &mut self {
            let asked = |id: &str| {
                plan.entries
                    .iter()
                    .any(|entry| entry.model.id.as_str() == id)
            };
            let kin = catalog.models.iter().filter(|model| {
                plan.entries
                    .iter()
                    .any(|entry| entry.model.author == model.author)
                    && plan
                        .entries
                        .iter()
                        .all(|entry| entry.model.kind == model.kind)
                    && !asked(model.id.as_str())
            });
            let serves = |model: &&std::sync::Arc<crate::catalog::snapshot::Model>| {
                let entry = Entry {
                    model: std::sync::Arc::clone(model),
                    sort: None,
                    admits: None,
                    online: false,
                };
                filter::filter(plan, &entry)
                    .iter()
                    .any(|(_, refusal)| refusal.is_none())
            };
            filtered.suggestions = kin
                .filter(serves)
                .take(SUGGESTIONS)
                .map(|model| model.id.to_string())
                .collect();
        }
        self
    }
}

fn nothing_enabled(plan: &Plan, model: String) -> RankError {
    let mut variables: Vec<String> = plan
        .entries
        .iter()
        .flat_map(|entry| &entry.model.disabled)
        .filter_map(|endpoint| match &endpoint.lacks {
            Some(Lack::Variable(name)) => Some(name.clone()),
            Some(Lack::Wire(_)) | None => None,
        })
        .collect();
    variables.sort();
    variables.dedup();
    if variables.is_empty() {
        RankError::NoEndpoints { model }
    } else {
        RankError::NotConfigured { model, variables }
    }
}

/// The words for the refusal that the most endpoints share.
fn message(plan: &Plan, model: &str, refusals: &[(Refusal, &Endpoint)]) -> String {
    let count = |wanted: &Refusal| {
        refusals
            .iter()
            .filter(|(refusal, _)| refusal == wanted)
            .count()
    };
    // The first of the most frequent, so that the message does not depend on chance.
    let most = refusals
        .iter()
        .rev()
        .map(|(refusal, _)| refusal)
        .max_by_key(|refusal| count(refusal));
    match most {
        Some(Refusal::NotAllowed | Refusal::Ignored | Refusal::NoFallbacks) => {
            "No allowed providers are available for the selected model.".to_owned()
        }
        Some(Refusal::Training) => {
            format!(
                "No endpoints found for {model} matching your data policy (data_collection: deny)."
            )
        }
        Some(Refusal::Retention) => {
            format!(
                "No endpoints found for {model} matching your data policy (zero data retention)."
            )
        }
        Some(Refusal::Parameter("tools")) => "No endpoints found that support tool use.".to_owned(),
        Some(Refusal::Parameter(name)) => {
            format!("No endpoints found that support all parameters of the request: {name}")
        }
        Some(Refusal::Input(medium)) => {
            format!("No endpoints found that support {medium} input")
        }
        Some(Refusal::Medium(medium)) => {
            format!("No endpoints found that support {medium} output")
        }
        Some(Refusal::Output) => format!(
            "No endpoint for {model} can write {} tokens",
            plan.max_tokens.unwrap_or(0)
        ),
        Some(refusal) => match refusal.field() {
            Some(field) => format!("No endpoint for {model} fits {field}"),
            None => format!("No endpoints found for {model}."),
        },
        None => format!("No endpoints found for {model}."),
    }
}

/// The field that alone leaves none, with what would be enough.
fn constraint(plan: &Plan, refusals: &[(Refusal, &Endpoint)]) -> Option<(&'static str, String)> {
    let (first, _) = refusals.first()?;
    let field = first.field()?;
    if !refusals
        .iter()
        .all(|(refusal, _)| refusal.field() == Some(field))
    {
        return None;
    }
    let endpoints = || refusals.iter().map(|(_, endpoint)| *endpoint);
    let detail = match first {
        Refusal::Price(name) => cheapest(plan, name, endpoints()),
        Refusal::Output => endpoints()
            .filter_map(longest_output)
            .max()
            .map(|longest| format!("the longest answer on offer has {longest} tokens")),
        Refusal::Quantization => {
            let mut on_offer: Vec<&str> = endpoints()
                .map(|endpoint| endpoint.quantization.as_deref().unwrap_or("unknown"))
                .collect();
            on_offer.sort_unstable();
            on_offer.dedup();
            Some(format!("on offer: {}", on_offer.join(", ")))
        }
        _ => None,
    };
    Some((field, detail.unwrap_or_else(|| first.to_string())))
}

fn cheapest<'a>(
    plan: &Plan,
    name: &str,
    endpoints: impl Iterator<Item = &'a Endpoint>,
) -> Option<String> {
    let price = |endpoint: &Endpoint| {
        let prices = endpoint.pricing.for_prompt(plan.prompt_tokens);
        match name {
            // Dollars per million tokens are a million times the dollars per token.
            "prompt" => prices.prompt.0.saturating_mul(1_000_000),
            "completion" => prices.completion.0.saturating_mul(1_000_000),
            "request" => prices.request.unwrap_or_default().0,
            "image" => prices.image.unwrap_or_default().0,
            _ => prices.audio_in.unwrap_or_default().0,
        }
    };
    let least = endpoints.map(price).min()?;
    Some(format!(
        "cheapest {name} price is {}",
        crate::domain::money::Picos(least)
    ))
}
