//! `GET /generation/explain`: why a run went where it went, step by step.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::generation::{Wanted, find};
use super::{Data, Params};
use crate::domain::generation::{Attempt, Charge, Generation};
use crate::domain::money::{Nanos, Picos};
use crate::domain::route::{Considered, Standpoint, Verdict, Word};
use crate::edge::error::ApiError;
use crate::edge::extract::Caller;
use crate::store::Store;

/// `GET /generation/explain?id=`, for any key of the account that made the run.
pub async fn show(
    State(store): State<Store>,
    Caller(who): Caller,
    Params(wanted): Params<Wanted>,
) -> Result<Response, ApiError> {
    let run = find(&store, &who, wanted).await?;
    Ok(Json(Data {
        data: Explanation::of(&run),
    })
    .into_response())
}

#[derive(Serialize)]
struct Explanation<'a> {
    id: &'a str,
    requested: &'a str,
    /// How the models were come by.
    strategy: Option<&'a str>,
    model: Option<&'a str>,
    provider_name: Option<&'a str>,
    endpoint: Option<&'a str>,
    /// Every endpoint of the models: those to try in their order, then the refused.
    candidates: Vec<CandidateView<'a>>,
    attempts: Vec<AttemptView<'a>>,
    price: PriceView<'a>,
}

#[derive(Serialize)]
pub(in crate::edge) struct CandidateView<'a> {
    model: &'a str,
    endpoint: &'a str,
    provider_name: &'a str,
    /// Its place among those to try, from 1.
    place: Option<usize>,
    refused: Option<RefusedView<'a>>,
    score: Option<ScoreView<'a>>,
}

#[derive(Serialize)]
struct RefusedView<'a> {
    /// The field of the request that refused it.
    by: Option<&'a str>,
    reason: &'a str,
}

#[derive(Serialize)]
struct ScoreView<'a> {
    ordered_by: &'a str,
    health: &'a str,
    /// What the request was expected to cost there, in dollars.
    expected_cost: Picos,
    throughput: Option<f64>,
    latency_ms: Option<f64>,
    tool_quality: Option<&'a str>,
    sticky: bool,
    misses_preference: bool,
}

#[derive(Serialize)]
struct AttemptView<'a> {
    model: &'a str,
    endpoint: &'a str,
    provider_name: &'a str,
    status: Option<u16>,
    /// What went wrong, in one word; null for the attempt that answered.
    failure: Option<&'a str>,
    latency: i64,
}

#[derive(Serialize)]
struct PriceView<'a> {
    gross: Nanos,
    discount: Nanos,
    net: Nanos,
    /// Unit prices in dollars.
    prices: Option<serde_json::Value>,
    source: Option<&'a str>,
    /// Whether zero-completion insurance made the run free.
    insured: bool,
}

impl<'a> Explanation<'a> {
    fn of(run: &'a Generation) -> Self {
        let served = run.served.as_ref();
        let considered = run.route.iter().flat_map(|route| &route.considered);
        Explanation {
            id: run.id.as_str(),
            requested: &run.requested_model,
            strategy: run.route.as_ref().map(|route| route.strategy.as_ref()),
            model: served.map(|served| served.model.as_str()),
            provider_name: served.map(|served| &*served.provider_name),
            endpoint: served.map(|served| served.endpoint.as_str()),
            candidates: (1..).zip(considered).map(CandidateView::of).collect(),
            attempts: run.attempts.iter().map(AttemptView::of).collect(),
            price: PriceView::of(&run.charge),
        }
    }
}

impl<'a> CandidateView<'a> {
    fn of((place, considered): (usize, &'a Considered)) -> Self {
        let (place, refused, score) = match &considered.verdict {
            Verdict::Ranked(standpoint) => (Some(place), None, Some(ScoreView::of(standpoint))),
            Verdict::Refused { by, reason } => {
                let by = by.as_ref().map(Word::as_ref);
                (None, Some(RefusedView { by, reason }), None)
            }
        };
        CandidateView {
            model: considered.model.as_str(),
            endpoint: considered.endpoint.as_str(),
            provider_name: &considered.provider,
            place,
            refused,
            score,
        }
    }
}

impl<'a> ScoreView<'a> {
    fn of(standpoint: &'a Standpoint) -> Self {
        ScoreView {
            ordered_by: &standpoint.by,
            health: &standpoint.health,
            expected_cost: Picos(standpoint.expected_picos),
            throughput: standpoint.throughput,
            latency_ms: standpoint.latency_ms,
            tool_quality: standpoint.tool_quality.as_ref().map(Word::as_ref),
            sticky: standpoint.sticky,
            misses_preference: standpoint.misses_preference,
        }
    }
}

impl<'a> AttemptView<'a> {
    fn of(attempt: &'a Attempt) -> Self {
        AttemptView {
            model: attempt.model.as_str(),
            endpoint: attempt.endpoint.as_str(),
            provider_name: &attempt.provider_name,
            status: attempt.status,
            failure: attempt.failure.as_deref(),
            latency: attempt.latency_ms,
        }
    }
}

impl<'a> PriceView<'a> {
    fn of(charge: &'a Charge) -> Self {
        PriceView {
            gross: charge.gross,
            discount: charge.discount,
            net: charge.net,
            prices: charge
                .prices
                .as_deref()
                .and_then(|prices| serde_json::from_str(prices).ok()),
            source: charge.price_source.as_deref(),
            insured: charge.insured,
        }
    }
}
