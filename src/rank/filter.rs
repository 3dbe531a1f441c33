//! Which endpoints may serve at all: the hard filters of contract 6.1 and 6.2, each refusal with a
//! name, then the soft preference for endpoints that understand the request's parameters.

use std::fmt;
use std::sync::Arc;

use crate::catalog::snapshot::{DataPolicy, Endpoint};
use crate::domain::money::Picos;
use crate::plan::needs::covers;
use crate::plan::preferences::MaxPrice;
use crate::plan::{Entry, Plan, Tier};

/// Why an endpoint may not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its provider has no key, or speaks a protocol that this build does not.
    NotConfigured,
    /// `only` leaves it out.
    NotAllowed,
    /// `ignore` names it.
    Ignored,
    /// It belongs to a tier of service that nobody asked for, or not to the one asked for.
    Tier,
    /// Its quantization is not among those asked for.
    Quantization,
    /// It trains on prompts, or may.
    Training,
    /// It keeps prompts, or may.
    Retention,
    /// The model's author does not allow distillation, or has not said so.
    Distillation,
    /// A price, by the field of `max_price` that it exceeds.
    Price(&'static str),
    /// The prompt is longer than it takes.
    Context,
    /// It cannot write so long an answer.
    Output,
    /// A medium of the prompt that it cannot see.
    Input(&'static str),
    /// A medium of the answer that the model cannot make.
    Medium(&'static str),
    /// A parameter that it does not understand, with `require_parameters`.
    Parameter(&'static str),
    /// A parameter that it does not understand and others of the model do.
    Softly(&'static str),
    /// It would be a fallback, and `allow_fallbacks` is false.
    NoFallbacks,
}

impl Refusal {
    /// The contract's word (5.4 `excluded_by`), where it has one.
    pub fn excluded_by(self) -> Option<&'static str> {
        match self {
            Refusal::NotAllowed | Refusal::Ignored | Refusal::NoFallbacks => {
                Some("allowed_providers")
            }
            Refusal::Quantization => Some("quantization"),
            Refusal::Training => Some("data_policy:training"),
            Refusal::Retention => Some("data_policy:zdr"),
            Refusal::Price(_) => Some("max_price"),
            Refusal::Context | Refusal::Output => Some("context_length"),
            Refusal::Parameter(_) | Refusal::Softly(_) => Some("require_parameters"),
            Refusal::NotConfigured
            | Refusal::Tier
            | Refusal::Distillation
            | Refusal::Input(_)
            | Refusal::Medium(_) => None,
        }
    }

    /// The field of the request that refuses.
    pub fn field(self) -> Option<&'static str> {
        Some(match self {
            Refusal::NotConfigured => return None,
            Refusal::NotAllowed => "only",
            Refusal::Ignored => "ignore",
            Refusal::Tier => "service_tier",
            Refusal::Quantization => "quantizations",
            Refusal::Training => "data_collection",
            Refusal::Retention => "zdr",
            Refusal::Distillation => "enforce_distillable_text",
            Refusal::Price(_) => "max_price",
            Refusal::Context | Refusal::Input(_) => "messages",
            Refusal::Output => "max_tokens",
            Refusal::Medium(_) => "modalities",
            Refusal::Parameter(name) | Refusal::Softly(name) => name,
            Refusal::NoFallbacks => "allow_fallbacks",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotConfigured => f.write_str("it is not configured"),
            Refusal::NotAllowed => f.write_str("`only` leaves it out"),
            Refusal::Ignored => f.write_str("`ignore` names it"),
            Refusal::Tier => f.write_str("it belongs to another tier of service"),
            Refusal::Quantization => f.write_str("its quantization is not among `quantizations`"),
            Refusal::Training => f.write_str("it may train on prompts"),
            Refusal::Retention => f.write_str("it may keep prompts"),
            Refusal::Distillation => f.write_str("its model's author does not allow distillation"),
            Refusal::Price(field) => write!(f, "its price exceeds `max_price.{field}`"),
            Refusal::Context => f.write_str("the prompt is longer than its context"),
            Refusal::Output => f.write_str("it cannot write so many tokens"),
            Refusal::Input(medium) => write!(f, "it takes no {medium} input"),
            Refusal::Medium(medium) => write!(f, "its model makes no {medium} output"),
            Refusal::Parameter(name) => write!(f, "it does not support `{name}`"),
            Refusal::Softly(name) => {
                write!(
                    f,
                    "it does not support `{name}`, which others of the model do"
                )
            }
            Refusal::NoFallbacks => f.write_str("`allow_fallbacks` is false"),
        }
    }
}

/// Every enabled endpoint of an entry with the first reason, if any, why it may not serve.
pub(super) fn filter<'a>(
    plan: &Plan,
    entry: &'a Entry,
) -> Vec<(&'a Arc<Endpoint>, Option<Refusal>)> {
    let mut judged: Vec<_> = entry
        .model
        .endpoints
        .iter()
        .map(|endpoint| (endpoint, hard(plan, entry, endpoint)))
        .collect();
    keep_only_flex(plan, &mut judged);
    for needed in plan.needs.soft() {
        keep_supporting(needed, &mut judged);
    }
    judged
}

fn hard(plan: &Plan, entry: &Entry, endpoint: &Endpoint) -> Option<Refusal> {
    let preferences = &plan.preferences;
    let names = |list: &[crate::plan::preferences::ProviderName]| {
        list.iter().any(|name| name.means(endpoint))
    };
    let policy = endpoint.data_policy;
    let checks: [(bool, Refusal); 9] = [
        (
            preferences.only.as_deref().is_some_and(|only| !names(only)),
            Refusal::NotAllowed,
        ),
        (names(&preferences.ignore), Refusal::Ignored),
        (!admits(plan, entry, endpoint), Refusal::Tier),
        (
            !preferences.accepts_quantization(endpoint.quantization.as_deref()),
            Refusal::Quantization,
        ),
        (
            preferences.deny_data_collection && may_train(policy),
            Refusal::Training,
        ),
        (preferences.zdr && may_keep(policy), Refusal::Retention),
        // No catalogue says yet whose authors allow it, so nobody is known to.
        (preferences.enforce_distillable_text, Refusal::Distillation),
        (!fits_context(plan, endpoint), Refusal::Context),
        (!fits_output(plan, endpoint), Refusal::Output),
    ];
    checks
        .into_iter()
        .find_map(|(refused, refusal)| refused.then_some(refusal))
        .or_else(|| exceeded(plan, endpoint).map(Refusal::Price))
        .or_else(|| unseen(plan, endpoint).map(Refusal::Input))
        .or_else(|| unmade(plan, entry).map(Refusal::Medium))
        .or_else(|| lacking(plan, endpoint).map(Refusal::Parameter))
}

/// A tier's endpoints serve only whoever asked for the tier: by name, by `service_tier`, or by a
/// variant that lets them compete (contract 6.7, 7.3).
fn admits(plan: &Plan, entry: &Entry, endpoint: &Endpoint) -> bool {
    let Some(tier) = Tier::of_variant(endpoint.variant.as_deref()) else {
        return true;
    };
    let preferences = &plan.preferences;
    let named = preferences
        .order
        .iter()
        .chain(preferences.only.iter().flatten())
        .any(|name| name.means_exactly(endpoint));
    named || plan.tier == Some(tier) || entry.admits == Some(tier)
}

fn may_train(policy: DataPolicy) -> bool {
    policy.training != Some(false)
}

fn may_keep(policy: DataPolicy) -> bool {
    policy.retains_prompts != Some(false)
}

/// The estimate is coarse, so only a prompt of twice the context is refused here; the provider
/// judges the rest.
fn fits_context(plan: &Plan, endpoint: &Endpoint) -> bool {
    let prompt_fits = |limit: u64| plan.context_tokens / 2 <= limit;
    endpoint.context_length.is_none_or(prompt_fits)
        && endpoint.max_prompt_tokens.is_none_or(prompt_fits)
}

fn fits_output(plan: &Plan, endpoint: &Endpoint) -> bool {
    let wanted = plan.max_tokens.unwrap_or(0);
    longest_output(endpoint).is_none_or(|limit| wanted <= limit)
}

/// The longest answer an endpoint can write, in tokens, where known.
pub(super) fn longest_output(endpoint: &Endpoint) -> Option<u64> {
    endpoint.max_output_tokens.or(endpoint.context_length)
}

fn exceeded(plan: &Plan, endpoint: &Endpoint) -> Option<&'static str> {
    let MaxPrice {
        prompt,
        completion,
        request,
        image,
        audio,
    } = &plan.preferences.max_price;
    let prices = endpoint.pricing.for_prompt(plan.prompt_tokens);
    let limits: [(&'static str, &Option<Picos>, Picos); 5] = [
        ("prompt", prompt, prices.prompt),
        ("completion", completion, prices.completion),
        ("request", request, prices.request.unwrap_or_default()),
        ("image", image, prices.image.unwrap_or_default()),
        ("audio", audio, prices.audio_in.unwrap_or_default()),
    ];
    limits
        .into_iter()
        .find(|(_, limit, price)| limit.is_some_and(|limit| *price > limit))
        .map(|(field, ..)| field)
}

fn unseen(plan: &Plan, endpoint: &Endpoint) -> Option<&'static str> {
    let sees = |medium: &str| {
        endpoint
            .input_modalities
            .iter()
            .any(|known| known == medium)
    };
    let mut needed = plan.needs.input.iter().copied();
    needed.find(|medium| !sees(medium))
}

fn unmade(plan: &Plan, entry: &Entry) -> Option<&'static str> {
    let makes = |medium: &str| {
        entry
            .model
            .output_modalities
            .iter()
            .any(|known| known == medium)
    };
    plan.needs
        .output
        .iter()
        .copied()
        .find(|medium| !makes(medium))
}

fn lacking(plan: &Plan, endpoint: &Endpoint) -> Option<&'static str> {
    if !plan.preferences.require_parameters {
        return None;
    }
    let mut needed = plan.needs.parameters.iter().copied();
    needed.find(|name| !covers(&endpoint.supported_parameters, name))
}

/// Whoever asks for the flex tier gets it or an error, unless the model has none (contract 6.7).
fn keep_only_flex(plan: &Plan, judged: &mut [(&Arc<Endpoint>, Option<Refusal>)]) {
    let is_flex =
        |endpoint: &Endpoint| Tier::of_variant(endpoint.variant.as_deref()) == Some(Tier::Flex);
    let offered = judged
        .iter()
        .any(|(endpoint, refusal)| refusal.is_none() && is_flex(endpoint));
    if plan.tier == Some(Tier::Flex) && offered {
        for (endpoint, refusal) in judged {
            if refusal.is_none() && !is_flex(endpoint) {
                *refusal = Some(Refusal::Tier);
            }
        }
    }
}

/// If some endpoints of the model understand the parameter, only those serve; if none does, it is
/// ignored and the model stays (contract 6.1).
fn keep_supporting(needed: &'static str, judged: &mut [(&Arc<Endpoint>, Option<Refusal>)]) {
    let supports = |endpoint: &Endpoint| covers(&endpoint.supported_parameters, needed);
    let offered = judged
        .iter()
        .any(|(endpoint, refusal)| refusal.is_none() && supports(endpoint));
    if offered {
        for (endpoint, refusal) in judged {
            if refusal.is_none() && !supports(endpoint) {
                *refusal = Some(Refusal::Softly(needed));
            }
        }
    }
}
