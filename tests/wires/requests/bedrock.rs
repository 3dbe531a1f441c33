//! Requests of Amazon Bedrock's Converse API.

use serde_json::{Value, json};
use turnpike::wire::WireName;
use turnpike::wire::quirks::ReasoningForm;

use super::{encoded, for_each, reasoning, target, without_nulls};
use crate::wires::expected::{first_text, list};

/// How many of the fixtures' requests can be told in chat form, plain and streamed.
const KNOWN: [usize; 2] = [9, 4];

#[test]
fn a_request_is_sent_as_its_own_client_sent_it() {
    for (api, known) in ["bedrock-converse", "bedrock-converse-stream"]
        .into_iter()
        .zip(KNOWN)
    {
        for_each(api, known, |recording| {
            let recorded = &recording.request.body;
            let Some(chat) = chat(recorded) else {
                return false;
            };
            // The model is named in the path alone.
            let claude = target(WireName::Bedrock, "us.anthropic.claude");
            let sent = encoded(&chat, &reasoning(ReasoningForm::Budget, claude));
            assert_eq!(normal(&sent), normal(recorded));
            true
        });
    }
}

/// The request in chat form; `None` for one that uses what the chat form has no words for: tools that the provider
/// runs, guarded content, files in Amazon's store, documents to be cited, and fields of one model's family.
fn chat(body: &Value) -> Option<Value> {
    let mut messages = Vec::new();
    if !list(&body["system"]).is_empty() {
        messages.push(json!({"role": "system", "content": parts(list(&body["system"]))?}));
    }
    for message in list(&body["messages"]) {
        turn(message, &mut messages)?;
    }
    let config = &body["inferenceConfig"];
    let mut chat = json!({
        "messages": messages, "max_tokens": config["maxTokens"], "temperature": config["temperature"],
        "top_p": config["topP"], "stop": config["stopSequences"], "service_tier": body["serviceTier"]["type"],
        "guardrailConfig": body["guardrailConfig"],
    });
    for (name, value) in body["additionalModelRequestFields"]
        .as_object()
        .into_iter()
        .flatten()
    {
        match name.as_str() {
            "thinking" => chat["thinking"] = value.clone(),
            "top_k" => chat["top_k"] = value.clone(),
            _ => return None,
        }
    }
    let schema = &body["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
    if schema.is_object() {
        let parsed: Value = serde_json::from_str(first_text([&schema["schema"]])).unwrap();
        chat["response_format"] = json!({"type": "json_schema", "json_schema": {
            "name": schema["name"], "description": schema["description"], "schema": parsed}});
    }
    let tools = &body["toolConfig"];
    let mut offered: Vec<Value> = Vec::new();
    for tool in list(&tools["tools"]) {
        let spec = &tool["toolSpec"];
        if tool["cachePoint"].is_object() {
            offered.last_mut()?["cache_control"] = marker(tool);
        } else if spec.is_object() {
            offered.push(json!({"type": "function", "function": {"name": spec["name"], "description": spec["description"],
                "parameters": spec["inputSchema"]["json"], "strict": spec["strict"]}}));
        } else {
            return None;
        }
    }
    if !offered.is_empty() {
        chat["tools"] = json!(offered);
    }
    let choice = &tools["toolChoice"];
    if choice["auto"].is_object() {
        chat["tool_choice"] = json!("auto");
    } else if choice["any"].is_object() {
        chat["tool_choice"] = json!("required");
    } else if choice["tool"].is_object() {
        chat["tool_choice"] =
            json!({"type": "function", "function": {"name": choice["tool"]["name"]}});
    }
    Some(chat)
}

fn marker(block: &Value) -> Value {
    json!({"type": "ephemeral", "ttl": block["cachePoint"]["ttl"]})
}

fn turn(message: &Value, messages: &mut Vec<Value>) -> Option<()> {
    let blocks = list(&message["content"]);
    let (mut words, mut thoughts, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for block in blocks {
        let (thought, call, result) = (
            &block["reasoningContent"],
            &block["toolUse"],
            &block["toolResult"],
        );
        if thought.is_object() {
            thoughts.push(json!({"type": "reasoning.text", "text": thought["reasoningText"]["text"],
                "signature": thought["reasoningText"]["signature"].as_str()?, "index": thoughts.len()}));
        } else if call.is_object() {
            if call["type"] == "server_tool_use" {
                return None;
            }
            calls.push(json!({"id": call["toolUseId"], "type": "function", "function": {"name": call["name"], "arguments": call["input"].to_string()}}));
        } else if result.is_object() {
            if result["status"] == "error" || result["type"].is_string() {
                return None;
            }
            messages.push(json!({"role": "tool", "tool_call_id": result["toolUseId"], "content": parts(list(&result["content"]))?}));
        } else {
            words.push(block.clone());
        }
    }
    let role = first_text([&message["role"]]);
    let content = parts(&words)?;
    if role == "assistant" {
        messages.push(json!({"role": role, "content": content, "reasoning_details": thoughts, "tool_calls": calls}));
    } else if !words.is_empty() {
        messages.push(json!({"role": role, "content": content}));
    }
    Some(())
}

fn parts(blocks: &[Value]) -> Option<Vec<Value>> {
    let mut parts: Vec<Value> = Vec::new();
    for block in blocks {
        if block["document"]["citations"].is_object() {
            return None;
        }
        let inline = |kind: &str, mime: String| {
            let data = block[kind]["source"]["bytes"].as_str()?;
            Some(format!("data:{mime};base64,{data}"))
        };
        let format = |kind: &str| first_text([&block[kind]["format"]]).to_owned();
        if block["cachePoint"].is_object() {
            parts.last_mut()?["cache_control"] = marker(block);
        } else if block["text"].is_string() {
            parts.push(json!({"type": "text", "text": block["text"]}));
        } else if block["image"].is_object() {
            let url = inline("image", format!("image/{}", format("image")))?;
            parts.push(json!({"type": "image_url", "image_url": {"url": url}}));
        } else if block["video"].is_object() {
            let url = inline("video", format!("video/{}", format("video")))?;
            parts.push(json!({"type": "video_url", "video_url": {"url": url}}));
        } else if block["document"].is_object() {
            let mime = match &*format("document") {
                "txt" => "text/plain".to_owned(),
                "md" => "text/markdown".to_owned(),
                other => format!("application/{other}"),
            };
            let url = inline("document", mime)?;
            parts.push(json!({"type": "file", "file": {"filename": block["document"]["name"], "file_data": url}}));
        } else {
            return None;
        }
    }
    Some(parts)
}

/// The same request, however it is spelled: empty objects and lists say nothing, a result is a success unless it says
/// otherwise, schemas are JSON whether in a string or not, one of temperature and `topP` is sent,
/// and neither where the model thinks.
fn normal(body: &Value) -> Value {
    let mut body = without_nulls(body);
    for message in body["messages"].as_array_mut().unwrap() {
        for block in message["content"].as_array_mut().unwrap() {
            if block["toolResult"].is_object() {
                block["toolResult"]
                    .as_object_mut()
                    .unwrap()
                    .remove("status");
            }
        }
    }
    let tools = body
        .pointer_mut("/toolConfig/tools")
        .and_then(Value::as_array_mut);
    for spec in tools
        .into_iter()
        .flatten()
        .filter_map(|tool| tool.get_mut("toolSpec"))
    {
        if spec["description"] == "" {
            spec.as_object_mut().unwrap().remove("description");
        }
    }
    if let Some(schema) = body.pointer_mut("/outputConfig/textFormat/structure/jsonSchema/schema") {
        *schema = serde_json::from_str(schema.as_str().unwrap()).unwrap();
    }
    let thinks = body
        .pointer("/additionalModelRequestFields/thinking")
        .is_some();
    let fields = body.as_object_mut().unwrap();
    if let Some(config) = fields
        .get_mut("inferenceConfig")
        .and_then(Value::as_object_mut)
    {
        if config.contains_key("temperature") {
            config.remove("topP");
        }
        if thinks {
            config.remove("temperature");
        }
    }
    fields.retain(|_, value| *value != json!({}) && *value != json!([]));
    body
}
