use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::domain::call::Origin;
use crate::domain::event::Event;
use crate::domain::json::JsonObject;
use crate::wire::quirks::Quirks;
use crate::wire::{Frame, WireName};

fn call(form: Form, body: &Value) -> Call {
    Call {
        form,
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

fn target() -> Target {
    Target {
        wire: WireName::Cohere,
        upstream_model: "command".to_owned(),
        quirks: Arc::new(Quirks::default()),
        unsupported_parameters: Vec::new(),
        max_output_tokens: Some(32_000),
        reasoning: None,
    }
}

fn encoded(form: Form, body: &Value) -> Result<Value, EncodeError> {
    let encoded = Cohere.encode(&call(form, body), &target())?;
    Ok(serde_json::from_slice(&encoded.body).unwrap())
}

/// The body of a request with these fields, where the user says `hi`.
fn body(fields: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    encoded(Form::Chat, &body).unwrap()
}

fn messages(messages: Value) -> Value {
    encoded(Form::Chat, &json!({"messages": messages})).unwrap()["messages"].clone()
}

#[test]
fn a_plain_request_says_no_more_than_it_must() {
    assert_eq!(
        body(json!({})),
        json!({"model": "command", "messages": [{"role": "user", "content": "hi"}]})
    );
}

#[test]
fn numbers_keep_to_what_the_api_takes() {
    let sent = body(json!({
        "temperature": 0.3, "top_p": 1, "top_k": 1000, "frequency_penalty": -1.5, "presence_penalty": 0.5,
        "seed": 7, "stop": ["a", "b", "c", "d", "e", "f"], "max_tokens": 5, "user": "ann",
    }));
    assert_eq!(
        sent,
        json!({
            "model": "command", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5,
            "temperature": 0.3, "p": 0.99, "k": 500.0, "frequency_penalty": 0.0, "presence_penalty": 0.5,
            "seed": 7, "stop_sequences": ["a", "b", "c", "d", "e"],
        })
    );
    assert!(encoded(Form::Chat, &json!({"messages": [], "n": 2})).is_err());
}

#[test]
fn a_choice_of_one_function_offers_no_other() {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "strict": true}});
    let choose = |choice: Value| {
        let sent = body(json!({"tools": [tool("a"), tool("b")], "tool_choice": choice}));
        let names = sent["tools"].as_array().unwrap().iter();
        let names: Vec<Value> = names.map(|tool| tool["function"]["name"].clone()).collect();
        assert_eq!(sent["strict_tools"], true);
        (sent["tool_choice"].clone(), names)
    };
    let both = vec![json!("a"), json!("b")];
    assert_eq!(choose(json!("auto")), (Value::Null, both.clone()));
    assert_eq!(choose(json!("none")), (json!("NONE"), both.clone()));
    assert_eq!(choose(json!("required")), (json!("REQUIRED"), both));
    let one = json!({"type": "function", "function": {"name": "b"}});
    assert_eq!(choose(one), (json!("REQUIRED"), vec![json!("b")]));
    let native = json!({"messages": [], "tools": [{"type": "web_search"}]});
    assert!(encoded(Form::Chat, &native).is_err());
}

#[test]
fn a_form_is_json_and_thinking_has_a_budget() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let format =
        |format: Value| body(json!({"response_format": format}))["response_format"].clone();
    assert_eq!(
        format(json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})),
        json!({"type": "json_object", "json_schema": schema})
    );
    assert_eq!(
        format(json!({"type": "json_object"})),
        json!({"type": "json_object"})
    );
    let think = |reasoning: Value| body(json!({"reasoning": reasoning}))["thinking"].clone();
    assert_eq!(
        think(json!({"effort": "low"})),
        json!({"type": "enabled", "token_budget": 6_400})
    );
    assert_eq!(
        think(json!({"max_tokens": 300})),
        json!({"type": "enabled", "token_budget": 300})
    );
    assert_eq!(think(json!({"enabled": true})), json!({"type": "enabled"}));
    assert_eq!(
        think(json!({"effort": "none"})),
        json!({"type": "disabled"})
    );
    assert_eq!(think(Value::Null), Value::Null);
}

#[test]
fn words_before_calls_are_a_plan_and_texts_among_files_documents() {
    let calls = json!([{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]);
    let sent = messages(json!([
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}}]},
        {"role": "assistant", "content": "I look.", "reasoning": "hm", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
        {"role": "assistant", "content": "It is a cat.", "reasoning": "hm"},
        {"role": "assistant", "content": null},
    ]));
    assert_eq!(
        sent,
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}], "tool_plan": "I look.", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c1", "content": "seen"},
            {"role": "assistant", "content": "It is a cat."},
        ])
    );
    let file = |url: &str| {
        let file = json!({"type": "file", "file": {"filename": "a.txt", "file_data": url}});
        encoded(
            Form::Chat,
            &json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "sum up"}, file]}]}),
        )
    };
    let sent = file("data:text/plain;base64,aGVsbG8=").unwrap();
    assert_eq!(
        sent["documents"],
        json!([{"id": "doc:0", "data": {"title": "a.txt", "text": "hello"}}])
    );
    assert_eq!(sent["messages"][0]["content"], "sum up");
    assert!(file("data:application/pdf;base64,aGVsbG8=").is_err());
    assert_eq!(
        messages(json!([{"role": "system", "content": "go"}])),
        json!([{"role": "user", "content": "go"}])
    );
}

fn read(answer: Value) -> Result<Reply, DecodeError> {
    let call = call(Form::Chat, &json!({}));
    Cohere.decode(&call, &target(), &answer.to_string().into())
}

#[test]
fn what_is_billed_is_what_counts() {
    let usage = json!({"billed_units": {"input_tokens": 7, "output_tokens": 9}, "tokens": {"input_tokens": 500, "output_tokens": 30, "reasoning_tokens": 4}, "cached_tokens": 400});
    let reply =
        read(json!({"message": {"content": []}, "finish_reason": "COMPLETE", "usage": usage}));
    let tokens = reply.unwrap().usage.unwrap();
    assert_eq!(
        (
            tokens.prompt,
            tokens.completion,
            tokens.cached,
            tokens.reasoning
        ),
        (7, 9, 7, 4)
    );
    let unbilled = json!({"tokens": {"input_tokens": 500, "output_tokens": 30}});
    let reply = read(json!({"message": {}, "usage": unbilled})).unwrap();
    assert_eq!(reply.usage.unwrap().prompt, 500);
    assert_eq!(read(json!({"message": {}})).unwrap().usage, None);
}

#[test]
fn sources_with_addresses_and_likelihoods_come_in_the_contracts_form() {
    let reply = read(json!({
        "message": {
            "content": [{"type": "text", "text": "It is so."}],
            "citations": [{"start": 0, "end": 2, "text": "It", "type": "TEXT_CONTENT", "sources": [
                {"type": "document", "id": "doc:0", "document": {"title": "mine", "text": "x"}},
                {"type": "tool", "id": "https://a.example", "tool_output": {"title": "A"}},
            ]}],
        },
        "finish_reason": "COMPLETE",
        "logprobs": [{"token_ids": [1], "text": "It", "logprobs": [-0.5]}, {"token_ids": [2, 3], "text": " is so.", "logprobs": [-0.25, -0.5]}, {"token_ids": []}],
    }));
    let choice = reply.unwrap().choices.remove(0);
    let annotations: Value = choice.message.annotations.unwrap().parse().unwrap();
    assert_eq!(
        annotations,
        json!([{"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}}])
    );
    let logprobs: Value = choice.logprobs.unwrap().parse().unwrap();
    let token = |token: &str, logprob: f64| json!({"token": token, "logprob": logprob, "bytes": null, "top_logprobs": []});
    assert_eq!(
        logprobs,
        json!({"content": [token("It", -0.5), token(" is so.", -0.75)]})
    );
}

#[test]
fn an_answer_that_was_given_up_is_an_error() {
    let check = |answer: Value, code: Option<&str>, message: &str| match read(answer) {
        Err(DecodeError::Upstream(fault)) => {
            assert_eq!((fault.code.as_deref(), &*fault.message), (code, message));
        }
        other => panic!("{other:?}"),
    };
    check(
        json!({"message": {"content": []}, "finish_reason": "ERROR"}),
        Some("ERROR"),
        "the provider gave up on the answer",
    );
    check(
        json!({"message": {"content": []}, "finish_reason": "TIMEOUT", "error": "too slow"}),
        Some("TIMEOUT"),
        "too slow",
    );
    check(
        json!({"id": "1", "message": "no such model"}),
        None,
        "no such model",
    );
    assert!(matches!(read(json!({})), Err(DecodeError::Malformed(_))));
}

fn streamed(documents: &[Value]) -> Result<Vec<Event>, DecodeError> {
    let mut decoder = Cohere.decoder(&call(Form::Chat, &json!({})), &target());
    let mut events = Vec::new();
    for document in documents {
        let frame = Frame {
            event: document["type"].as_str().map(str::to_owned),
            data: document.to_string().into(),
        };
        decoder.frame(&frame, &mut events)?;
    }
    decoder.end(&mut events)?;
    Ok(events)
}

#[test]
fn a_stream_that_fails_or_breaks_off_is_an_error() {
    let start = json!({"type": "message-start", "id": "m", "delta": {"message": {"content": []}}});
    let text = json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Half"}}}});
    let end = |reason: &str| json!({"type": "message-end", "delta": {"finish_reason": reason}});
    assert!(streamed(&[start.clone(), text.clone(), end("COMPLETE")]).is_ok());
    assert_eq!(
        streamed(&[start.clone(), text.clone()]).err(),
        Some(DecodeError::Truncated)
    );
    for failure in [
        end("ERROR"),
        json!({"message": "internal error"}),
        json!({"type": "error", "message": "internal error"}),
    ] {
        let outcome = streamed(&[start.clone(), text.clone(), failure]);
        assert!(
            matches!(outcome, Err(DecodeError::Upstream(_))),
            "{outcome:?}"
        );
    }
    let new = json!({"type": "debug", "prompt": "…"});
    assert!(streamed(&[start, new, text, end("COMPLETE")]).is_ok());
}

#[test]
fn calls_get_arguments_that_can_be_parsed() {
    let start = |index: u64| json!({"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": {"id": format!("c{index}"), "type": "function", "function": {"name": "f", "arguments": ""}}}}});
    let more = |index: u64, piece: &str| json!({"type": "tool-call-delta", "index": index, "delta": {"message": {"tool_calls": {"function": {"arguments": piece}}}}});
    let end = |index: u64| json!({"type": "tool-call-end", "index": index});
    let events = streamed(&[
        start(0),
        more(0, "null"),
        end(0),
        start(1),
        more(1, "{\"a\":"),
        more(1, "null"),
        more(1, "}"),
        start(2),
        json!({"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}}),
    ]);
    let mut calls = vec![String::new(); 3];
    for event in events.unwrap() {
        let Event::Choice(choice) = event else {
            continue;
        };
        for call in choice.message.tool_calls {
            calls[call.index as usize] += &call
                .arguments
                .map(|text| text.to_text())
                .unwrap_or_default();
        }
    }
    assert_eq!(calls, ["{}", "{\"a\":null}", "{}"]);
}

#[test]
fn inputs_to_embed_take_the_form_that_fits() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
    let text = |text: &str| json!({"type": "text", "text": text});
    let embed = |input: Value| encoded(Form::Embeddings, &json!({"input": input}));
    let sent = embed(json!(["a", {"content": [text("b"), text("c")]}])).unwrap();
    assert_eq!(
        sent,
        json!({"model": "command", "texts": ["a", "b\nc"], "input_type": "search_document", "embedding_types": ["float"]})
    );
    let sent = embed(json!([{"content": [image]}])).unwrap();
    assert_eq!(sent["images"], json!(["data:image/png;base64,AA=="]));
    assert_eq!(sent["input_type"], "image");
    let sent = embed(json!(["a", {"content": [text("b"), image]}])).unwrap();
    assert_eq!(
        sent["inputs"],
        json!([{"content": [text("a")]}, {"content": [text("b"), image]}])
    );
    assert!(embed(json!([[1, 2]])).is_err());
    assert!(embed(json!([{"content": [{"type": "input_audio"}]}])).is_err());
    let sent = encoded(
        Form::Embeddings,
        &json!({"input": "a", "encoding_format": "base64", "input_type": "query", "dimensions": 256}),
    );
    assert_eq!(
        sent.unwrap(),
        json!({"model": "command", "texts": ["a"], "input_type": "search_query", "embedding_types": ["base64"], "output_dimension": 256})
    );
}

#[test]
fn vectors_come_in_the_encoding_that_was_asked_for() {
    let asking = |encoding: &str, embeddings: Value| {
        let call = call(Form::Embeddings, &json!({"encoding_format": encoding}));
        let answer = json!({"id": "1", "embeddings": embeddings, "meta": {"billed_units": {"input_tokens": 3, "image_tokens": 4}}});
        let reply = Cohere.decode(&call, &target(), &answer.to_string().into())?;
        assert_eq!(reply.usage.map(|tokens| tokens.prompt), Some(7));
        Ok::<Value, DecodeError>(reply.vectors[0].parse().unwrap())
    };
    assert_eq!(
        asking("float", json!({"float": [[0.5, -2.0]]})).unwrap(),
        json!([0.5, -2.0])
    );
    assert_eq!(
        asking("base64", json!({"base64": ["AAAAPwAAAMA="]})).unwrap(),
        "AAAAPwAAAMA="
    );
    assert_eq!(
        asking("base64", json!({"float": [[0.5, -2.0]]})).unwrap(),
        "AAAAPwAAAMA="
    );
    assert!(asking("float", json!({"float": ["AAA"]})).is_err());
    let nothing = Cohere.decode(
        &call(Form::Embeddings, &json!({})),
        &target(),
        &json!({"message": "no"}).to_string().into(),
    );
    assert!(matches!(nothing, Err(DecodeError::Upstream(_))));
}
