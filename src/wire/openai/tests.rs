use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::catalog::snapshot::Reasoning;
use crate::domain::call::{Form, Origin};
use crate::domain::event::{Choice, Event, Finish, FinishReason};
use crate::domain::json::{JsonObject, JsonText, Raw};
use crate::stream::frames::SseFramer;
use crate::wire::quirks::{MaxTokensName, Quirks, ReasoningForm, ReasoningHistory};
use crate::wire::{Frame, WireName};

fn call(form: Form, body: &str) -> Call {
    let body = JsonObject::parse(Bytes::copy_from_slice(body.as_bytes())).unwrap();
    Call {
        form,
        model: None,
        models: Vec::new(),
        stream: body
            .get("stream")
            .is_some_and(|stream| stream.as_bytes() == b"true"),
        max_tokens: body.given("max_tokens").and_then(|raw| raw.parse().ok()),
        choices: body
            .given("n")
            .and_then(|raw| raw.parse().ok())
            .unwrap_or(1),
        provider: None,
        plugins: None,
        origin: Origin::default(),
        verbatim: None,
        body,
    }
}

fn target(quirks: Quirks) -> Target {
    Target {
        wire: WireName::Openai,
        upstream_model: "up".to_owned(),
        quirks: Arc::new(quirks),
        unsupported_parameters: Vec::new(),
        max_output_tokens: None,
        reasoning: None,
    }
}

/// What the body `from` becomes, apart from `model`.
fn encoded(form: Form, from: &str, target: &Target) -> (String, Value) {
    let encoded = OpenAi.encode(&call(form, from), target).unwrap();
    let mut body: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(
        body.as_object_mut().unwrap().remove("model"),
        Some(json!("up"))
    );
    (encoded.path, body)
}

#[track_caller]
fn check_chat(quirks: Quirks, from: &str, expect: &str) {
    let (path, body) = encoded(Form::Chat, from, &target(quirks));
    assert_eq!(
        (&*path, body),
        ("/chat/completions", serde_json::from_str(expect).unwrap())
    );
}

mod encoding {
    use super::*;

    #[test]
    fn unknown_fields_pass_and_the_gateways_own_do_not() {
        check_chat(
            Quirks::default(),
            r#"{"model":"acme/orca:nitro","models":["b/c"],"provider":{"order":[]},"plugins":[],"transforms":[],"route":"fallback",
                "preset":"p","usage":{"include":true},"session_id":"s","trace":{},"debug":{},"stop_server_tools_when":[],
                "include_reasoning":true,"messages":[{"role":"user","content":"hi"}],"safe_prompt":true,"temperature":0.70,"stop":null}"#,
            r#"{"messages":[{"role":"user","content":"hi"}],"safe_prompt":true,"temperature":0.70}"#,
        );
    }

    #[test]
    fn what_is_not_rewritten_keeps_its_bytes() {
        let body = r#"{"messages":[ {"role":"user","content":"\u00e9 1.0"} ],"logit_bias":{"5":1.00},"model":"x"}"#;
        let encoded = OpenAi
            .encode(&call(Form::Chat, body), &target(Quirks::default()))
            .unwrap();
        assert_eq!(
            encoded.body,
            r#"{"logit_bias":{"5":1.00},"model":"up","messages":[ {"role":"user","content":"\u00e9 1.0"} ]}"#
        );
    }

    #[test]
    fn streams_ask_for_usage() {
        check_chat(
            Quirks::default(),
            r#"{"stream":true}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        );
        check_chat(
            Quirks::default(),
            r#"{"stream":true,"stream_options":{"include_usage":false,"include_obfuscation":false}}"#,
            r#"{"stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true}}"#,
        );
        let silent = Quirks {
            no_stream_options: true,
            ..Quirks::default()
        };
        check_chat(
            silent,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
            r#"{"stream":true}"#,
        );
        check_chat(
            Quirks::default(),
            r#"{"stream":false,"stream_options":{}}"#,
            "{}",
        );
    }

    #[test]
    fn the_cap_has_the_name_that_the_host_knows() {
        let named = |name| Quirks {
            max_tokens_name: Some(name),
            ..Quirks::default()
        };
        let both = r#"{"max_tokens":1,"max_completion_tokens":2}"#;
        check_chat(named(MaxTokensName::MaxTokens), both, r#"{"max_tokens":2}"#);
        check_chat(
            named(MaxTokensName::MaxCompletionTokens),
            r#"{"max_tokens":1}"#,
            r#"{"max_completion_tokens":1}"#,
        );
        check_chat(
            Quirks::default(),
            r#"{"max_tokens":1}"#,
            r#"{"max_tokens":1}"#,
        );
        check_chat(
            Quirks::default(),
            r#"{"max_completion_tokens":1}"#,
            r#"{"max_completion_tokens":1}"#,
        );
        let refuses = Quirks {
            refuses: vec!["max_completion_tokens".to_owned()],
            ..Quirks::default()
        };
        check_chat(
            refuses,
            r#"{"max_completion_tokens":1}"#,
            r#"{"max_tokens":1}"#,
        );
    }

    #[test]
    fn refused_and_renamed_parameters() {
        let quirks = Quirks {
            refuses: vec!["top_k".to_owned(), "user".to_owned()],
            renames: vec![("seed".to_owned(), "random_seed".to_owned())],
            ..Quirks::default()
        };
        check_chat(
            quirks,
            r#"{"top_k":5,"top_p":0.5,"user":"me","seed":7}"#,
            r#"{"top_p":0.5,"random_seed":7}"#,
        );
        let target = Target {
            unsupported_parameters: vec!["tools".to_owned()],
            ..target(Quirks::default())
        };
        let (_, body) = encoded(
            Form::Chat,
            r#"{"tools":[{"type":"function"}],"tool_choice":"auto","top_p":1}"#,
            &target,
        );
        assert_eq!(body, json!({"top_p": 1}));
    }

    #[test]
    fn the_end_user_is_hashed() {
        let (_, body) = encoded(
            Form::Chat,
            r#"{"user":"ann@example.com"}"#,
            &target(Quirks::default()),
        );
        let expect = "71d4f55f72fa128dfb468a1a3901507c804b74316488744d769d7f4b16696476";
        assert_eq!(body, json!({"user": expect}));
    }

    #[test]
    fn metadata_and_tiers() {
        check_chat(Quirks::default(), r#"{"metadata":{"a":"b"}}"#, "{}");
        check_chat(
            Quirks::default(),
            r#"{"store":true,"metadata":{"a":"b"}}"#,
            r#"{"store":true,"metadata":{"a":"b"}}"#,
        );
        check_chat(
            Quirks::default(),
            r#"{"service_tier":"fast"}"#,
            r#"{"service_tier":"priority"}"#,
        );
        check_chat(
            Quirks::default(),
            r#"{"service_tier":"flex","structured_outputs":true}"#,
            r#"{"service_tier":"flex"}"#,
        );
    }

    #[test]
    fn the_gateways_tools_stay_here() {
        check_chat(
            Quirks::default(),
            r#"{"tools":[{"type":"openrouter:web_search"},{"type":"function","function":{"name":"f"},"cache_control":{"type":"ephemeral"}}],"tool_choice":"auto"}"#,
            r#"{"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto"}"#,
        );
        check_chat(
            Quirks::default(),
            r#"{"tools":[{"type":"openrouter:web_search"}],"tool_choice":{"type":"openrouter:web_search"},"parallel_tool_calls":true}"#,
            "{}",
        );
        check_chat(Quirks::default(), r#"{"tools":[]}"#, "{}");
    }

    #[test]
    fn messages_are_touched_only_where_the_host_wants_it() {
        let quirks = Quirks {
            developer_as_system: true,
            ..Quirks::default()
        };
        let from = r#"{"messages":[{"role":"developer","content":"be \"developer\""},{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]},
            {"role":"assistant","content":"x","reasoning":"r","reasoning_details":[],"annotations":[]}]}"#;
        check_chat(
            quirks,
            from,
            r#"{"messages":[{"role":"system","content":"be \"developer\""},{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":"x"}]}"#,
        );
        let kept = Quirks {
            reasoning_history: ReasoningHistory::Kept,
            cache_control: true,
            ..Quirks::default()
        };
        check_chat(kept, from, from);
    }

    #[test]
    fn past_reasoning_has_the_name_that_the_host_knows() {
        let quirks = || Quirks {
            reasoning_history: ReasoningHistory::ReasoningContent,
            ..Quirks::default()
        };
        let check = |given: &str| {
            check_chat(
                quirks(),
                &format!(r#"{{"messages":[{{"role":"assistant","content":"x",{given}}}]}}"#),
                r#"{"messages":[{"role":"assistant","content":"x","reasoning_content":"r"}]}"#,
            );
        };
        check(r#""reasoning_content":"r""#);
        check(r#""reasoning":"r""#);
        check(
            r#""reasoning_details":[{"type":"reasoning.text","text":"r"},{"type":"reasoning.encrypted","data":"x"}]"#,
        );
    }

    #[test]
    fn past_reasoning_is_a_part_of_the_content_where_the_host_has_it_there() {
        let check = |given: &str, expect: &str| {
            let quirks = Quirks {
                reasoning_history: ReasoningHistory::Parts,
                ..Quirks::default()
            };
            let message =
                |fields: &str| format!(r#"{{"messages":[{{"role":"assistant",{fields}}}]}}"#);
            check_chat(quirks, &message(given), &message(expect));
        };
        let thinking = r#"{"type":"thinking","thinking":[{"type":"text","text":"r"}]}"#;
        check(
            r#""content":"x","reasoning":"r","reasoning_details":[{"type":"reasoning.text","text":"r"}]"#,
            &format!(r#""content":[{thinking},{{"type":"text","text":"x"}}]"#),
        );
        check(
            r#""content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}],"reasoning_content":"r""#,
            &format!(r#""content":[{thinking},{{"type":"text","text":"x"}}]"#),
        );
        check(
            r#""content":null,"reasoning":"r","tool_calls":[]"#,
            &format!(r#""content":[{thinking}],"tool_calls":[]"#),
        );
        check(r#""content":"x","reasoning":"""#, r#""content":"x""#);
    }

    #[test]
    fn documents_and_sounds_are_parts_of_mistrals_own_at_mistral() {
        let quirks = Quirks {
            mistral_parts: true,
            ..Quirks::default()
        };
        check_chat(
            quirks,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},
                {"type":"file","file":{"filename":"b.pdf","file_data":"data:application/pdf;base64,AA=="}},
                {"type":"input_audio","input_audio":{"data":"AAAA","format":"mp3"}},
                {"type":"image_url","image_url":{"url":"https://a.example/"}}]},
                {"role":"assistant","content":"\"file\""}]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},
                {"type":"document_url","document_url":"data:application/pdf;base64,AA==","document_name":"b.pdf"},
                {"type":"input_audio","input_audio":"AAAA"},
                {"type":"image_url","image_url":{"url":"https://a.example/"}}]},
                {"role":"assistant","content":"\"file\""}]}"#,
        );
    }

    #[test]
    fn an_effort_that_the_model_lacks_is_the_nearest_that_it_has() {
        let check = |form, efforts: &[&str], wish: &str, expect: &str| {
            let target = Target {
                reasoning: Some(Reasoning {
                    efforts: efforts.iter().map(|word| (*word).to_owned()).collect(),
                    ..Reasoning::default()
                }),
                ..target(Quirks {
                    reasoning: form,
                    ..Quirks::default()
                })
            };
            let (_, body) = encoded(Form::Chat, &format!("{{{wish}}}"), &target);
            assert_eq!(
                body,
                serde_json::from_str::<Value>(&format!("{{{expect}}}")).unwrap()
            );
        };
        let effort = ReasoningForm::Effort;
        let mistrals = ["none", "high"];
        check(
            effort,
            &mistrals,
            r#""reasoning":{"effort":"low"}"#,
            r#""reasoning_effort":"high""#,
        );
        check(
            effort,
            &mistrals,
            r#""reasoning":{"enabled":false}"#,
            r#""reasoning_effort":"none""#,
        );
        check(
            effort,
            &["low", "high"],
            r#""reasoning_effort":"ultra""#,
            r#""reasoning_effort":"ultra""#,
        );
        let thinking = ReasoningForm::Thinking;
        check(
            thinking,
            &["low", "high", "max"],
            r#""reasoning":{"effort":"xhigh"}"#,
            r#""thinking":{"type":"enabled"},"reasoning_effort":"high""#,
        );
        check(
            thinking,
            &["low", "high", "max"],
            r#""reasoning":{"enabled":true}"#,
            r#""thinking":{"type":"enabled"}"#,
        );
        check(
            thinking,
            &["low", "high", "max"],
            r#""reasoning":{"effort":"none"}"#,
            r#""thinking":{"type":"disabled"}"#,
        );
    }

    #[test]
    fn the_wish_to_reason_in_the_hosts_words() {
        let check = |form, wish: &str, expect: &str| {
            check_chat(
                Quirks {
                    reasoning: form,
                    ..Quirks::default()
                },
                &format!("{{{wish}}}"),
                &format!("{{{expect}}}"),
            );
        };
        check(
            ReasoningForm::Effort,
            r#""reasoning":{"effort":"low"}"#,
            r#""reasoning_effort":"low""#,
        );
        check(
            ReasoningForm::Effort,
            r#""reasoning":{"enabled":true}"#,
            r#""reasoning_effort":"medium""#,
        );
        check(
            ReasoningForm::Effort,
            r#""reasoning":{"enabled":false}"#,
            r#""reasoning_effort":"none""#,
        );
        check(
            ReasoningForm::Effort,
            r#""reasoning":{"max_tokens":800},"max_tokens":1000"#,
            r#""reasoning_effort":"high","max_tokens":1000"#,
        );
        check(
            ReasoningForm::Effort,
            r#""reasoning_effort":"minimal""#,
            r#""reasoning_effort":"minimal""#,
        );
        check(ReasoningForm::Effort, r#""reasoning":{"exclude":true}"#, "");
        check(
            ReasoningForm::Object,
            r#""reasoning":{"effort":"low","x":1}"#,
            r#""reasoning":{"effort":"low","x":1}"#,
        );
        check(
            ReasoningForm::Thinking,
            r#""reasoning":{"effort":"none"}"#,
            r#""thinking":{"type":"disabled"}"#,
        );
        check(
            ReasoningForm::Thinking,
            r#""reasoning":{"effort":"low"},"thinking":{"type":"x"}"#,
            r#""thinking":{"type":"x"}"#,
        );
        check(
            ReasoningForm::EnableThinking,
            r#""reasoning":{"max_tokens":9}"#,
            r#""enable_thinking":true,"thinking_budget":9"#,
        );
        check(
            ReasoningForm::TemplateKwargs,
            r#""reasoning":{"enabled":true}"#,
            r#""chat_template_kwargs":{"enable_thinking":true,"thinking":true}"#,
        );
        check(ReasoningForm::Unsaid, r#""reasoning":{"enabled":true}"#, "");
    }

    #[test]
    fn a_text_call_goes_to_completions_or_becomes_a_chat() {
        let from = r#"{"prompt":"a\nb","max_tokens":3,"logprobs":2,"echo":false,"suffix":"z"}"#;
        let (path, body) = encoded(Form::Text, from, &target(Quirks::default()));
        assert_eq!(
            (&*path, body),
            ("/completions", serde_json::from_str(from).unwrap())
        );
        let chat = target(Quirks {
            text_completions: false,
            ..Quirks::default()
        });
        let (path, body) = encoded(Form::Text, from, &chat);
        let expect = json!({"messages": [{"role": "user", "content": "a\nb"}], "max_tokens": 3});
        assert_eq!((&*path, body), ("/chat/completions", expect));
        let (_, body) = encoded(Form::Text, r#"{"prompt":["a"]}"#, &chat);
        assert_eq!(
            body,
            json!({"messages": [{"role": "user", "content": "a"}]})
        );
        for prompt in ["[1,2]", r#"["a","b"]"#, "7"] {
            let call = call(Form::Text, &format!(r#"{{"prompt":{prompt}}}"#));
            assert!(
                matches!(
                    OpenAi.encode(&call, &chat),
                    Err(EncodeError::Unsupported(_))
                ),
                "{prompt}"
            );
        }
    }
}

/// A choice as people would write it down.
fn plain(choice: &Choice) -> Value {
    let text = |text: &Option<JsonText>| text.as_ref().map(JsonText::to_text);
    let raw = |raw: &Option<Raw>| raw.as_ref().map(|raw| raw.parse::<Value>().unwrap());
    let message = &choice.message;
    let calls: Vec<Value> = message
        .tool_calls
        .iter()
        .map(|call| {
            json!([
                call.index,
                text(&call.id),
                text(&call.name),
                text(&call.arguments)
            ])
        })
        .collect();
    let mut value = json!({
        "content": text(&message.content), "refusal": text(&message.refusal), "reasoning": text(&message.reasoning),
        "details": raw(&message.reasoning_details), "calls": calls, "annotations": raw(&message.annotations),
        "images": raw(&message.images), "audio": raw(&message.audio), "logprobs": raw(&choice.logprobs),
        "finish": choice.finish.as_ref().map(|finish| format!("{}/{}", finish.reason.as_str(), finish.native)),
    });
    let fields = value.as_object_mut().unwrap();
    fields.retain(|_, value| !value.is_null() && *value != json!([]));
    value
}

fn decode(body: &str) -> Result<Reply, DecodeError> {
    OpenAi.decode(
        &call(Form::Chat, "{}"),
        &target(Quirks::default()),
        &Bytes::copy_from_slice(body.as_bytes()),
    )
}

mod whole_answers {
    use super::*;

    /// The choice whose fields beside the index are `choice`.
    #[track_caller]
    fn check(choice: &str, expect: Value) {
        let reply = decode(&format!(
            r#"{{"id":"i","choices":[{{"index":0,{choice}}}]}}"#
        ))
        .unwrap();
        assert_eq!(plain(&reply.choices[0]), expect);
    }

    #[test]
    fn reasoning_in_its_many_spellings() {
        check(
            r#""message":{"content":"a","reasoning_content":"r"}"#,
            json!({"content": "a", "reasoning": "r"}),
        );
        check(
            r#""message":{"content":"a","reasoning":"r","reasoning_content":null}"#,
            json!({"content": "a", "reasoning": "r"}),
        );
        check(
            r#""message":{"content":"a","reasoning":"r","reasoning_content":"r"}"#,
            json!({"content": "a", "reasoning": "r"}),
        );
        let details = json!([{"type": "reasoning.text", "text": "r"}, {"type": "reasoning.summary", "summary": "s"}]);
        check(
            &format!(r#""message":{{"content":null,"reasoning_details":{details}}}"#),
            json!({"reasoning": "rs", "details": details}),
        );
        check(
            r#""message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"r\n"},{"type":"text","text":"s"}],"closed":true},{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#,
            json!({"content": "ab", "reasoning": "r\ns"}),
        );
    }

    #[test]
    fn tool_calls_however_told() {
        let named = r#"{"name":"f","arguments":"{\"a\":1}"}"#;
        check(
            &format!(
                r#""message":{{"content":null,"tool_calls":[{{"id":"c","type":"function","function":{named}}}]}},"finish_reason":"tool_calls""#
            ),
            json!({"calls": [[0, "c", "f", "{\"a\":1}"]], "finish": "tool_calls/tool_calls"}),
        );
        check(
            r#""message":{"tool_calls":[{"id":"c","index":5,"function":{"name":"f","arguments":{"a":1}}},{"id":"d","function":{"name":"g","arguments":null}}]}"#,
            json!({"calls": [[0, "c", "f", "{\"a\":1}"], [1, "d", "g", "{}"]]}),
        );
        check(
            r#""message":{"content":"a","tool_calls":null,"function_call":null}"#,
            json!({"content": "a"}),
        );
        // Snowflake's way of saying nothing.
        check(
            r#""message":{"content":"a","function_call":{"name":"","arguments":""},"audio":{"id":"","data":"","expires_at":0},"refusal":""}"#,
            json!({"content": "a"}),
        );
    }

    #[test]
    fn calls_without_an_id_get_one_that_stays() {
        let body = |id: &str, call: &str| {
            format!(r#"{{"id":"{id}","choices":[{{"message":{{{call}}}}}]}}"#)
        };
        let id = |body: &str| {
            decode(body).unwrap().choices[0].message.tool_calls[0]
                .id
                .clone()
                .unwrap()
                .to_text()
        };
        let call = r#""tool_calls":[{"id":"","function":{"name":"f"}}]"#;
        assert!(id(&body("a", call)).starts_with("call_"));
        assert_eq!(id(&body("a", call)), id(&body("a", call)));
        assert_ne!(id(&body("a", call)), id(&body("b", call)));
        assert!(
            id(&body(
                "a",
                r#""function_call":{"name":"f","arguments":"{}"}"#
            ))
            .starts_with("call_")
        );
    }

    #[test]
    fn finish_reasons_keep_the_native_word() {
        let check = |word: &str, reason: FinishReason| {
            let reply = decode(&format!(
                r#"{{"choices":[{{"message":{{}},"finish_reason":"{word}"}}]}}"#
            ))
            .unwrap();
            assert_eq!(
                reply.choices[0].finish,
                Some(Finish {
                    reason,
                    native: word.to_owned()
                })
            );
        };
        check("stop", FinishReason::Stop);
        check("eos", FinishReason::Stop);
        check("some_day", FinishReason::Stop);
        check("MAX_TOKENS", FinishReason::Length);
        check("function_call", FinishReason::ToolCalls);
        check("content_filter", FinishReason::ContentFilter);
        check("insufficient_system_resource", FinishReason::Error);
        let reply = decode(r#"{"choices":[{"message":{},"finish_reason":""}]}"#).unwrap();
        assert_eq!(reply.choices[0].finish, None);
        let finish = r#""message":{},"finish_reason":"stop","native_finish_reason":"STOP""#;
        super::whole_answers::check(finish, json!({"finish": "stop/STOP"}));
    }

    #[test]
    fn everything_else_that_a_message_may_hold() {
        check(
            r#""message":{"content":null,"refusal":"no","annotations":[{"type":"x"}],"images":[],"audio":{"id":"a"}},"logprobs":{"content":[]}"#,
            json!({"refusal": "no", "annotations": [{"type": "x"}], "audio": {"id": "a"}, "logprobs": {"content": []}}),
        );
        check(
            r#""text":"t","logprobs":null,"finish_reason":"length""#,
            json!({"content": "t", "finish": "length/length"}),
        );
        let reply =
            decode(r#"{"citations":["u"],"choices":[{"message":{"content":"a"}}]}"#).unwrap();
        let cited = json!([{"type": "url_citation", "url_citation": {"url": "u"}}]);
        assert_eq!(
            plain(&reply.choices[0]),
            json!({"content": "a", "annotations": cited})
        );
    }

    #[test]
    fn errors_inside_a_200() {
        let message = |body: &str| match decode(body) {
            Err(DecodeError::Upstream(fault)) => fault.message,
            other => format!("{other:?}"),
        };
        for body in [
            r#"{"error":{"message":"no"}}"#,
            r#"{"error":"no","choices":[]}"#,
            r#"{"message":"no"}"#,
            r#"{"detail":"no"}"#,
            r#"{"object":"error","message":"no"}"#,
            r#"{"choices":null,"base_resp":{"status_code":1002,"status_msg":"no"}}"#,
            r#"{"choices":[{"message":{"content":""},"error":{"message":"no"},"finish_reason":"error"}]}"#,
        ] {
            assert_eq!(message(body), "no", "{body}");
        }
        assert!(matches!(decode("{}"), Err(DecodeError::Malformed(_))));
        assert!(matches!(decode("<html>"), Err(DecodeError::Malformed(_))));
        assert!(decode(r#"{"choices":[]}"#).unwrap().is_empty());
    }

    #[test]
    fn an_error_after_work_began_keeps_the_work() {
        let error = r#""message":{"content":"half"},"error":{"message":"no","code":"x"},"finish_reason":"error""#;
        check(error, json!({"content": "half", "finish": "error/error"}));
    }
}

/// The events of a stream that is read in pieces of `step` bytes.
fn events(stream: &[u8], step: usize) -> (Vec<Event>, Result<(), DecodeError>) {
    let mut decoder = OpenAi.decoder(
        &call(Form::Chat, r#"{"stream":true}"#),
        &target(Quirks::default()),
    );
    let (mut framer, mut frames, mut events) = (SseFramer::new(), Vec::new(), Vec::new());
    for piece in stream.chunks(step.max(1)) {
        framer
            .feed(&Bytes::copy_from_slice(piece), &mut frames)
            .unwrap();
    }
    framer.end(&mut frames);
    let read = frames
        .iter()
        .try_for_each(|frame| decoder.frame(frame, &mut events));
    let ended = read.and_then(|()| decoder.end(&mut events));
    (events, ended)
}

mod streams {
    use super::*;

    /// Chunks whose first choice is each of `choices`, then `[DONE]`.
    fn chunks(choices: &[&str]) -> String {
        let chunk = |choice: &&str| {
            format!("data: {{\"id\":\"i\",\"choices\":[{{\"index\":0,{choice}}}]}}\n\n")
        };
        choices
            .iter()
            .map(chunk)
            .chain(["data: [DONE]\n\n".to_owned()])
            .collect()
    }

    /// What the chunks say, without the end of a choice that none of them explains.
    #[track_caller]
    fn check(choices: &[&str], expect: &[Value]) {
        let mut said = said(choices);
        let explained = |finish: &Finish| !finish.native.is_empty();
        for choice in &mut said {
            choice.finish = choice.finish.take().filter(explained);
        }
        said.retain(|choice| !choice.is_empty());
        assert_eq!(said.iter().map(plain).collect::<Vec<_>>(), expect);
    }

    fn said(choices: &[&str]) -> Vec<Choice> {
        let (events, ended) = events(chunks(choices).as_bytes(), usize::MAX);
        ended.unwrap();
        let choice = |event| match event {
            Event::Choice(choice) => Some(*choice),
            _ => None,
        };
        events.into_iter().filter_map(choice).collect()
    }

    /// Snowflake's streams.
    #[test]
    fn an_end_that_nobody_explains_is_one_all_the_same() {
        let check = |choices: &[&str], expect: &[Value]| {
            let said = said(choices);
            assert_eq!(said.iter().map(plain).collect::<Vec<_>>(), expect);
        };
        let text = r#""delta":{"role":"assistant","content":"a"}"#;
        check(
            &[text],
            &[json!({"content": "a"}), json!({"finish": "stop/"})],
        );
        check(
            &[r#""delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f"}}]}"#],
            &[
                json!({"calls": [[0, "c", "f", null]]}),
                json!({"calls": [[0, null, null, "{}"]], "finish": "tool_calls/"}),
            ],
        );
        // Nothing was said: that is no answer.
        check(&[r#""delta":{"role":"assistant","content":""}"#], &[]);
    }

    #[test]
    fn pieces_without_content_are_no_events() {
        check(
            &[
                r#""delta":{"role":"assistant","content":""}"#,
                r#""delta":{"content":"a"}"#,
                r#""delta":{"role":"assistant","content":"b","reasoning_content":null},"finish_reason":null"#,
                r#""delta":{},"finish_reason":"stop""#,
                r#""delta":{"content":""},"finish_reason":"stop""#,
            ],
            &[
                json!({"content": "a"}),
                json!({"content": "b"}),
                json!({"finish": "stop/stop"}),
            ],
        );
    }

    #[test]
    fn the_whole_text_beside_the_deltas_is_not_said_again() {
        check(
            &[
                r#""delta":{"content":"a"},"message":{"content":"a"}"#,
                r#""delta":{"content":"b"},"message":{"content":"ab"}"#,
                r#""message":{"content":"ab"},"finish_reason":"stop""#,
            ],
            &[
                json!({"content": "a"}),
                json!({"content": "b"}),
                json!({"finish": "stop/stop"}),
            ],
        );
        check(
            &[r#""message":{"content":"ab"},"finish_reason":"stop""#],
            &[json!({"content": "ab", "finish": "stop/stop"})],
        );
    }

    #[test]
    fn like_chunks_are_read_alike() {
        let pieces = ["a", "b\\n", "\\u00e9", "c\",\"x\":\"", "", "d"];
        let both: Vec<String> = pieces
            .iter()
            .map(|piece| format!(r#""delta":{{"content":"{piece}","reasoning":""}}"#))
            .collect();
        check(
            &both.iter().map(String::as_str).collect::<Vec<_>>(),
            &["a", "b\n", "é", "c", "d"].map(|text| json!({"content": text})),
        );
        check(
            &[
                r#""delta":{"content":"","reasoning_content":"a","reasoning":"z"}"#,
                r#""delta":{"content":"","reasoning_content":"b","reasoning":"z"}"#,
                r#""delta":{"content":"","reasoning_content":"","reasoning":"z"}"#,
                r#""delta":{"content":"c"}"#,
                r#""delta":{"content":null}"#,
                r#""delta":{"content":"d"},"finish_reason":"stop""#,
            ],
            &[
                json!({"reasoning": "a"}),
                json!({"reasoning": "b"}),
                json!({"reasoning": "z"}),
                json!({"content": "c"}),
                json!({"content": "d", "finish": "stop/stop"}),
            ],
        );
        for broken in ["a\nb", "\\q", "a\" \"b", "\\"] {
            let stream = chunks(&[
                r#""delta":{"content":"a"}"#,
                &format!(r#""delta":{{"content":"{broken}"}}"#),
            ]);
            let frames = stream
                .split("\n\n")
                .map(|frame| frame.trim_start_matches("data: "))
                .take(2);
            let mut decoder = OpenAi.decoder(&call(Form::Chat, "{}"), &target(Quirks::default()));
            let read: Vec<bool> = frames
                .map(|data| Frame {
                    event: None,
                    data: Bytes::copy_from_slice(data.as_bytes()),
                })
                .map(|frame| decoder.frame(&frame, &mut Vec::new()).is_ok())
                .collect();
            assert_eq!(read, [true, false], "{broken:?}");
        }
    }

    #[test]
    fn calls_in_fragments() {
        check(
            &[
                r#""delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}"#,
                r#""delta":{"tool_calls":[{"index":0,"id":"","function":{"name":null,"arguments":"{\"a\""}}]}"#,
                r#""delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":":1}"}}]}"#,
                r#""delta":{"tool_calls":[{"index":1,"id":"d","function":{"name":"g"}}]}"#,
                r#""delta":{},"finish_reason":"tool_calls""#,
            ],
            &[
                json!({"calls": [[0, "c", "f", null]]}),
                json!({"calls": [[0, null, null, "{\"a\""]]}),
                json!({"calls": [[0, null, null, ":1}"]]}),
                json!({"calls": [[1, "d", "g", null]]}),
                json!({"calls": [[1, null, null, "{}"]], "finish": "tool_calls/tool_calls"}),
            ],
        );
    }

    #[test]
    fn calls_that_are_numbered_badly() {
        // Every call is number 0, whole in one delta.
        check(
            &[
                r#""delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]}"#,
                r#""delta":{"tool_calls":[{"index":0,"id":"d","function":{"name":"f","arguments":"{}"}}]}"#,
            ],
            &[
                json!({"calls": [[0, "c", "f", "{}"]]}),
                json!({"calls": [[1, "d", "f", "{}"]]}),
            ],
        );
        // No numbers at all.
        check(
            &[
                r#""delta":{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{"}}]}"#,
                r#""delta":{"tool_calls":[{"function":{"arguments":"}"}}]}"#,
                r#""delta":{"tool_calls":[{"id":"d","function":{"name":"g","arguments":{"a":1}}}]}"#,
            ],
            &[
                json!({"calls": [[0, "c", "f", "{"]]}),
                json!({"calls": [[0, null, null, "}"]]}),
                json!({"calls": [[1, "d", "g", "{\"a\":1}"]]}),
            ],
        );
        // Numbers that do not begin at 0, and a new id with every fragment.
        check(
            &[
                r#""delta":{"tool_calls":[{"index":3,"id":"c","function":{"name":"f","arguments":"{"}}]}"#,
                r#""delta":{"tool_calls":[{"index":3,"id":"x","function":{"arguments":"}"}}]}"#,
            ],
            &[
                json!({"calls": [[0, "c", "f", "{"]]}),
                json!({"calls": [[0, null, null, "}"]]}),
            ],
        );
    }

    #[test]
    fn the_legacy_function_call() {
        let (events, ended) = events(
            chunks(&[
                r#""delta":{"function_call":{"name":"f","arguments":""}}"#,
                r#""delta":{"function_call":{"arguments":"{}"}}"#,
                r#""delta":{},"finish_reason":"function_call""#,
            ])
            .as_bytes(),
            7,
        );
        ended.unwrap();
        let calls: Vec<_> = events
            .iter()
            .filter_map(|event| {
                if let Event::Choice(choice) = event {
                    Some(&choice.message.tool_calls)
                } else {
                    None
                }
            })
            .flatten()
            .map(|call| {
                (
                    call.index,
                    call.id.is_some(),
                    call.arguments.as_ref().map(JsonText::to_text),
                )
            })
            .collect();
        assert_eq!(calls, [(0, true, None), (0, false, Some("{}".to_owned()))]);
    }

    #[test]
    fn the_ends_of_streams() {
        let end = |stream: &str| events(stream.as_bytes(), usize::MAX).1;
        let a = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
        let stop = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
        let empty = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"\"}]}\n\n";
        let other = "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a\"}}]}\n\n";
        let done = "data: [DONE]";
        assert_eq!(end(&[a, stop, usage, done].concat()), Ok(()));
        assert_eq!(end(&[a, stop, usage].concat()), Ok(()));
        assert_eq!(end(&[a, empty, done].concat()), Ok(()));
        assert_eq!(end(&[a, usage].concat()), Err(DecodeError::Truncated));
        assert_eq!(end(&[a, empty].concat()), Err(DecodeError::Truncated));
        assert_eq!(end(&[a, other, stop].concat()), Err(DecodeError::Truncated));
        assert_eq!(end(""), Err(DecodeError::Truncated));
        assert!(matches!(
            end("data: {\"choices\":[{\"del"),
            Err(DecodeError::Malformed(_))
        ));
        let mut of_two =
            OpenAi.decoder(&call(Form::Chat, r#"{"n":2}"#), &target(Quirks::default()));
        let frame = Frame {
            event: None,
            data: stop.trim_start_matches("data: ").into(),
        };
        of_two.frame(&frame, &mut Vec::new()).unwrap();
        assert_eq!(of_two.end(&mut Vec::new()), Err(DecodeError::Truncated));
    }

    #[test]
    fn errors_inside_a_stream() {
        for error in [
            "data: {\"error\":{\"message\":\"no\",\"code\":429}}",
            "data: {\"error\":\"no\"}",
            "data: {\"message\":\"no\"}",
            "data: {\"detail\":\"no\"}",
            "data: {\"object\":\"error\",\"message\":\"no\"}",
            "event: error\ndata: {\"message\":\"no\",\"id\":\"i\"}",
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\",\"error\":{\"message\":\"no\"}}]}",
        ] {
            let stream = format!(
                "data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}]}}\n\n{error}\n\n"
            );
            let (events, ended) = events(stream.as_bytes(), 11);
            assert_eq!(events.len(), 1, "{error}");
            assert!(
                matches!(ended, Err(DecodeError::Upstream(fault)) if fault.message == "no"),
                "{error}"
            );
        }
    }

    #[test]
    fn facts_and_usage_come_from_any_chunk() {
        let stream = "data: {\"id\":\"filter\",\"choices\":[],\"prompt_filter_results\":[]}\n\n\
            data: {\"id\":\"i\",\"service_tier\":\"auto\",\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n\
            data: {\"id\":\"i\",\"service_tier\":\"default\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}\n\n\
            data: {\"id\":\"i\",\"choices\":[],\"x_groq\":{\"usage\":{\"prompt_tokens\":2}}}\n\n";
        let (events, ended) = events(stream.as_bytes(), usize::MAX);
        ended.unwrap();
        let usage: Vec<u64> = events
            .iter()
            .filter_map(|event| {
                if let Event::Usage(tokens) = event {
                    Some(tokens.prompt)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(usage, [1, 2]);
        let about = events.iter().rev().find_map(|event| {
            if let Event::About(about) = event {
                Some(about)
            } else {
                None
            }
        });
        let about = about.unwrap();
        assert_eq!(
            (about.upstream_id.as_deref(), about.service_tier.as_deref()),
            (Some("i"), Some("default"))
        );
    }

    proptest! {
        #[test]
        fn the_reads_do_not_matter(step in 1_usize..400) {
            let stream = chunks(&[
                r#""delta":{"reasoning":"é😀"}"#,
                r#""delta":{"tool_calls":[{"function":{"name":"f","arguments":null}}]}"#,
                r#""delta":{},"finish_reason":"stop""#,
            ]);
            let (whole, pieces) = (events(stream.as_bytes(), usize::MAX), events(stream.as_bytes(), step));
            prop_assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..300) {
            let _ = events(&bytes, 16);
            let _ = OpenAi.decode(&call(Form::Chat, "{}"), &target(Quirks::default()), &bytes.clone().into());
            let _ = OpenAi.fault(500, &http::HeaderMap::new(), &bytes);
            let mut stream = chunks(&[r#""delta":{"content":[{"text":"a"}],"tool_calls":[{"index":-1}]},"finish_reason":"stop""#]).into_bytes();
            let at = at % stream.len();
            stream[at] = bytes.first().copied().unwrap_or(b'"');
            let _ = events(&stream, 16);
        }
    }
}
