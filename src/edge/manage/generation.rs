//! `GET /generation`: the record of one run (contract 14.1).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::moment::Moment;
use super::{Data, Params};
use crate::domain::generation::{Attempt, Generation};
use crate::domain::money::Nanos;
use crate::domain::principal::Principal;
use crate::domain::usage::Tokens;
use crate::edge::error::ApiError;
use crate::edge::extract::Caller;
use crate::store::Store;

/// Which run.
#[derive(Deserialize)]
pub struct Wanted {
    id: Option<String>,
}

/// `GET /generation?id=`, for any key of the account that made the run.
pub async fn show(
    State(store): State<Store>,
    Caller(who): Caller,
    Params(wanted): Params<Wanted>,
) -> Result<Response, ApiError> {
    let run = find(&store, &who, wanted).await?;
    Ok(Json(Data {
        data: GenerationView::of(&run),
    })
    .into_response())
}

/// The run that is wanted, if the caller's account made it.
pub(super) async fn find(
    store: &Store,
    who: &Principal,
    wanted: Wanted,
) -> Result<Generation, ApiError> {
    let id = wanted
        .id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| ApiError::invalid("id: required"))?;
    let stored = store.generation(&who.account, &id).await?;
    let stored = stored.ok_or_else(|| ApiError::not_found(format!("Generation {id} not found")))?;
    Ok(stored.generation)
}

/// A run as the contract shows it. What the gateway does not do yet is null, since absent is not zero.
#[derive(Serialize)]
struct GenerationView<'a> {
    id: &'a str,
    request_id: Option<&'a str>,
    upstream_id: Option<&'a str>,
    created_at: Moment,
    model: &'a str,
    api_type: &'a str,
    provider_name: Option<&'a str>,
    provider_responses: Vec<ProviderResponse<'a>>,
    router: Option<&'a str>,
    preset_id: Option<&'a str>,
    session_id: Option<&'a str>,
    app_id: Option<i64>,
    workspace_id: Option<&'a str>,
    external_user: Option<&'a str>,
    http_referer: Option<&'a str>,
    origin: &'a str,
    user_agent: Option<&'a str>,
    streamed: bool,
    cancelled: bool,
    finish_reason: Option<&'a str>,
    native_finish_reason: Option<&'a str>,
    latency: Option<i64>,
    generation_time: Option<i64>,
    moderation_latency: Option<i64>,
    tokens_prompt: Option<u64>,
    tokens_completion: Option<u64>,
    native_tokens_prompt: Option<u64>,
    native_tokens_completion: Option<u64>,
    native_tokens_reasoning: Option<u64>,
    native_tokens_cached: Option<u64>,
    native_tokens_completion_images: Option<u64>,
    num_media_prompt: Option<u64>,
    num_media_completion: Option<u64>,
    num_input_audio_prompt: Option<u64>,
    num_search_results: Option<u64>,
    num_fetches: Option<u64>,
    web_search_engine: Option<&'a str>,
    usage: Nanos,
    total_cost: Nanos,
    cache_discount: Option<Nanos>,
    upstream_inference_cost: Option<Nanos>,
    is_byok: bool,
    service_tier: Option<&'a str>,
    data_region: &'static str,
    response_cache_source_id: Option<&'a str>,
    turnpike: Account<'a>,
}

/// How the charge came about: this gateway's own words, beside the contract's.
#[derive(Serialize)]
struct Account<'a> {
    /// `reported`, `estimated` or `clamped`; null where nothing was used.
    usage_source: Option<&'static str>,
    /// What the provider reported, where that was not believed.
    reported_usage: Option<Tokens>,
    list_cost: Nanos,
    discount: Nanos,
    fee: Nanos,
    /// The part of the fee that searches by this gateway are.
    searches: Nanos,
    unit_prices: Option<&'a RawValue>,
    price_source: Option<&'a str>,
    catalog_version: Option<&'a str>,
    insured: bool,
}

#[derive(Serialize)]
struct ProviderResponse<'a> {
    provider_name: &'a str,
    status: Option<u16>,
    latency: i64,
    is_byok: bool,
    endpoint_id: &'a str,
    model_permaslug: &'a str,
}

impl<'a> GenerationView<'a> {
    fn of(run: &'a Generation) -> Self {
        let served = run.served.as_ref();
        let tokens = run.usage.map(|usage| usage.tokens);
        GenerationView {
            id: run.id.as_str(),
            request_id: None,
            upstream_id: served.and_then(|served| served.upstream_id.as_deref()),
            created_at: Moment(run.created_at),
            model: served.map_or(&run.requested_model, |served| served.model.as_str()),
            api_type: &run.api_type,
            provider_name: served.map(|served| &*served.provider_name),
            provider_responses: run.attempts.iter().map(ProviderResponse::of).collect(),
            router: None,
            preset_id: None,
            session_id: run.session_id.as_deref(),
            app_id: None,
            workspace_id: None,
            external_user: run.external_user.as_deref(),
            http_referer: run.referer.as_deref(),
            origin: run.referer.as_deref().unwrap_or_default(),
            user_agent: run.user_agent.as_deref(),
            streamed: run.streamed,
            cancelled: run.cancelled,
            finish_reason: run.finish_reason.as_deref(),
            native_finish_reason: run.native_finish_reason.as_deref(),
            latency: run.latency_ms,
            generation_time: run.generation_ms,
            moderation_latency: None,
            tokens_prompt: tokens.map(|tokens| tokens.prompt),
            tokens_completion: tokens.map(|tokens| tokens.completion),
            native_tokens_prompt: tokens.map(|tokens| tokens.prompt),
            native_tokens_completion: tokens.map(|tokens| tokens.completion),
            native_tokens_reasoning: tokens.map(|tokens| tokens.reasoning),
            native_tokens_cached: tokens.map(|tokens| tokens.cached),
            native_tokens_completion_images: tokens.map(|tokens| tokens.image_out),
            num_media_prompt: tokens.map(|tokens| tokens.images),
            num_media_completion: None,
            num_input_audio_prompt: None,
            num_search_results: run.search.as_ref().map(|search| search.results),
            num_fetches: None,
            web_search_engine: run.search.as_ref().map(|search| search.engine.as_str()),
            usage: run.charge.net,
            total_cost: run.charge.net,
            cache_discount: None,
            upstream_inference_cost: None,
            is_byok: false,
            service_tier: served.and_then(|served| served.service_tier.as_deref()),
            data_region: "global",
            response_cache_source_id: None,
            turnpike: Account::of(run),
        }
    }
}

impl<'a> Account<'a> {
    fn of(run: &'a Generation) -> Self {
        let charge = &run.charge;
        let prices = charge.prices.as_deref();
        Account {
            usage_source: run.usage.map(|usage| usage.source.as_str()),
            reported_usage: run.reported,
            list_cost: charge.gross,
            discount: charge.discount,
            fee: charge.fee,
            searches: charge.searches,
            unit_prices: prices.and_then(|prices| serde_json::from_str(prices).ok()),
            price_source: charge.price_source.as_deref(),
            catalog_version: charge.catalog_version.as_deref(),
            insured: charge.insured,
        }
    }
}

impl<'a> ProviderResponse<'a> {
    fn of(attempt: &'a Attempt) -> Self {
        ProviderResponse {
            provider_name: &attempt.provider_name,
            status: attempt.status,
            latency: attempt.latency_ms,
            is_byok: false,
            endpoint_id: attempt.endpoint.as_str(),
            model_permaslug: attempt.model.as_str(),
        }
    }
}
