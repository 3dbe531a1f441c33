//! A real browser: headless Chromium, driven through chromedriver by the W3C's WebDriver protocol, which is JSON over
//! HTTP and needs no more than a client of that.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::client::Http;

/// How long a page may take to become as a test expects it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The key under which the protocol names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One window of a fresh browser profile.
pub(crate) struct Chromium {
    driver: Child,
    http: Http,
    session: String,
    // The driver would stop at what it prints next if nobody held the other end.
    _said: BufReader<ChildStdout>,
    _profile: tempfile::TempDir,
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Chromium {
    /// Starts a browser. `scripts/test` installs the programs it needs.
    pub(crate) async fn start() -> Chromium {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed; scripts/test does it");
        let mut said = BufReader::new(driver.stdout.take().unwrap());
        let (port, said) = tokio::task::spawn_blocking(move || {
            let port = said.by_ref().lines().find_map(|line| {
                let line = line.unwrap();
                let (_, port) = line.rsplit_once("successfully on port ")?;
                Some(port.trim_end_matches('.').to_owned())
            });
            (port.expect("chromedriver says its port"), said)
        })
        .await
        .unwrap();
        let http = Http::new(&format!("http://127.0.0.1:{port}"));
        let profile = tempfile::tempdir().unwrap();
        let folder = format!("--user-data-dir={}", profile.path().display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1200,900",
            &folder,
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let begun = http.post("/session", &wanted).await.json();
        let session = begun["value"]["sessionId"].as_str();
        let session = session.unwrap_or_else(|| panic!("{begun}")).to_owned();
        Chromium {
            driver,
            http,
            session,
            _said: said,
            _profile: profile,
        }
    }

    /// Goes to an address.
    pub(crate) async fn go(&self, url: &str) {
        self.command("url", &json!({"url": url})).await;
    }

    /// Where the browser is.
    pub(crate) async fn url(&self) -> String {
        self.script("return location.href").await
    }

    /// Types into the field that a selector names.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        let sent = json!({"text": text});
        self.command(&format!("element/{element}/clear"), &json!({}))
            .await;
        self.command(&format!("element/{element}/value"), &sent)
            .await;
    }

    /// Presses what a selector names, once it is there.
    pub(crate) async fn press(&self, selector: &str) {
        let element = self.find(selector).await;
        self.command(&format!("element/{element}/click"), &json!({}))
            .await;
    }

    /// The text of what a selector names, once it contains `words`.
    pub(crate) async fn text_with(&self, selector: &str, words: &str) -> String {
        let script = format!("return document.querySelector({selector:?})?.textContent ?? ''");
        self.until(&script, |text| text.contains(words)).await
    }

    /// What a script answers.
    pub(crate) async fn script(&self, script: &str) -> String {
        let answer = self
            .command("execute/sync", &json!({"script": script, "args": []}))
            .await;
        answer
            .as_str()
            .map_or_else(|| answer.to_string(), str::to_owned)
    }

    /// What a script answers, once it is right.
    pub(crate) async fn until(&self, script: &str, right: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let answer = self.script(script).await;
            if right(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{script}: {answer}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What a script answers that calls the last of its arguments when it is ready.
    pub(crate) async fn script_later(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.command("execute/async", &body).await
    }

    /// Keeps a cookie of the site that the browser is on.
    pub(crate) async fn set_cookie(&self, name: &str, value: &str) {
        let cookie =
            json!({"cookie": {"name": name, "value": value, "path": "/", "httpOnly": true}});
        self.command("cookie", &cookie).await;
    }

    /// Shows pages as a screen of this width and height does, in this colour scheme.
    pub(crate) async fn use_screen(&self, (width, height): (u32, u32), scheme: &str) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": true});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics)
            .await;
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &media).await;
        // Transitions of colours are over, and the layout is the new one.
        self.script_later(
            "const done = arguments[0]; document.getAnimations().forEach((animation) => animation.finish());
             requestAnimationFrame(() => requestAnimationFrame(() => done(true)));",
        )
        .await;
    }

    /// A picture of the whole page, however long it is (PNG).
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let metrics = self.devtools("Page.getLayoutMetrics", &json!({})).await;
        let size = &metrics["cssContentSize"];
        let clip =
            json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let wanted = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let taken = self.devtools("Page.captureScreenshot", &wanted).await;
        STANDARD.decode(taken["data"].as_str().unwrap()).unwrap()
    }

    /// What the browser complained of since it was last asked: errors of scripts, refused policies, missing files.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", &json!({"type": "browser"})).await;
        let entries = log.as_array().unwrap().iter();
        let severe = entries.filter(|entry| entry["level"] == "SEVERE");
        severe
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Closes the browser.
    pub(crate) async fn close(self) {
        let session = format!("/session/{}", self.session);
        self.http
            .send(Method::DELETE, &session, Bytes::new(), &[])
            .await;
    }

    async fn find(&self, selector: &str) -> String {
        let script = format!("return String(document.querySelector({selector:?}) !== null)");
        self.until(&script, |found| found == "true").await;
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.command("element", &wanted).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    async fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.command("goog/cdp/execute", &body).await
    }

    async fn command(&self, name: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{name}", self.session);
        let answer = self.http.post(&path, body).await;
        assert!(
            answer.status.is_success(),
            "{name} {body}: {}",
            answer.text()
        );
        answer.json()["value"].clone()
    }
}
