//! `explain`: where a request for a model would go now, and why, without sending one.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Failure;
use super::arguments::Explain;
use super::output::{Output, table};
use super::setup::Setup;
use crate::attempt::health::{Healths, StoredHealth};
use crate::clock::now_ms;
use crate::domain::call::{Call, Form, Origin};
use crate::domain::json::JsonObject;
use crate::domain::money::Picos;
use crate::domain::route::{Considered, Route, Verdict};
use crate::plan;
use crate::rank::{self, Situation, report};
use crate::store::{HealthRow, Store};

/// Measurements older than this are not asked for, in milliseconds.
const MEASURED_SINCE_MS: i64 = 24 * 3_600 * 1_000;

/// Plans and ranks as the server would, with what the servers have measured and kept.
pub(super) async fn explain(
    wanted: Explain,
    setup: &Setup,
    store: &Store,
    out: &Output,
) -> Result<(), Failure> {
    let (call, catalog) = (call(&wanted)?, setup.catalog.snapshot());
    let default_model = setup.config.default_model.as_deref();
    let plan = plan::plan(&call, default_model, &catalog).map_err(Failure::other)?;
    let (now, healths) = (now_ms(), Healths::default());
    healths.learn(&measured(store, now).await?);
    let situation = Situation {
        health: &healths.view(now),
        stuck: &[],
        seed: rand::random(),
        at_ms: now,
    };
    let (verdicts, nothing_fits) = match rank::rank(&plan, &situation) {
        Ok(ranked) => (ranked.verdicts, None),
        Err(error) => (error.verdicts().to_vec(), Some(error)),
    };
    let route = report::route(plan.strategy, &verdicts);
    if !route.considered.is_empty() {
        out.print(&route, words)?;
    }
    nothing_fits.map_or(Ok(()), |error| Err(Failure::other(error)))
}

async fn measured(store: &Store, now: i64) -> Result<Vec<StoredHealth>, Failure> {
    let since = now - MEASURED_SINCE_MS;
    // No server has the empty name, so these are the rows of all.
    let rows = store.health_of_others("", since).await;
    let row = |row: HealthRow| StoredHealth {
        model: row.model.into(),
        tag: row.endpoint.into(),
        measured: row.measured,
    };
    Ok(rows.map_err(Failure::other)?.into_iter().map(row).collect())
}

/// The request that would be made.
fn call(wanted: &Explain) -> Result<Call, Failure> {
    let mut body = json!({
        "model": wanted.model,
        "messages": [{ "role": "user", "content": "Hello" }],
    });
    if let Some(provider) = &wanted.provider_json {
        body["provider"] = serde_json::from_str(provider)
            .map_err(|error| Failure::Other(format!("--provider-json: {error}")))?;
    }
    if wanted.tools {
        body["tools"] = json!([{ "type": "function", "function": { "name": "any" } }]);
    }
    if let Some(most) = wanted.max_tokens {
        body["max_tokens"] = most.into();
    }
    let body = JsonObject::parse(Bytes::from(Value::to_string(&body))).map_err(Failure::other)?;
    Ok(Call {
        form: Form::Chat,
        model: Some(wanted.model.clone()),
        models: Vec::new(),
        stream: false,
        max_tokens: wanted.max_tokens,
        choices: 1,
        provider: body.given("provider").cloned(),
        plugins: None,
        origin: Origin::default(),
        verbatim: None,
        body,
    })
}

fn words(route: &Route) -> String {
    let rows = route.considered.iter().enumerate().map(row);
    table(
        [
            "PLACE", "MODEL", "ENDPOINT", "COST", "HEALTH", "TOKENS/S", "TTFT", "WHY",
        ],
        rows,
    )
}

fn row((position, considered): (usize, &Considered)) -> [String; 8] {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0}"));
    let (place, cost, health, throughput, latency, why) = match &considered.verdict {
        Verdict::Ranked(standpoint) => (
            (position + 1).to_string(),
            format!("${}", Picos(standpoint.expected_picos)),
            standpoint.health.to_string(),
            number(standpoint.throughput),
            number(standpoint.latency_ms),
            why(standpoint),
        ),
        Verdict::Refused { reason, .. } => {
            let none = || "-".to_owned();
            (none(), none(), none(), none(), none(), reason.to_string())
        }
    };
    [
        place,
        considered.model.to_string(),
        considered.endpoint.to_string(),
        cost,
        health,
        throughput,
        latency,
        why,
    ]
}

fn why(standpoint: &crate::domain::route::Standpoint) -> String {
    let by = match standpoint.by.as_ref() {
        "balance" => "drawn by chance, the cheaper the likelier",
        "order" => "provider.order",
        "price" => "the cheapest first",
        "throughput" => "the fastest first",
        "latency" => "the soonest first",
        "exacto" => "the best tool calls first",
        other => other,
    };
    let quality = standpoint.tool_quality.as_ref();
    let quality = quality.map(|quality| format!("; tool calls: {quality}"));
    let misses = standpoint
        .misses_preference
        .then_some("; misses a preference");
    [
        by,
        quality.as_deref().unwrap_or_default(),
        misses.unwrap_or_default(),
    ]
    .concat()
}
