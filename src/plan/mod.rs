//! What a call wants, decided once: `(call, catalogue) → Plan`. Pure; never waits.
//! Knows models and preferences; knows nothing of HTTP, money spent or health.

use std::sync::Arc;

use crate::catalog::snapshot::{Model, ModelKind, Snapshot};
use crate::domain::call::{Call, Form};
use crate::domain::json::Raw;
use crate::domain::search::{SearchTool, Wish as SearchWish};

pub mod conversation;
pub mod estimate;
pub mod needs;
pub mod preferences;
mod rerank;
mod router;
pub mod slug;
mod stop;
#[cfg(test)]
pub(crate) mod tests;
mod tool;
mod web;

use conversation::Conversation;
use estimate::Prompt;
use needs::Needs;
use preferences::{Partition, Preferences, Sort};
use router::Wish;
use slug::Variant;

/// More fallback models than this are refused (contract 5.5).
const MAX_FALLBACK_MODELS: usize = 3;

/// Variants that are rows of their own in a catalogue (contract 7.2).
const STATIC_VARIANTS: [&str; 3] = ["free", "extended", "thinking"];

/// What the later stages need to know of a call.
#[derive(Debug)]
pub struct Plan {
    /// The slug as requested, for the records.
    pub requested: String,
    /// How the models were come by.
    pub strategy: Strategy,
    /// The models to try, in order; at least one.
    pub entries: Vec<Entry>,
    /// Who may serve, and in which order.
    pub preferences: Preferences,
    /// What the request needs of an endpoint.
    pub needs: Needs,
    /// A tier of service that the caller asks for.
    pub tier: Option<Tier>,
    /// The conversation the request belongs to, where endpoints may hold its prompt in a cache.
    pub conversation: Option<Conversation>,
    /// About how many tokens the prompt has.
    pub prompt_tokens: u64,
    /// About how many of them must fit the context together.
    pub context_tokens: u64,
    /// How large the prompt is.
    pub prompt: Prompt,
    /// The most units of a search that it can be billed as.
    pub search_units: u64,
    /// The caller's cap on output tokens.
    pub max_tokens: Option<u64>,
    /// How many choices are generated, each up to the cap.
    pub choices: u64,
    /// What the call wants of a web search, for the entries that are [`Entry::online`]; `None` when it wants none.
    pub search: Option<SearchWish>,
    /// The tool with which the model is to search by itself.
    pub search_tool: Option<SearchTool>,
}

/// One model to try.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The model.
    pub model: Arc<Model>,
    /// The order that the slug's variant asks for.
    pub sort: Option<Sort>,
    /// The tier whose endpoints the slug's variant lets in beside the usual ones (contract 7.3).
    pub admits: Option<Tier>,
    /// Whether the web is searched before this model is asked.
    pub online: bool,
}

/// A tier of service (contract 6.7), with endpoints of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Faster and dearer.
    Priority,
    /// Slower and cheaper.
    Flex,
}

/// How the models of a plan were come by (contract 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// By a model's own id.
    Direct,
    /// By another name of the model.
    Alias,
    /// By a list of models.
    Fallback,
    /// By `openrouter/auto`.
    Auto,
    /// By `openrouter/free`.
    Free,
    /// By the newest model of a family.
    Latest,
}

/// Why a call cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The catalogue knows no such model.
    #[error("{0} is not a valid model ID")]
    UnknownModel(String),
    /// The catalogue knows the model but not this static variant of it.
    #[error("No endpoints found for {0}.")]
    NoVariant(String),
    /// A model that this kind of call cannot use.
    #[error("{model} is not {wanted} model")]
    WrongKind {
        /// The model's id.
        model: String,
        /// What the call wants.
        wanted: &'static str,
    },
    /// No model was named and no default is configured.
    #[error("no model was given and no default model is configured")]
    NoModel,
    /// More fallbacks than the contract allows.
    #[error("'models' array must have {MAX_FALLBACK_MODELS} items or fewer")]
    TooManyModels,
    /// A field of the request that is wrong.
    #[error("{path}: {reason}")]
    Field {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A preset, which this server does not keep.
    #[error("{0}: presets are not supported by this server")]
    Preset(String),
}

impl PlanError {
    pub(crate) fn wrong(path: impl Into<String>, reason: impl Into<String>) -> Self {
        PlanError::Field {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

impl Strategy {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::Direct => "direct",
            Strategy::Alias => "alias",
            Strategy::Fallback => "fallback",
            Strategy::Auto => "auto",
            Strategy::Free => "free",
            Strategy::Latest => "latest",
        }
    }
}

impl Tier {
    /// The tier that an endpoint's variant names. Other variants are no tiers.
    pub fn of_variant(variant: Option<&str>) -> Option<Self> {
        match variant? {
            "priority" | "fast" => Some(Tier::Priority),
            "flex" => Some(Tier::Flex),
            _ => None,
        }
    }
}

/// Plans a call.
pub fn plan(
    call: &Call,
    default_model: Option<&str>,
    catalog: &Snapshot,
) -> Result<Plan, PlanError> {
    if call.models.len() > MAX_FALLBACK_MODELS {
        return Err(PlanError::TooManyModels);
    }
    let slugs = call.slugs(default_model);
    let requested = *slugs.first().ok_or(PlanError::NoModel)?;
    let prompt = Prompt::of(call);
    let wish = Wish {
        call,
        needs: &Needs::of(call),
        prompt_tokens: prompt.tokens(),
    };
    let mut entries: Vec<Entry> = Vec::with_capacity(slugs.len());
    let mut routed = None;
    for slug in &slugs {
        let resolved = resolve(slug, &wish, catalog)?;
        routed = routed.or(resolved.strategy);
        for entry in resolved.entries {
            let mut known = entries.iter_mut();
            match known.find(|known| known.model.id == entry.model.id) {
                Some(known) => known.online |= entry.online,
                None => entries.push(entry),
            }
        }
    }
    let mut preferences = preferences(call, catalog)?;
    if routed == Some(Strategy::Free) {
        // One list: which of the free models answers is left to chance.
        preferences.partition = Partition::None;
    }
    if !preferences.order.is_empty() || asks_for_the_default_tier(call) {
        entries.iter_mut().for_each(|entry| entry.admits = None);
    }
    let search = web::search(call, &mut entries)?;
    let search_tool = tool::search_tool(call)?;
    Ok(Plan {
        strategy: routed.unwrap_or_else(|| strategy(requested, &entries)),
        conversation: may_stick(&entries, &preferences)
            .then(|| Conversation::of(call))
            .flatten(),
        prompt_tokens: wish.prompt_tokens,
        needs: wish.needs.clone(),
        tier: tier(call),
        requested: requested.to_owned(),
        entries,
        preferences,
        context_tokens: estimate::context_tokens(call, &prompt),
        search_units: rerank::search_units(call),
        prompt,
        max_tokens: call.max_tokens,
        choices: call.choices,
        search,
        search_tool,
    })
}

/// What a slug stands for.
struct Resolved {
    /// The models, more than one where the slug is a router's.
    entries: Vec<Entry>,
    /// By which strategy a router chose them.
    strategy: Option<Strategy>,
}

fn resolve(slug: &str, wish: &Wish<'_>, catalog: &Snapshot) -> Result<Resolved, PlanError> {
    if slug.contains('@') {
        return Err(PlanError::Preset(slug.to_owned()));
    }
    let known = |candidate: &str| {
        catalog.model(candidate).is_some() || router::is_router(candidate, catalog)
    };
    let Some(parsed) = slug::parse(slug, known) else {
        return Err(unknown(slug, catalog));
    };
    let (models, strategy) = match catalog.model(parsed.model) {
        Some(model) => (vec![Arc::clone(model)], None),
        None => {
            let (models, strategy) = router::models(parsed.model, wish, catalog)?;
            (models, Some(strategy))
        }
    };
    let (kind, wanted) = match wish.call.form {
        Form::Chat | Form::Text => (ModelKind::Chat, "a chat"),
        Form::Embeddings => (ModelKind::Embedding, "an embedding"),
        Form::Rerank => (ModelKind::Rerank, "a reranking"),
    };
    if let Some(model) = models.iter().find(|model| model.kind != kind) {
        return Err(PlanError::WrongKind {
            model: model.id.to_string(),
            wanted,
        });
    }
    let online = parsed.variants.contains(&Variant::Online);
    if online && wish.call.form == Form::Embeddings {
        return Err(PlanError::wrong(
            "model",
            ":online is for models that answer in words",
        ));
    }
    // Of several orders the last one written counts.
    let sorting = parsed.variants.iter().rev().find_map(Variant::sorts);
    let entry = |model| Entry {
        model,
        sort: sorting.map(|(sort, _)| sort),
        admits: sorting.and_then(|(_, admits)| admits),
        online,
    };
    Ok(Resolved {
        entries: models.into_iter().map(entry).collect(),
        strategy,
    })
}

/// A static variant that the catalogue lacks is a missing resource; anything else a wrong id.
fn unknown(slug: &str, catalog: &Snapshot) -> PlanError {
    let is_static = |suffix: &str| STATIC_VARIANTS.contains(&suffix);
    let mut rest = slug;
    while let Some((model, suffix)) = rest.rsplit_once(':') {
        if is_static(suffix) && catalog.model(model).is_some() {
            return PlanError::NoVariant(slug.to_owned());
        }
        rest = model;
    }
    PlanError::UnknownModel(slug.to_owned())
}

fn preferences(call: &Call, catalog: &Snapshot) -> Result<Preferences, PlanError> {
    let mut preferences = match &call.provider {
        Some(written) => Preferences::parse(written, catalog)?,
        None => Preferences::default(),
    };
    // An old spelling of the partition; the contract's edge has checked the words (2.1).
    if call.body.given("route").map(Raw::as_str) == Some("\"sort\"") {
        preferences.partition = Partition::None;
    }
    Ok(preferences)
}

fn strategy(requested: &str, entries: &[Entry]) -> Strategy {
    let own = |entry: &Entry| {
        requested
            .strip_prefix(entry.model.id.as_str())
            .is_some_and(|variants| variants.is_empty() || variants.starts_with(':'))
    };
    match entries {
        [only] if own(only) => Strategy::Direct,
        [_] => Strategy::Alias,
        _ => Strategy::Fallback,
    }
}

/// A caller who orders providers decides alone, and without a cache there is nothing to come back to.
fn may_stick(entries: &[Entry], preferences: &Preferences) -> bool {
    preferences.order.is_empty()
        && entries.iter().any(|entry| {
            entry.model.endpoints.len() > 1
                && entry
                    .model
                    .endpoints
                    .iter()
                    .any(|endpoint| endpoint.pricing.base.caches())
        })
}

fn tier(call: &Call) -> Option<Tier> {
    let word = |name: &str| call.body.given(name).map(Raw::as_str);
    match (word("service_tier"), word("speed")) {
        (Some("\"priority\"" | "\"fast\""), _) | (None, Some("\"fast\"")) => Some(Tier::Priority),
        (Some("\"flex\""), _) => Some(Tier::Flex),
        _ => None,
    }
}

/// Which switches off what a variant lets in (contract 7.3).
fn asks_for_the_default_tier(call: &Call) -> bool {
    call.body.given("service_tier").map(Raw::as_str) == Some("\"default\"")
}
