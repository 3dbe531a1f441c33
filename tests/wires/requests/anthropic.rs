//! Requests of Anthropic's Messages API.

use serde_json::{Value, json};
use turnpike::wire::WireName;
use turnpike::wire::quirks::ReasoningForm;

use super::{data_url, encoded, for_each, reasoning, target, without_nulls};
use crate::wires::expected::{first_text, list};
use crate::wires::recordings::{Recording, recordings};

/// How many of the fixtures' requests can be told in chat form.
const KNOWN: usize = 42;

#[test]
fn a_request_is_sent_as_its_own_client_sent_it() {
    for_each("anthropic-messages", KNOWN, |recording| {
        let Some(chat) = chat(&recording.request.body) else {
            return false;
        };
        let recorded = &recording.request.body;
        let form = if recorded["thinking"]["type"] == "adaptive"
            || recorded["output_config"]["effort"].is_string()
        {
            ReasoningForm::Adaptive
        } else {
            ReasoningForm::Budget
        };
        let target = reasoning(
            form,
            target(WireName::Anthropic, first_text([&recorded["model"]])),
        );
        let mut sent = encoded(&chat, &target);
        // Vertex names the model in its path and the version in the body.
        if recorded["model"].is_null() {
            sent["model"].take();
        }
        assert_eq!(normal(&sent), normal(recorded));
        true
    });
}

/// A conversation goes on: what was answered goes back, with ids, signatures and markers as they were.
#[test]
fn the_next_turn_sends_back_what_came() {
    let recordings = recordings("anthropic-messages");
    let kept = |kind: &str| {
        let of_kind = |recording: &&Recording| {
            let content = &recording.response.body["content"];
            list(content).iter().any(|block| block["type"] == kind)
        };
        recordings
            .iter()
            .find(of_kind)
            .unwrap_or_else(|| panic!("no recording has {kind}"))
    };
    for kind in ["thinking", "redacted_thinking", "tool_use"] {
        let answer = &kept(kind).response.body;
        let target = reasoning(ReasoningForm::Budget, target(WireName::Anthropic, "claude"));
        let wire = turnpike::wire::wire(target.wire).unwrap();
        let question = super::call(&json!({"messages": [{"role": "user", "content": "go"}]}));
        let reply = wire
            .decode(&question, &target, &answer.to_string().into())
            .unwrap();
        let message = super::said(&reply.choices[0].message);
        let calls = list(&message["tool_calls"]).to_vec();
        let results = calls.iter().map(|call| {
            json!({"role": "tool", "tool_call_id": call["id"], "content": "ok", "cache_control": {"type": "ephemeral"}})
        });
        let mut messages = vec![json!({"role": "user", "content": "go"}), message];
        messages.extend(results);
        messages.push(json!({"role": "user", "content": "and then?"}));
        let sent = encoded(&json!({"messages": messages}), &target);

        let own = |block: &&Value| {
            ["thinking", "redacted_thinking", "tool_use"].contains(&first_text([&block["type"]]))
        };
        let came: Vec<Value> = list(&answer["content"])
            .iter()
            .filter(own)
            .map(bare)
            .collect();
        let back: Vec<Value> = list(&sent["messages"][1]["content"])
            .iter()
            .filter(own)
            .map(bare)
            .collect();
        assert_eq!(back, came, "{kind}");
        for (result, call) in list(&sent["messages"][2]["content"]).iter().zip(&calls) {
            assert_eq!(
                (&result["tool_use_id"], &result["cache_control"]),
                (&call["id"], &json!({"type": "ephemeral"}))
            );
        }
    }
}

/// A block without what only an answer tells of it.
fn bare(block: &Value) -> Value {
    let mut block = without_nulls(block);
    block.as_object_mut().unwrap().remove("caller");
    block
}

/// The request in chat form; `None` for one that uses what the chat form has no words for: blocks of tools that the
/// provider runs, citations of one's own documents, tools that are loaded late, and fields of other protocols.
fn chat(body: &Value) -> Option<Value> {
    let mut chat = json!({"messages": [], "max_tokens": body["max_tokens"], "model": "any"});
    let mut messages = Vec::new();
    if !body["system"].is_null() {
        messages.push(json!({"role": "system", "content": content(&body["system"])?}));
    }
    for message in list(&body["messages"]) {
        messages.extend(turn(message)?);
    }
    chat["messages"] = json!(messages);
    for name in [
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "thinking",
        "context_management",
        "mcp_servers",
        "container",
    ] {
        if !body[name].is_null() {
            chat[name] = body[name].clone();
        }
    }
    // The contract's words for thinking, where they can say what was recorded.
    match first_text([&body["thinking"]["type"]]) {
        "enabled" => chat["reasoning"] = json!({"max_tokens": body["thinking"]["budget_tokens"]}),
        "adaptive" => chat["reasoning"] = json!({"enabled": true}),
        _ => {}
    }
    if chat["reasoning"].is_object() {
        chat["thinking"].take();
    }
    if let Some(stop) = body["stop_sequences"].as_array() {
        chat["stop"] = json!(stop);
    }
    if let Some(effort) = body["output_config"]["effort"].as_str() {
        chat["verbosity"] = json!(effort);
    }
    let format = &body["output_config"]["format"];
    if format.is_object() {
        chat["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": format["schema"]}});
    }
    if let Some(tier) = body["service_tier"].as_str() {
        chat["service_tier"] = json!(if tier == "standard_only" {
            "default"
        } else {
            tier
        });
    }
    // The end user is hashed on the way.
    if let Some(user) = body["metadata"]["user_id"].as_str() {
        chat["user"] = json!(user);
    }
    if !body["output_format"].is_null() {
        return None;
    }
    tools(body, &mut chat)?;
    Some(chat)
}

fn tools(body: &Value, chat: &mut Value) -> Option<()> {
    if body["tools"].is_array() {
        let tools = list(&body["tools"]).iter().map(|tool| {
            if tool["defer_loading"] == true || tool["input_schema"].is_boolean() {
                return None;
            }
            if !tool["input_schema"].is_object() {
                return Some(tool.clone());
            }
            Some(
                json!({"type": "function", "cache_control": tool["cache_control"], "function": {
                    "name": tool["name"], "description": tool["description"],
                    "parameters": tool["input_schema"], "strict": tool["strict"],
                }}),
            )
        });
        chat["tools"] = json!(tools.collect::<Option<Vec<_>>>()?);
    }
    let choice = &body["tool_choice"];
    match first_text([&choice["type"]]) {
        "auto" => chat["tool_choice"] = json!("auto"),
        "any" => chat["tool_choice"] = json!("required"),
        "none" => chat["tool_choice"] = json!("none"),
        "tool" => {
            chat["tool_choice"] = json!({"type": "function", "function": {"name": choice["name"]}})
        }
        _ => {}
    }
    if choice["disable_parallel_tool_use"] == true {
        chat["parallel_tool_calls"] = json!(false);
    }
    Some(())
}

/// A turn as messages: results of tools are messages of their own.
fn turn(message: &Value) -> Option<Vec<Value>> {
    let role = first_text([&message["role"]]);
    if message["content"].is_string() {
        return Some(vec![json!({"role": role, "content": message["content"]})]);
    }
    let blocks = list(&message["content"]);
    let of = |kinds: &[&str]| -> Vec<&Value> {
        let one = |block: &&Value| kinds.contains(&first_text([&block["type"]]));
        blocks.iter().filter(one).collect()
    };
    match role {
        "assistant" => {
            let parts: Vec<Value> = of(&["text"]).into_iter().map(part).collect::<Option<_>>()?;
            let thoughts = of(&["thinking", "redacted_thinking"]).into_iter().enumerate().map(|(index, block)| {
                if block["type"] == "thinking" {
                    json!({"type": "reasoning.text", "text": block["thinking"], "signature": block["signature"], "format": "anthropic-claude-v1", "index": index})
                } else {
                    json!({"type": "reasoning.encrypted", "data": block["data"], "format": "anthropic-claude-v1", "index": index})
                }
            });
            let thoughts: Vec<Value> = thoughts.collect();
            let calls = of(&["tool_use"]).into_iter().map(|block| {
                json!({"id": block["id"], "type": "function", "cache_control": block["cache_control"],
                    "function": {"name": block["name"], "arguments": block["input"].to_string()}})
            });
            let calls: Vec<Value> = calls.collect();
            if parts.len() + thoughts.len() + calls.len() < blocks.len() {
                return None;
            }
            Some(vec![
                json!({"role": "assistant", "content": parts, "reasoning_details": thoughts, "tool_calls": calls}),
            ])
        }
        "user" => {
            let mut messages = Vec::new();
            for block in of(&["tool_result"]) {
                messages.push(json!({"role": "tool", "tool_call_id": block["tool_use_id"],
                    "content": content(&block["content"])?, "cache_control": block["cache_control"]}));
            }
            let others: Vec<Value> = blocks
                .iter()
                .filter(|block| block["type"] != "tool_result")
                .map(part)
                .collect::<Option<_>>()?;
            if !others.is_empty() {
                messages.push(json!({"role": "user", "content": others}));
            }
            Some(messages)
        }
        _ => None,
    }
}

fn content(content: &Value) -> Option<Value> {
    match content {
        Value::Array(blocks) => blocks
            .iter()
            .map(part)
            .collect::<Option<Vec<_>>>()
            .map(Value::from),
        text => Some(text.clone()),
    }
}

fn part(block: &Value) -> Option<Value> {
    let source = &block["source"];
    let address = match first_text([&source["type"]]) {
        "base64" => data_url(&source["media_type"], &source["data"]),
        "url" => source["url"].clone(),
        _ => Value::Null,
    };
    let part = match first_text([&block["type"]]) {
        "text" => json!({"type": "text", "text": block["text"]}),
        "image" if !address.is_null() => {
            json!({"type": "image_url", "image_url": {"url": address}})
        }
        "document" if !address.is_null() && block["citations"].is_null() => {
            json!({"type": "file", "file": {"filename": block["title"], "file_data": address}})
        }
        _ => return None,
    };
    let mut part = part;
    part["cache_control"] = block["cache_control"].clone();
    Some(part)
}

/// The same request, however it is spelled: a text alone is one block, an empty description is none, `is_error` and
/// parallel use are off unless they are on, and the end user is not compared, as the gateway hides them.
fn normal(body: &Value) -> Value {
    let mut body = without_nulls(body);
    let fields = body.as_object_mut().unwrap();
    fields.remove("metadata");
    fields.remove("anthropic_version");
    // One of the two is what the gateway sends, as later models take no more.
    if fields.contains_key("temperature") {
        fields.remove("top_p");
    }
    // The automatic marker, which the gateway sets itself.
    fields.remove("cache_control");
    if fields.get("stream") == Some(&json!(false)) {
        fields.remove("stream");
    }
    if let Some(thinking) = fields.get_mut("thinking") {
        thinking.as_object_mut().unwrap().remove("display");
    }
    if let Some(system) = fields.get_mut("system") {
        blocks(system);
    }
    for message in fields["messages"].as_array_mut().unwrap() {
        blocks(&mut message["content"]);
        for block in message["content"].as_array_mut().unwrap() {
            if block["is_error"] == false {
                block.as_object_mut().unwrap().remove("is_error");
            }
            if !block["content"].is_null() {
                blocks(&mut block["content"]);
            }
        }
    }
    for tool in fields
        .get_mut("tools")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let tool = tool.as_object_mut().unwrap();
        if tool.get("description") == Some(&json!("")) {
            tool.remove("description");
        }
        if tool.get("strict") == Some(&json!(false)) {
            tool.remove("strict");
        }
    }
    if let Some(choice) = fields.get_mut("tool_choice")
        && choice["disable_parallel_tool_use"] == false
    {
        choice
            .as_object_mut()
            .unwrap()
            .remove("disable_parallel_tool_use");
    }
    body
}

fn blocks(content: &mut Value) {
    if content.is_string() {
        *content = json!([{"type": "text", "text": content.take()}]);
    }
}
