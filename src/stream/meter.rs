//! Counts a run as it passes: usage, finish reason, times. Knows no price.

use crate::domain::event::{About, Choice, Event, Finish, FinishReason, Message, Reply};
use crate::domain::json::JsonText;
use crate::domain::usage::{Tokens, Usage, UsageSource};
use crate::plan::estimate::tokens_of_text;

/// What is known of a run so far.
#[derive(Debug)]
pub struct Meter {
    prompt_estimate: u64,
    reported: Option<Tokens>,
    text_bytes: u64,
    reasoning_bytes: u64,
    finish: Option<Finish>,
    about: About,
}

impl Meter {
    /// A meter for a prompt of about `prompt_estimate` tokens.
    pub fn new(prompt_estimate: u64) -> Self {
        Meter {
            prompt_estimate,
            reported: None,
            text_bytes: 0,
            reasoning_bytes: 0,
            finish: None,
            about: About::default(),
        }
    }

    /// Counts a whole answer.
    pub fn reply(&mut self, reply: &Reply) {
        reply.choices.iter().for_each(|choice| self.choice(choice));
        self.reported = reply.usage;
        self.about = reply.about.clone();
    }

    /// Counts one event of a stream.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Choice(choice) => self.choice(choice),
            Event::Usage(tokens) => self.reported = Some(*tokens),
            Event::About(about) => self.about(about),
        }
    }

    /// The finish reason of the first choice that had one; an error outweighs any other.
    pub fn finish(&self) -> Option<&Finish> {
        self.finish.as_ref()
    }

    /// Facts about the answer as a whole.
    pub fn facts(&self) -> &About {
        &self.about
    }

    /// The usage to charge: the provider's latest word (some report in every chunk), else what was seen.
    pub fn usage(&self) -> Usage {
        match self.reported {
            Some(tokens) => Usage {
                tokens,
                source: UsageSource::Reported,
            },
            None => Usage {
                tokens: self.seen(),
                source: UsageSource::Estimated,
            },
        }
    }

    fn choice(&mut self, choice: &Choice) {
        self.message(&choice.message);
        let outweighs = |finish: &Finish| finish.reason == FinishReason::Error;
        if let Some(finish) = &choice.finish
            && (self.finish.is_none() || outweighs(finish))
        {
            self.finish = Some(finish.clone());
        }
    }

    fn message(&mut self, message: &Message) {
        let length = |text: &Option<JsonText>| text.as_ref().map_or(0, |text| text.len() as u64);
        let calls: u64 = message
            .tool_calls
            .iter()
            .map(|call| length(&call.name) + length(&call.arguments))
            .sum();
        self.text_bytes += length(&message.content) + length(&message.refusal) + calls;
        self.reasoning_bytes += length(&message.reasoning);
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

    fn seen(&self) -> Tokens {
        let reasoning = tokens_of_text(self.reasoning_bytes);
        Tokens {
            prompt: self.prompt_estimate,
            completion: tokens_of_text(self.text_bytes) + reasoning,
            reasoning,
            ..Tokens::default()
        }
    }
}
