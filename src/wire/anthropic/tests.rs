use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::catalog::snapshot::Reasoning;
use crate::domain::call::{Form, Origin, Verbatim};
use crate::domain::event::{Event, FinishReason};
use crate::domain::json::JsonObject;
use crate::domain::usage::Tokens;
use crate::wire::quirks::{Quirks, ReasoningForm};
use crate::wire::{Frame, WireName};

fn call(body: &Value) -> Call {
    Call {
        form: Form::Chat,
        model: None,
        models: Vec::new(),
        stream: body["stream"] == true,
        max_tokens: body["max_tokens"].as_u64(),
        choices: body["n"].as_u64().unwrap_or(1),
        provider: None,
        plugins: None,
        origin: Origin::default(),
        verbatim: None,
        body: JsonObject::parse(body.to_string().into()).unwrap(),
    }
}

fn target(form: ReasoningForm, efforts: &[&str], budget: bool) -> Target {
    Target {
        wire: WireName::Anthropic,
        upstream_model: "claude".to_owned(),
        quirks: Arc::new(Quirks {
            reasoning: form,
            ..Quirks::default()
        }),
        unsupported_parameters: Vec::new(),
        max_output_tokens: Some(64_000),
        reasoning: Some(Reasoning {
            mandatory: false,
            efforts: efforts.iter().map(|&effort| effort.to_owned()).collect(),
            budget,
        }),
    }
}

/// A model that thinks by a budget.
fn earlier() -> Target {
    target(ReasoningForm::Budget, &[], true)
}

/// A model that measures its thinking itself.
fn later() -> Target {
    target(
        ReasoningForm::Adaptive,
        &["low", "medium", "high", "max"],
        false,
    )
}

/// The body for a request that says `fields` besides a greeting.
#[track_caller]
fn body(fields: Value, target: &Target) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let encoded = Anthropic.encode(&call(&body), target).unwrap();
    assert_eq!(encoded.path, "/messages");
    assert_eq!(encoded.headers["anthropic-version"], "2023-06-01");
    serde_json::from_slice(&encoded.body).unwrap()
}

fn messages(messages: Value) -> Value {
    body(json!({"messages": messages}), &earlier())["messages"].clone()
}

#[track_caller]
fn refused(fields: Value, reason: &str) {
    let error = Anthropic.encode(&call(&fields), &earlier()).unwrap_err();
    assert_eq!(error.to_string(), reason);
}

mod encoding {
    use super::*;

    #[test]
    fn a_plain_request_says_no_more_than_it_must() {
        assert_eq!(
            body(json!({}), &earlier()),
            json!({
                "model": "claude",
                "max_tokens": 64_000,
                "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            })
        );
        let unknown = Target {
            max_output_tokens: None,
            ..earlier()
        };
        assert_eq!(body(json!({}), &unknown)["max_tokens"], 4_096);
        assert_eq!(
            body(json!({"max_tokens": 7, "stream": true}), &unknown)["max_tokens"],
            7
        );
    }

    #[test]
    fn thinking_is_a_budget_for_earlier_models() {
        let thinking = |fields: Value| body(fields, &earlier())["thinking"].clone();
        let budget = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
        assert_eq!(
            thinking(json!({"max_tokens": 10_000, "reasoning": {"effort": "high"}})),
            budget(8_000)
        );
        assert_eq!(thinking(json!({"reasoning_effort": "low"})), budget(12_800));
        assert_eq!(
            thinking(json!({"max_tokens": 4_000, "reasoning": {"max_tokens": 2_000}})),
            budget(2_000)
        );
        // The budget stays below the cap, and a cap that leaves none is kept.
        assert_eq!(
            thinking(json!({"max_tokens": 2_000, "reasoning": {"max_tokens": 9_000}})),
            budget(1_999)
        );
        assert_eq!(
            thinking(json!({"max_tokens": 1_000, "reasoning": {"effort": "high"}})),
            Value::Null
        );
        assert_eq!(
            thinking(json!({"reasoning": {"effort": "none"}})),
            json!({"type": "disabled"})
        );
        assert_eq!(thinking(json!({})), Value::Null);
        let own = json!({"type": "enabled", "budget_tokens": 5});
        assert_eq!(
            thinking(json!({"thinking": own, "reasoning": {"effort": "high"}})),
            own
        );
    }

    #[test]
    fn later_models_measure_it_themselves() {
        let said = |fields: Value| {
            let body = body(fields, &later());
            (body["thinking"].clone(), body["output_config"].clone())
        };
        let adaptive = json!({"type": "adaptive", "display": "summarized"});
        assert_eq!(
            said(json!({"reasoning": {"enabled": true}})),
            (adaptive.clone(), Value::Null)
        );
        assert_eq!(
            said(json!({"reasoning": {"effort": "xhigh"}})),
            (adaptive.clone(), json!({"effort": "high"}))
        );
        assert_eq!(
            said(json!({"max_tokens": 1_000, "reasoning": {"max_tokens": 200}})),
            (adaptive, json!({"effort": "low"}))
        );
        assert_eq!(
            said(json!({"reasoning": {"effort": "low", "exclude": true}})).0,
            json!({"type": "adaptive"})
        );
        assert_eq!(
            said(json!({"verbosity": "low"})),
            (Value::Null, json!({"effort": "low"}))
        );
        // One that takes both takes the budget that is asked for.
        let either = target(ReasoningForm::Adaptive, &["low", "max"], true);
        let fields = json!({"reasoning": {"max_tokens": 2_000}});
        assert_eq!(
            body(fields, &either)["thinking"],
            json!({"type": "enabled", "budget_tokens": 2_000})
        );
    }

    #[test]
    fn thinking_gives_way_to_what_excludes_it() {
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        let forced =
            json!({"tools": tools, "tool_choice": "required", "reasoning": {"effort": "high"}});
        assert_eq!(body(forced, &earlier())["thinking"], Value::Null);
        let lost = json!({"tools": tools, "reasoning": {"effort": "high"}, "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "ok"},
        ]});
        assert_eq!(body(lost.clone(), &earlier())["thinking"], Value::Null);
        let mut kept = lost;
        kept["messages"][1]["reasoning_details"] =
            json!([{"type": "reasoning.text", "text": "t", "signature": "s"}]);
        assert_eq!(body(kept, &earlier())["thinking"]["type"], "enabled");
    }

    #[test]
    fn sampling_is_what_the_model_takes() {
        let said = |fields: Value, target: &Target| {
            let body = body(fields, target);
            [&body["temperature"], &body["top_p"], &body["top_k"]].map(Clone::clone)
        };
        let all = json!({"temperature": 1.5, "top_p": 0.5, "top_k": 9});
        assert_eq!(
            said(all.clone(), &earlier()),
            [json!(1), Value::Null, json!(9)]
        );
        assert_eq!(
            said(json!({"top_p": 0.5}), &earlier()),
            [Value::Null, json!(0.5), Value::Null]
        );
        let mut thinking = all.clone();
        thinking["reasoning"] = json!({"effort": "low"});
        assert_eq!(
            said(thinking, &earlier()),
            [Value::Null, Value::Null, Value::Null]
        );
        let fixed = Target {
            unsupported_parameters: vec!["temperature".to_owned(), "top_p".to_owned()],
            ..later()
        };
        assert_eq!(said(all, &fixed), [Value::Null, Value::Null, Value::Null]);
    }

    #[test]
    fn turns_are_put_in_order() {
        let text = |text: &str| json!({"type": "text", "text": text});
        assert_eq!(
            messages(json!([
                {"role": "assistant", "content": "Hello!"},
                {"role": "user", "content": "a"},
                {"role": "user", "content": ["", "b"]},
                {"role": "assistant", "content": ""},
                {"role": "assistant", "content": "c  \n"},
            ])),
            json!([
                {"role": "user", "content": [text(".")]},
                {"role": "assistant", "content": [text("Hello!")]},
                {"role": "user", "content": [text("a"), text("b")]},
                {"role": "assistant", "content": [text("c")]},
            ])
        );
        let alone = body(
            json!({"messages": [{"role": "system", "content": "be"}]}),
            &earlier(),
        );
        assert_eq!(
            (&alone["system"], &alone["messages"]),
            (
                &Value::Null,
                &json!([{"role": "user", "content": [text("be")]}])
            )
        );
        let late = body(
            json!({"messages": [{"role": "user", "content": "a"}, {"role": "developer", "content": "be"}]}),
            &earlier(),
        );
        assert_eq!(late["system"], json!([text("be")]));
    }

    #[test]
    fn results_of_parallel_calls_stand_in_one_turn() {
        let sent = messages(json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "function": {"name": "f", "arguments": "{\"x\":1}"}},
                {"id": "b", "function": {"name": "g", "arguments": ""}},
            ]},
            {"role": "tool", "tool_call_id": "a", "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AA"}},
            ]},
            {"role": "tool", "tool_call_id": "b", "content": ""},
            {"role": "user", "content": "well?"},
        ]));
        assert_eq!(
            sent[1]["content"],
            json!([
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "g", "input": {}},
            ])
        );
        assert_eq!(
            sent[2]["content"],
            json!([
                {"type": "tool_result", "tool_use_id": "a", "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA"}},
                ]},
                {"type": "tool_result", "tool_use_id": "b"},
                {"type": "text", "text": "well?"},
            ])
        );
    }

    #[test]
    fn only_its_own_thoughts_go_back() {
        let sent = messages(json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "so", "reasoning": "plain", "reasoning_details": [
                {"type": "reasoning.text", "text": "unsigned", "index": 0},
                {"type": "reasoning.text", "text": "theirs", "signature": "G", "format": "google-gemini-v1", "index": 1},
                {"type": "reasoning.text", "text": "mine", "signature": "S", "format": "anthropic-claude-v1", "index": 2},
                {"type": "reasoning.encrypted", "data": "E", "format": "anthropic-claude-v1", "index": 3},
                {"type": "reasoning.encrypted", "data": "O", "format": "openai-responses-v1", "index": 4},
                {"type": "reasoning.summary", "summary": "short", "index": 5},
            ]},
            {"role": "user", "content": "on"},
        ]));
        assert_eq!(
            sent[1]["content"],
            json!([
                {"type": "thinking", "thinking": "mine", "signature": "S"},
                {"type": "redacted_thinking", "data": "E"},
                {"type": "text", "text": "so"},
            ])
        );
    }

    #[test]
    fn files_by_what_they_are() {
        let sent = |part: Value| {
            messages(json!([{"role": "user", "content": [part]}]))[0]["content"][0].clone()
        };
        let file =
            |data: &str| json!({"type": "file", "file": {"filename": "n", "file_data": data}});
        assert_eq!(
            sent(file("data:application/pdf;base64,AA")),
            json!({"type": "document", "title": "n", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"}})
        );
        assert_eq!(
            sent(file("https://x.example/a.pdf")),
            json!({"type": "document", "title": "n", "source": {"type": "url", "url": "https://x.example/a.pdf"}})
        );
        assert_eq!(
            sent(file("data:text/markdown;base64,aGk=")),
            json!({"type": "document", "title": "n", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}})
        );
        assert_eq!(
            sent(file("data:image/png;base64,AA"))["source"],
            json!({"type": "base64", "media_type": "image/png", "data": "AA"})
        );
        assert_eq!(
            sent(json!({"type": "file", "file": {"file_id": "file_1"}}))["source"],
            json!({"type": "file", "file_id": "file_1"})
        );
    }

    #[test]
    fn what_it_cannot_say_is_refused() {
        let part = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
        refused(
            part(json!({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}})),
            "this endpoint does not take audio",
        );
        refused(
            part(json!({"type": "video_url", "video_url": {"url": "https://x"}})),
            "this endpoint does not take video",
        );
        refused(
            part(json!({"type": "file", "file": {"file_data": "data:application/zip;base64,AA"}})),
            "this endpoint does not take files of type application/zip",
        );
        refused(
            json!({"messages": [], "n": 2}),
            "this endpoint gives one choice; `n` must be 1",
        );
    }

    #[test]
    fn tools_and_the_choice_among_them() {
        let tool = json!({"type": "function", "function": {"name": "f", "description": "d", "strict": true,
            "parameters": {"properties": {"x": {"type": "number"}}}}});
        let said = |choice: Value, parallel: Value| {
            let fields =
                json!({"tools": [tool], "tool_choice": choice, "parallel_tool_calls": parallel});
            let body = body(fields, &earlier());
            assert_eq!(
                body["tools"],
                json!([{"name": "f", "description": "d", "strict": true,
                    "input_schema": {"type": "object", "properties": {"x": {"type": "number"}}}}])
            );
            body["tool_choice"].clone()
        };
        assert_eq!(said(Value::Null, Value::Null), Value::Null);
        assert_eq!(said(json!("auto"), json!(true)), json!({"type": "auto"}));
        assert_eq!(
            said(Value::Null, json!(false)),
            json!({"type": "auto", "disable_parallel_tool_use": true})
        );
        assert_eq!(
            said(
                json!({"type": "function", "function": {"name": "f"}}),
                json!(false)
            ),
            json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true})
        );
        assert_eq!(said(json!("required"), Value::Null), json!({"type": "any"}));
        assert_eq!(said(json!("none"), json!(false)), json!({"type": "none"}));
    }

    #[test]
    fn forms_of_answers() {
        let format = |schema: Value| json!({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}});
        let open = json!({"type": "object", "properties": {
            "list": {"type": "array", "items": {"type": "object", "properties": {}}},
            "type": {"anyOf": [{"type": "object", "additionalProperties": true}, {"enum": [{"type": "object"}]}]},
        }});
        let sent = body(json!({"response_format": format(open)}), &earlier());
        assert_eq!(
            sent["output_config"]["format"],
            json!({"type": "json_schema", "schema": {"type": "object", "additionalProperties": false, "properties": {
                "list": {"type": "array", "items": {"type": "object", "properties": {}, "additionalProperties": false}},
                "type": {"anyOf": [{"type": "object", "additionalProperties": true}, {"enum": [{"type": "object"}]}]},
            }}})
        );
        let before_schemas = Target {
            unsupported_parameters: vec!["structured_outputs".to_owned()],
            ..earlier()
        };
        let wanted = format(json!({"type": "object", "properties": {}}));
        let sent = body(json!({"response_format": wanted}), &before_schemas);
        assert_eq!(sent["output_config"], Value::Null);
        assert_eq!(
            sent["system"][0]["text"],
            "Answer with one JSON object and nothing else. It must fit this JSON Schema: \
             {\"additionalProperties\":false,\"properties\":{},\"type\":\"object\"}"
        );
        let sent = body(
            json!({"response_format": {"type": "json_object"}}),
            &earlier(),
        );
        assert_eq!(
            sent["system"][0]["text"],
            "Answer with one JSON object and nothing else."
        );
    }

    #[test]
    fn the_automatic_marker_takes_the_last_place_that_is_left() {
        let marker = json!({"type": "ephemeral", "ttl": "1h"});
        let sent = body(json!({"cache_control": marker}), &earlier());
        assert_eq!(sent["messages"][0]["content"][0]["cache_control"], marker);
        let own = json!({"type": "ephemeral"});
        let marked = json!({"type": "text", "text": "a", "cache_control": own});
        let full = json!({"cache_control": marker, "messages": [{"role": "user", "content": [marked, marked, marked, marked, "b"]}]});
        assert_eq!(
            body(full, &earlier())["messages"][0]["content"][4]["cache_control"],
            Value::Null
        );
    }

    #[test]
    fn who_asks_is_hashed_and_tiers_are_translated() {
        let sent = body(
            json!({"user": "ann", "service_tier": "default", "stop": ["x", " \n"]}),
            &earlier(),
        );
        let hash = "49915e0d7d4b402e3017d010bc1c0e83cac6c797d6c16e66340fe3268693a6a1";
        assert_eq!(sent["metadata"]["user_id"], hash);
        assert_eq!(
            (&sent["service_tier"], &sent["stop_sequences"]),
            (&json!("standard_only"), &json!(["x"]))
        );
        assert_eq!(
            body(json!({"service_tier": "fast"}), &earlier())["service_tier"],
            "auto"
        );
    }
}

/// What a client wrote in this very form keeps its order, and what is new in it; the gateway's own fields stay here.
#[test]
fn a_request_in_the_same_form_is_spliced() {
    let written = r#"{"model":"a/b","max_tokens":9,"news":1,"provider":{},"temperature":0.5,"metadata":{"user_id":"ann"},"service_tier":"auto","tools":[{"name":"f","input_schema":{"z":{},"a":{}}}],"messages":[{"role":"user","content":"hi"}]}"#;
    let check = |more: &str, target: Target, expect: Option<&str>| {
        let written = written.replace("\"news\"", &format!("{more}\"news\""));
        let verbatim = Verbatim {
            form: Spoken::Messages,
            body: Some(JsonObject::parse(written.into()).unwrap()),
            unsayable: None,
        };
        let call = Call {
            stream: true,
            verbatim: Some(verbatim),
            ..call(&json!({"messages": [{"role": "user", "content": "rebuilt"}]}))
        };
        let target = Target {
            unsupported_parameters: vec!["temperature".to_owned()],
            ..target
        };
        let body = Anthropic.encode(&call, &target).unwrap().body;
        let text = std::str::from_utf8(&body).unwrap();
        match expect {
            Some(expect) => assert!(text.starts_with(expect), "{text}"),
            None => assert!(text.contains("rebuilt"), "{text}"),
        }
        assert!(!text.contains("ann") && !text.contains("0.5"), "{text}");
    };
    check(
        "",
        earlier(),
        Some(
            r#"{"max_tokens":9,"news":1,"tools":[{"name":"f","input_schema":{"z":{},"a":{}}}],"messages":[{"role":"user","content":"hi"}],"model":"#,
        ),
    );
    let thinks = r#""thinking":{"type":"enabled","budget_tokens":2000},"#;
    check(
        thinks,
        earlier(),
        Some(&format!(r#"{{"max_tokens":9,{thinks}"news":1"#)),
    );
    // A model that measures its thinking itself is not told a budget, and the other way round.
    check(thinks, later(), None);
    check(r#""thinking":{"type":"adaptive"},"#, earlier(), None);
    // A marker for the whole prompt stands on its last block.
    let marker = r#""cache_control":{"type":"ephemeral"}"#;
    check(
        &format!(r#"{marker},"context_management":{{"edits":[]}},"#),
        earlier(),
        Some(&format!(
            r#"{{"max_tokens":9,"context_management":{{"edits":[]}},"news":1,"tools":[{{"name":"f","input_schema":{{"z":{{}},"a":{{}}}}}}],"messages":[{{"role":"user","content":[{{"type":"text","text":"hi",{marker}}}]}}],"model":"#
        )),
    );
}

#[test]
fn betas_are_asked_for_by_name() {
    let mut call = call(&json!({"messages": [{"role": "user", "content": "hi"}]}));
    call.origin.anthropic_beta = Some("context-1m-2025-08-07".to_owned());
    let encoded = Anthropic.encode(&call, &earlier()).unwrap();
    assert_eq!(encoded.headers["anthropic-beta"], "context-1m-2025-08-07");
}

mod decoding {
    use super::*;

    fn read(body: &Value) -> Result<Reply, DecodeError> {
        Anthropic.decode(&call(&json!({})), &earlier(), &body.to_string().into())
    }

    /// What the stream of these events, each as it stands after `data:`, is read as.
    fn stream(request: &Value, frames: &[(&str, Value)]) -> Result<Vec<Event>, DecodeError> {
        let mut decoder = Anthropic.decoder(&call(request), &earlier());
        let mut events = Vec::new();
        for (name, data) in frames {
            let frame = Frame {
                event: Some((*name).to_owned()),
                data: data.to_string().into(),
            };
            decoder.frame(&frame, &mut events)?;
        }
        decoder.end(&mut events)?;
        Ok(events)
    }

    fn begin() -> (&'static str, Value) {
        (
            "message_start",
            json!({"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 9, "output_tokens": 1}}}),
        )
    }

    fn block(index: u64, block: Value) -> (&'static str, Value) {
        (
            "content_block_start",
            json!({"type": "content_block_start", "index": index, "content_block": block}),
        )
    }

    fn delta(index: u64, delta: Value) -> (&'static str, Value) {
        (
            "content_block_delta",
            json!({"type": "content_block_delta", "index": index, "delta": delta}),
        )
    }

    fn over(reason: &str) -> (&'static str, Value) {
        (
            "message_delta",
            json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}}),
        )
    }

    fn stop() -> (&'static str, Value) {
        ("message_stop", json!({"type": "message_stop"}))
    }

    #[test]
    fn every_stop_reason_has_a_word() {
        for (native, reason) in [
            ("end_turn", FinishReason::Stop),
            ("stop_sequence", FinishReason::Stop),
            ("pause_turn", FinishReason::Stop),
            ("max_tokens", FinishReason::Length),
            ("model_context_window_exceeded", FinishReason::Length),
            ("tool_use", FinishReason::ToolCalls),
            ("refusal", FinishReason::ContentFilter),
            ("something_new", FinishReason::Stop),
        ] {
            let reply = read(&json!({"content": [], "stop_reason": native})).unwrap();
            let finish = reply.choices[0].finish.clone().unwrap();
            assert_eq!((finish.native.as_str(), finish.reason), (native, reason));
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let reply = read(
            &json!({"content": [], "stop_reason": "refusal", "stop_details": {"type": "refusal", "explanation": "no"}}),
        );
        let refusal = reply.unwrap().choices[0].message.refusal.clone().unwrap();
        assert_eq!(refusal.to_text(), "no");
    }

    #[test]
    fn every_class_of_tokens_is_counted() {
        let usage = json!({
            "input_tokens": 10, "output_tokens": 20, "cache_read_input_tokens": 300,
            "cache_creation_input_tokens": 50, "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
            "output_tokens_details": {"thinking_tokens": 7}, "server_tool_use": {"web_search_requests": 2},
            "service_tier": "priority",
        });
        let reply =
            read(&json!({"content": [], "stop_reason": "end_turn", "usage": usage})).unwrap();
        let expect = Tokens {
            prompt: 360,
            completion: 20,
            cached: 300,
            cache_write_5m: 20,
            cache_write_1h: 30,
            reasoning: 7,
            web_searches: 2,
            ..Tokens::default()
        };
        assert_eq!(
            (reply.usage, reply.about.service_tier.as_deref()),
            (Some(expect), Some("priority"))
        );
        let bare = read(
            &json!({"content": [], "usage": {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 4}}),
        );
        assert_eq!(
            bare.unwrap()
                .usage
                .map(|tokens| (tokens.prompt, tokens.cache_write_5m)),
            Some((5, 4))
        );
    }

    #[test]
    fn errors_in_place_of_an_answer() {
        let error =
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
        for outcome in [
            read(&error).map(|_| ()),
            stream(&json!({}), &[begin(), ("error", error)]).map(|_| ()),
        ] {
            let Err(DecodeError::Upstream(fault)) = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!(
                (fault.status, fault.code.as_deref(), &*fault.message),
                (529, Some("overloaded_error"), "busy")
            );
        }
        assert!(matches!(
            read(&json!({"id": "x"})),
            Err(DecodeError::Malformed(_))
        ));
    }

    #[test]
    fn a_stream_is_over_only_when_it_says_so() {
        let whole = [
            begin(),
            block(0, json!({"type": "text", "text": ""})),
            delta(0, json!({"type": "text_delta", "text": "hi"})),
            over("end_turn"),
            stop(),
        ];
        assert!(stream(&json!({}), &whole).is_ok());
        for end in 0..whole.len() {
            assert_eq!(
                stream(&json!({}), &whole[..end]).unwrap_err(),
                DecodeError::Truncated
            );
        }
    }

    #[test]
    fn calls_in_pieces_and_without_arguments() {
        let events = stream(
            &json!({}),
            &[
                begin(),
                block(
                    0,
                    json!({"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}}),
                ),
                delta(
                    0,
                    json!({"type": "input_json_delta", "partial_json": "{\"q\":1}"}),
                ),
                block(
                    1,
                    json!({"type": "tool_use", "id": "a", "name": "f", "input": {}}),
                ),
                delta(1, json!({"type": "input_json_delta", "partial_json": ""})),
                delta(
                    1,
                    json!({"type": "input_json_delta", "partial_json": "{\"x\":"}),
                ),
                delta(1, json!({"type": "input_json_delta", "partial_json": "1}"})),
                (
                    "content_block_stop",
                    json!({"type": "content_block_stop", "index": 1}),
                ),
                block(
                    2,
                    json!({"type": "tool_use", "id": "b", "name": "g", "input": {}}),
                ),
                block(
                    3,
                    json!({"type": "tool_use", "name": "h", "input": {"whole": true}}),
                ),
                (
                    "content_block_stop",
                    json!({"type": "content_block_stop", "index": 3}),
                ),
                over("tool_use"),
                stop(),
            ],
        );
        let mut calls: Vec<(Option<String>, String, String)> = Vec::new();
        for event in events.unwrap() {
            let Event::Choice(choice) = event else {
                continue;
            };
            for piece in choice.message.tool_calls {
                let text =
                    |text: Option<crate::domain::json::JsonText>| text.map(|text| text.to_text());
                if piece.index as usize == calls.len() {
                    calls.push((text(piece.id), text(piece.name).unwrap(), String::new()));
                }
                calls[piece.index as usize].2 += &text(piece.arguments).unwrap_or_default();
            }
        }
        assert_eq!(
            (calls[0].0.as_deref(), &*calls[0].1, &*calls[0].2),
            (Some("a"), "f", "{\"x\":1}")
        );
        assert_eq!(
            (calls[1].0.as_deref(), &*calls[1].1, &*calls[1].2),
            (Some("b"), "g", "{}")
        );
        assert_eq!((&*calls[2].1, &*calls[2].2), ("h", "{\"whole\":true}"));
        assert!(
            calls[2]
                .0
                .as_deref()
                .is_some_and(|id| id.starts_with("call_"))
        );
    }
}
