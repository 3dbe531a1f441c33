//! The run as it goes: what the generation's record will say.

use std::sync::Arc;

use tokio::time::Instant;

use super::Refusal;
use crate::attempt::failure::Failure;
use crate::catalog::snapshot::Snapshot;
use crate::clock::now_ms;
use crate::domain::call::{Call, Form};
use crate::domain::event::FinishReason;
use crate::domain::generation::{Attempt, Charge, Generation, Served};
use crate::domain::ids::GenerationId;
use crate::domain::money::Nanos;
use crate::domain::principal::Principal;
use crate::domain::route::{Report, Route};
use crate::domain::search::Searched;
use crate::domain::terms::Terms;
use crate::domain::usage::Usage;
use crate::plan::Plan;
use crate::plan::estimate::Prompt;
use crate::rank::Candidate;
use crate::stream::citations::Citations;
use crate::stream::client::Head;
use crate::stream::meter::Meter;
use crate::stream::source::StreamError;

/// What a run's charge depends on besides its answer.
#[derive(Default)]
pub(super) struct Planned {
    /// What the account pays over and under the list price.
    pub(super) terms: Terms,
    /// The catalogue the prices are of.
    pub(super) catalog_version: Arc<str>,
    /// How large the prompt is.
    pub(super) prompt: Prompt,
    /// Images in the prompt, however they are sent: no provider reports them.
    pub(super) images: u64,
    /// The most units of a search that it can be billed as.
    pub(super) search_units: u64,
    /// Whether there are media in the prompt.
    pub(super) shows_media: bool,
    /// Whether media are wanted in the answer.
    pub(super) wants_media: bool,
}

impl Planned {
    pub(super) fn of(plan: &Plan, catalog: &Snapshot, terms: Terms) -> Self {
        Planned {
            terms,
            catalog_version: catalog.version.clone(),
            prompt: plan.prompt,
            images: plan.needs.images,
            search_units: plan.search_units,
            shows_media: !plan.needs.input.is_empty(),
            wants_media: !plan.needs.output.is_empty(),
        }
    }
}

/// One run under way.
pub(super) struct Run {
    pub(super) id: GenerationId,
    pub(super) created_at: i64,
    pub(super) who: Arc<Principal>,
    /// What is asked for, and once the web was searched for it, with what was found.
    pub(super) call: Call,
    /// The slug that is asked for, the configured default one where the call names none.
    requested: Arc<str>,
    pub(super) attempts: Vec<Attempt>,
    /// How the endpoints to try were chosen, once they are.
    pub(super) route: Option<Arc<Route>>,
    /// What became of its web search.
    pub(super) search: Option<Searched>,
    /// The pages that its answer may cite.
    pub(super) citations: Option<Citations>,
    pub(super) first_token_at: Option<Instant>,
    pub(super) cancelled: bool,
    /// What was planned; empty until it is.
    pub(super) planned: Planned,
    started: Instant,
    /// Who answered, or made the last of several steps.
    answered: Option<(Candidate, Instant)>,
    /// Those that made steps before it, and how many each.
    pub(super) before: Vec<(Candidate, usize)>,
}

impl Run {
    pub(super) fn begin(
        who: Arc<Principal>,
        call: Call,
        default_model: Option<&str>,
        now: i64,
    ) -> Self {
        let requested = call.slugs(default_model).first().copied();
        Run {
            requested: requested.unwrap_or_default().into(),
            id: GenerationId::new(now),
            created_at: now,
            who,
            call,
            attempts: Vec::new(),
            route: None,
            search: None,
            citations: None,
            first_token_at: None,
            cancelled: false,
            planned: Planned::default(),
            started: Instant::now(),
            answered: None,
            before: Vec::new(),
        }
    }

    /// Notes who answered.
    pub(super) fn answered_by(&mut self, candidate: Candidate, attempts: Vec<Attempt>) {
        self.attempts = attempts;
        self.answered = Some((candidate, Instant::now()));
    }

    /// Notes who made the last step, and who those before it.
    pub(super) fn made_by(&mut self, last: Candidate, before: Vec<(Candidate, usize)>) {
        if let Some((answered, _)) = &mut self.answered {
            *answered = last;
        }
        self.before = before;
    }

    /// Whether the provider that answers stops when it is hung up on.
    pub(super) fn can_be_cancelled(&self) -> bool {
        let answered = self.answered.as_ref();
        answered.is_none_or(|(candidate, _)| candidate.endpoint.provider.cancels)
    }

    /// Who answered; `None` until somebody has.
    pub(super) fn answered(&self) -> Option<&Candidate> {
        self.answered.as_ref().map(|(candidate, _)| candidate)
    }

    /// What every part of the answer repeats.
    pub(super) fn head(&self) -> Head {
        let answered = self.answered.as_ref().map(|(candidate, _)| candidate);
        Head {
            id: self.id.clone(),
            created: self.created_at / 1_000,
            model: answered.map_or_else(
                || (*self.requested).into(),
                |candidate| candidate.model.id.clone(),
            ),
            provider: answered.map_or_else(Arc::default, |candidate| {
                candidate.endpoint.provider.name.clone()
            }),
        }
    }

    /// What a caller who asked for it is told of the routing, and of what was charged for the search.
    pub(super) fn report(&self, charge: Option<&Charge>) -> Option<Box<Report>> {
        let route = self.route.as_ref()?;
        let price = charge.map_or(Nanos::ZERO, |charge| charge.searches);
        self.call.origin.wants_metadata.then(|| {
            Box::new(Report {
                requested: self.requested.clone(),
                route: route.clone(),
                search: self
                    .search
                    .clone()
                    .map(|search| Searched { price, ..search }),
                attempts: self.attempts.clone(),
                answered: self.answered.is_some(),
            })
        })
    }

    /// The record of a run that broke off after it had begun: not charged (contract 15.3).
    pub(super) fn broken(&self, meter: &Meter, usage: Usage, error: &StreamError) -> Generation {
        Generation {
            served: self.served(meter),
            finish_reason: Some(FinishReason::Error.as_str().into()),
            // A word of our own: the provider's may repeat the prompt.
            native_finish_reason: Some(Failure::from(error.clone()).word().to_owned()),
            usage: Some(usage),
            charge: Charge {
                insured: true,
                ..Charge::default()
            },
            ..self.blank()
        }
    }

    /// The record of a run that no endpoint answered.
    pub(super) fn failed(&self) -> Generation {
        Generation {
            finish_reason: Some(FinishReason::Error.as_str().into()),
            ..self.blank()
        }
    }

    /// The record of a run whose caller left before anything was generated.
    pub(super) fn abandoned(&self) -> Generation {
        Generation {
            cancelled: true,
            ..self.blank()
        }
    }

    /// Logs a call that was not answered: what an operator sees of it.
    pub(super) fn log_refusal(&self, refusal: &Refusal) {
        tracing::warn!(
            generation.id = %self.id,
            model = &*self.requested,
            attempts = self.attempts.len(),
            duration_ms = millis(self.started, Instant::now()),
            error = %refusal,
            "call refused"
        );
    }

    /// How the run ended, as the insurance judges it: vectors and orders have no finish reason, and that they came is
    /// success.
    pub(super) fn success(&self, meter: &Meter) -> Option<FinishReason> {
        match self.call.form {
            Form::Embeddings | Form::Rerank => Some(FinishReason::Stop),
            Form::Chat | Form::Text => meter.finish().map(|finish| finish.reason),
        }
    }

    pub(super) fn served(&self, meter: &Meter) -> Option<Served> {
        let (candidate, _) = self.answered.as_ref()?;
        let endpoint = &candidate.endpoint;
        Some(Served {
            model: candidate.model.id.clone(),
            provider: endpoint.provider.slug.clone(),
            provider_name: endpoint.provider.name.clone(),
            endpoint: endpoint.tag.clone(),
            upstream_id: meter.facts().upstream_id.clone(),
            service_tier: meter.facts().service_tier.clone(),
        })
    }

    pub(super) fn blank(&self) -> Generation {
        let origin = self.call.origin.clone();
        let first = self
            .first_token_at
            .or(self.answered.as_ref().map(|(_, at)| *at));
        Generation {
            id: self.id.clone(),
            created_at: self.created_at,
            account: self.who.account.clone(),
            key: self.who.key,
            served: None,
            requested_model: self.requested.clone(),
            api_type: match self.call.form {
                Form::Chat | Form::Text => "completions",
                Form::Embeddings => "embeddings",
                Form::Rerank => "rerank",
            }
            .into(),
            streamed: self.call.stream,
            cancelled: self.cancelled,
            finish_reason: None,
            native_finish_reason: None,
            latency_ms: first.map(|first| millis(self.started, first)),
            generation_ms: first.map(|first| millis(first, Instant::now())),
            usage: None,
            steps: Vec::new(),
            legs: Vec::new(),
            reported: None,
            charge: Charge::default(),
            attempts: self.attempts.clone(),
            route: self.route.clone(),
            search: self.search.clone(),
            referer: origin.referer,
            title: origin.title,
            user_agent: origin.user_agent,
            session_id: origin.session_id,
            external_user: origin.external_user,
        }
    }
}

/// One line per charged run: never its prompt, its answer or its key.
pub(super) fn log(generation: &Generation) {
    let tokens = generation
        .usage
        .map(|usage| usage.tokens)
        .unwrap_or_default();
    tracing::info!(
        generation.id = %generation.id,
        model = generation.served.as_ref().map(|served| served.model.as_str()),
        endpoint.tag = generation.served.as_ref().map(|served| served.endpoint.as_str()),
        streamed = generation.streamed,
        cancelled = generation.cancelled,
        finish_reason = generation.finish_reason.as_deref(),
        tokens.prompt = tokens.prompt,
        tokens.completion = tokens.completion,
        cost = %generation.charge.net,
        ttft_ms = generation.latency_ms,
        duration_ms = now_ms() - generation.created_at,
        "generation"
    );
}

fn millis(from: Instant, to: Instant) -> i64 {
    i64::try_from(to.saturating_duration_since(from).as_millis()).unwrap_or(i64::MAX)
}
