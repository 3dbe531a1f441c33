//! What a call wants, decided once: `(call, catalogue) → Plan`. Pure; never waits.
//! Knows models and preferences; knows nothing of HTTP, money or health.

use std::sync::Arc;

use crate::catalog::snapshot::{Model, ModelKind, Snapshot};
use crate::domain::call::Call;

pub mod estimate;
pub mod slug;

/// More fallback models than this are refused (contract 5.5).
const MAX_FALLBACK_MODELS: usize = 3;

/// What the later stages need to know of a call.
#[derive(Debug)]
pub struct Plan {
    /// The slug as requested, for the records.
    pub requested: String,
    /// The models to try, in order.
    pub models: Vec<Arc<Model>>,
    /// About how many tokens the prompt has.
    pub prompt_tokens: u64,
    /// The caller's cap on output tokens.
    pub max_tokens: Option<u64>,
    /// How many choices are generated, each up to the cap.
    pub choices: u64,
}

/// Why a call cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The catalogue knows no such model.
    #[error("{0} is not a valid model ID")]
    UnknownModel(String),
    /// A model that this kind of call cannot use.
    #[error("{model} is not a {wanted} model")]
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
    let first = call.model.as_deref().or(if call.models.is_empty() {
        default_model
    } else {
        None
    });
    let slugs: Vec<&str> = first
        .into_iter()
        .chain(call.models.iter().map(String::as_str))
        .collect();
    let requested = slugs.first().ok_or(PlanError::NoModel)?;
    let mut models: Vec<Arc<Model>> = Vec::with_capacity(slugs.len());
    for slug in &slugs {
        let model = resolve(slug, catalog)?;
        if !models.iter().any(|known| known.id == model.id) {
            models.push(model);
        }
    }
    Ok(Plan {
        requested: (*requested).to_owned(),
        models,
        prompt_tokens: estimate::prompt_tokens(call),
        max_tokens: call.max_tokens,
        choices: call.choices,
    })
}

fn resolve(slug: &str, catalog: &Snapshot) -> Result<Arc<Model>, PlanError> {
    let unknown = || PlanError::UnknownModel(slug.to_owned());
    let parsed =
        slug::parse(slug, |candidate| catalog.model(candidate).is_some()).ok_or_else(unknown)?;
    let model = catalog.model(parsed.model).ok_or_else(unknown)?;
    match model.kind {
        ModelKind::Chat => Ok(Arc::clone(model)),
        ModelKind::Embedding => Err(PlanError::WrongKind {
            model: model.id.to_string(),
            wanted: "chat",
        }),
    }
}
