//! How a run's endpoint was chosen: every endpoint that was considered, and why each stood where it
//! stood. The one record behind the routing report, the generation's record and the command line.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::generation::Attempt;
use super::ids::{EndpointTag, ModelId};
use super::search::Searched;

/// A stable word of one of the stages.
pub type Word = Cow<'static, str>;

/// How a run's endpoint was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// How the models were come by (contract 3.4 `strategy`).
    pub strategy: Word,
    /// Every endpoint of the models: those to try in their order, then the refused.
    pub considered: Vec<Considered>,
}

/// What was decided about one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Considered {
    /// The model it would serve.
    pub model: ModelId,
    /// The endpoint's tag.
    pub endpoint: EndpointTag,
    /// The provider's display name.
    pub provider: Arc<str>,
    /// Where it stood, or why it might not serve.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Where an endpoint stood, or why it might not serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It might serve.
    Ranked(Standpoint),
    /// It might not.
    Refused {
        /// The field of the request that refused it, where one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Word>,
        /// In words.
        reason: Word,
    },
}

/// What an endpoint's place was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standpoint {
    /// What the order was made by: `balance`, `order`, `price`, `throughput`, `latency`, `exacto`.
    pub by: Word,
    /// Its health: `well`, `degraded`, `outage`, `down`, `resting`.
    pub health: Word,
    /// What the request was expected to cost there, in pico-dollars.
    pub expected_picos: i64,
    /// Output tokens a second, the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<f64>,
    /// Milliseconds to the first token, the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// What its tool calls are worth, where that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_quality: Option<Word>,
    /// Whether it had the conversation's prompt in its cache.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sticky: bool,
    /// Whether it missed a preferred throughput or latency.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub misses_preference: bool,
}

/// What a caller who asks for it is told of a run's routing (contract 3.4).
#[derive(Clone, Debug)]
pub struct Report {
    /// The slug as requested.
    pub requested: Arc<str>,
    /// How the endpoint was chosen.
    pub route: Arc<Route>,
    /// What became of the web search; `None` where the gateway made none.
    pub search: Option<Searched>,
    /// Every try; when the run was answered, the last of them did.
    pub attempts: Vec<Attempt>,
    /// Whether an endpoint answered.
    pub answered: bool,
}
