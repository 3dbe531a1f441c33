//! What providers do differently from the protocol they speak, read from `quirks.toml` and from the `quirks` table of
//! a `[[providers]]`. Turned into the wire's [`Quirks`] and the catalogue's own facts.

use std::collections::BTreeMap;

use super::fields::Fields;
use super::problem::{Problem, hint};
use crate::wire::quirks::{MaxTokensName, NativeSearch, Quirks, ReasoningForm, ReasoningHistory};

/// How one provider behaves. Only what is known differs from OpenAI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Behaviour {
    pub(super) max_tokens_name: Option<MaxTokensName>,
    pub(super) developer_as_system: Option<bool>,
    pub(super) refuses: Vec<String>,
    pub(super) ignores: Vec<String>,
    pub(super) parameters: Vec<String>,
    pub(super) no_stream_options: Option<bool>,
    pub(super) no_done: Option<bool>,
    pub(super) renames: BTreeMap<String, String>,
    pub(super) reasoning: Option<ReasoningForm>,
    pub(super) reasoning_history: Option<ReasoningHistory>,
    pub(super) reasoning_apart: Option<bool>,
    pub(super) think_tags: Option<bool>,
    pub(super) mistral_parts: Option<bool>,
    pub(super) cache_control: Option<bool>,
    pub(super) text_completions: Option<bool>,
    pub(super) max_inputs: Option<usize>,
    pub(super) max_input_tokens: Option<usize>,
    pub(super) input_type: Option<bool>,
    pub(super) byte_vectors: Option<bool>,
    pub(super) inline_media: Option<bool>,
    pub(super) inline_files: Option<bool>,
    pub(super) cancels: Option<bool>,
    pub(super) api_version: Option<String>,
    pub(super) web_search: Option<NativeSearch>,
    /// Rules for some of its models, each over the ones before.
    pub(super) models: Vec<ModelRule>,
}

/// Behaviour of the models whose id fits one of the patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModelRule {
    patterns: Vec<String>,
    behaviour: Behaviour,
}

/// Reads `quirks.toml`: a table per provider and `[default]`, over which the others are laid.
pub(super) fn table(
    source: &str,
    text: &str,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Behaviour> {
    let parsed: toml::Table = match toml::from_str(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            problems.push(Problem::of(source, error.to_string().trim().to_owned()));
            return BTreeMap::new();
        }
    };
    let start = problems.len();
    let read = |(slug, value): (String, toml::Value)| {
        Some((
            slug.clone(),
            Fields::read(slug, value, problems, Behaviour::read)?,
        ))
    };
    let behaviours = parsed.into_iter().filter_map(read).collect();
    problems[start..]
        .iter_mut()
        .for_each(|problem| problem.source = source.to_owned());
    behaviours
}

impl Behaviour {
    /// How an operator's own provider behaves unless told otherwise: the caller's words are kept, both APIs are
    /// served, and role `developer`, which most chat templates do not know, is sent as `system`.
    pub(super) fn of_operator() -> Self {
        Behaviour {
            developer_as_system: Some(true),
            text_completions: Some(true),
            reasoning_history: Some(ReasoningHistory::Kept),
            cache_control: Some(true),
            input_type: Some(true),
            cancels: Some(true),
            ..Behaviour::default()
        }
    }

    /// Reads the keys of a provider's table.
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let models = fields.each("models", |fields| ModelRule {
            patterns: fields.need("match", Ok::<_, String>).unwrap_or_default(),
            behaviour: Behaviour::read_flat(fields),
        });
        Behaviour {
            models,
            ..Behaviour::read_flat(fields)
        }
    }

    fn read_flat(fields: &mut Fields<'_>) -> Self {
        Behaviour {
            max_tokens_name: fields.map("max_tokens_name", max_tokens_name),
            developer_as_system: fields.take("developer_as_system"),
            refuses: fields.take("refuses").unwrap_or_default(),
            ignores: fields.take("ignores").unwrap_or_default(),
            parameters: fields.take("parameters").unwrap_or_default(),
            no_stream_options: fields.take("no_stream_options"),
            no_done: fields.take("no_done"),
            renames: fields.take("renames").unwrap_or_default(),
            reasoning: fields.map("reasoning", reasoning_form),
            reasoning_history: fields.map("reasoning_history", reasoning_history),
            reasoning_apart: fields.take("reasoning_apart"),
            think_tags: fields.take("think_tags"),
            mistral_parts: fields.take("mistral_parts"),
            cache_control: fields.take("cache_control"),
            text_completions: fields.take("text_completions"),
            max_inputs: fields.map("max_inputs", at_least_one),
            max_input_tokens: fields.map("max_input_tokens", at_least_one),
            input_type: fields.take("input_type"),
            byte_vectors: fields.take("byte_vectors"),
            inline_media: fields.take("inline_media"),
            inline_files: fields.take("inline_files"),
            cancels: fields.take("cancels"),
            api_version: fields.take("api_version"),
            web_search: fields.map("web_search", native_search),
            models: Vec::new(),
        }
    }

    /// This, with `over` laid on top: what it says wins, its lists are added.
    pub(super) fn overlaid(&self, over: &Behaviour) -> Self {
        let joined = |a: &[String], b: &[String]| [a, b].concat();
        Behaviour {
            max_tokens_name: over.max_tokens_name.or(self.max_tokens_name),
            developer_as_system: over.developer_as_system.or(self.developer_as_system),
            refuses: joined(&self.refuses, &over.refuses),
            ignores: joined(&self.ignores, &over.ignores),
            parameters: joined(&self.parameters, &over.parameters),
            no_stream_options: over.no_stream_options.or(self.no_stream_options),
            no_done: over.no_done.or(self.no_done),
            renames: self
                .renames
                .iter()
                .chain(&over.renames)
                .map(|(ours, theirs)| (ours.clone(), theirs.clone()))
                .collect(),
            reasoning: over.reasoning.or(self.reasoning),
            reasoning_history: over.reasoning_history.or(self.reasoning_history),
            reasoning_apart: over.reasoning_apart.or(self.reasoning_apart),
            think_tags: over.think_tags.or(self.think_tags),
            mistral_parts: over.mistral_parts.or(self.mistral_parts),
            cache_control: over.cache_control.or(self.cache_control),
            text_completions: over.text_completions.or(self.text_completions),
            max_inputs: over.max_inputs.or(self.max_inputs),
            max_input_tokens: over.max_input_tokens.or(self.max_input_tokens),
            input_type: over.input_type.or(self.input_type),
            byte_vectors: over.byte_vectors.or(self.byte_vectors),
            inline_media: over.inline_media.or(self.inline_media),
            inline_files: over.inline_files.or(self.inline_files),
            cancels: over.cancels.or(self.cancels),
            api_version: over.api_version.clone().or(self.api_version.clone()),
            web_search: over.web_search.or(self.web_search),
            models: [&self.models[..], &over.models[..]].concat(),
        }
    }

    /// How it behaves for one model; `None` when no rule names the model, so that the provider's own can be shared.
    pub(super) fn for_model(&self, id: &str) -> Option<Self> {
        let mut rules = self
            .models
            .iter()
            .filter(|rule| rule.patterns.iter().any(|pattern| fits(pattern, id)))
            .peekable();
        rules.peek()?;
        Some(rules.fold(self.clone(), |sum, rule| sum.overlaid(&rule.behaviour)))
    }

    /// The part of it that the wire obeys.
    pub(super) fn quirks(&self) -> Quirks {
        let openai = Quirks::default();
        Quirks {
            max_tokens_name: self.max_tokens_name,
            refuses: self.refuses.clone(),
            developer_as_system: self
                .developer_as_system
                .unwrap_or(openai.developer_as_system),
            no_stream_options: self.no_stream_options.unwrap_or(openai.no_stream_options),
            text_completions: self.text_completions.unwrap_or(openai.text_completions),
            no_done: self.no_done.unwrap_or(openai.no_done),
            renames: self
                .renames
                .iter()
                .map(|(ours, theirs)| (ours.clone(), theirs.clone()))
                .collect(),
            reasoning: self.reasoning.unwrap_or(openai.reasoning),
            reasoning_history: self.reasoning_history.unwrap_or(openai.reasoning_history),
            reasoning_apart: self.reasoning_apart.unwrap_or(openai.reasoning_apart),
            think_tags: self.think_tags.unwrap_or(openai.think_tags),
            mistral_parts: self.mistral_parts.unwrap_or(openai.mistral_parts),
            cache_control: self.cache_control.unwrap_or(openai.cache_control),
            max_inputs: self.max_inputs,
            max_input_tokens: self.max_input_tokens,
            input_type: self.input_type.unwrap_or(openai.input_type),
            byte_vectors: self.byte_vectors.unwrap_or(openai.byte_vectors),
            inline_media: self.inline_media.unwrap_or(openai.inline_media),
            inline_files: self.inline_files.unwrap_or(openai.inline_files),
            api_version: self.api_version.clone(),
            web_search: self.web_search,
        }
    }
}

fn max_tokens_name(word: String) -> Result<MaxTokensName, String> {
    match word.as_str() {
        "max_tokens" => Ok(MaxTokensName::MaxTokens),
        "max_completion_tokens" => Ok(MaxTokensName::MaxCompletionTokens),
        other => Err(format!(
            "`{other}` is neither name{}",
            hint(other, ["max_tokens", "max_completion_tokens"])
        )),
    }
}

fn at_least_one(count: usize) -> Result<usize, String> {
    match count {
        0 => Err("must be at least 1".to_owned()),
        count => Ok(count),
    }
}

fn reasoning_form(word: String) -> Result<ReasoningForm, String> {
    const WORDS: [&str; 8] = [
        "effort",
        "object",
        "thinking",
        "enable_thinking",
        "template_kwargs",
        "adaptive",
        "budget",
        "unsaid",
    ];
    ReasoningForm::parse(&word).ok_or_else(|| {
        format!(
            "`{word}` is none of {}{}",
            WORDS.join(", "),
            hint(&word, WORDS)
        )
    })
}

fn native_search(word: String) -> Result<NativeSearch, String> {
    const WORDS: [&str; 5] = ["options", "perplexity", "tool", "responses", "xai"];
    NativeSearch::parse(&word).ok_or_else(|| {
        format!(
            "`{word}` is none of {}{}",
            WORDS.join(", "),
            hint(&word, WORDS)
        )
    })
}

fn reasoning_history(word: String) -> Result<ReasoningHistory, String> {
    const WORDS: [&str; 5] = ["dropped", "reasoning_content", "reasoning", "parts", "kept"];
    ReasoningHistory::parse(&word).ok_or_else(|| {
        format!(
            "`{word}` is none of {}{}",
            WORDS.join(", "),
            hint(&word, WORDS)
        )
    })
}

/// Whether `id` fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, id: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == id,
        Some((start, rest)) => id.strip_prefix(start).is_some_and(|id| {
            rest.is_empty()
                || id
                    .char_indices()
                    .map(|(at, _)| &id[at..])
                    .chain([""])
                    .any(|tail| fits(rest, tail))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, id, expect) in [
            ("openai/o3*", "openai/o3-mini", true),
            ("openai/o3*", "openai/o3", true),
            ("openai/o3", "openai/o3-mini", false),
            (
                "*/llama-*-instruct",
                "meta-llama/llama-3.3-70b-instruct",
                true,
            ),
            ("*/llama-*-instruct", "meta-llama/llama-4-maverick", false),
        ] {
            assert_eq!(fits(pattern, id), expect, "{pattern} {id}");
        }
    }

    #[test]
    fn a_rule_for_a_model_lies_over_its_providers() {
        let mut problems = Vec::new();
        let text = "
            [lab]
            max_tokens_name = 'max_tokens'
            refuses = ['seed']
            [[lab.models]]
            match = ['acme/*']
            max_tokens_name = 'max_completion_tokens'
            refuses = ['stop']
        ";
        let lab = &table("quirks.toml", text, &mut problems)["lab"];
        assert_eq!(problems, []);
        assert_eq!(lab.for_model("other/orca"), None);
        let quirks = lab
            .for_model("acme/orca")
            .map(|behaviour| behaviour.quirks());
        let expect = Quirks {
            max_tokens_name: Some(MaxTokensName::MaxCompletionTokens),
            refuses: vec!["seed".into(), "stop".into()],
            ..Quirks::default()
        };
        assert_eq!(quirks, Some(expect));
    }

    #[test]
    fn a_wrong_key_is_named_with_its_file_and_the_nearest() {
        let mut problems = Vec::new();
        table(
            "quirks.toml",
            "[lab]\nno_stream_option = true\ncancels = 1",
            &mut problems,
        );
        let report: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            report,
            [
                "quirks.toml: lab.cancels: invalid type: integer `1`, expected a boolean",
                "quirks.toml: lab.no_stream_option: unknown key; did you mean `no_stream_options`?",
            ]
        );
    }
}
