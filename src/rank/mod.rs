//! Which endpoints may serve a plan, best first. Pure: no clock, no network.
//! Knows plans; knows nothing of HTTP, SQL or any wire format.

use std::sync::Arc;

use crate::catalog::snapshot::{Endpoint, Lack, Model};
use crate::plan::Plan;

/// An endpoint to try, with the model it serves.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The model.
    pub model: Arc<Model>,
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
}

/// Why no endpoint is left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
}

/// Orders the endpoints of a plan's models: model after model, in the catalogue's order.
pub fn rank(plan: &Plan) -> Result<Vec<Candidate>, RankError> {
    let offered: Vec<Candidate> = plan
        .models
        .iter()
        .flat_map(|model| {
            model.endpoints.iter().map(|endpoint| Candidate {
                model: Arc::clone(model),
                endpoint: Arc::clone(endpoint),
            })
        })
        .collect();
    if offered.is_empty() {
        return Err(nothing_enabled(plan));
    }
    let longest = offered
        .iter()
        .filter_map(|candidate| candidate.endpoint.context_length)
        .max()
        .unwrap_or(0);
    let fitting: Vec<Candidate> = offered
        .into_iter()
        .filter(|candidate| fits(plan, &candidate.endpoint))
        .collect();
    if fitting.is_empty() {
        let requested = plan.prompt_tokens + plan.max_tokens.unwrap_or(0);
        return Err(RankError::TooLong {
            model: plan.models[0].id.to_string(),
            requested,
            longest,
        });
    }
    Ok(fitting)
}

/// The estimate is coarse, so only a prompt of twice the context is refused here; the provider
/// judges the rest.
fn fits(plan: &Plan, endpoint: &Endpoint) -> bool {
    let prompt_fits = |limit: u64| plan.prompt_tokens / 2 <= limit;
    endpoint.context_length.is_none_or(prompt_fits)
        && endpoint.max_prompt_tokens.is_none_or(prompt_fits)
}

fn nothing_enabled(plan: &Plan) -> RankError {
    let model = plan
        .models
        .first()
        .map(|model| model.id.to_string())
        .unwrap_or_default();
    let mut variables: Vec<String> = plan
        .models
        .iter()
        .flat_map(|model| &model.disabled)
        .filter_map(|endpoint| match endpoint.lacks.as_ref()? {
            Lack::Variable(name) => Some(name.clone()),
            Lack::Wire(_) => None,
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
