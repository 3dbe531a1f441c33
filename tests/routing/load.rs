//! Steady load on three endpoints, of which one fails or falls silent for a while: no client notices, its share of the
//! traffic is gone within two seconds, comes back once it is well, and the others' answers take no longer meanwhile.
//!
//! Requests come at a steady rate, whether or not those before are answered: 200 a second in the heavy form, with every
//! pause as it is by default. The short form runs beside other tests, and does not look at the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};

use crate::support::client::Http;
use crate::support::scale::scaled;
use crate::support::server::Server;
use crate::support::upstream::{Step, Upstream, answer, json_body};

/// Within this the traffic has left an endpoint in trouble …
const GONE_WITHIN: Duration = Duration::from_secs(2);
/// … and within this it is back once the endpoint is well.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// How long, and for how many requests, it is watched that it has left.
const WATCHED: Duration = Duration::from_secs(4);
const WATCHED_REQUESTS: usize = 100;

/// How the first endpoint does.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    /// Answers 500.
    Fails,
    /// Takes the request and says nothing.
    Stalls,
}

/// One request as its client saw it.
struct Told {
    sent: Instant,
    took: Duration,
    good: bool,
}

/// Three endpoints of one price behind a server, and steady load on it.
struct Scene {
    mood: Arc<AtomicU8>,
    labs: [Upstream; 3],
    server: Server,
    stop: Arc<AtomicBool>,
    load: JoinHandle<Vec<Told>>,
}

impl Scene {
    async fn begin() -> Scene {
        let mood = Arc::new(AtomicU8::new(Mood::Well as u8));
        let moody = Upstream::start({
            let mood = Arc::clone(&mood);
            move |seen| match mood.load(Relaxed) {
                it if it == Mood::Fails as u8 => {
                    json_body(500, &json!({"error": {"message": "no"}}))
                }
                it if it == Mood::Stalls as u8 => vec![Step::Silence],
                _ => answer(seen, "I can"),
            }
        });
        let labs = [
            moody.await,
            Upstream::answering("I can").await,
            Upstream::answering("I can").await,
        ];
        let mut config = scaled(
            "[timeouts]\ntotal = \"8s\"\n[routing]\nleast_first_token = \"4s\"\n",
            "[timeouts]\ntotal = \"30s\"\n",
        )
        .to_owned();
        for (lab, slug) in labs.iter().zip(["lab-a", "lab-b", "lab-c"]) {
            config.push_str(&lab.provider(slug, "0.000001", "0.000002"));
        }
        let server = Server::alone(&config).await;
        let stop = Arc::new(AtomicBool::new(false));
        let load = tokio::spawn(steady(server.http.clone(), Arc::clone(&stop)));
        Scene {
            mood,
            labs,
            server,
            stop,
            load,
        }
    }

    async fn until(&self, requests: usize) {
        while self.counts().iter().sum::<usize>() < requests {
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn is(&self, mood: Mood) -> Instant {
        self.mood.store(mood as u8, Relaxed);
        Instant::now()
    }

    /// Requests that each endpoint has seen.
    fn counts(&self) -> [usize; 3] {
        std::array::from_fn(|lab| self.labs[lab].calls())
    }

    /// The first endpoint's share of the requests since a count.
    fn share_since(&self, before: [usize; 3]) -> f64 {
        let after = self.counts();
        let grown = |lab: usize| (after[lab] - before[lab]) as f64;
        grown(0) / (0..3).map(grown).sum::<f64>()
    }

    /// Stops the load, and waits for the last answer.
    async fn end(self) -> Vec<Told> {
        self.stop.store(true, Relaxed);
        let told = self.load.await.unwrap();
        self.server.stop().await;
        told
    }
}

/// Asks at a steady rate until told to stop; plain and streamed in turns.
async fn steady(http: Http, stop: Arc<AtomicBool>) -> Vec<Told> {
    let mut asked = JoinSet::new();
    let mut told = Vec::new();
    let mut clock = interval(Duration::from_millis(scaled(20, 5)));
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut stream = false;
    while !stop.load(Relaxed) {
        clock.tick().await;
        stream = !stream;
        asked.spawn(ask(http.clone(), stream));
        while let Some(one) = asked.try_join_next() {
            told.push(one.unwrap());
        }
    }
    told.extend(asked.join_all().await);
    told
}

async fn ask(http: Http, stream: bool) -> Told {
    let body = json!({
        "model": "acme/orca", "messages": [{"role": "user", "content": "Can you?"}], "stream": stream,
    });
    let sent = Instant::now();
    let answer = http.post("/api/v1/chat/completions", &body).await;
    let text = answer.text();
    let is_complete = !stream || text.contains("[DONE]");
    Told {
        sent,
        took: sent.elapsed(),
        good: answer.status == StatusCode::OK
            && text.contains("can")
            && is_complete
            && !text.contains("\"error\""),
    }
}

fn p99(told: &[Told], from: Instant, to: Instant) -> Duration {
    let within = told.iter().filter(|one| (from..to).contains(&one.sent));
    let mut took: Vec<Duration> = within.map(|one| one.took).collect();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

async fn weathers(trouble: Mood) {
    let scene = Scene::begin().await;
    let start = Instant::now();
    scene.until(scaled(120, 400)).await;
    assert!(scene.share_since([0; 3]) > 0.2, "{:?}", scene.counts());

    let began = scene.is(trouble);
    let share = if scaled(false, true) {
        sleep_until((began + GONE_WITHIN).into()).await;
        let before = scene.counts();
        sleep(WATCHED).await;
        let share = scene.share_since(before);
        assert!(share < 0.01, "{share}: {before:?} {:?}", scene.counts());
        share
    } else {
        loop {
            let before = scene.counts();
            scene
                .until(before.iter().sum::<usize>() + WATCHED_REQUESTS)
                .await;
            let share = scene.share_since(before);
            if share < 0.02 {
                break share;
            }
            assert!(began.elapsed() < BACK_WITHIN, "{:?}", scene.counts());
        }
    };

    let recovered = scene.is(Mood::Well);
    loop {
        let before = scene.counts();
        sleep(Duration::from_millis(500)).await;
        if scene.share_since(before) > 0.2 {
            break;
        }
        assert!(recovered.elapsed() < BACK_WITHIN, "{:?}", scene.counts());
    }
    eprintln!(
        "{share:.4} of the traffic in trouble, back after {:?}",
        recovered.elapsed()
    );

    let told = scene.end().await;
    let bad = told.iter().filter(|one| !one.good).count();
    assert_eq!(bad, 0, "of {}", told.len());
    let (calm, in_trouble) = (
        p99(&told, start, began),
        p99(&told, began + GONE_WITHIN, recovered),
    );
    eprintln!(
        "p99 {calm:?} before and {in_trouble:?} in trouble, of {}",
        told.len()
    );
    // Beside other tests this would measure those.
    assert!(scaled(
        true,
        in_trouble < 2 * calm + Duration::from_millis(5)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_fails_loses_its_traffic_and_gets_it_back() {
    weathers(Mood::Fails).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_stalls_loses_its_traffic_and_gets_it_back() {
    weathers(Mood::Stalls).await;
}
