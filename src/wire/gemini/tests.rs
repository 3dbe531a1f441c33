use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::domain::call::Origin;
use crate::domain::event::{Choice, Event};
use crate::domain::json::{JsonObject, JsonText, Raw};
use crate::wire::quirks::{NativeSearch, Quirks};
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

fn target(model: &str) -> Target {
    Target {
        wire: WireName::Gemini,
        upstream_model: model.to_owned(),
        quirks: Arc::new(Quirks::default()),
        unsupported_parameters: Vec::new(),
        max_output_tokens: None,
        reasoning: None,
    }
}

/// The body for a chat with these fields, of one message unless they say otherwise.
fn body(model: &str, fields: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let encoded = Gemini.encode(&call(&body), &target(model)).unwrap();
    serde_json::from_slice(&encoded.body).unwrap()
}

#[test]
fn the_path_names_the_model_and_whether_to_stream() {
    let hello = json!([{"role": "user", "content": "hi"}]);
    let path = |wire: &dyn Wire, stream: bool| {
        let body = json!({"messages": hello, "stream": stream});
        wire.encode(&call(&body), &target("models/gemini-2.5-pro"))
            .unwrap()
            .path
    };
    assert_eq!(
        path(&Gemini, false),
        "/models/gemini-2.5-pro:generateContent"
    );
    assert_eq!(
        path(&Gemini, true),
        "/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    );
    assert_eq!(
        path(&Vertex, false),
        "/publishers/google/models/gemini-2.5-pro:generateContent"
    );
}

#[test]
fn a_plain_request_says_no_more_than_it_must() {
    assert_eq!(
        body("gemini-2.5-flash", json!({})),
        json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
    );
}

#[test]
fn a_tier_is_told_where_each_wants_it() {
    let tiered = json!({"messages": [{"role": "user", "content": "hi"}], "service_tier": "fast"});
    let sent = body("gemini-2.5-flash", tiered.clone());
    assert_eq!(sent["service_tier"], "priority");
    let encoded = Vertex
        .encode(&call(&tiered), &target("gemini-2.5-flash"))
        .unwrap();
    assert_eq!(
        encoded.headers["x-vertex-ai-llm-shared-request-type"],
        "priority"
    );
    let sent: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(sent.get("service_tier"), None);
}

#[test]
fn settings_have_their_own_names_and_ranges() {
    let sent = body(
        "gemini-3-pro",
        json!({"n": 2, "max_tokens": 9, "temperature": 1.5, "top_p": 0.5, "top_k": 7, "stop": ["a"], "seed": 4_294_967_298_u64,
            "logprobs": true, "top_logprobs": 3, "modalities": ["image", "audio"], "image_config": {"aspect_ratio": "16:9"},
            "audio": {"voice": "Kore"}, "user": "ann", "logit_bias": {"1": 2}}),
    );
    assert_eq!(
        sent["generationConfig"],
        json!({"candidateCount": 2, "maxOutputTokens": 9, "temperature": 1.5, "topP": 0.5, "topK": 7, "stopSequences": ["a"],
            "seed": 2, "responseLogprobs": true, "logprobs": 3, "responseModalities": ["IMAGE", "AUDIO"],
            "imageConfig": {"aspectRatio": "16:9"},
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}})
    );
    assert_eq!(sent.as_object().unwrap().len(), 2);
}

#[test]
fn files_are_inline_or_at_their_address_with_a_type() {
    let content = json!([
        {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,QQ=="}},
        {"type": "image_url", "image_url": {"url": "https://a.example/b.PNG?c=d.gif"}},
        {"type": "image_url", "image_url": {"url": "https://a.example/b"}},
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://www.youtube.com/watch?v=1"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ=="}},
        {"type": "file", "file": {"file_id": "https://files.example/files/1"}},
        {"type": "text", "text": ""},
    ]);
    let sent = body(
        "gemini-2.5-flash",
        json!({"messages": [{"role": "user", "content": content}]}),
    );
    let inline = |mime: &str| json!({"inlineData": {"mimeType": mime, "data": "QQ=="}});
    let file = |uri: &str, mime: &str| json!({"fileData": {"fileUri": uri, "mimeType": mime}});
    assert_eq!(
        sent["contents"][0]["parts"],
        json!([
            inline("image/jpeg"),
            file("https://a.example/b.PNG?c=d.gif", "image/png"),
            file("https://a.example/b", "image/jpeg"),
            inline("audio/wav"),
            file("https://www.youtube.com/watch?v=1", "video/mp4"),
            inline("application/pdf"),
            {"fileData": {"fileUri": "https://files.example/files/1"}},
        ])
    );
}

#[test]
fn turns_follow_each_other_and_results_stand_apart() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "get", "arguments": "{\"a\":1}"}});
    let sent = body(
        "gemini-2.5-flash",
        json!({"messages": [
            {"role": "system", "content": "be brief"},
            {"role": "assistant", "content": "Hello", "tool_calls": [call("c1"), call("c2")]},
            {"role": "tool", "tool_call_id": "c1", "content": "plain"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "[1]"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}]},
            {"role": "user", "content": "so?", "name": "ann"},
            {"role": "developer", "content": "and kind"},
            {"role": "assistant", "content": "It is"},
        ]}),
    );
    let called = |id: &str| json!({"functionCall": {"id": id, "name": "get", "args": {"a": 1}}});
    let result = |id: &str, text: &str| json!({"functionResponse": {"id": id, "name": "get", "response": {"result": text}}});
    assert_eq!(
        sent["contents"],
        json!([
            {"role": "user", "parts": [{"text": "."}]},
            {"role": "model", "parts": [{"text": "Hello"}, called("c1"), called("c2")]},
            {"role": "user", "parts": [result("c1", "plain"), result("c2", "[1]"), {"inlineData": {"mimeType": "image/png", "data": "QQ=="}}]},
            {"role": "user", "parts": [{"text": "ann: so?"}]},
            {"role": "model", "parts": [{"text": "It is"}]},
        ])
    );
    assert_eq!(
        sent["systemInstruction"],
        json!({"parts": [{"text": "be brief"}, {"text": "and kind"}]})
    );
}

#[test]
fn a_later_model_takes_files_inside_a_result() {
    let sent = body(
        "gemini-3-flash",
        json!({"messages": [{"role": "tool", "tool_call_id": "c1", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
        ]}]}),
    );
    assert_eq!(
        sent["contents"][0]["parts"],
        json!([
            {"functionResponse": {"id": "c1", "name": "c1", "response": {}, "parts": [{"inlineData": {"mimeType": "image/png", "data": "QQ=="}}]}},
            {"fileData": {"fileUri": "https://a.example/b.png", "mimeType": "image/png"}},
        ])
    );
}

/// Every way in which a signature may come back: naming its call, naming none, and not at all.
#[test]
fn signatures_go_back_where_they_came_from() {
    let calls = json!([
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"id": "c2", "type": "function", "function": {"name": "f", "arguments": ""}},
    ]);
    let parts = |model: &str, message: Value| {
        let sent = body(
            model,
            json!({"messages": [{"role": "user", "content": "hi"}, message]}),
        );
        sent["contents"][1]["parts"].clone()
    };
    let signed = |id: Option<&str>, data: &str| json!({"type": "reasoning.encrypted", "format": "google-gemini-v1", "id": id, "data": data});
    let of_calls = |details: Value, model: &str| {
        let message =
            json!({"role": "assistant", "tool_calls": calls, "reasoning_details": details});
        let parts = parts(model, message);
        [0, 1].map(|at| parts[at]["thoughtSignature"].clone())
    };
    let (old, new) = ("gemini-2.5-flash", "gemini-3-flash");
    assert_eq!(
        of_calls(json!([signed(Some("c2"), "B"), signed(None, "A")]), old),
        [json!("A"), json!("B")]
    );
    assert_eq!(of_calls(json!([]), old), [json!(null), json!(null)]);
    let foreign = json!({"type": "reasoning.encrypted", "format": "openai-responses-v1", "id": "c1", "data": "A"});
    let [first, second] = of_calls(json!([foreign]), new);
    assert!(
        first.as_str().unwrap().starts_with("Y29udGV4dF9"),
        "{first}"
    );
    assert_eq!(second, json!(null));

    let message = json!({"role": "assistant", "content": "yes", "reasoning_details": [
        {"type": "reasoning.text", "format": "google-gemini-v1", "text": "a hunch", "index": 0},
        {"type": "reasoning.text", "format": "google-gemini-v1", "text": "a proof", "signature": "P", "index": 1},
        signed(None, "S"), signed(None, "T"),
    ]});
    assert_eq!(
        parts(new, message),
        json!([
            {"text": "a proof", "thought": true, "thoughtSignature": "P"},
            {"text": "yes", "thoughtSignature": "S"},
            {"text": "", "thoughtSignature": "T"},
        ])
    );
}

#[test]
fn tools_are_declared_and_chosen() {
    let tools = json!([
        {"type": "function", "function": {"name": "get", "description": "Gets", "parameters": {"type": "object", "properties": {"kind": {"const": "a"}}}}},
        {"type": "function", "function": {"name": "set", "description": ""}},
        {"type": "google_search"},
        {"type": "file_search", "file_search_store_names": ["s"]},
    ]);
    let sent = body("gemini-2.5-flash", json!({"tools": tools}));
    assert_eq!(
        sent["tools"],
        json!([
            {"functionDeclarations": [
                {"name": "get", "description": "Gets", "parametersJsonSchema": {"type": "object", "properties": {"kind": {"enum": ["a"]}}}},
                {"name": "set"},
            ]},
            {"google_search": {}},
            {"file_search": {"file_search_store_names": ["s"]}},
        ])
    );
    let chosen = |choice: Value, strict: bool| {
        let tool = json!({"type": "function", "function": {"name": "get", "strict": strict}});
        let sent = body(
            "gemini-2.5-flash",
            json!({"tools": [tool], "tool_choice": choice}),
        );
        sent["toolConfig"]["functionCallingConfig"].clone()
    };
    assert_eq!(chosen(json!(null), false), json!(null));
    assert_eq!(chosen(json!(null), true), json!({"mode": "VALIDATED"}));
    assert_eq!(chosen(json!("auto"), false), json!({"mode": "AUTO"}));
    assert_eq!(chosen(json!("none"), false), json!({"mode": "NONE"}));
    assert_eq!(chosen(json!("required"), true), json!({"mode": "ANY"}));
    assert_eq!(
        chosen(
            json!({"type": "function", "function": {"name": "get"}}),
            false
        ),
        json!({"mode": "ANY", "allowedFunctionNames": ["get"]})
    );
}

#[test]
fn the_web_is_searched_as_far_as_the_search_can_be_told() {
    let sent = |wire: WireName, model: &str, options: Value, tools: Value| {
        let mut target = target(model);
        target.wire = wire;
        target.quirks = Arc::new(Quirks {
            web_search: Some(NativeSearch::Tool),
            ..Quirks::default()
        });
        let question =
            call(&json!({"messages": [], "tools": tools, "web_search_options": options}));
        let encoded = crate::wire::wire(wire)
            .unwrap()
            .encode(&question, &target)?;
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        Ok::<_, EncodeError>((body["tools"].clone(), body["toolConfig"].clone()))
    };
    let (gemini, vertex) = (WireName::Gemini, WireName::Vertex);
    let search = json!([{"googleSearch": {}}]);
    let (old, new) = ("gemini-2.5-flash", "gemini-3-flash");
    assert_eq!(
        sent(gemini, old, json!({"max_uses": 5}), json!([])).unwrap(),
        (search, json!(null))
    );
    let blocked = json!({"blocked_domains": ["a.example/b"]});
    assert!(sent(gemini, new, blocked.clone(), json!([])).is_err());
    assert_eq!(
        sent(vertex, new, blocked, json!([])).unwrap().0,
        json!([{"googleSearch": {"excludeDomains": ["a.example"]}}])
    );
    assert!(
        sent(
            vertex,
            new,
            json!({"allowed_domains": ["a.example"]}),
            json!([])
        )
        .is_err()
    );
    let functions = json!([{"type": "function", "function": {"name": "get"}}]);
    assert!(sent(gemini, old, json!({}), functions.clone()).is_err());
    let (tools, config) = sent(gemini, new, json!({}), functions).unwrap();
    assert_eq!(tools.as_array().unwrap().len(), 2);
    assert_eq!(config, json!({"includeServerSideToolInvocations": true}));
}

#[test]
fn a_form_is_held_to_or_asked_for() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let tools = json!([{"type": "function", "function": {"name": "get"}}]);
    let sent = |model: &str, fields: Value| {
        let sent = body(model, fields);
        let words = sent["systemInstruction"]["parts"][0]["text"].is_string();
        (sent["generationConfig"].clone(), words)
    };
    let held = json!({"responseMimeType": "application/json", "responseJsonSchema": schema});
    let old = "gemini-2.5-flash";
    assert_eq!(
        sent(old, json!({"response_format": format})),
        (held.clone(), false)
    );
    assert_eq!(
        sent(old, json!({"response_format": {"type": "json_object"}})),
        (json!({"responseMimeType": "application/json"}), false)
    );
    // Beside tools, earlier models refuse it.
    let both = json!({"response_format": format, "tools": tools});
    assert_eq!(sent(old, both.clone()), (json!(null), true));
    assert_eq!(sent("gemini-3-flash", both), (held, false));
}

fn decoded(model: &str, answer: Value) -> Reply {
    let question = call(&json!({"messages": []}));
    Gemini
        .decode(&question, &target(model), &answer.to_string().into())
        .unwrap()
}

fn answer(parts: Value) -> Value {
    json!({"responseId": "r1", "candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]})
}

#[track_caller]
fn parsed(raw: &Option<Raw>) -> Value {
    raw.as_ref().unwrap().parse().unwrap()
}

#[test]
fn generated_files_come_out_and_sketches_stay_in() {
    let inline = |mime: &str, data: &str| json!({"inlineData": {"mimeType": mime, "data": data}});
    let mut sketch = inline("image/png", "U0s=");
    sketch["thought"] = json!(true);
    let mut picture = inline("image/png", "UEk=");
    picture["thoughtSignature"] = json!("S");
    let reply = decoded(
        "gemini-3-pro-image",
        answer(json!([sketch, picture, inline("audio/wav", "QVU=")])),
    );
    let message = &reply.choices[0].message;
    assert_eq!(
        parsed(&message.images),
        json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,UEk="}}])
    );
    assert_eq!(
        parsed(&message.audio),
        json!({"id": "r1", "data": "QVU=", "transcript": ""})
    );
    assert_eq!(
        parsed(&message.reasoning_details),
        json!([{"type": "reasoning.encrypted", "data": "S", "format": "google-gemini-v1", "index": 0}])
    );
}

#[test]
fn a_call_without_an_id_gets_one_that_stays() {
    let calls = answer(json!([
        {"functionCall": {"name": "get", "args": {"a": 1}}, "thoughtSignature": "S"},
        {"functionCall": {"name": "get"}},
    ]));
    let ids = |reply: Reply| -> Vec<String> {
        let calls = &reply.choices[0].message.tool_calls;
        calls
            .iter()
            .map(|call| call.id.as_ref().unwrap().to_text())
            .collect()
    };
    let first = decoded("gemini-3-flash", calls.clone());
    assert_eq!(
        parsed(&first.choices[0].message.reasoning_details)[0]["id"],
        json!(
            first.choices[0].message.tool_calls[0]
                .id
                .as_ref()
                .unwrap()
                .to_text()
        )
    );
    let finish = first.choices[0].finish.clone().unwrap();
    assert_eq!(
        (finish.reason.as_str(), &*finish.native),
        ("tool_calls", "STOP")
    );
    let arguments: Vec<String> = first.choices[0]
        .message
        .tool_calls
        .iter()
        .map(|call| call.arguments.as_ref().unwrap().to_text())
        .collect();
    assert_eq!(arguments, [r#"{"a":1}"#, "{}"]);
    let first = ids(first);
    assert_ne!(first[0], first[1]);
    assert_eq!(first, ids(decoded("gemini-3-flash", calls)));
}

#[test]
fn a_refusal_has_its_reason_and_its_words() {
    let refused = |answer: Value| {
        let reply = decoded("gemini-2.5-flash", answer);
        let choice = &reply.choices[0];
        let finish = choice.finish.clone().unwrap();
        let words = choice.message.refusal.as_ref().map(JsonText::to_text);
        (finish.reason.as_str(), finish.native, words)
    };
    assert_eq!(
        refused(
            json!({"promptFeedback": {"blockReason": "OTHER"}, "usageMetadata": {"promptTokenCount": 3}})
        ),
        ("content_filter", "OTHER".to_owned(), None)
    );
    assert_eq!(
        refused(
            json!({"candidates": [{"finishReason": "PROHIBITED_CONTENT", "finishMessage": "No."}]})
        ),
        (
            "content_filter",
            "PROHIBITED_CONTENT".to_owned(),
            Some("No.".to_owned())
        )
    );
}

#[test]
fn log_probabilities_take_the_usual_shape() {
    let mut given = answer(json!([{"text": "é"}]));
    given["candidates"][0]["logprobsResult"] = json!({
        "chosenCandidates": [{"token": "é", "tokenId": 7, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "e", "logProbability": -1}]}],
    });
    let reply = decoded("gemini-2.5-flash", given);
    assert_eq!(
        parsed(&reply.choices[0].logprobs),
        json!({"content": [{"token": "é", "logprob": -0.5, "bytes": [195, 169],
            "top_logprobs": [{"token": "e", "logprob": -1, "bytes": [101]}]}]})
    );
}

#[test]
fn searches_are_billed_as_the_generation_is() {
    let mut given = answer(json!([{"text": "so"}]));
    given["usageMetadata"] = json!({"promptTokenCount": 1, "toolUsePromptTokenCount": 2, "cachedContentTokenCount": 1,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}], "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}],
        "candidatesTokenCount": 3, "thoughtsTokenCount": 4, "serviceTier": "standard"});
    given["candidates"][0]["groundingMetadata"] = json!({"webSearchQueries": ["a", "", "b"]});
    let tokens = |model| decoded(model, given.clone()).usage.unwrap();
    assert_eq!(tokens("gemini-2.5-flash").web_searches, 1);
    let later = tokens("gemini-3-flash");
    assert_eq!(later.web_searches, 2);
    assert_eq!((later.prompt, later.completion, later.reasoning), (3, 7, 4));
    assert_eq!((later.cached, later.audio_in), (1, 0));
    let about = decoded("gemini-3-flash", given.clone()).about;
    assert_eq!(about.service_tier.as_deref(), Some("default"));
}

#[test]
fn what_is_no_answer_is_an_error() {
    let check = |answer: Value, upstream: bool| {
        let question = call(&json!({"messages": []}));
        let body = answer.to_string().into();
        let error = Gemini
            .decode(&question, &target("gemini-2.5-flash"), &body)
            .unwrap_err();
        let is_upstream = matches!(error, DecodeError::Upstream(_));
        assert_eq!(is_upstream, upstream, "{answer} {error:?}");
    };
    check(
        json!({"error": {"code": 503, "message": "no", "status": "UNAVAILABLE"}}),
        true,
    );
    check(json!([{"error": {"code": 503, "message": "no"}}]), true);
    check(json!({"usageMetadata": {}}), false);
    check(json!([]), false);
    check(json!({}), false);
}

#[test]
fn a_bad_key_is_no_fault_of_the_request() {
    let error = |reason: &str| {
        let details =
            json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]);
        let body = json!({"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT", "details": details}});
        let fault = Gemini.fault(400, &HeaderMap::new(), body.to_string().as_bytes());
        (fault.status, fault.code.unwrap())
    };
    assert_eq!(
        error("API_KEY_INVALID"),
        (401, "INVALID_ARGUMENT".to_owned())
    );
    assert_eq!(error("OTHER"), (400, "INVALID_ARGUMENT".to_owned()));
}

/// What a stream of these documents says, and how it ends.
fn streamed(question: Value, documents: &[Value]) -> Result<Vec<Choice>, DecodeError> {
    let mut decoder = Gemini.decoder(&call(&question), &target("gemini-3-flash"));
    let mut events = Vec::new();
    for document in documents {
        let frame = Frame {
            event: None,
            data: document.to_string().into(),
        };
        decoder.frame(&frame, &mut events)?;
    }
    decoder.end(&mut events)?;
    let choices = events.into_iter().filter_map(|event| match event {
        Event::Choice(choice) => Some(*choice),
        Event::Usage(_)
        | Event::About(_)
        | Event::Step(_)
        | Event::Forwarded(_)
        | Event::Sent(_) => None,
    });
    Ok(choices.collect())
}

fn piece(index: u32, text: &str, reason: Option<&str>) -> Value {
    json!({"candidates": [{"index": index, "content": {"parts": [{"text": text}]}, "finishReason": reason}]})
}

#[test]
fn a_stream_ends_when_every_candidate_has() {
    let two = json!({"messages": [], "n": 2});
    let one = json!({"messages": []});
    let (first, second) = (piece(0, "a", Some("STOP")), piece(1, "b", Some("STOP")));
    assert!(streamed(two.clone(), &[first.clone(), second]).is_ok());
    assert_eq!(
        streamed(two, std::slice::from_ref(&first)).err(),
        Some(DecodeError::Truncated)
    );
    assert!(streamed(one.clone(), &[first]).is_ok());
    let open = piece(0, "a", None);
    assert_eq!(
        streamed(one.clone(), &[open]).err(),
        Some(DecodeError::Truncated)
    );
    let refused = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    let choices = streamed(one.clone(), &[refused]).unwrap();
    assert_eq!(choices[0].finish.as_ref().unwrap().native, "SAFETY");
    let fault = json!({"error": {"code": 503, "message": "no", "status": "UNAVAILABLE"}});
    assert!(
        matches!(streamed(one, &[piece(0, "a", None), fault]), Err(DecodeError::Upstream(fault)) if fault.status == 503)
    );
}
