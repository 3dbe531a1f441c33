//! Requests of Google's Gemini API and of Vertex AI.

use serde_json::{Map, Value, json};
use turnpike::catalog::snapshot::Target;
use turnpike::wire::WireName;

use super::{data_url, encoded, for_each, target, without_nulls};
use crate::wires::expected::{first_text, list};
use crate::wires::recordings::{Recording, recordings};

/// How many of the fixtures' requests can be told in chat form, plain and streamed.
const KNOWN: [usize; 2] = [25, 17];

#[test]
fn a_request_is_sent_as_its_own_client_sent_it() {
    for (api, known) in ["gemini-generate", "gemini-stream"].into_iter().zip(KNOWN) {
        for_each(api, known, |recording| {
            let recorded = camel(&recording.request.body);
            let Some(chat) = chat(&recorded) else {
                return false;
            };
            let sent = encoded(&chat, &model(recording));
            assert_eq!(normal(&sent), normal(&recorded));
            true
        });
    }
}

/// A conversation goes on: what was answered goes back, each signature on the part that it came on.
#[test]
fn the_next_turn_sends_back_what_came() {
    let apis = ["gemini-generate", "gemini-stream"];
    let all: Vec<Recording> = apis.into_iter().flat_map(recordings).collect();
    let mut shown = 0;
    for recording in all
        .iter()
        .filter(|recording| recording.succeeded() && !recording.streamed())
    {
        let body = &recording.response.body;
        let parts = list(&body["candidates"][0]["content"]["parts"]);
        let own = |part: &&Value| part["thought"] != true;
        let came: Vec<Value> = parts.iter().filter(own).map(bare).collect();
        if !came.iter().any(|part| part["thoughtSignature"].is_string()) {
            continue;
        }
        let target = model(recording);
        let question = super::call(&json!({"messages": [{"role": "user", "content": "go"}]}));
        let wire = turnpike::wire::wire(target.wire).unwrap();
        let reply = wire
            .decode(&question, &target, &body.to_string().into())
            .unwrap();
        let message = super::said(&reply.choices[0].message);
        let calls = list(&message["tool_calls"]).to_vec();
        let results = calls.iter().map(
            |call| json!({"role": "tool", "tool_call_id": call["id"], "content": "{\"ok\": true}"}),
        );
        let mut messages = vec![json!({"role": "user", "content": "go"}), message];
        messages.extend(results);
        let sent = encoded(&json!({"messages": messages}), &target);
        let back: Vec<Value> = list(&sent["contents"][1]["parts"])
            .iter()
            .map(bare)
            .collect();
        assert_eq!(back, came, "{}", recording.name);
        let answered = list(&sent["contents"][2]["parts"]).iter();
        for (result, call) in answered.zip(&calls) {
            let expect = json!({"id": call["id"], "name": call["function"]["name"], "response": {"ok": true}});
            assert_eq!(result["functionResponse"], expect);
        }
        shown += 1;
    }
    assert!(shown >= 4, "{shown}");
}

/// A part without an id, which the gateway makes up where there is none.
fn bare(part: &Value) -> Value {
    let mut part = without_nulls(part);
    if let Some(call) = part.get_mut("functionCall") {
        call.as_object_mut().unwrap().remove("id");
    }
    part
}

/// The model that the recording names in its path.
fn model(recording: &Recording) -> Target {
    let wire = match recording.provider.as_str() {
        "vertex" => WireName::Vertex,
        _ => WireName::Gemini,
    };
    target(wire, recording.model.as_deref().unwrap_or("gemini-2.5-pro"))
}

/// The request in chat form; `None` for one that uses what the chat form has no words for, three of all: filters of
/// another of Google's services, and reports of what its own tools did.
fn chat(body: &Value) -> Option<Value> {
    let config = &body["generationConfig"];
    if !body["modelArmorConfig"].is_null() {
        return None;
    }
    let mut messages = Vec::new();
    let system = one_or_many(&body["systemInstruction"]["parts"]);
    if !system.is_empty() {
        messages.push(json!({"role": "system", "content": parts(&system)?}));
    }
    // A call without an id is found by its place.
    let mut ids = Ids::default();
    for content in list(&body["contents"]) {
        turn(content, &mut ids, &mut messages)?;
    }
    let mut chat = json!({
        "messages": messages, "max_tokens": config["maxOutputTokens"], "temperature": config["temperature"],
        "top_p": config["topP"], "top_k": config["topK"], "seed": config["seed"], "stop": config["stopSequences"],
        "logprobs": config["responseLogprobs"], "top_logprobs": config["logprobs"],
        "cached_content": body["cachedContent"], "safety_settings": body["safetySettings"],
    });
    if let Some(wanted) = config["responseModalities"].as_array() {
        let words = wanted
            .iter()
            .map(|one| one.as_str().unwrap().to_lowercase());
        chat["modalities"] = json!(words.collect::<Vec<_>>());
    }
    if config["responseMimeType"] == "application/json" {
        let schema = [&config["responseJsonSchema"], &config["responseSchema"]];
        chat["response_format"] = match schema.into_iter().find(|schema| schema.is_object()) {
            Some(schema) => {
                json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}})
            }
            None => json!({"type": "json_object"}),
        };
    }
    let thinking = &config["thinkingConfig"];
    if let Some(level) = thinking["thinkingLevel"].as_str() {
        chat["reasoning"] = json!({"effort": level.to_lowercase()});
    } else if let Some(budget) = thinking["thinkingBudget"].as_u64() {
        chat["reasoning"] = json!({"max_tokens": budget});
    }
    tools(body, &mut chat)?;
    Some(chat)
}

fn tools(body: &Value, chat: &mut Value) -> Option<()> {
    let mut tools = Vec::new();
    for tool in one_or_many(&body["tools"]) {
        for (kind, value) in tool
            .as_object()?
            .iter()
            .filter(|(_, value)| !value.is_null())
        {
            if kind == "functionDeclarations" {
                tools.extend(list(value).iter().map(function));
            } else {
                let mut native = value.as_object()?.clone();
                native.insert("type".to_owned(), json!(kind));
                tools.push(Value::Object(native));
            }
        }
    }
    if !tools.is_empty() {
        chat["tools"] = json!(tools);
    }
    let config = &body["toolConfig"];
    if config["includeServerSideToolInvocations"] == true {
        return None;
    }
    let choice = &config["functionCallingConfig"];
    let only = list(&choice["allowedFunctionNames"]);
    match (first_text([&choice["mode"]]), only) {
        ("AUTO", _) => chat["tool_choice"] = json!("auto"),
        ("ANY", [name]) => {
            chat["tool_choice"] = json!({"type": "function", "function": {"name": name}});
        }
        // All that are on offer.
        ("ANY", _) => chat["tool_choice"] = json!("required"),
        ("NONE", _) => chat["tool_choice"] = json!("none"),
        ("VALIDATED", _) => {
            for tool in chat["tools"].as_array_mut().unwrap() {
                tool["function"]["strict"] = json!(true);
            }
        }
        _ => {}
    }
    Some(())
}

fn function(declared: &Value) -> Value {
    json!({"type": "function", "function": {"name": declared["name"], "description": declared["description"],
        "parameters": parameters(declared)}})
}

/// The schema of a function's arguments, under any of its names.
fn parameters(declared: &Value) -> &Value {
    if declared["parametersJsonSchema"].is_object() {
        &declared["parametersJsonSchema"]
    } else {
        &declared["parameters"]
    }
}

/// The ids of calls in their order, for results that have none.
#[derive(Default)]
struct Ids {
    made: usize,
    open: Vec<String>,
}

impl Ids {
    fn of_call(&mut self, call: &Value) -> String {
        self.made += 1;
        let id = call["id"]
            .as_str()
            .map_or(format!("id-{}", self.made), str::to_owned);
        self.open.push(id.clone());
        id
    }

    fn of_result(&mut self, result: &Value) -> String {
        let next = self.open.remove(0);
        result["id"].as_str().map_or(next, str::to_owned)
    }
}

fn turn(content: &Value, ids: &mut Ids, messages: &mut Vec<Value>) -> Option<()> {
    let (mut words, mut calls, mut details) = (Vec::new(), Vec::new(), Vec::new());
    let mut results: Vec<Value> = Vec::new();
    for part in one_or_many(&content["parts"]) {
        let (call, result) = (&part["functionCall"], &part["functionResponse"]);
        if call.is_object() {
            let id = ids.of_call(call);
            if part["thoughtSignature"].is_string() {
                details.push(json!({"type": "reasoning.encrypted", "id": id, "data": part["thoughtSignature"],
                    "format": "google-gemini-v1", "index": details.len()}));
            }
            calls.push(json!({"id": id, "type": "function", "function": {"name": call["name"], "arguments": call["args"].to_string()}}));
        } else if result.is_object() {
            let mut given = Vec::new();
            if result["response"] != json!({}) || !result["parts"].is_array() {
                given.push(json!({"type": "text", "text": result["response"].to_string()}));
            }
            given.extend(parts(list(&result["parts"]))?);
            results.push(
                json!({"role": "tool", "tool_call_id": ids.of_result(result), "content": given}),
            );
        } else if let (Some(last), None) = (results.last_mut(), part["text"].as_str()) {
            // A file beside a result is a part of it.
            let given = last["content"].as_array_mut().unwrap();
            given.extend(parts(&[part])?);
        } else {
            words.push(part);
        }
    }
    messages.extend(results);
    let role = first_text([&content["role"]]);
    if role == "model" {
        messages.push(json!({"role": "assistant", "content": parts(&words)?, "tool_calls": calls, "reasoning_details": details}));
    } else if !words.is_empty() {
        messages.push(json!({"role": "user", "content": parts(&words)?}));
    }
    Some(())
}

fn parts(given: &[Value]) -> Option<Vec<Value>> {
    let part = |part: &Value| {
        let (blob, file) = (&part["inlineData"], &part["fileData"]);
        let mime = first_text([&blob["mimeType"], &file["mimeType"]]);
        let kind = mime.split('/').next().unwrap_or_default();
        if part["text"].is_string() {
            return Some(json!({"type": "text", "text": part["text"]}));
        }
        let url = match (blob["data"].is_string(), file["fileUri"].is_string()) {
            (true, _) => data_url(&blob["mimeType"], &blob["data"]),
            (_, true) => file["fileUri"].clone(),
            _ => return None,
        };
        Some(match kind {
            "image" => json!({"type": "image_url", "image_url": {"url": url}}),
            "video" => json!({"type": "video_url", "video_url": {"url": url}}),
            "audio" => {
                json!({"type": "input_audio", "input_audio": {"data": blob["data"], "format": mime.split('/').next_back()}})
            }
            _ => json!({"type": "file", "file": {"file_data": url}}),
        })
    };
    given.iter().map(part).collect()
}

/// The same request, however it is spelled: types in either case, schemas under either name, a lone part or tool for a
/// list of one, what is empty or says what holds anyway left out, and what only some clients add: the roles of
/// instructions, ids of calls, choices that name all that is on offer.
fn normal(body: &Value) -> Value {
    let mut body = without_nulls(body);
    for content in body["contents"].as_array_mut().unwrap() {
        content["parts"] = json!(one_or_many(&content["parts"]));
        for part in content["parts"].as_array_mut().unwrap() {
            normal_part(part);
        }
    }
    // An empty text stands in for the user as well as any.
    let opening = body.pointer_mut("/contents/0/parts/0/text");
    if let Some(text) = opening.filter(|text| **text == ".") {
        *text = json!("");
    }
    let fields = body.as_object_mut().unwrap();
    fields.remove("model");
    fields.retain(|_, value| *value != json!({}));
    let system = fields
        .get("systemInstruction")
        .map(|given| one_or_many(&given["parts"]));
    let texts: Vec<Value> = system
        .unwrap_or_default()
        .into_iter()
        .map(|part| part["text"].clone())
        .collect();
    fields.insert(
        "systemInstruction".to_owned(),
        json!(texts.iter().filter(|text| *text != "").collect::<Vec<_>>()),
    );
    let (mut functions, mut natives) = (Vec::new(), Vec::new());
    for tool in fields.get("tools").map(one_or_many).unwrap_or_default() {
        for (kind, value) in tool.as_object().unwrap() {
            match kind.as_str() {
                "functionDeclarations" => functions.extend(list(value).iter().map(declared)),
                _ => natives.push(json!({kind.as_str(): value})),
            }
        }
    }
    let offered: Vec<&Value> = functions.iter().map(|function| &function["name"]).collect();
    let choice = fields
        .get_mut("toolConfig")
        .and_then(|config| config.get_mut("functionCallingConfig"));
    if let Some(choice) = choice.and_then(Value::as_object_mut)
        && choice
            .get("allowedFunctionNames")
            .is_some_and(|names| list(names).len() == offered.len() && offered.len() > 1)
    {
        choice.remove("allowedFunctionNames");
    }
    fields.insert("tools".to_owned(), json!([functions, natives]));
    let config = fields
        .entry("generationConfig")
        .or_insert(json!({}))
        .as_object_mut()
        .unwrap();
    config.retain(|name, value| match name.as_str() {
        "candidateCount" => *value != 1,
        "responseMimeType" => *value != "text/plain",
        _ => true,
    });
    if let Some(schema) = config.remove("responseSchema") {
        config.insert("responseJsonSchema".to_owned(), schema);
    }
    if let Some(schema) = config.get_mut("responseJsonSchema") {
        *schema = lower(schema);
    }
    if let Some(level) = config
        .get_mut("thinkingConfig")
        .and_then(|thinking| thinking.get_mut("thinkingLevel"))
    {
        *level = json!(level.as_str().unwrap().to_lowercase());
    }
    body
}

fn normal_part(part: &mut Value) {
    let fields = part.as_object_mut().unwrap();
    if fields.get("thought") == Some(&json!(false)) {
        fields.remove("thought");
    }
    for name in ["functionCall", "functionResponse"] {
        if let Some(inner) = fields.get_mut(name).and_then(Value::as_object_mut) {
            inner.remove("id");
        }
    }
}

fn declared(function: &Value) -> Value {
    let description = first_text([&function["description"]]);
    json!({"name": function["name"], "description": description, "parameters": lower(parameters(function))})
}

/// A schema with its types in lower case, and without lists that are empty.
fn lower(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let lowered = fields.iter().map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    ("type", Value::String(kind)) => json!(kind.to_lowercase()),
                    (_, value) => lower(value),
                };
                (name.clone(), value)
            });
            lowered.filter(|(_, value)| *value != json!([])).collect()
        }
        Value::Array(items) => items.iter().map(lower).collect(),
        other => other.clone(),
    }
}

fn one_or_many(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Object(_) => vec![value.clone()],
        _ => Vec::new(),
    }
}

/// The request in the usual spelling of its names: the API takes `inline_data` for `inlineData` too. Names of the
/// callers' own, in schemas and arguments, stay.
pub(crate) fn camel(value: &Value) -> Value {
    const CALLERS: [&str; 6] = [
        "properties",
        "args",
        "response",
        "parametersJsonSchema",
        "responseJsonSchema",
        "fileSearch",
    ];
    match value {
        Value::Object(fields) => {
            let renamed: Map<String, Value> = fields
                .iter()
                .map(|(name, value)| {
                    let mut words = name.split('_');
                    let mut camel = words.next().unwrap_or_default().to_owned();
                    for word in words {
                        camel += &word[..1].to_uppercase();
                        camel += &word[1..];
                    }
                    let kept = CALLERS.contains(&camel.as_str());
                    (
                        camel,
                        if kept {
                            value.clone()
                        } else {
                            self::camel(value)
                        },
                    )
                })
                .collect();
            Value::Object(renamed)
        }
        Value::Array(items) => items.iter().map(camel).collect(),
        other => other.clone(),
    }
}
