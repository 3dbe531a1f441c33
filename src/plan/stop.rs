//! `stop_server_tools_when` (contract 2.1): when the steps of a request that has server tools are to end.

use serde::Deserialize;

use super::PlanError;
use super::web::parse;
use crate::domain::call::Call;
use crate::domain::json::Raw;
use crate::domain::money::Nanos;
use crate::domain::stop::Stop;

const FIELD: &str = "stop_server_tools_when";

/// A condition as it is written.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Written {
    StepCountIs {
        step_count: u64,
    },
    HasToolCall {
        tool_name: String,
    },
    MaxTokensUsed {
        max_tokens: u64,
    },
    /// Its amount is read as it is written: a number would be a float.
    MaxCost,
    FinishReasonIs {
        reason: String,
    },
}

/// The call's conditions; `None` when it has none, and other limits count.
pub(super) fn conditions(call: &Call) -> Result<Option<Vec<Stop>>, PlanError> {
    let Some(given) = call.body.given(FIELD) else {
        return Ok(None);
    };
    let conditions = given
        .elements()
        .filter(|conditions| !conditions.is_empty())
        .ok_or_else(|| PlanError::wrong(FIELD, "must be an array with at least one condition"))?;
    let conditions = conditions.iter().enumerate();
    let read = conditions.map(|(position, raw)| condition(&format!("{FIELD}[{position}]"), raw));
    read.collect::<Result<_, _>>().map(Some)
}

fn condition(place: &str, raw: &Raw) -> Result<Stop, PlanError> {
    let named = |name: String, field: &str| match name.as_str() {
        "" => Err(PlanError::wrong(
            format!("{place}.{field}"),
            "must not be empty",
        )),
        _ => Ok(name),
    };
    Ok(match parse(place, raw.as_bytes())? {
        Written::StepCountIs { step_count } => Stop::Steps(step_count),
        Written::HasToolCall { tool_name } => Stop::Called(named(tool_name, "tool_name")?),
        Written::MaxTokensUsed { max_tokens } => Stop::Tokens(max_tokens),
        Written::MaxCost => {
            Stop::Cost(cost(raw).map_err(|reason| {
                PlanError::wrong(format!("{place}.max_cost_in_dollars"), reason)
            })?)
        }
        Written::FinishReasonIs { reason } => Stop::Finished(named(reason, "reason")?),
    })
}

fn cost(raw: &Raw) -> Result<Nanos, String> {
    let condition = raw.object();
    let written = condition
        .as_ref()
        .and_then(|it| it.given("max_cost_in_dollars"));
    let written = written.ok_or("missing")?;
    Nanos::parse(written.as_str()).map_err(|error| error.to_string())
}
