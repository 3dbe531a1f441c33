//! A ranking as the values that are recorded and shown.

use crate::catalog::snapshot::Endpoint;
use crate::domain::route::{self, Considered, Route, Standpoint};
use crate::plan::Strategy;
use crate::plan::preferences::Sort;

use super::filter::Refusal;
use super::score::{By, Score};
use super::{RankError, Verdict};

/// So many endpoints are recorded; a model has rarely more.
const MOST: usize = 48;

/// How a plan's endpoints were ranked.
pub fn route(strategy: Strategy, verdicts: &[Verdict]) -> Route {
    Route {
        strategy: strategy.as_str().into(),
        considered: verdicts.iter().take(MOST).map(considered).collect(),
    }
}

impl RankError {
    /// What became of the endpoints, where there were any.
    pub fn verdicts(&self) -> &[Verdict] {
        match self {
            RankError::Filtered(filtered) => &filtered.verdicts,
            RankError::NotConfigured { .. }
            | RankError::NoEndpoints { .. }
            | RankError::TooLong { .. } => &[],
        }
    }
}

fn considered(verdict: &Verdict) -> Considered {
    Considered {
        model: verdict.model.id.clone(),
        endpoint: verdict.endpoint.tag.clone(),
        provider: verdict.endpoint.provider.name.clone(),
        verdict: match &verdict.decision {
            Ok(score) => route::Verdict::Ranked(standpoint(score)),
            Err(refusal) => refused(*refusal, &verdict.endpoint),
        },
    }
}

fn standpoint(score: &Score) -> Standpoint {
    let Score {
        by,
        health,
        price,
        stuck,
        misses,
        quality,
        ..
    } = *score;
    let judges = by == By::Sort(Sort::Exacto);
    Standpoint {
        by: by.as_str().into(),
        health: health.standing.as_str().into(),
        expected_picos: i64::try_from(price).unwrap_or(i64::MAX),
        throughput: health.throughput.map(|tokens| tokens.p50),
        latency_ms: health.latency_ms.map(|millis| millis.p50),
        tool_quality: judges.then(|| quality.as_str().into()),
        sticky: stuck,
        misses_preference: misses,
    }
}

fn refused(refusal: Refusal, endpoint: &Endpoint) -> route::Verdict {
    let reason = match (refusal, &endpoint.lacks) {
        (Refusal::NotConfigured, Some(lack)) => lack.to_string(),
        (refusal, _) => refusal.to_string(),
    };
    route::Verdict::Refused {
        by: refusal.field().map(Into::into),
        reason: reason.into(),
    }
}
