//! The console in a real browser, with script: what a person does from signing in to seeing the charge, and an app on
//! another origin that signs people in.

use serde_json::json;
use turnpike::clock::now_ms;
use turnpike::domain::money::Nanos;

use crate::support::browser::Browser;
use crate::support::chromium::Chromium;
use crate::support::client::Http;
use crate::support::issuer::Issuer;
use crate::support::server::{PASSWORD, Server};
use crate::support::upstream::{Step, Upstream};

async fn sign_in(browser: &Chromium, server: &Server, email: &str) {
    browser.go(&format!("{}/sign-in", server.base)).await;
    browser.fill("#email", email).await;
    browser.fill("#password", PASSWORD).await;
    browser.press("button[type=submit]").await;
    browser.text_with("h1", "Overview").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_makes_a_key_uses_it_and_sees_the_charge() {
    let upstream = Upstream::answering("One <b>two</b> three").await;
    let provider = upstream.provider("lab-a", "0.001", "0.001");
    let server = Server::alone(&format!("[people]\nsign_up = \"open\"\n{provider}")).await;
    let browser = Chromium::start().await;
    browser.go(&format!("{}/", server.base)).await;
    browser.press("a[href='/sign-up']").await;
    browser.fill("#email", "ann@example.com").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("form.sign button").await;
    browser.text_with("h1", "Overview").await;
    browser.press("details.menu > summary").await;
    browser.press("form[action='/sign-out'] button").await;
    browser.text_with("h1", "Sign in").await;
    sign_in(&browser, &server, "ann@example.com").await;
    let account = server.store.account_by_email("ann@example.com").await;
    let account = account.unwrap().unwrap();
    let credit = Nanos::from_dollars(10);
    let granted = server.store.grant(&account.id, credit, "a start", now_ms());
    assert!(granted.await.unwrap());

    browser.go(&format!("{}/keys/new", server.base)).await;
    browser.fill("#name", "laptop").await;
    browser.press("form.card button[type=submit]").await;
    let key = browser.text_with("#key", "sk-or-v1-").await;
    let chat = json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Go"}], "max_tokens": 100});
    let http = Http::new(&server.base).with_key(&key);
    let answer = http.post("/api/v1/chat/completions", &chat).await;
    let run = answer.json()["id"].as_str().unwrap().to_owned();
    browser.go(&format!("{}/activity/{run}", server.base)).await;
    browser.text_with("main", "laptop").await;
    browser.text_with("dl.figures dd", "$0.").await;
    browser.go(&format!("{}/activity", server.base)).await;
    browser.text_with("main", "acme/orca").await;

    browser
        .go(&format!("{}/playground?model=acme/orca", server.base))
        .await;
    browser.fill("#prompt", "Go").await;
    browser.fill("#other", "turnpike/echo").await;
    browser.press("#playground button[type=submit]").await;
    browser
        .text_with(
            "#answers .card:nth-child(1) .answer",
            "One <b>two</b> three",
        )
        .await;
    browser
        .text_with("#answers .card:nth-child(2) .answer", "Go")
        .await;
    browser
        .until(
            "return document.querySelector('#answers [data-part=cost]').textContent",
            |cost| cost.starts_with('$'),
        )
        .await;
    browser
        .text_with("#answers [data-part=why]", "was answered by lab-a Inc")
        .await;
    let elements = browser
        .script("return document.querySelectorAll('#answers .answer b').length")
        .await;
    assert_eq!(elements, "0", "what a model says is text");

    browser.go(&format!("{}/models", server.base)).await;
    browser.fill("#q", "no such model").await;
    browser.text_with("#list", "No model fits").await;
    browser.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_with_an_account_elsewhere() {
    let issuer = Issuer::start().await;
    // Another site than the gateway's, as far as a browser is concerned.
    let url = issuer.url().replace("127.0.0.1", "localhost");
    let config = issuer.config_as(&url, "");
    let server = Server::alone(&format!("[people]\nsign_up = \"open\"\n{config}")).await;
    let browser = Chromium::start().await;
    let pressed = "form[action='/sign-in/fake'] button";
    browser
        .go(&format!("{}/sign-in?next=/keys", server.base))
        .await;
    browser.press(pressed).await;
    browser.text_with("h1", "Keys").await;
    assert_eq!(browser.url().await, format!("{}/keys", server.base));
    browser.go(&format!("{}/account", server.base)).await;
    browser.text_with("main", "ann@example.com").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
    server.stop().await;
}

/// An application that is one static page: it asks for a key with PKCE and calls a model with it.
fn app(gateway: &str) -> String {
    format!(
        r##"<!doctype html><title>App</title><p id="out">…</p><button id="again">Again</button><script type="module">
const gateway = "{gateway}";
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const code = new URL(location.href).searchParams.get("code");
if (!code) {{
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
  sessionStorage.verifier = verifier;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const query = new URLSearchParams({{ callback_url: location.href, code_challenge: base64url(new Uint8Array(hash)), code_challenge_method: "S256", key_label: "Static app" }});
  location.href = `${{gateway}}/auth?${{query}}`;
}} else {{
  const post = (path, body, key) => fetch(`${{gateway}}/api/v1${{path}}`, {{ method: "POST", headers: {{ "content-type": "application/json", ...(key && {{ authorization: `Bearer ${{key}}` }}) }}, body: JSON.stringify(body) }});
  const {{ key }} = await (await post("/auth/keys", {{ code, code_verifier: sessionStorage.verifier, code_challenge_method: "S256" }})).json();
  const chat = () => post("/chat/completions", {{ model: "turnpike/echo", stream: true, messages: [{{ role: "user", content: "hello from the app" }}] }}, key);
  const out = document.querySelector("#out");
  const answer = await chat();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", text = "", chunks = 0;
  for (;;) {{
    const {{ value, done }} = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {{
      if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
      const delta = JSON.parse(line.slice(6)).choices[0]?.delta.content ?? "";
      if (delta) chunks += 1;
      text += delta;
    }}
  }}
  out.textContent = `${{text}} in ${{chunks > 1 ? "pieces" : "one piece"}}`;
  document.querySelector("#again").addEventListener("click", async () => {{ out.textContent = `again: ${{(await chat()).status}}`; }});
}}
</script>"##
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_on_another_origin_signs_people_in() {
    let server = Server::alone("").await;
    let (account, _) = server.person("ann@example.com", false).await;
    let page = app(&server.base);
    let site = Upstream::start(move |_| {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\nconnection: close\r\n";
        let answer = format!("{head}content-length: {}\r\n\r\n{page}", page.len());
        vec![Step::Write(answer.into_bytes())]
    })
    .await;
    let browser = Chromium::start().await;
    browser.go(&format!("http://{}/", site.address)).await;
    browser.fill("#email", "ann@example.com").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("button[type=submit]").await;
    browser.text_with("h1", "wants to use your credit").await;
    browser.fill("#limit", "2").await;
    browser.press("button[value=approve]").await;
    browser
        .text_with("#out", "hello from the app in pieces")
        .await;
    let origin = format!("http://{}/", site.address);
    assert!(browser.url().await.starts_with(&origin));
    let keys = server.store.keys(&account.id, 0, 10, true).await.unwrap();
    assert_eq!(keys[0].name, "Static app");
    assert!(keys[0].limit.is_some());
    browser.press("#again").await;
    browser.text_with("#out", "again: 200").await;
    // The person, elsewhere, takes the key away; the page still has it.
    let elsewhere = Browser::new(&server.base);
    elsewhere.sign_in("ann@example.com", PASSWORD).await;
    let app = [("app", origin.trim_end_matches('/'))];
    let revoked = elsewhere.submit("/apps", "/apps/revoke", &app).await;
    assert_eq!(revoked.location(), "/apps");
    browser.press("#again").await;
    browser.text_with("#out", "again: 401").await;
    browser.close().await;
    server.stop().await;
}
