//! The web search as tests set it up: an engine that always finds the same two pages, a provider that counts what it is
//! sent, and a model that calls the search tool.

use http::Method;
use serde_json::{Value, json};
use turnpike::domain::generation::Generation;
use turnpike::store::StoreError;

use super::client::Answer;
use super::server::Server;
use super::upstream::{
    Script, Seen, Upstream, chunk, completion, done, event, json_body, sse_head, stream_of,
};

pub(crate) const CHAT: &str = "/api/v1/chat/completions";
/// An answer that cites the first of the pages.
pub(crate) const CITED: &str = "Reds won ([sport.example](https://sport.example/a)).";

/// What the engine answers.
pub(crate) fn exa_answer() -> Value {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/search/exa.json")).unwrap();
    fixture["answer"].clone()
}

/// An engine that always finds two pages.
pub(crate) async fn engine() -> Upstream {
    Upstream::start(|_| json_body(200, &exa_answer())).await
}

/// The configuration of that engine, with more of `[web]`.
pub(crate) fn exa_at(engine: &Upstream, more: &str) -> String {
    format!(
        "[web]\n{more}\n[exa]\napi_key = \"exa-key\"\nbase_url = \"http://{}\"\n",
        engine.address
    )
}

/// A server that has the engine, and one provider whose model is free.
pub(crate) async fn online(engine: &Upstream, model: &Upstream) -> Server {
    let provider = model.provider("lab-a", "0", "0");
    Server::alone(&format!("{}{provider}", exa_at(engine, ""))).await
}

/// A provider that counts a prompt of this length, as an honest one counts the results too.
pub(crate) async fn counting(prompt_tokens: u64, text: &'static str) -> Upstream {
    Upstream::start(move |seen| counted(seen, prompt_tokens, text)).await
}

/// What such a provider says.
pub(crate) fn counted(seen: &Seen, prompt_tokens: u64, text: &str) -> Script {
    let usage = json!({"prompt_tokens": prompt_tokens, "completion_tokens": 10, "total_tokens": prompt_tokens + 10});
    if !seen.streams() {
        let mut body = completion(text);
        body["usage"] = usage;
        return json_body(200, &body);
    }
    let mut script = stream_of(text);
    let mut last = chunk(&json!({}), None);
    last["usage"] = usage;
    let before = script.len() - 2;
    script[before] = event(&last);
    script
}

/// A request that is searched for, with more fields.
pub(crate) fn ask(more: Value) -> Value {
    let mut body = json!({"model": "acme/orca:online", "messages": [{"role": "user", "content": "Who won?"}], "max_tokens": 50});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

/// Sends a chat, and asks for the metadata.
pub(crate) async fn send(server: &Server, body: &Value) -> Answer {
    let headers = [("x-openrouter-metadata", "enabled")];
    let body = body.to_string().into();
    server.http.send(Method::POST, CHAT, body, &headers).await
}

/// The generation of an answer.
pub(crate) fn id(answer: &Answer) -> &str {
    answer.headers["x-generation-id"].to_str().unwrap()
}

/// A request whose model has the search tool with these parameters, and more fields.
pub(crate) fn ask_with_tool(parameters: Value, more: Value) -> Value {
    let mut body = json!({
        "model": "acme/orca", "messages": [{"role": "user", "content": "Who won?"}], "max_tokens": 50,
        "tools": [{"type": "openrouter:web_search", "parameters": parameters}]
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

/// A call of a tool, as a model makes it.
pub(crate) fn call(id: &str, name: &str, arguments: &Value) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}})
}

/// A call of the search tool.
pub(crate) fn search(id: &str, query: &str) -> Value {
    call(id, "openrouter_web_search", &json!({"query": query}))
}

/// What a model says in one step, as it is asked for it.
pub(crate) fn said(seen: &Seen, prompt_tokens: u64, text: &str, calls: &[Value]) -> Script {
    let usage = json!({"prompt_tokens": prompt_tokens, "completion_tokens": 10, "total_tokens": prompt_tokens + 10});
    let finish = if calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    };
    if !seen.streams() {
        let message = json!({"role": "assistant", "content": text, "tool_calls": calls});
        return json_body(
            200,
            &json!({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}),
        );
    }
    let mut script = vec![sse_head()];
    for piece in text.split_inclusive(' ') {
        script.push(event(&chunk(&json!({"content": piece}), None)));
    }
    for (index, call) in calls.iter().enumerate() {
        let arguments = call["function"]["arguments"].as_str().unwrap();
        let (first, second) = arguments.split_at(arguments.len() / 2);
        let named = json!({"index": index, "id": call["id"], "type": "function", "function": {"name": call["function"]["name"], "arguments": first}});
        script.push(event(&chunk(&json!({"tool_calls": [named]}), None)));
        let rest = json!({"index": index, "function": {"arguments": second}});
        script.push(event(&chunk(&json!({"tool_calls": [rest]}), None)));
    }
    let mut last = chunk(&json!({}), Some(finish));
    last["usage"] = usage;
    script.extend([event(&last), done()]);
    script
}

/// The results in what a model is sent.
pub(crate) fn results(seen: &Seen) -> Vec<String> {
    let messages = seen.body["messages"].as_array().unwrap();
    let tools = messages.iter().filter(|message| message["role"] == "tool");
    tools
        .map(|message| message["content"].as_str().unwrap().to_owned())
        .collect()
}

/// A model that asks once and then answers.
pub(crate) async fn curious() -> Upstream {
    Upstream::start(|seen| match results(seen).len() {
        0 => said(seen, 600, "Let me look. ", &[search("c1", "who won")]),
        _ => said(seen, 900, CITED, &[]),
    })
    .await
}

/// Every run of a server.
pub(crate) async fn runs(server: &Server) -> Vec<Generation> {
    let mut runs = Vec::new();
    let all = server.store.each_generation(0, |run| {
        runs.push(run);
        Ok::<_, StoreError>(())
    });
    all.await.unwrap();
    runs
}

/// What a provider is owed.
pub(crate) async fn owed(server: &Server, provider: &str) -> i64 {
    let (account, mut owed) = (format!("payable:{provider}"), 0);
    let all = server.store.each_entry(0, i64::MAX, |entry| {
        owed += if entry.credit == account {
            entry.amount.0
        } else {
            0
        };
        owed -= if entry.debit == account {
            entry.amount.0
        } else {
            0
        };
        Ok::<_, StoreError>(())
    });
    all.await.unwrap();
    owed
}
