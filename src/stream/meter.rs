//! Counts a run as it passes: usage, finish reason, times. Knows no price.

use super::count::{self, Counted, Generated};
use super::sanity::fitting;
use crate::domain::event::{About, Choice, Event, Finish, FinishReason, Message, Reply};
use crate::domain::usage::{Tokens, Usage, UsageSource};
use crate::plan::estimate::tokens_of_text;

/// What is known of a run so far.
#[derive(Debug)]
pub struct Meter {
    prompt_estimate: u64,
    reported: Option<Tokens>,
    generated: Generated,
    /// Whether more was generated since the provider last reported.
    outdated: bool,
    /// What the steps before used.
    steps: Vec<Tokens>,
    finish: Option<Finish>,
    about: About,
}

impl Meter {
    /// A meter for a prompt of about `prompt_estimate` tokens.
    pub fn new(prompt_estimate: u64) -> Self {
        Meter {
            prompt_estimate,
            reported: None,
            generated: Generated::default(),
            outdated: false,
            steps: Vec::new(),
            finish: None,
            about: About::default(),
        }
    }

    /// Counts a whole answer.
    pub fn reply(&mut self, reply: &Reply) {
        reply.choices.iter().for_each(|choice| self.choice(choice));
        reply.usage.iter().for_each(|tokens| self.report(tokens));
        self.about = reply.about.clone();
    }

    /// Counts one event of a stream.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Choice(choice) => self.choice(choice),
            Event::Usage(tokens) => self.report(tokens),
            Event::About(about) => self.about(about),
            Event::Step(_) => self.step(),
            // What it means is told beside it.
            Event::Forwarded(_) | Event::Sent(_) => {}
        }
    }

    /// The finish reason of the first choice that had one; an error outweighs any other.
    pub fn finish(&self) -> Option<&Finish> {
        self.finish.as_ref()
    }

    /// What the steps before the last one used, in order.
    pub fn steps(&self) -> &[Tokens] {
        &self.steps
    }

    /// Facts about the answer as a whole.
    pub fn facts(&self) -> &About {
        &self.about
    }

    /// The usage to charge: the provider's latest word (some report in every chunk), else what was
    /// generated, counted. A provider's word on less than that is from before the rest was generated.
    pub async fn usage(&mut self) -> Usage {
        match self.reported {
            Some(tokens) if self.finish.is_some() || !self.outdated => Usage {
                tokens,
                source: UsageSource::Reported,
            },
            reported => {
                let counted = self.count().await;
                let known = reported.unwrap_or(Tokens {
                    prompt: self.prompt_estimate,
                    ..Tokens::default()
                });
                Usage {
                    tokens: Tokens {
                        completion: known.completion.max(counted.completion),
                        reasoning: known.reasoning.max(counted.reasoning),
                        ..known
                    },
                    source: UsageSource::Estimated,
                }
            }
        }
    }

    /// The length of the answer so far, escapes included.
    pub fn answer_bytes(&self) -> u64 {
        self.generated.bytes()
    }

    /// Counts the answer, once, on a thread that may block: an answer may be long, and the tokenizer slow to unfold.
    pub async fn count(&mut self) -> Counted {
        let generated = std::mem::take(&mut self.generated);
        let bytes = generated.bytes();
        let counted = count::aside(move || generated.count()).await;
        counted.unwrap_or_else(|error| {
            tracing::error!(%error, "an answer could not be counted; its length is charged");
            Counted {
                completion: tokens_of_text(bytes),
                reasoning: 0,
            }
        })
    }

    /// Closes a step. What its provider did not report is told from lengths: a step is short.
    fn step(&mut self) {
        let generated = std::mem::take(&mut self.generated);
        let reported = self.reported.take().unwrap_or_else(|| Tokens {
            prompt: self.prompt_estimate,
            completion: tokens_of_text(generated.bytes()),
            ..Tokens::default()
        });
        self.steps.push(fitting(&reported));
        self.outdated = false;
    }

    fn report(&mut self, tokens: &Tokens) {
        self.reported = Some(*tokens);
        self.outdated = false;
    }

    fn choice(&mut self, choice: &Choice) {
        self.message(choice.index, &choice.message);
        let outweighs = |finish: &Finish| finish.reason == FinishReason::Error;
        if let Some(finish) = &choice.finish
            && (self.finish.is_none() || outweighs(finish))
        {
            self.finish = Some(finish.clone());
        }
    }

    fn message(&mut self, choice: u32, message: &Message) {
        let calls = message
            .tool_calls
            .iter()
            .flat_map(|call| [&call.name, &call.arguments]);
        let texts = [&message.content, &message.refusal]
            .into_iter()
            .chain(calls);
        for text in texts.flatten() {
            self.generated.text(choice, text);
            self.outdated = true;
        }
        if let Some(reasoning) = &message.reasoning {
            self.generated.reasoning(choice, reasoning);
            self.outdated = true;
        }
    }

    fn about(&mut self, about: &About) {
        let About {
            upstream_id,
            system_fingerprint,
            service_tier,
        } = about;
        let keep = |known: &mut Option<String>, new: &Option<String>| {
            if new.is_some() {
                known.clone_from(new);
            }
        };
        keep(&mut self.about.upstream_id, upstream_id);
        keep(&mut self.about.system_fingerprint, system_fingerprint);
        keep(&mut self.about.service_tier, service_tier);
    }
}
