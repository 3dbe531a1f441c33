//! `openrouter_metadata`: what a caller who asks for it is told of a run's routing (contract 3.4).

use serde_json::{Value, json};

use crate::domain::generation::Attempt;
use crate::domain::route::{Considered, Report, Verdict};
use crate::domain::search::Searched;

/// The report as the contract shows it.
pub(in crate::edge) fn metadata(report: &Report) -> Value {
    let Report {
        requested,
        route,
        search,
        attempts,
        answered,
    } = report;
    let winner = attempts.last().filter(|_| *answered);
    let is_ranked = |one: &&Considered| matches!(one.verdict, Verdict::Ranked(_));
    let available = route.considered.iter().filter(is_ranked).map(|one| {
        let selected = winner.is_some_and(|winner| is_of(winner, one));
        json!({ "provider": one.provider, "model": one.model, "selected": selected })
    });
    let mut metadata = json!({
        "requested": requested,
        "strategy": route.strategy,
        "region": null,
        "summary": summary(report, winner),
        "attempt": attempts.len(),
        "is_byok": false,
        "endpoints": { "total": route.considered.len(), "available": available.collect::<Vec<_>>() },
    });
    if !attempts.is_empty() {
        let slim = |attempt: &Attempt| json!({ "provider": attempt.provider_name, "model": attempt.model, "status": status(attempt) });
        metadata["attempts"] = attempts.iter().map(slim).collect();
    }
    if let Some(search) = search {
        metadata["pipeline"] = json!([searched(search)]);
    }
    metadata
}

/// The stage of the search. One that failed says so: the answer is without results then.
fn searched(search: &Searched) -> Value {
    let Searched {
        engine,
        by_the_model,
        requested,
        searches,
        results,
        price,
        failure,
    } = search;
    let summary = match failure {
        None => format!("{engine} found {results} results"),
        Some(reason) if *results > 0 => {
            format!("{engine} found {results} results; a search failed ({reason})")
        }
        Some(reason) => format!("{engine} found nothing ({reason}); answered without results"),
    };
    let mut data = json!({ "engine": engine, "searches": searches, "results": results });
    if *by_the_model {
        data["requested"] = (*requested).into();
    }
    if let Some(reason) = failure {
        data["failure"] = reason.as_str().into();
    }
    let (kind, name) = if *by_the_model {
        ("server_tools", "openrouter:web_search")
    } else {
        ("plugin", "web")
    };
    json!({ "type": kind, "name": name, "summary": summary, "cost_usd": price, "data": data })
}

/// The provider's status; where none arrived, the one that says the same, since the contract wants a number.
fn status(attempt: &Attempt) -> u16 {
    attempt.status.unwrap_or(match attempt.failure.as_deref() {
        Some("timeout") => 504,
        Some("crowded") => 503,
        Some("unsupported") => 400,
        // As nginx calls a request that was given up.
        Some("cancelled") => 499,
        _ => 502,
    })
}

fn summary(report: &Report, winner: Option<&Attempt>) -> String {
    let Report {
        requested,
        route,
        attempts,
        ..
    } = report;
    let by = route.considered.iter().find_map(|one| match &one.verdict {
        Verdict::Ranked(standpoint) => Some(standpoint.by.as_ref()),
        Verdict::Refused { .. } => None,
    });
    match (winner, by) {
        (Some(winner), Some(by)) => format!(
            "{requested} was answered by {} ({}), attempt {}, of {} endpoints ordered by {by}",
            winner.provider_name,
            winner.endpoint,
            attempts.len(),
            route.considered.len(),
        ),
        (_, Some(_)) => format!(
            "{requested} was not answered in {} attempts",
            attempts.len()
        ),
        (_, None) => format!(
            "none of {} endpoints fits {requested}",
            route.considered.len()
        ),
    }
}

fn is_of(attempt: &Attempt, considered: &Considered) -> bool {
    attempt.model == considered.model && attempt.endpoint == considered.endpoint
}
