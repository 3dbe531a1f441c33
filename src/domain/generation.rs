//! The record of one run: what the ledger stores and `GET /generation` shows (contract 14, 15.10).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{AccountId, EndpointTag, GenerationId, KeyHash, ModelId, ProviderSlug};
use super::money::Nanos;
use super::route::{Route, Word};
use super::search::Searched;
use super::terms::Terms;
use super::usage::{Tokens, Usage, is_default};

/// One run as the client saw it, with its attempts and its charge. Written as a record, it leaves out [`Which`] run it is:
/// that stands beside the record wherever one is kept, and is put in when it is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Generation {
    /// The id the client was given; settling the same id twice charges once.
    #[serde(skip_serializing, default)]
    pub id: GenerationId,
    /// When the run began, Unix milliseconds.
    #[serde(skip_serializing, default)]
    pub created_at: i64,
    /// Who pays.
    #[serde(skip_serializing, default)]
    pub account: AccountId,
    /// The key that called.
    #[serde(
        skip_serializing,
        default,
        deserialize_with = "key_hash_hex::deserialize"
    )]
    pub key: KeyHash,
    /// The endpoint that answered; `None` when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Served>,
    /// The slug as requested.
    pub requested_model: Arc<str>,
    /// `completions` for chat and text alike, `embeddings` or `rerank` (contract 14.1 `api_type`).
    pub api_type: Word,
    /// Whether the answer was streamed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub streamed: bool,
    /// Whether the caller left before the end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cancelled: bool,
    /// The first choice's finish reason, in the contract's vocabulary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<Word>,
    /// The provider's own word for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_finish_reason: Option<String>,
    /// Milliseconds from the start to the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<i64>,
    /// Milliseconds from the first token to the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_ms: Option<i64>,
    /// What was used; `None` when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What each step used, where there were several; `usage` is their sum.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Tokens>,
    /// Who made the first of the steps, where another made the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub legs: Vec<Leg>,
    /// What the provider reported, where it could not be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Tokens>,
    /// What is charged.
    pub charge: Charge,
    /// Every try, in order.
    pub attempts: Vec<Attempt>,
    /// How the endpoints to try were chosen; `None` in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Arc<Route>>,
    /// What became of the web search that the gateway made for it; `None` where it made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Searched>,
    /// Who called, as far as the request said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referer: Option<String>,
    /// The application's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The caller's user agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The session the run belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The end user as the caller names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_user: Option<String>,
}

/// Which run it is, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Which {
    /// [`Generation::id`].
    pub id: GenerationId,
    /// [`Generation::created_at`].
    pub created_at: i64,
    /// [`Generation::account`].
    pub account: AccountId,
    /// [`Generation::key`].
    #[serde(with = "key_hash_hex")]
    pub key: KeyHash,
}

impl Generation {
    /// Which run it is.
    pub fn which(&self) -> Which {
        Which {
            id: self.id.clone(),
            created_at: self.created_at,
            account: self.account.clone(),
            key: self.key,
        }
    }

    /// The run that a record is of.
    pub fn of(which: Which, record: Generation) -> Generation {
        let Which {
            id,
            created_at,
            account,
            key,
        } = which;
        Generation {
            id,
            created_at,
            account,
            key,
            ..record
        }
    }
}

/// The endpoint that answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The concrete model.
    pub model: ModelId,
    /// The provider's slug: whose payable account is credited.
    pub provider: ProviderSlug,
    /// The provider's display name.
    pub provider_name: Arc<str>,
    /// The endpoint's tag.
    pub endpoint: EndpointTag,
    /// The provider's id of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_id: Option<String>,
    /// The tier that served it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
}

/// An endpoint that made steps of a run before another took over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// The concrete model.
    pub model: ModelId,
    /// The provider's slug: whose payable account is credited.
    pub provider: ProviderSlug,
    /// The endpoint's tag.
    pub endpoint: EndpointTag,
    /// How many steps it made.
    pub steps: usize,
    /// The part of the run's gross that they cost.
    #[serde(with = "nanos_integer")]
    pub gross: Nanos,
}

/// What a run costs and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Before discounts.
    #[serde(with = "nanos_integer")]
    pub gross: Nanos,
    /// Taken off the gross.
    #[serde(with = "nanos_integer", default, skip_serializing_if = "is_default")]
    pub discount: Nanos,
    /// What the operator takes on top of what is left, the searches that the gateway made included.
    #[serde(with = "nanos_integer", default, skip_serializing_if = "is_default")]
    pub fee: Nanos,
    /// The part of the fee that those searches are.
    #[serde(with = "nanos_integer", default, skip_serializing_if = "is_default")]
    pub searches: Nanos,
    /// What the account pays: gross − discount + fee.
    #[serde(with = "nanos_integer")]
    pub net: Nanos,
    /// The part of the gross that the prompt costs.
    #[serde(with = "nanos_integer")]
    pub prompt_part: Nanos,
    /// The unit prices that were applied: a JSON object of decimal strings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<String>,
    /// Where the prices come from: `models.dev`, `config`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_source: Option<Arc<str>>,
    /// Which prices were in force: [`crate::catalog::snapshot::Snapshot::version`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_version: Option<Arc<str>>,
    /// The account's terms.
    #[serde(default, skip_serializing_if = "is_default")]
    pub terms: Terms,
    /// True when zero-completion insurance made the run free (contract 15.3).
    #[serde(default, skip_serializing_if = "is_default")]
    pub insured: bool,
}

/// One try at one endpoint (contract 14.1 `provider_responses`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The provider's display name.
    pub provider_name: Arc<str>,
    /// The endpoint's tag.
    pub endpoint: EndpointTag,
    /// The model that was tried.
    pub model: ModelId,
    /// The upstream's HTTP status; `None` when none arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong, one of [`crate::attempt::failure`]'s words; `None` for the attempt that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Milliseconds until the attempt was decided.
    pub latency_ms: i64,
}

mod key_hash_hex {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::KeyHash;

    pub(super) fn serialize<S: Serializer>(
        hash: &KeyHash,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hash.to_hex())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<KeyHash, D::Error> {
        let text = String::deserialize(deserializer)?;
        KeyHash::from_hex(&text).ok_or_else(|| D::Error::custom("not a key hash"))
    }
}

/// Amounts inside a stored record are integers, so that a spooled record replays exactly.
pub(super) mod nanos_integer {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Nanos;

    pub(in crate::domain) fn serialize<S: Serializer>(
        amount: &Nanos,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(amount.0)
    }

    pub(in crate::domain) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Nanos, D::Error> {
        i64::deserialize(deserializer).map(Nanos)
    }
}
