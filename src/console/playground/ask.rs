//! What a person asks, as a request of the API, and the API's answer, as a page shows it. Pure.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::money::Nanos;
use crate::edge::manage::dollars::Dollars;

/// The form of the playground.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ask {
    pub(super) model: String,
    pub(super) variant: String,
    /// A second model to compare with.
    pub(super) other: String,
    pub(super) other_variant: String,
    pub(super) system: String,
    pub(super) prompt: String,
    pub(super) max_tokens: String,
    pub(super) temperature: String,
}

/// What a model said, or why it did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) slug: String,
    pub(super) text: String,
    pub(super) reasoning: String,
    /// The pages of the web that it was told of.
    pub(super) sources: Vec<Page>,
    pub(super) failure: Option<String>,
    pub(super) provider: String,
    pub(super) tokens: Option<(u64, u64)>,
    pub(super) cost: Option<Nanos>,
    pub(super) generation: String,
    /// Why that provider.
    pub(super) why: String,
}

/// A page of the web.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Page {
    pub(super) url: String,
    title: Option<String>,
}

impl Page {
    /// Its title, or its address where it has none.
    pub(super) fn name(&self) -> &str {
        let title = self.title.as_deref().filter(|title| !title.is_empty());
        title.unwrap_or(&self.url)
    }

    /// Whether its address is one that a link may lead to.
    fn is_of_the_web(&self) -> bool {
        self.url.starts_with("https://") || self.url.starts_with("http://")
    }
}

impl Ask {
    /// The slugs to call: the model, and the other one where there is one.
    pub(super) fn slugs(&self) -> Vec<String> {
        [
            (&self.model, &self.variant),
            (&self.other, &self.other_variant),
        ]
        .into_iter()
        .filter(|(model, _)| !model.trim().is_empty())
        .map(|(model, variant)| match variant.as_str() {
            "" => model.trim().to_owned(),
            variant => format!("{}:{variant}", model.trim()),
        })
        .collect()
    }

    /// The body of a request to `slug`.
    pub(super) fn body(&self, slug: &str) -> Value {
        let mut messages = Vec::new();
        if !self.system.trim().is_empty() {
            messages.push(json!({ "role": "system", "content": self.system }));
        }
        messages.push(json!({ "role": "user", "content": self.prompt }));
        let mut body = json!({ "model": slug, "messages": messages });
        // What is no number is sent as it is: the API says what is wrong with it.
        for (name, text) in [
            ("max_tokens", &self.max_tokens),
            ("temperature", &self.temperature),
        ] {
            let text = text.trim();
            if !text.is_empty() {
                body[name] = serde_json::from_str(text).unwrap_or_else(|_| text.into());
            }
        }
        body
    }
}

#[derive(Deserialize)]
struct Answered {
    id: String,
    #[serde(default)]
    provider: String,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    openrouter_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    summary: String,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    reasoning: Option<String>,
    annotations: Option<Vec<Annotation>>,
}

#[derive(Deserialize)]
struct Annotation {
    /// Files are annotations too.
    url_citation: Option<Page>,
}

impl Message {
    /// The pages that are cited, each once.
    fn sources(&self) -> Vec<Page> {
        let annotations = self.annotations.iter().flatten();
        let cited = annotations.filter_map(|annotation| annotation.url_citation.as_ref());
        let mut pages: Vec<Page> = Vec::new();
        for page in cited.filter(|page| page.is_of_the_web()) {
            if !pages.iter().any(|known| known.url == page.url) {
                pages.push(page.clone());
            }
        }
        pages
    }
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    cost: Option<Dollars>,
}

#[derive(Deserialize)]
struct Failed {
    error: Failure,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
}

impl Said {
    /// Reads the API's answer.
    pub(super) fn read(slug: &str, body: &[u8]) -> Self {
        let said = Said {
            slug: slug.to_owned(),
            ..Said::default()
        };
        if let Ok(failed) = serde_json::from_slice::<Failed>(body) {
            return Said {
                failure: Some(failed.error.message),
                ..said
            };
        }
        let Ok(answered) = serde_json::from_slice::<Answered>(body) else {
            return Said {
                failure: Some("The answer cannot be shown.".to_owned()),
                ..said
            };
        };
        let message = answered
            .choices
            .into_iter()
            .next()
            .map(|first| first.message);
        let sources = message.as_ref().map(Message::sources);
        let (text, reasoning) =
            message.map_or((None, None), |message| (message.content, message.reasoning));
        Said {
            sources: sources.unwrap_or_default(),
            text: text.unwrap_or_default(),
            reasoning: reasoning.unwrap_or_default(),
            provider: answered.provider,
            tokens: answered
                .usage
                .as_ref()
                .map(|usage| (usage.prompt_tokens, usage.completion_tokens)),
            cost: answered
                .usage
                .and_then(|usage| usage.cost)
                .map(|Dollars(cost)| cost),
            generation: answered.id,
            why: answered
                .openrouter_metadata
                .map(|metadata| metadata.summary)
                .unwrap_or_default(),
            ..said
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_a_request_for_each_model() {
        let ask = Ask {
            model: " acme/orca ".to_owned(),
            variant: "nitro".to_owned(),
            other: "acme/krill".to_owned(),
            prompt: "Hello".to_owned(),
            max_tokens: "12".to_owned(),
            temperature: "warm".to_owned(),
            ..Ask::default()
        };
        assert_eq!(ask.slugs(), ["acme/orca:nitro", "acme/krill"]);
        let expect = json!({
            "model": "acme/krill",
            "messages": [{ "role": "user", "content": "Hello" }],
            "max_tokens": 12,
            "temperature": "warm",
        });
        assert_eq!(ask.body("acme/krill"), expect);
    }

    #[test]
    fn answers_and_failures_are_read() {
        let said = Said::read("m", br#"{"id":"gen-1","provider":"Lab","choices":[{"message":{"content":"Hi","reasoning":null}}],"usage":{"prompt_tokens":1,"completion_tokens":2,"cost":0.00000025},"openrouter_metadata":{"summary":"for its price"}}"#);
        assert_eq!((said.text.as_str(), said.tokens), ("Hi", Some((1, 2))));
        assert_eq!(said.why, "for its price");
        assert_eq!(said.cost, Some(Nanos(250)));
        let said = Said::read("m", br#"{"id":"gen-1","choices":[{"message":{"content":"Hi","annotations":[
            {"type":"url_citation","url_citation":{"url":"https://a.example/","title":"A","start_index":0}},
            {"type":"url_citation","url_citation":{"url":"https://a.example/","title":"A"}},
            {"type":"url_citation","url_citation":{"url":"javascript:alert(1)","title":"B"}},
            {"type":"file","file":{"hash":"x"}},{"type":"url_citation","url_citation":{"url":"http://c.example"}}]}}]}"#);
        let names: Vec<&str> = said.sources.iter().map(Page::name).collect();
        assert_eq!(names, ["A", "http://c.example"]);
        let said = Said::read("m", br#"{"error":{"code":402,"message":"Insufficient"}}"#);
        assert_eq!(said.failure.as_deref(), Some("Insufficient"));
        assert!(Said::read("m", b"<html>").failure.is_some());
    }
}
