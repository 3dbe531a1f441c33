//! `POST /chat/completions`: answers plain and streamed, errors before the answer and inside a stream.

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use turnpike::domain::money::Nanos;

use super::held::Held;
use crate::support::client::Http;
use crate::support::server::Server;
use crate::support::upstream::{
    Script, Seen, Step, Upstream, answer, chunk, done, event, json_body, json_with, provider_at,
    sse_head, usage,
};

const CHAT: &str = "POST /chat/completions";

pub(super) const ROUTES: &[&str] = &[CHAT];

/// Asks `acme/orca`, with further fields.
fn ask(more: Value) -> Value {
    let mut body =
        json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Two and two?"}]});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

async fn send(held: &mut Held, http: &Http, status: u16, body: &Value) {
    held.hold(
        CHAT,
        status,
        http.post("/api/v1/chat/completions", body).await,
    );
}

/// Everything a message can carry.
fn rich_message() -> Value {
    json!({
        "role": "assistant", "content": "Four.", "refusal": null, "reasoning": "2 plus 2",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "2 plus 2", "signature": "c2ln", "id": null, "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.summary", "summary": "adding", "id": "rs_1", "format": "openai-responses-v1", "index": 1},
            {"type": "reasoning.encrypted", "data": "ZW5j", "id": "rs_2", "format": "openai-responses-v1", "index": 2}
        ],
        "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A", "content": "c", "start_index": 0, "end_index": 4}}],
        "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
        "audio": {"id": "audio_1", "data": "AA==", "transcript": "Four.", "expires_at": 1},
        "tool_calls": [
            {"index": 0, "id": "call_7", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}},
            {"index": 1, "id": "call_8", "type": "function", "function": {"name": "time", "arguments": "{}"}}
        ]
    })
}

fn rich(seen: &Seen) -> Script {
    let logprobs = json!({"content": [{"token": "Four", "logprob": -0.1, "bytes": [70], "top_logprobs": [{"token": "Four", "logprob": -0.1, "bytes": null}]}], "refusal": null});
    let mut used = usage("Four.");
    used["prompt_tokens_details"] = json!({"cached_tokens": 4, "audio_tokens": 0});
    used["completion_tokens_details"] = json!({"reasoning_tokens": 1, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0});
    let rest = json!({"id": "chatcmpl-1", "created": 1, "model": "orca-large", "system_fingerprint": "fp_1", "service_tier": "default"});
    let with = |more: Value| {
        let mut body = rest.clone();
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    if !seen.streams() {
        let choice = json!({"index": 0, "message": rich_message(), "finish_reason": "tool_calls", "logprobs": logprobs});
        return json_body(
            200,
            &with(json!({"object": "chat.completion", "choices": [choice], "usage": used})),
        );
    }
    let piece = |delta: Value, finish: Value, logprobs: &Value| {
        event(&with(
            json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": logprobs}]}),
        ))
    };
    vec![
        sse_head(),
        piece(
            json!({"role": "assistant", "reasoning": "2 plus"}),
            Value::Null,
            &Value::Null,
        ),
        piece(rich_message(), Value::Null, &logprobs),
        piece(
            json!({"tool_calls": [{"index": 1, "function": {"arguments": " "}}]}),
            Value::Null,
            &Value::Null,
        ),
        piece(json!({}), json!("tool_calls"), &Value::Null),
        event(&with(
            json!({"object": "chat.completion.chunk", "choices": [], "usage": used}),
        )),
        done(),
    ]
}

#[tokio::test]
async fn answers_keep_the_contract() {
    let (plain, full) = (
        Upstream::answering("Four it is").await,
        Upstream::start(rich).await,
    );
    let full_provider = full.provider("lab-b", "0.000001", "0.000002").replace(
        "\"acme/orca\"",
        "\"acme/whale\"\noutput_modalities = [\"text\", \"image\"]",
    );
    let server = Server::alone(&format!(
        "{}{full_provider}",
        plain.provider("lab-a", "0.000001", "0.000002")
    ))
    .await;
    let mut held = Held::default();
    let tools = json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]);
    let shape = json!({"type": "json_schema", "json_schema": {"name": "sum", "strict": true, "schema": {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"], "additionalProperties": false}}});
    for stream in [false, true] {
        for more in [
            json!({"stream": stream}),
            json!({"stream": stream, "stream_options": {"include_usage": true}}),
            json!({"stream": stream, "model": "acme/whale", "tools": tools, "logprobs": true}),
            json!({"stream": stream, "model": "acme/whale", "reasoning": {"effort": "low"}, "modalities": ["text", "image"]}),
            json!({"stream": stream, "model": "turnpike/echo"}),
            json!({"stream": stream, "model": "turnpike/echo", "tools": tools, "tool_choice": "required"}),
            json!({"stream": stream, "model": "turnpike/echo", "reasoning": {"effort": "high"}}),
            json!({"stream": stream, "model": "turnpike/echo", "response_format": shape}),
            json!({"stream": stream, "model": "turnpike/echo", "n": 2}),
        ] {
            send(&mut held, &server.http, 200, &ask(more)).await;
        }
    }
    held.finish_having_answered(ROUTES);
    server.stop().await;
}

#[tokio::test]
async fn refusals_keep_the_contract() {
    let upstream = Upstream::answering("Four").await;
    let config = format!(
        "[http]\nbody_limit = \"100kB\"\n[free_models]\nper_minute = 1\n{}{}",
        upstream.provider("lab-a", "0", "0.01"),
        upstream
            .provider("lab-b", "0", "0")
            .replace("acme/orca", "acme/gift")
    );
    let server = Server::alone(&config).await;
    let mut held = Held::default();
    let capped = server
        .create_key(|key| key.limit = Some(Nanos::from_dollars(1)))
        .await;
    let spent = server.create_key(|key| key.limit = Some(Nanos::ZERO)).await;
    let (manager, stranger) = (server.manager().await, Http::new(&server.base));
    let own = &server.http;
    let cases = [
        (own, 400, json!({"messages": 5})),
        (own, 400, ask(json!({"model": "acme/none"}))),
        (
            own,
            400,
            ask(json!({"models": ["a/b", "a/c", "a/d", "a/e"]})),
        ),
        (own, 400, ask(json!({"temperature": 9}))),
        (&stranger, 401, ask(json!({}))),
        (own, 402, ask(json!({"max_tokens": 4_000}))),
        (
            &server.http.with_key(&capped),
            403,
            ask(json!({"max_tokens": 200})),
        ),
        (
            &server.http.with_key(&spent),
            403,
            ask(json!({"max_tokens": 200})),
        ),
        (&manager, 403, ask(json!({}))),
        (own, 404, ask(json!({"provider": {"ignore": ["lab-a"]}}))),
        (own, 404, ask(json!({"provider": {"zdr": true}}))),
        (
            own,
            404,
            ask(json!({"provider": {"max_price": {"completion": 1}}})),
        ),
        (own, 404, ask(json!({"model": "acme/orca:free"}))),
        (own, 413, ask(json!({"user": "x".repeat(200_000)}))),
        (own, 200, ask(json!({"model": "acme/gift"}))),
        (own, 429, ask(json!({"model": "acme/gift"}))),
    ];
    for (http, status, body) in cases {
        send(&mut held, http, status, &body).await;
    }
    held.finish();
    server.stop().await;
}

/// What each provider says at first, and the status the client gets when all say it.
fn failures() -> Vec<(u16, Script)> {
    let error = |status: u16, code: &str| {
        json_body(
            status,
            &json!({"error": {"message": "no", "type": "t", "code": code}}),
        )
    };
    vec![
        (400, error(400, "invalid_schema")),
        (400, error(400, "context_length_exceeded")),
        (403, error(403, "content_policy_violation")),
        (413, error(413, "too_large")),
        (422, error(422, "unprocessable")),
        (404, error(404, "model_not_found")),
        (429, error(429, "rate_limited")),
        (
            429,
            json_with(
                429,
                "retry-after: 7\r\n",
                &json!({"error": {"message": "slow down"}}),
            ),
        ),
        (502, error(401, "bad_key")),
        (502, json_body(200, &json!({"id": "x", "choices": []}))),
        (502, vec![Step::Reset]),
        (503, error(500, "internal")),
        (503, error(529, "overloaded")),
        (503, vec![Step::Silence]),
    ]
}

#[tokio::test]
async fn failures_of_providers_keep_the_contract() {
    join_all(
        failures()
            .into_iter()
            .map(|(status, script)| check_failure(status, script)),
    )
    .await;
    let nobody = format!("http://{}/v1", Upstream::nobody().await);
    let server = Server::alone(&provider_at(&nobody, "lab-a", "0", "0")).await;
    let mut held = Held::default();
    send(&mut held, &server.http, 502, &ask(json!({}))).await;
    held.finish();
    server.stop().await;
}

/// Two providers fail alike.
async fn check_failure(status: u16, script: Script) {
    // Only who says nothing is waited for: the others may take their time where processors are short.
    let patience = match script[..] {
        [Step::Silence] => "200ms",
        _ => "20s",
    };
    let start = |script: Script| Upstream::start(move |_| script.clone());
    let (one, two) = (start(script.clone()).await, start(script).await);
    let config = format!(
        "[http]\nkeep_alive = \"50ms\"\n[timeouts]\nfirst_token = \"{patience}\"\ntotal = \"{patience}\"\n{}{}",
        one.provider("lab-a", "0", "0"),
        two.provider("lab-b", "0", "0")
    );
    let server = Server::alone(&config).await;
    let mut held = Held::default();
    send(&mut held, &server.http, status, &ask(json!({}))).await;
    // A failure that comes late finds a stream that has begun.
    let streamed = server
        .http
        .post("/api/v1/chat/completions", &ask(json!({"stream": true})))
        .await;
    assert!(
        [StatusCode::OK.as_u16(), status].contains(&streamed.status.as_u16()),
        "{}",
        streamed.text()
    );
    held.hold(CHAT, streamed.status.as_u16(), streamed);
    held.finish();
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_keeps_the_contract() {
    let error = |code: Value| vec![event(&json!({"error": {"message": "died", "code": code}}))];
    let ends: [Script; 6] = [
        vec![],
        vec![Step::Reset],
        vec![Step::Silence],
        error(json!(500)),
        error(json!(429)),
        error(json!("server_error")),
    ];
    join_all(ends.map(check_break)).await;
}

async fn check_break(end: Script) {
    let upstream = Upstream::start(move |_| {
        let mut script = vec![
            sse_head(),
            event(&chunk(&json!({"content": "Once upon"}), None)),
        ];
        script.extend(end.clone());
        script
    })
    .await;
    let config = format!(
        "[timeouts]\nidle = \"200ms\"\n{}",
        upstream.provider("lab-a", "0", "0")
    );
    let server = Server::alone(&config).await;
    let mut held = Held::default();
    let answer = server
        .http
        .post("/api/v1/chat/completions", &ask(json!({"stream": true})))
        .await;
    let events = held.hold(CHAT, 200, answer).events();
    assert!(events.last().unwrap()["error"].is_object(), "{events:?}");
    held.finish_having_answered(ROUTES);
    server.stop().await;
}

#[tokio::test]
async fn failover_behind_comments_keeps_the_contract() {
    let silent = Upstream::start(|_| vec![Step::Silence]).await;
    let healthy = Upstream::start(|seen| answer(seen, "Late but well")).await;
    let timeouts = "[http]\nkeep_alive = \"50ms\"\n[timeouts]\nfirst_token = \"200ms\"\n";
    let config = format!(
        "{timeouts}{}{}",
        silent.provider("lab-a", "0", "0"),
        healthy.provider("lab-b", "0", "0")
    );
    let server = Server::alone(&config).await;
    let mut held = Held::default();
    send(
        &mut held,
        &server.http,
        200,
        &ask(json!({"stream": true, "provider": {"order": ["lab-a"]}})),
    )
    .await;
    held.finish_having_answered(ROUTES);
    server.stop().await;
}
