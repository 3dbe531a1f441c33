//! The only table of statuses: what went wrong inside, in the words of the contract (section 5).
//!
//! A client reads its own faults in full; faults underneath are masked, and logged where they happen.

mod code;
mod links;

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use crate::attempt::failure::Failure;
use crate::attempt::run::Exhausted;
use crate::auth::AuthError;
use crate::clock;
use crate::domain::ids::{AccountId, GenerationId};
use crate::domain::json::JsonError;
use crate::domain::quota::{Bound, QuotaExceeded};
use crate::domain::route::Report;
use crate::edge::skins::report;
use crate::gateway::{Ceiling, Refusal, Refused};
use crate::ledger::HoldError;
use crate::plan::PlanError;
use crate::rank::{Filtered, RankError};
use crate::store::StoreError;
use crate::stream::source::StreamError;
use crate::wire::{DecodeError, Fault};

pub use code::{Availability, ErrorType};
pub use links::{Links, absolute};

/// What a client is told when its request is not answered. Boxed, since it travels in many results.
#[derive(Clone, Debug)]
pub struct ApiError(Box<Answer>);

#[derive(Clone, Debug)]
struct Answer {
    status: StatusCode,
    message: String,
    /// A page of ours that the message ends with.
    page: Option<&'static str>,
    error_type: Option<ErrorType>,
    metadata: Map<String, Value>,
    availability: Option<(Availability, Value)>,
    retry_after: Option<Duration>,
    /// How many requests there may be, and when there may be more, Unix milliseconds.
    rate_limit: Option<(u32, i64)>,
    user: Option<AccountId>,
    run: Option<GenerationId>,
    links: Links,
    /// `openrouter_metadata` of the envelope.
    routing: Option<Value>,
}

impl ApiError {
    /// An error with the type that the contract (5.2) gives its status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        ApiError(Box::new(Answer {
            status,
            message: message.into(),
            page: None,
            error_type: ErrorType::of_status(status.as_u16()),
            metadata: Map::new(),
            availability: None,
            retry_after: None,
            rate_limit: None,
            user: None,
            run: None,
            links: Links::default(),
            routing: None,
        }))
    }

    /// A 400: the request itself is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// A masked 500. The cause belongs in the log, not in the answer.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
    }

    /// A 503 that invites the client back.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message).after(Duration::from_secs(1))
    }

    /// A more precise `error_type`.
    #[must_use]
    pub fn of_type(mut self, error_type: ErrorType) -> Self {
        self.0.error_type = Some(error_type);
        self
    }

    /// One more entry of `error.metadata`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.metadata.insert(name.to_owned(), value.into());
        self
    }

    /// The `Retry-After` header.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// A limit of this gateway that is used up: `Retry-After`, and the `X-RateLimit` headers, which the body repeats
    /// (contract 1.5, 5.3).
    #[must_use]
    fn limited(mut self, limit: u32, resets_at: i64) -> Self {
        self.0.rate_limit = Some((limit, resets_at));
        let wait = resets_at.saturating_sub(clock::now_ms());
        let headers: Map<String, Value> = rate_limit_headers(limit, resets_at)
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into_iter()
            .collect();
        // Rounded up: who comes back then should not be too early.
        let seconds = u64::try_from(wait).unwrap_or(0).div_ceil(1_000);
        self.after(Duration::from_secs(seconds))
            .with("headers", headers)
    }

    /// The account that called: `user_id` of the envelope.
    #[must_use]
    pub fn for_user(mut self, account: &AccountId) -> Self {
        self.0.user = Some(account.clone());
        self
    }

    /// Ends the message with the address of a page where something can be done about it.
    /// The run that failed, which some forms name.
    #[must_use]
    pub fn of_run(mut self, run: &GenerationId) -> Self {
        self.0.run = Some(run.clone());
        self
    }

    #[must_use]
    fn see(mut self, page: &'static str) -> Self {
        self.0.page = Some(page);
        self
    }

    /// The same error with the addresses of our pages as a client reaches them.
    #[must_use]
    pub fn linked(mut self, links: &Links) -> Self {
        self.0.links = links.clone();
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The run that failed, where there was one.
    pub fn run(&self) -> Option<&GenerationId> {
        self.0.run.as_ref()
    }

    /// What is wrong, in words.
    pub fn message(&self) -> String {
        match self.0.page {
            Some(page) => format!("{} {}", self.0.message, self.0.links.to(page)),
            None => self.0.message.clone(),
        }
    }

    /// The contract's precise type (5.2), where there is one.
    pub fn error_type(&self) -> Option<&'static str> {
        self.0.error_type.map(ErrorType::as_str)
    }

    /// `error` of the envelope (contract 5.1, 5.4).
    pub fn error_object(&self) -> Value {
        let links = &self.0.links;
        let mut error = json!({ "code": self.0.status.as_u16(), "message": self.message() });
        let mut metadata = self.0.metadata.clone();
        if let Some(error_type) = self.0.error_type {
            metadata.insert("error_type".into(), error_type.as_str().into());
            if let Some((code, availability)) = &self.0.availability {
                error["error_type"] = error_type.as_str().into();
                error["http_status"] = self.0.status.as_u16().into();
                error["availability"] = availability.clone();
                let docs = format!("/docs/errors#{}", code.as_str());
                error["availability"]["docs_url"] = links.to(&docs).into();
            }
        }
        if !metadata.is_empty() {
            error["metadata"] = metadata.into();
        }
        error
    }

    /// With what became of the endpoints, for a caller who asked for it (contract 3.4).
    #[must_use]
    pub fn reporting(mut self, report: Option<Box<Report>>) -> Self {
        self.0.routing = report.map(|report| report::metadata(&report));
        self
    }

    /// The routing report, where there is one: the error's sibling (contract 3.4).
    pub fn routing(&self) -> Option<&Value> {
        self.0.routing.as_ref()
    }

    /// The error as a response whose body has this shape. Status and headers are the same in every one.
    pub fn in_shape(self, shape: fn(&ApiError) -> Value) -> Response {
        let mut response = (self.0.status, shape(&self).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(wait) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if let Some((limit, resets_at)) = self.0.rate_limit {
            for (name, value) in rate_limit_headers(limit, resets_at) {
                if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                    headers.insert(name, value);
                }
            }
        }
        response
            .extensions_mut()
            .insert(links::Written { error: self, shape });
        response
    }

    /// The whole envelope.
    pub fn envelope(&self) -> Value {
        let mut envelope = json!({ "error": self.error_object() });
        if let Some(user) = &self.0.user {
            envelope["user_id"] = user.as_str().into();
        }
        if let Some(routing) = self.routing() {
            envelope["openrouter_metadata"] = routing.clone();
        }
        envelope
    }

    fn unavailable(mut self, code: Availability, retryable: bool, models: &[&str]) -> Self {
        let mut availability = json!({
            "code": code.as_str(),
            "retryable": retryable,
            "requested_models": models,
        });
        if let Some(wait) = self.0.retry_after {
            availability["retry_after"] = wait.as_secs().into();
        }
        self.0.availability = Some((code, availability));
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.in_shape(ApiError::envelope)
    }
}

fn rate_limit_headers(limit: u32, resets_at: i64) -> [(&'static str, String); 3] {
    [
        ("X-RateLimit-Limit", limit.to_string()),
        ("X-RateLimit-Remaining", "0".to_owned()),
        ("X-RateLimit-Reset", resets_at.to_string()),
    ]
}

impl From<JsonError> for ApiError {
    fn from(error: JsonError) -> Self {
        ApiError::invalid(error.to_string())
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Malformed => {
                ApiError::new(StatusCode::UNAUTHORIZED, "No auth credentials found")
            }
            AuthError::Unknown => ApiError::new(StatusCode::UNAUTHORIZED, "User not found."),
            AuthError::Disabled => {
                ApiError::new(StatusCode::UNAUTHORIZED, "This API key is disabled")
            }
            AuthError::Expired => {
                ApiError::new(StatusCode::UNAUTHORIZED, "This API key has expired")
            }
            AuthError::Store(error) => {
                tracing::error!(%error, "keys cannot be looked up");
                ApiError::busy("Keys cannot be checked right now")
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken(_) => ApiError::new(StatusCode::CONFLICT, error.to_string()),
            error if error.is_passing() => {
                tracing::error!(%error, "the database is away");
                ApiError::busy("The database does not answer right now")
            }
            error => {
                tracing::error!(%error, "the database failed");
                ApiError::internal()
            }
        }
    }
}

impl From<PlanError> for ApiError {
    fn from(error: PlanError) -> Self {
        let refused = ApiError::invalid(error.to_string());
        match &error {
            PlanError::UnknownModel(slug) => {
                refused.unavailable(Availability::ModelNotFound, false, &[slug])
            }
            PlanError::WrongKind { model, .. } => {
                refused.unavailable(Availability::WrongEndpoint, false, &[model])
            }
            PlanError::NoVariant(slug) => ApiError::not_found(error.to_string()).unavailable(
                Availability::NoEndpoints,
                false,
                &[slug],
            ),
            PlanError::NoModel
            | PlanError::TooManyModels
            | PlanError::Field { .. }
            | PlanError::Preset(_) => refused,
        }
    }
}

impl From<RankError> for ApiError {
    fn from(error: RankError) -> Self {
        match &error {
            RankError::NotConfigured { model, .. } | RankError::NoEndpoints { model } => {
                ApiError::not_found(error.to_string()).unavailable(
                    Availability::NoEndpoints,
                    false,
                    &[model],
                )
            }
            RankError::TooLong { .. } => {
                ApiError::invalid(error.to_string()).of_type(ErrorType::ContextLengthExceeded)
            }
            RankError::Filtered(filtered) => nothing_fits(filtered),
        }
    }
}

/// Contract 5.4: what the caller asks for leaves no endpoint.
fn nothing_fits(filtered: &Filtered) -> ApiError {
    let models: Vec<&str> = filtered.models.iter().map(String::as_str).collect();
    let code = if filtered.privacy {
        Availability::PrivacyRestricted
    } else {
        Availability::ConstraintFiltered
    };
    let mut error = ApiError::not_found(filtered.message.clone()).unavailable(code, false, &models);
    if let Some((_, availability)) = &mut error.0.availability {
        if !filtered.excluded_by.is_empty() {
            availability["excluded_by"] = json!(filtered.excluded_by);
        }
        if let Some((field, detail)) = &filtered.constraint {
            availability["constraint"] = json!({ "field": field, "detail": detail });
        }
        if !filtered.suggestions.is_empty() {
            availability["fallback_models"] = json!(filtered.suggestions);
        }
    }
    error
}

/// Faults of the request, the caller and this server carry no routing report (contract 3.4).
impl From<Refused> for ApiError {
    fn from(Refused { refusal, report }: Refused) -> Self {
        let reports = matches!(
            refusal,
            Refusal::Rank(_) | Refusal::Search(_) | Refusal::Exhausted(_)
        );
        ApiError::from(refusal).reporting(report.filter(|_| reports))
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Plan(error) => error.into(),
            Refusal::Rank(error) => error.into(),
            Refusal::NoSearch(error) => ApiError::invalid(error.to_string()),
            Refusal::FreeLimit(exceeded) => out_of_free_runs(&exceeded),
            Refusal::Hold { error, ceiling } => unaffordable(error, &ceiling),
            // How it failed was logged, and is the operator's to know.
            Refusal::Search(_) => ApiError::new(StatusCode::BAD_GATEWAY, "The web search failed"),
            Refusal::Step(error) => ApiError::from(&error),
            Refusal::Exhausted(exhausted) => all_failed(&exhausted),
            Refusal::Settle(error) => {
                tracing::error!(%error, "a complete answer could not be settled");
                ApiError::busy("The answer could not be accounted for and was not charged")
            }
            Refusal::Closing => ApiError::busy("The server is shutting down"),
        }
    }
}

/// Contract 5.3, 5.5 and 18.1: the account has had its free runs for now.
fn out_of_free_runs(exceeded: &QuotaExceeded) -> ApiError {
    let bound = exceeded.bound.as_str();
    let hint = match exceeded.raised_by {
        Some((credit, Some(runs))) => Some(format!(
            "Add {credit} credits to unlock {runs} free model requests per day"
        )),
        Some((credit, None)) => Some(format!(
            "Add {credit} credits to lift the limit of free model requests per day"
        )),
        None => None,
    };
    let source = match exceeded.bound {
        Bound::Minute => "gateway_free_tier_minute",
        Bound::Day | Bound::DayPaid => "gateway_free_tier_daily",
    };
    let hinted = hint
        .iter()
        .map(|hint| format!(". {hint}"))
        .collect::<String>();
    let error = ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        format!("Rate limit exceeded: {bound}{hinted}"),
    )
    .limited(exceeded.limit, exceeded.resets_at)
    .with("limit_source", source);
    match hint {
        Some(hint) => error.with("remedy_hint", hint),
        None => error,
    }
}

/// Contract 5.5: clients parse the two numbers and the key fragments.
fn unaffordable(error: HoldError, ceiling: &Ceiling) -> ApiError {
    match error {
        HoldError::NoCredit { .. } => ApiError::new(
            StatusCode::PAYMENT_REQUIRED,
            "Insufficient credits. Add more at",
        )
        .see("/credits"),
        HoldError::Unaffordable { available, .. } if ceiling.output_tokens == 0 => {
            let (wanted, affordable) =
                (ceiling.prompt_tokens, ceiling.affordable_prompt(available));
            ApiError::new(
                StatusCode::PAYMENT_REQUIRED,
                format!(
                    "Prompt tokens limit exceeded: {wanted} > {affordable}. To increase, add credits at"
                ),
            )
            .see("/credits")
            .with("provider_name", Value::Null)
        }
        HoldError::Unaffordable { available, .. } => {
            let (wanted, affordable) =
                (ceiling.output_tokens, ceiling.affordable_tokens(available));
            ApiError::new(
                StatusCode::PAYMENT_REQUIRED,
                format!(
                    "This request requires more credits, or fewer max_tokens. You requested up to {wanted} tokens, \
                     but can only afford {affordable}. To increase, add credits at"
                ),
            )
            .see("/credits")
            .with("provider_name", Value::Null)
        }
        HoldError::KeyLimit { reset } => {
            let window = reset.as_str().unwrap_or("total");
            ApiError::new(
                StatusCode::FORBIDDEN,
                format!("Key limit exceeded ({window} limit). Manage it at"),
            )
            .see("/keys")
        }
        HoldError::Busy => ApiError::busy("The ledger is busy"),
        HoldError::Store(error) => {
            tracing::error!(%error, "credit cannot be reserved");
            ApiError::busy("Credit cannot be checked right now")
        }
    }
}

/// Contract 5.3, 5.4 and 6.8: every endpoint failed.
fn all_failed(exhausted: &Exhausted) -> ApiError {
    let Some((last, failure)) = exhausted.failures.last() else {
        return ApiError::internal();
    };
    let all =
        |test: fn(&Failure) -> bool| exhausted.failures.iter().all(|(_, failure)| test(failure));
    let models: Vec<&str> = exhausted
        .failures
        .iter()
        .map(|(candidate, _)| candidate.model.id.as_str())
        .collect();
    let retry_after = exhausted.retry_after;
    let error = match failure {
        Failure::Fault(fault) if fault.is_the_requests() || fault.is_context_overflow() => {
            request_fault(fault)
        }
        Failure::Unsayable(reason) => ApiError::invalid(reason.clone()),
        _ if all(is_rate_limit) => provider_limited(StatusCode::TOO_MANY_REQUESTS, retry_after)
            .unavailable(Availability::CapacityExhausted, true, &models),
        _ if all(is_overload) => provider_limited(StatusCode::SERVICE_UNAVAILABLE, retry_after)
            .unavailable(Availability::TemporarilyUnavailable, true, &models),
        _ if all(is_missing) => ApiError::not_found("No provider has this model any more")
            .unavailable(Availability::ModelUnavailableUpstream, false, &models),
        _ => ApiError::new(StatusCode::BAD_GATEWAY, "No provider could answer"),
    };
    let error = error.with("provider_name", &*last.endpoint.provider.name);
    match exhausted.attempts.len() {
        0 | 1 => error,
        _ => error.with("previous_errors", previous_errors(exhausted)),
    }
}

/// The request's own fault, as the provider words it: known SDKs read `raw` and `provider_name`.
fn request_fault(fault: &Fault) -> ApiError {
    let code = fault.code.as_deref().unwrap_or_default();
    let status = StatusCode::from_u16(fault.status)
        .ok()
        .filter(StatusCode::is_client_error)
        .unwrap_or(StatusCode::BAD_REQUEST);
    let error = ApiError::new(status, "Provider returned error").with("raw", fault.raw.clone());
    let error = if code.is_empty() {
        error
    } else {
        error.with("provider_code", code)
    };
    match () {
        () if fault.is_context_overflow() => error.of_type(ErrorType::ContextLengthExceeded),
        () if fault.is_content_policy() => error.of_type(ErrorType::ContentPolicyViolation),
        () => error,
    }
}

fn provider_limited(status: StatusCode, retry_after: Option<Duration>) -> ApiError {
    let error = ApiError::new(status, "Provider returned error");
    match retry_after {
        Some(wait) => error.after(wait),
        None => error,
    }
}

fn is_rate_limit(failure: &Failure) -> bool {
    failure.status() == Some(429)
}

fn is_overload(failure: &Failure) -> bool {
    matches!(failure, Failure::Timeout | Failure::Crowded)
        || failure
            .status()
            .is_some_and(|status| status == 429 || status == 408 || status >= 500)
}

fn is_missing(failure: &Failure) -> bool {
    failure.status() == Some(404)
}

/// Slim on purpose: never a provider's words (contract 5.3).
fn previous_errors(exhausted: &Exhausted) -> Value {
    let slim = |(candidate, failure): &(crate::rank::Candidate, Failure)| json!({ "provider": candidate.endpoint.provider.name, "code": failure.word(), "status": failure.status() });
    exhausted.failures.iter().map(slim).collect()
}

/// Contract 4.6: a stream that broke after it had begun.
impl From<&StreamError> for ApiError {
    fn from(error: &StreamError) -> Self {
        match error {
            StreamError::Stalled => ApiError::new(
                StatusCode::GATEWAY_TIMEOUT,
                "The provider stopped answering",
            ),
            StreamError::Decode(DecodeError::Upstream(fault)) if fault.status == 429 => {
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "Provider returned error")
            }
            StreamError::Decode(DecodeError::Upstream(_)) => {
                ApiError::new(StatusCode::BAD_GATEWAY, "Provider returned error")
            }
            StreamError::Transport(_) | StreamError::Decode(_) => {
                ApiError::new(StatusCode::BAD_GATEWAY, "Upstream closed the stream")
            }
        }
    }
}
