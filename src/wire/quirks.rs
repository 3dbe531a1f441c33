//! Where a provider departs from the protocol it speaks: data, not code.

/// Departures from the `openai` wire. The default is OpenAI's own behaviour as of `v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The name under which the cap on output tokens is sent; `None` keeps the caller's.
    pub max_tokens_name: Option<MaxTokensName>,
    /// Parameters that the provider answers with a 400; dropped from every request.
    pub refuses: Vec<String>,
    /// Parameters that the provider knows under another name, as (ours, theirs).
    pub renames: Vec<(String, String)>,
    /// Whether role `developer` must be sent as `system`.
    pub developer_as_system: bool,
    /// Whether `stream_options.include_usage` is refused (usage then comes unasked or not at all).
    pub no_stream_options: bool,
    /// Whether `POST /completions` is served; otherwise a text call is sent as a chat.
    pub text_completions: bool,
    /// Whether the provider ends a stream without `[DONE]`, so that a finish reason is enough.
    pub no_done: bool,
    /// Whether reasoning tokens are missing from `completion_tokens` (xAI).
    pub reasoning_apart: bool,
    /// How the provider is told to reason.
    pub reasoning: ReasoningForm,
    /// What becomes of the reasoning of past assistant messages.
    pub reasoning_history: ReasoningHistory,
    /// Whether `cache_control` markers in messages and tools are understood; otherwise they are taken out.
    pub cache_control: bool,
    /// Whether reasoning comes inside the text, between `<think>` and `</think>`.
    pub think_tags: bool,
    /// Whether documents and sounds are parts as Mistral has them: `document_url`, and `input_audio` without a format.
    pub mistral_parts: bool,
    /// How many inputs one request for embeddings may have; `None` where no limit is known.
    pub max_inputs: Option<usize>,
    /// How many tokens those inputs may have together; `None` where no limit is known.
    pub max_input_tokens: Option<usize>,
    /// Whether `input_type` is understood; strict providers answer it with a 400.
    pub input_type: bool,
    /// Whether vectors come as signed bytes in base64 rather than as floats (Perplexity).
    pub byte_vectors: bool,
    /// Whether files must be in the request, since the provider fetches none (Ollama, llama.cpp).
    pub inline_media: bool,
    /// Whether documents must be, while pictures are fetched (OpenAI).
    pub inline_files: bool,
    /// The version of the API to ask for, where it has several (Azure's deployments).
    pub api_version: Option<String>,
    /// How the provider is asked to search the web itself; `None` where it cannot, or nobody knows how.
    pub web_search: Option<NativeSearch>,
}

/// The ways in which providers are asked to search the web.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeSearch {
    /// `web_search_options`, as OpenAI's search models take it in chat completions.
    Options,
    /// The same, and `search_domain_filter`: Perplexity, which always searches.
    Perplexity,
    /// A tool of the wire's own that the model calls as it likes.
    Tool,
    /// The same over the `responses` wire, which such a call is sent over whatever wire others take.
    Responses,
    /// The same with xAI's own filters.
    Xai,
}

/// The two names of the cap on output tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokensName {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// The ways in which hosts take the wish to reason (contract 2.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningForm {
    /// `reasoning_effort: "low"`.
    #[default]
    Effort,
    /// The contract's own `reasoning` object, as OpenRouter and its like take it.
    Object,
    /// `thinking: {"type": "enabled" | "disabled"}`, as Z.AI, DeepSeek and Moonshot take it.
    Thinking,
    /// `enable_thinking: true` and `thinking_budget: 1024`, as Alibaba takes it.
    EnableThinking,
    /// `chat_template_kwargs: {"enable_thinking": true}`, as vLLM and SGLang take it.
    TemplateKwargs,
    /// `thinking: {"type": "adaptive"}` and an effort, as Anthropic's later models take it.
    Adaptive,
    /// `thinking: {"type": "enabled", "budget_tokens": 1024}`, as Anthropic's earlier models take it.
    Budget,
    /// Not at all: the model decides.
    Unsaid,
}

/// What becomes of `reasoning`, `reasoning_content` and `reasoning_details` of past assistant messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningHistory {
    /// Taken out: strict hosts answer unknown message fields with a 400.
    #[default]
    Dropped,
    /// Sent as `reasoning_content`, which DeepSeek and its like need within a turn of tool calls.
    ReasoningContent,
    /// Sent as `reasoning`.
    Reasoning,
    /// Sent as a part of the content, before the text, as Mistral sends it.
    Parts,
    /// Sent as they are.
    Kept,
}

impl Default for Quirks {
    fn default() -> Self {
        Quirks {
            max_tokens_name: None,
            refuses: Vec::new(),
            renames: Vec::new(),
            developer_as_system: false,
            no_stream_options: false,
            text_completions: true,
            no_done: false,
            reasoning_apart: false,
            reasoning: ReasoningForm::default(),
            reasoning_history: ReasoningHistory::default(),
            cache_control: false,
            think_tags: false,
            mistral_parts: false,
            max_inputs: None,
            max_input_tokens: None,
            input_type: false,
            byte_vectors: false,
            inline_media: false,
            inline_files: false,
            api_version: None,
            web_search: None,
        }
    }
}

impl NativeSearch {
    /// The way that the configuration calls `word`.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "options" => NativeSearch::Options,
            "perplexity" => NativeSearch::Perplexity,
            "tool" => NativeSearch::Tool,
            "responses" => NativeSearch::Responses,
            "xai" => NativeSearch::Xai,
            _ => return None,
        })
    }
}

impl ReasoningForm {
    /// The form that the configuration calls `word`.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "effort" => ReasoningForm::Effort,
            "object" => ReasoningForm::Object,
            "thinking" => ReasoningForm::Thinking,
            "enable_thinking" => ReasoningForm::EnableThinking,
            "template_kwargs" => ReasoningForm::TemplateKwargs,
            "adaptive" => ReasoningForm::Adaptive,
            "budget" => ReasoningForm::Budget,
            "unsaid" => ReasoningForm::Unsaid,
            _ => return None,
        })
    }
}

impl ReasoningHistory {
    /// The rule that the configuration calls `word`.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "dropped" => ReasoningHistory::Dropped,
            "reasoning_content" => ReasoningHistory::ReasoningContent,
            "reasoning" => ReasoningHistory::Reasoning,
            "parts" => ReasoningHistory::Parts,
            "kept" => ReasoningHistory::Kept,
            _ => return None,
        })
    }
}
