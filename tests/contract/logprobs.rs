//! Log-probabilities in Responses: asked for in the words of whichever protocol, and told beside the text they are of.

use serde_json::{Value, json};

use super::held::Held;
use crate::support::server::Server;
use crate::support::upstream::{Seen, Step, Upstream, chunk, done, event, json_body, sse_head};

const RESPONSES: &str = "POST /responses";

/// A token as OpenAI tells it in chat form.
fn of_openai(token: &str) -> Value {
    json!({"token": token, "logprob": -0.5, "bytes": null, "top_logprobs": [{"token": "x", "logprob": -2.25, "bytes": [120]}]})
}

fn openai(seen: &Seen) -> Vec<Step> {
    assert_eq!(
        (&seen.body["logprobs"], &seen.body["top_logprobs"]),
        (&json!(true), &json!(1))
    );
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11});
    let tokens = |tokens: &[&str]| json!({"content": tokens.iter().map(|token| of_openai(token)).collect::<Value>()});
    if !seen.streams() {
        let message = json!({"role": "assistant", "content": "Four"});
        let choice = json!({"index": 0, "message": message, "logprobs": tokens(&["Fo", "ur"]), "finish_reason": "stop"});
        return json_body(
            200,
            &json!({"id": "x", "choices": [choice], "usage": usage}),
        );
    }
    let piece = |token: &str| {
        let mut piece = chunk(&json!({"content": token}), None);
        piece["choices"][0]["logprobs"] = tokens(&[token]);
        event(&piece)
    };
    let mut last = chunk(&json!({}), Some("stop"));
    last["usage"] = usage;
    vec![sse_head(), piece("Fo"), piece("ur"), event(&last), done()]
}

fn gemini(seen: &Seen) -> Vec<Step> {
    let wanted = &seen.body["generationConfig"];
    assert_eq!(
        (&wanted["responseLogprobs"], &wanted["logprobs"]),
        (&json!(true), &json!(1))
    );
    let document = |tokens: &[&str], finish: Option<&str>| {
        let token = |token: &&str| json!({"token": token, "logProbability": -0.5});
        let likeliest = json!({"candidates": [{"token": "x", "logProbability": -2.25}]});
        let logprobs = json!({
            "chosenCandidates": tokens.iter().map(token).collect::<Value>(),
            "topCandidates": vec![likeliest; tokens.len()]
        });
        let content = json!({"role": "model", "parts": [{"text": tokens.concat()}]});
        json!({
            "candidates": [{"content": content, "logprobsResult": logprobs, "finishReason": finish}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}
        })
    };
    if !seen.path.contains("alt=sse") {
        return json_body(200, &document(&["Fo", "ur"], Some("STOP")));
    }
    let pieces = [document(&["Fo"], None), document(&["ur"], Some("STOP"))];
    std::iter::once(sse_head())
        .chain(pieces.iter().map(event))
        .collect()
}

#[tokio::test]
async fn log_probabilities_are_asked_for_and_told_over_other_protocols() {
    let told = |token: &str| json!({"token": token, "logprob": -0.5, "bytes": token.as_bytes(), "top_logprobs": [{"token": "x", "logprob": -2.25, "bytes": [120]}]});
    let all = json!([told("Fo"), told("ur")]);
    for (wire, answer) in [
        ("openai", openai as fn(&Seen) -> Vec<Step>),
        ("gemini", gemini),
    ] {
        let upstream = Upstream::start(answer).await;
        let config = upstream.provider("lab-a", "0.000001", "0.000001");
        let config = config.replace("wire = \"openai\"", &format!("wire = \"{wire}\""));
        let config = config.replace("\"tools\",", "\"tools\", \"logprobs\", \"top_logprobs\",");
        let server = Server::alone(&config).await;
        let mut held = Held::default();
        let mut body = json!({
            "model": "acme/orca", "input": "Two and two?",
            "include": ["message.output_text.logprobs"], "top_logprobs": 1
        });
        let plain = server.http.post("/api/v1/responses", &body).await;
        let plain = held.hold(RESPONSES, 200, plain).json();
        assert_eq!(plain["output"][0]["content"][0]["logprobs"], all, "{wire}");
        assert_eq!(plain["top_logprobs"], 1);
        body["stream"] = json!(true);
        let streamed = server.http.post("/api/v1/responses", &body).await;
        let events = held.hold(RESPONSES, 200, streamed).events();
        let of = |kind: &str| -> Vec<Value> {
            let told = events.iter().filter(|event| event["type"] == kind);
            told.map(|event| event["logprobs"].clone()).collect()
        };
        assert_eq!(
            of("response.output_text.delta"),
            [json!([told("Fo")]), json!([told("ur")])],
            "{wire}"
        );
        assert_eq!(of("response.output_text.done"), std::slice::from_ref(&all));
        held.finish();
        server.stop().await;
    }
}
