//! How endpoints do, in a person's words.

use maud::{Markup, html};

use super::format::{ago, count, duration, percent};
use crate::attempt::health::{Outcomes, Summary, Trouble, View};
use crate::catalog::snapshot::Endpoint;
use crate::rank::health::{HealthView as _, Percentiles, Standing, ToolCalls};

/// What was measured of an endpoint, to stand in a row of a table.
pub(super) struct Doing {
    pub(super) standing: Standing,
    summary: Summary,
}

impl Doing {
    /// How an endpoint does; like one that nobody used where nobody did.
    pub(super) fn of(healths: &View, endpoint: &Endpoint) -> Self {
        Doing {
            standing: healths.health(endpoint).standing,
            summary: healths.summary(endpoint).unwrap_or_default(),
        }
    }

    /// How the requests of a day went.
    pub(super) fn day(&self) -> Outcomes {
        self.summary.day
    }

    /// The part of a day's requests that succeeded, of how many.
    pub(super) fn uptime(&self) -> Markup {
        uptime(self.summary.day)
    }

    /// How long the first token takes.
    pub(super) fn first_token(&self) -> Markup {
        let whole = |ms: f64| duration(ms.round() as i64);
        measured(self.summary.health.latency_ms, whole)
    }

    /// How many tokens a second come.
    pub(super) fn speed(&self) -> Markup {
        measured(self.summary.health.throughput, |tokens| {
            format!("{}/s", count(tokens.round() as u64))
        })
    }

    /// The part of tool calls that can be run, of how many.
    pub(super) fn tools(&self) -> Markup {
        let ToolCalls { judged, bad } = self.summary.health.tools;
        uptime(Outcomes {
            served: judged.saturating_sub(bad),
            failed: bad,
            limited: 0,
        })
    }
}

/// A tag for how far an endpoint can be relied on; none where nothing speaks against it.
pub(super) fn standing(standing: Standing) -> Markup {
    let (class, words) = match standing {
        Standing::Well => return html! {},
        Standing::Degraded => ("tag warn", "degraded"),
        Standing::Outage => ("tag bad", "outage"),
        Standing::Down => ("tag bad", "down"),
        Standing::Resting => ("tag warn", "resting"),
    };
    html! { span class=(class) { (words) } }
}

/// The part of requests that succeeded, of how many.
pub(super) fn uptime(outcomes: Outcomes) -> Markup {
    let requests = u64::from(outcomes.served) + u64::from(outcomes.failed);
    html! {
        @match outcomes.per_mille() {
            None => span.muted { "–" },
            Some(per_mille) => div { (percent(per_mille)) p.hint { "of " (count(requests)) } },
        }
    }
}

/// What last went wrong, and when.
pub(super) fn trouble(trouble: Option<Trouble>, now: i64) -> Markup {
    html! {
        @match trouble {
            None => span.muted { "–" },
            Some(Trouble { at, what, status }) => div {
                (words(what))
                @if let Some(status) = status { " (" (status) ")" }
                p.hint { (ago(at, now)) }
            },
        }
    }
}

fn measured(measured: Option<Percentiles>, show: impl Fn(f64) -> String) -> Markup {
    html! {
        @match measured {
            None => span.muted { "–" },
            Some(Percentiles { p50, p90, .. }) => div { (show(p50)) p.hint { (show(p90)) " for 9 of 10" } },
        }
    }
}

fn words(what: &'static str) -> &'static str {
    match what {
        "connect" => "no connection",
        "connection_lost" => "the connection broke",
        "timeout" => "no answer in time",
        "rate_limited" => "too many requests",
        "upstream_error" => "an error",
        "unusable_answer" => "an answer of no use",
        "error_in_answer" => "an error within an answer",
        other => other,
    }
}
