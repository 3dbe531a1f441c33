//! What is secret stays so: no provider's key, no key or header of a caller and no prompt turns up in a log line, a
//! count, a stored row or an error, whatever providers do with what they were sent.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use crate::support::client::Http;
use crate::support::db::on_both_engines;
use crate::support::process::Process;
use crate::support::upstream::{
    Script, Seen, Step, Upstream, answer, chunk, event, json_body, provider_at, sse_head,
};

const PROVIDER_KEY: &str = "sk-canary-of-the-provider-7d1e";
const AWS_SECRET: &str = "canaryAwsSecret/4fb1";
const HEADER: &str = "canary-of-a-header-93c2";
const PROMPT: &str = "canary of the prompt 5a0b";
const ANSWER: &str = "canary of the answer 61d8";
const TOKEN: &str = "canary-of-the-metrics-e2f4";
/// Never given out: somebody else's, or a typing error.
const STRANGER: &str = "sk-or-v1-ca9a7ca9a7ca9a7ca9a7ca9a7ca9a7ca9a7ca9a7ca9a7ca9a7ca9a7ca9a7ca9a";

on_both_engines! {
    async fn nothing_secret_is_written_or_told(db: TestDb) {
        let upstream = Upstream::start(gossip).await;
        let folder = tempfile::tempdir().unwrap();
        let key = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            file.display().to_string()
        };
        let aws = format!(r#"{{"accessKeyId": "AKID", "secretAccessKey": "{AWS_SECRET}", "region": "eu-west-1"}}"#);
        let config: String = [
            ("openai", key("plain", PROVIDER_KEY)),
            ("anthropic", key("plain", PROVIDER_KEY)),
            ("responses", key("plain", PROVIDER_KEY)),
            ("azure", key("plain", PROVIDER_KEY)),
            ("bedrock", key("aws", &aws)),
        ]
        .into_iter()
        .map(|(wire, file)| {
            let base = format!("http://{}/v1", upstream.address);
            provider_at(&base, &format!("lab-{wire}"), "0.000001", "0.000002")
                .replace("acme/orca", &format!("acme/{wire}"))
                .replace("wire = \"openai\"", &format!("wire = \"{wire}\"\napi_key = {{ file = \"{file}\" }}"))
        })
        .collect();
        let process = Process::start_talking(db, &format!("[metrics]\ntoken = \"{TOKEN}\"\n{config}")).await;
        let made = process.run(&["keys", "create", "--name", "canary", "--json"]).await;
        let own = made["key"].as_str().unwrap().to_owned();

        let mut told = String::new();
        for wire in ["openai", "anthropic", "responses", "azure", "bedrock"] {
            for fate in ["answers", "refuses", "denies", "fails", "breaks", "confuses"] {
                for stream in [false, true] {
                    told += &ask(&process.base, &own, wire, fate, stream).await;
                }
            }
        }
        let stranger = Http::new(&process.base).with_key(STRANGER);
        let body = json!({"model": "acme/openai", "messages": [{"role": "user", "content": PROMPT}]});
        let refused = stranger.post("/api/v1/chat/completions", &body).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        let broken = format!(r#"{{"model": "acme/openai", "messages": [{{"content": "{PROMPT}" oops}}]}}"#);
        let http = Http::new(&process.base).with_key(&own);
        let malformed = http.send(Method::POST, "/api/v1/chat/completions", Bytes::from(broken), &[]).await;
        assert_eq!(malformed.status, StatusCode::BAD_REQUEST);
        let metrics = Http::new(&process.base).with_key(TOKEN).get("/metrics").await;
        assert_eq!(metrics.status, StatusCode::OK);

        assert!(process.log().contains("generation"), "the log is empty");
        assert!(metrics.text().contains("turnpike_generations_total{"), "{}", metrics.text());
        let told = [told, refused.text(), malformed.text()].concat();
        let kept = [db.rows().await.as_bytes(), &process.data()].concat();
        let kept = String::from_utf8_lossy(&kept);
        assert!(kept.contains("acme/openai"), "nothing is kept");
        for secret in [PROVIDER_KEY, AWS_SECRET, &own, STRANGER, HEADER, PROMPT, ANSWER, TOKEN] {
            assert!(!process.log().contains(secret), "{secret} is logged: {}", around(&process.log(), secret));
            assert!(!kept.contains(secret), "{secret} is kept: {}", around(&kept, secret));
            assert!(!metrics.text().contains(secret), "{secret} is counted");
            // What a caller sent they may be told again.
            let own = [HEADER, PROMPT, ANSWER, &own].contains(&secret);
            assert!(own || !told.contains(secret), "{secret} is told: {}", around(&told, secret));
        }
        process.terminate().await;
    }
}

/// Asks for one fate of an answer, and gives what the caller was told unless it was answered.
async fn ask(base: &str, key: &str, wire: &str, fate: &str, stream: bool) -> String {
    let body = json!({
        "model": format!("acme/{wire}"), "stream": stream, "max_tokens": 20, "user": fate,
        "messages": [{"role": "system", "content": fate}, {"role": "user", "content": PROMPT}],
    });
    let http = Http::new(base).with_key(key);
    let headers = [("x-canary", HEADER), ("cookie", HEADER)];
    let answer = http
        .send(
            Method::POST,
            "/api/v1/chat/completions",
            body.to_string().into(),
            &headers,
        )
        .await;
    let told = answer.text();
    let failed = told.contains("\"error\"");
    assert_eq!(
        failed,
        fate != "answers" || wire != "openai" && wire != "azure",
        "{wire} {fate}: {told}"
    );
    if failed { told } else { String::new() }
}

/// A provider that repeats what it was sent, headers and all, wherever it can.
fn gossip(seen: &Seen) -> Script {
    let sent = seen.body.to_string();
    let said = |status: u16| {
        let message = format!("{} {sent}", seen.head);
        json_body(
            status,
            &json!({"type": "error", "error": {"type": "gossip", "code": "gossip", "message": message}}),
        )
    };
    let fate = ["answers", "refuses", "denies", "fails", "breaks"]
        .into_iter()
        .find(|fate| sent.contains(&format!("\"{fate}\"")));
    match fate {
        Some("answers") => answer(seen, ANSWER),
        Some("refuses") => said(400),
        Some("denies") => said(401),
        Some("fails") => said(503),
        Some("breaks") if seen.streams() => vec![
            sse_head(),
            event(&chunk(&json!({"content": ANSWER}), None)),
            event(&json!({"error": {"code": 500, "message": sent}})),
        ],
        _ => vec![Step::Write(
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{{ {sent}").into_bytes(),
        )],
    }
}

/// The place where a secret was found, for the report of a failure.
fn around(text: &str, secret: &str) -> String {
    let at = text.find(secret).unwrap_or_default();
    let lossy =
        |from: usize, to: usize| String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned();
    lossy(at.saturating_sub(300), (at + 100).min(text.len()))
}
