//! What a run is charged for: the provider's word where it can be true, a count of one's own where it cannot.

use super::ceiling::longest_answer;
use super::record::Run;
use crate::domain::call::Form;
use crate::domain::usage::{Tokens, Usage, UsageSource};
use crate::plan::estimate::{media_tokens, text_of};
use crate::stream::count;
use crate::stream::meter::Meter;
use crate::stream::sanity::{Doubt, Doubts, Seen, UNSEEN, corrected, fitting};

/// The usage to charge, and the provider's report where it was not believed.
pub(super) async fn charged(run: &Run, meter: &mut Meter) -> (Usage, Option<Tokens>) {
    let seen = seen(run, meter);
    let usage = match run.call.form {
        Form::Rerank => ranked(meter.usage().await, run),
        Form::Chat | Form::Text | Form::Embeddings => {
            believed(meter.usage().await, &seen, run, meter).await
        }
    };
    let Usage { tokens, source } = usage.charged;
    if let Some(reported) = &usage.disbelieved {
        log(run, &tokens, reported);
    }
    let images = run.planned.images;
    let tokens = Tokens { images, ..tokens };
    (Usage { tokens, source }, usage.disbelieved)
}

struct Believed {
    charged: Usage,
    disbelieved: Option<Tokens>,
}

/// What an order of documents used: tokens, or units of a search. More than could have been sent is not believed; where
/// nothing is said, what could be billed is.
fn ranked(usage: Usage, run: &Run) -> Believed {
    let planned = &run.planned;
    let most = Tokens {
        prompt: planned.prompt.text_bytes.saturating_add(UNSEEN),
        search_units: planned.search_units,
        ..Tokens::default()
    };
    let told = usage.tokens;
    let tokens = match usage.source {
        UsageSource::Reported if planned.prompt.media > 0 => told,
        UsageSource::Reported => Tokens {
            prompt: told.prompt.min(most.prompt),
            search_units: told.search_units.min(most.search_units.saturating_mul(2)),
            ..told
        },
        UsageSource::Estimated | UsageSource::Clamped => Tokens {
            search_units: most.search_units,
            ..told
        },
    };
    let refuted = tokens != told && usage.source == UsageSource::Reported;
    Believed {
        charged: Usage {
            tokens,
            source: if refuted {
                UsageSource::Clamped
            } else {
                usage.source
            },
        },
        disbelieved: refuted.then_some(told),
    }
}

async fn believed(usage: Usage, seen: &Seen, run: &Run, meter: &mut Meter) -> Believed {
    let as_it_is = Believed {
        charged: usage,
        disbelieved: None,
    };
    if usage.source != UsageSource::Reported {
        return as_it_is;
    }
    let reported = usage.tokens;
    let doubts = Doubts::of(&reported, seen);
    let tokens = if doubts.is_none() {
        fitting(&reported)
    } else {
        let prompt = prompt_tokens(run, doubts.prompt).await;
        corrected(&reported, &doubts, prompt, meter.count().await)
    };
    if tokens == reported {
        return as_it_is;
    }
    let source = UsageSource::Clamped;
    Believed {
        charged: Usage { tokens, source },
        disbelieved: Some(reported),
    }
}

/// Numbers alone: no word of what was said.
fn log(run: &Run, charged: &Tokens, reported: &Tokens) {
    tracing::warn!(
        generation.id = %run.id,
        endpoint.tag = run.answered().map(|candidate| candidate.endpoint.tag.as_str()),
        reported.prompt = reported.prompt,
        reported.completion = reported.completion,
        charged.prompt = charged.prompt,
        charged.completion = charged.completion,
        "the provider's usage cannot be right and was corrected"
    );
}

fn seen(run: &Run, meter: &Meter) -> Seen {
    let Some(candidate) = run.answered() else {
        return Seen::default();
    };
    let (endpoint, planned) = (&candidate.endpoint, &run.planned);
    Seen {
        prompt_bytes: planned.prompt.text_bytes,
        prompt_is_open: planned.shows_media || endpoint.pricing.base.web_search.is_some(),
        longest_prompt: match run.call.form {
            // Inputs to embed stand each on its own in the context, and so do documents.
            Form::Embeddings | Form::Rerank => None,
            Form::Chat | Form::Text => endpoint.context_length.or(endpoint.max_prompt_tokens),
        },
        answer_bytes: meter.answer_bytes(),
        answer_is_open: planned.wants_media || candidate.model.reasoning.is_some(),
        longest_answer: longest_answer(endpoint, run.call.max_tokens, run.call.choices),
    }
}

/// The prompt's tokens, counted on a thread that may block. What is in doubt for being too little is held against the
/// text alone, since nobody knows how little a picture can be.
async fn prompt_tokens(run: &Run, doubt: Option<Doubt>) -> u64 {
    let Some(doubt) = doubt else { return 0 };
    let text = text_of(&run.call);
    let counted = count::aside(move || count::tokens(&text)).await;
    let media = match doubt {
        Doubt::TooFew => 0,
        Doubt::TooMany => media_tokens(run.planned.prompt.media),
    };
    counted
        .unwrap_or_else(|_| run.planned.prompt.tokens())
        .saturating_add(media)
}
