//! Every way in which a provider fails, asked plainly and as a stream, with one healthy endpoint
//! beside it: what the client sees, who is charged, what the attempts say, and how the endpoint
//! stands afterwards.

use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::client::{Answer, content};
use crate::support::server::Server;
use crate::support::upstream::{
    BlackHole, Script, Seen, Step, Upstream, answer, chunk, completion, done, event, json_body,
    json_with, sse_head, stream_of,
};

/// What the healthy endpoint says and costs: ten tokens in at $1, two out at $2 a million.
const HEALTHY: &str = "I can";
const HEALTHY_COST: f64 = 0.000_014;
/// The failing endpoint costs $3 a million tokens either way, when it answers at all.
const OWN_COST: f64 = 0.000_036;

/// How an endpoint stands, in the contract's numbers (13.5).
const WELL: i8 = 0;
const OUTAGE: i8 = -2;
const RESTING: i8 = -10;

/// What the client sees.
#[derive(Clone, Copy, Debug)]
enum Sees {
    /// The healthy endpoint's answer, for its price.
    Second,
    /// The failing endpoint's own answer, for its price.
    Own,
    /// An error of this status and type. Nobody pays.
    Error(u16, &'static str),
    /// A stream that has begun and ends in an error event. Nobody pays.
    Broken,
}
use Sees::{Broken, Error, Own, Second};

/// A way to fail.
struct Fault {
    name: &'static str,
    /// What the provider does with a request; `None` for one that cannot be reached.
    does: Option<fn(&Seen) -> Script>,
    /// What the client sees, plain and streamed.
    sees: [Sees; 2],
    /// The status of its attempt, plain and streamed.
    status: [Option<u16>; 2],
    /// How the endpoint stands afterwards, plain and streamed.
    stands: [i8; 2],
}

/// A fault that is the same plain and streamed.
fn fault(
    name: &'static str,
    does: fn(&Seen) -> Script,
    sees: Sees,
    status: Option<u16>,
    stands: i8,
) -> Fault {
    Fault {
        name,
        does: Some(does),
        sees: [sees; 2],
        status: [status; 2],
        stands: [stands; 2],
    }
}

fn error(status: u16) -> Script {
    json_body(status, &json!({"error": {"message": "no", "code": status}}))
}

fn coded(status: u16, code: &str) -> Script {
    json_body(status, &json!({"error": {"message": "no", "code": code}}))
}

/// Says the first word and then does what comes.
fn begins(seen: &Seen, then: Vec<Step>) -> Script {
    let mut script = if seen.streams() {
        vec![sse_head(), event(&chunk(&json!({"content": "Once"}), None))]
    } else {
        vec![Step::Write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{\"id\":"
                .to_vec(),
        )]
    };
    script.extend(then);
    script
}

fn faults() -> Vec<Fault> {
    vec![
        fault(
            "429-hinted",
            |_| {
                let body = json!({"error": {"message": "slow down"}});
                json_with(429, "retry-after: 7\r\n", &body)
            },
            Second,
            Some(429),
            RESTING,
        ),
        fault("429", |_| error(429), Second, Some(429), RESTING),
        fault(
            "503-hinted",
            |_| {
                json_with(
                    503,
                    "retry-after: 9\r\n",
                    &json!({"error": {"message": "later"}}),
                )
            },
            Second,
            Some(503),
            RESTING,
        ),
        fault("401", |_| error(401), Second, Some(401), OUTAGE),
        fault("402", |_| error(402), Second, Some(402), OUTAGE),
        fault("403", |_| error(403), Second, Some(403), OUTAGE),
        fault("404", |_| error(404), Second, Some(404), OUTAGE),
        fault("408", |_| error(408), Second, Some(408), OUTAGE),
        fault("500", |_| error(500), Second, Some(500), OUTAGE),
        fault("502", |_| error(502), Second, Some(502), OUTAGE),
        fault("503", |_| error(503), Second, Some(503), OUTAGE),
        fault("529", |_| error(529), Second, Some(529), OUTAGE),
        fault(
            "reset-before-head",
            |_| vec![Step::Reset],
            Second,
            None,
            OUTAGE,
        ),
        fault("closed-before-head", |_| vec![], Second, None, OUTAGE),
        fault(
            "reset-after-head",
            |_| vec![sse_head(), Step::Reset],
            Second,
            None,
            OUTAGE,
        ),
        Fault {
            name: "black-hole",
            does: None,
            sees: [Second; 2],
            status: [None; 2],
            stands: [OUTAGE; 2],
        },
        fault("silence", |_| vec![Step::Silence], Second, None, OUTAGE),
        fault(
            "silence-after-head",
            |_| vec![sse_head(), Step::Silence],
            Second,
            None,
            OUTAGE,
        ),
        fault(
            "slow-first-token",
            |seen| {
                let mut script = vec![Step::Wait(Duration::from_millis(900))];
                script.extend(answer(seen, "too late"));
                script
            },
            Second,
            None,
            OUTAGE,
        ),
        Fault {
            name: "cut-after-tokens",
            does: Some(|seen| begins(seen, vec![])),
            sees: [Second, Broken],
            status: [None, Some(200)],
            stands: [OUTAGE; 2],
        },
        Fault {
            name: "reset-after-tokens",
            does: Some(|seen| begins(seen, vec![Step::Reset])),
            sees: [Second, Broken],
            status: [None, Some(200)],
            stands: [OUTAGE; 2],
        },
        Fault {
            name: "stall-after-tokens",
            does: Some(|seen| begins(seen, vec![Step::Silence])),
            sees: [Second, Broken],
            status: [None, Some(200)],
            stands: [OUTAGE; 2],
        },
        Fault {
            name: "error-after-tokens",
            does: Some(|seen| {
                let died = event(&json!({"error": {"message": "died", "code": 500}}));
                begins(seen, vec![died])
            }),
            sees: [Second, Broken],
            status: [None, Some(200)],
            stands: [OUTAGE; 2],
        },
        fault(
            "malformed-json",
            |_| {
                let page = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n<html>no<";
                vec![Step::Write(page.to_vec())]
            },
            Second,
            None,
            OUTAGE,
        ),
        fault(
            "malformed-chunk",
            |_| {
                let half = b"data: {\"choices\":[{\n\n";
                vec![sse_head(), Step::Write(half.to_vec())]
            },
            Second,
            None,
            OUTAGE,
        ),
        fault(
            "no-end-mark",
            |seen| {
                if seen.streams() {
                    let mut script = stream_of("my own");
                    script.pop();
                    script
                } else {
                    json_body(200, &completion("my own"))
                }
            },
            Own,
            Some(200),
            WELL,
        ),
        fault(
            "error-in-a-200",
            |_| {
                json_body(
                    200,
                    &json!({"error": {"message": "overloaded", "code": 503}}),
                )
            },
            Second,
            Some(503),
            OUTAGE,
        ),
        fault(
            "error-in-a-stream",
            |seen| {
                let error = json!({"error": {"message": "overloaded", "code": 503}});
                if seen.streams() {
                    vec![sse_head(), event(&error)]
                } else {
                    json_body(200, &error)
                }
            },
            Second,
            Some(503),
            OUTAGE,
        ),
        fault(
            "empty",
            |seen| {
                if seen.streams() {
                    let nothing = chunk(&json!({"role": "assistant", "content": ""}), None);
                    vec![sse_head(), event(&nothing), done()]
                } else {
                    json_body(200, &json!({"id": "x", "choices": []}))
                }
            },
            Second,
            None,
            OUTAGE,
        ),
        fault(
            "too-long",
            |_| coded(400, "context_length_exceeded"),
            Error(400, "context_length_exceeded"),
            Some(400),
            WELL,
        ),
        fault(
            "bad-request",
            |_| coded(400, "invalid_schema"),
            Error(400, "invalid_request"),
            Some(400),
            WELL,
        ),
        fault(
            "content-filter",
            |_| coded(400, "content_filter"),
            Error(400, "content_policy_violation"),
            Some(400),
            WELL,
        ),
    ]
}

/// Every fault on one server: a provider for each, with a model for each way of asking, that the
/// healthy provider serves as well.
struct Suite {
    server: Server,
    faults: Vec<(Fault, Option<Upstream>)>,
    healthy: Upstream,
    _black_hole: BlackHole,
}

impl Suite {
    async fn start() -> Suite {
        let healthy = Upstream::answering(HEALTHY).await;
        let black_hole = Upstream::black_hole().await;
        let mut config = String::from(
            "[timeouts]\nconnect = \"250ms\"\nfirst_token = \"500ms\"\nidle = \"500ms\"\ntotal = \"700ms\"\n",
        );
        let (mut faults, mut models) = (Vec::new(), Vec::new());
        for fault in self::faults() {
            let upstream = match fault.does {
                Some(does) => Some(Upstream::start(does).await),
                None => None,
            };
            let address = upstream
                .as_ref()
                .map_or(black_hole.address, |upstream| upstream.address);
            let own = [false, true].map(|stream| model(&fault, stream));
            config.push_str(&provider(
                &format!("lab-{}", fault.name),
                address,
                &own,
                (3, 3),
            ));
            models.extend(own);
            faults.push((fault, upstream));
        }
        config.push_str(&provider("healthy", healthy.address, &models, (1, 2)));
        Suite {
            server: Server::alone(&config).await,
            faults,
            healthy,
            _black_hole: black_hole,
        }
    }

    /// How an endpoint stands, by its provider's display name.
    async fn stands(&self, model: &str, provider: &str) -> i8 {
        let path = format!("/api/v1/models/{model}/endpoints");
        let view = self.server.http.get(&path).await.json();
        let endpoints = view["data"]["endpoints"].as_array().unwrap().clone();
        let endpoint = endpoints
            .iter()
            .find(|endpoint| endpoint["provider_name"] == provider);
        endpoint.unwrap()["status"].as_i64().unwrap() as i8
    }
}

fn model(fault: &Fault, stream: bool) -> String {
    let way = if stream { "streamed" } else { "plain" };
    format!("acme/{}-{way}", fault.name)
}

/// `[[providers]]` with these models, priced in dollars per million tokens.
fn provider(slug: &str, address: SocketAddr, models: &[String], price: (u32, u32)) -> String {
    let (prompt, completion) = price;
    let models: String = models
        .iter()
        .map(|id| {
            format!(
                "\n[[providers.models]]\nid = \"{id}\"\ncontext_length = 32768\nmax_output_tokens = 4096\n\
                 pricing = {{ prompt = \"0.00000{prompt}\", completion = \"0.00000{completion}\" }}\n"
            )
        })
        .collect();
    format!(
        "\n[[providers]]\nslug = \"{slug}\"\nname = \"{slug}\"\nwire = \"openai\"\nbase_url = \"http://{address}/v1\"\n{models}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_provider_does_the_client_and_the_ledger_are_right() {
    let suite = Suite::start().await;
    for (position, stream) in [false, true].into_iter().enumerate() {
        for (fault, _) in &suite.faults {
            check(&suite, fault, position, stream).await;
        }
    }
    let unreached = suite.faults.iter().filter(|(_, upstream)| {
        upstream
            .as_ref()
            .is_some_and(|upstream| upstream.calls() < 2)
    });
    assert_eq!(
        unreached.map(|(fault, _)| fault.name).collect::<Vec<_>>(),
        [""; 0]
    );
    let seconds = suite.faults.iter().flat_map(|(fault, _)| fault.sees);
    let seconds = seconds.filter(|sees| matches!(sees, Second)).count();
    assert_eq!(suite.healthy.calls(), seconds);
    let verification = suite.server.store.verify().await.unwrap();
    assert!(verification.differences.is_empty(), "{verification:?}");
    suite.server.stop().await;
}

async fn check(suite: &Suite, fault: &Fault, position: usize, stream: bool) {
    let (name, model) = (fault.name, model(fault, stream));
    let own = format!("lab-{name}");
    let body = json!({
        "model": model, "stream": stream, "messages": [{"role": "user", "content": "Can you?"}],
        "provider": {"order": [own]},
    });
    let http = &suite.server.http;
    let answer = http.post("/api/v1/chat/completions", &body).await;
    let id = answer.headers["x-generation-id"].to_str().unwrap();
    let record = suite.server.generation(id).await;
    let cost = match fault.sees[position] {
        Second => {
            assert_answer(&answer, stream, HEALTHY, HEALTHY_COST, name);
            HEALTHY_COST
        }
        Own => {
            assert_answer(&answer, stream, "my own", OWN_COST, name);
            OWN_COST
        }
        Error(status, kind) => {
            assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text());
            let error = &answer.json()["error"];
            assert_eq!(error["metadata"]["error_type"], kind, "{name}: {error}");
            0.0
        }
        Broken => {
            let events = answer.events();
            let last = events.last().unwrap();
            assert_eq!(content(&events), "Once", "{name}");
            assert_eq!(
                last["choices"][0]["finish_reason"], "error",
                "{name}: {last}"
            );
            assert!(
                last["error"]["code"].as_u64().unwrap() >= 500,
                "{name}: {last}"
            );
            0.0
        }
    };
    assert_eq!(
        record["total_cost"].as_f64(),
        Some(cost),
        "{name} {stream}: {record}"
    );
    let tries = record["provider_responses"].as_array().unwrap();
    let failed_over = matches!(fault.sees[position], Second);
    assert_eq!(
        tries.len(),
        1 + usize::from(failed_over),
        "{name} {stream}: {record}"
    );
    assert_eq!(tries[0]["provider_name"], own, "{name}");
    assert_eq!(
        tries[0]["status"],
        json!(fault.status[position]),
        "{name} {stream}"
    );
    if failed_over {
        assert_eq!(
            (&tries[1]["provider_name"], &tries[1]["status"]),
            (&json!("healthy"), &json!(200)),
            "{name}"
        );
        assert_eq!(
            suite.stands(&model, "healthy").await,
            WELL,
            "{name} {stream}"
        );
    }
    let stands = suite.stands(&model, &own).await;
    assert_eq!(stands, fault.stands[position], "{name} {stream}");
}

#[track_caller]
fn assert_answer(answer: &Answer, stream: bool, text: &str, cost: f64, name: &str) {
    assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.text());
    let (said, usage) = if stream {
        let events = answer.events();
        assert_eq!(events.last(), Some(&json!("[DONE]")), "{name}");
        (content(&events), events[events.len() - 2]["usage"].clone())
    } else {
        let body = answer.json();
        let said = &body["choices"][0]["message"]["content"];
        (said.as_str().unwrap().to_owned(), body["usage"].clone())
    };
    assert_eq!(said, text, "{name}");
    assert_eq!(usage["cost"].as_f64(), Some(cost), "{name}: {usage}");
}

/// Two endpoints that do the same.
async fn both(script: fn(&Seen) -> Script) -> (Server, [Upstream; 2]) {
    let labs = [Upstream::start(script).await, Upstream::start(script).await];
    let config: String = labs
        .iter()
        .zip(["lab-a", "lab-b"])
        .map(|(lab, slug)| lab.provider(slug, "0.000001", "0.000002"))
        .collect();
    (Server::alone(&config).await, labs)
}

fn ask(stream: bool) -> Value {
    json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Can you?"}], "stream": stream})
}

#[tokio::test]
async fn when_all_refuse_the_client_learns_why_and_when_to_return() {
    let check = async |script: fn(&Seen) -> Script, status: u16, code: &str, wait: Option<&str>| {
        let (server, labs) = both(script).await;
        for stream in [false, true] {
            let answer = server
                .http
                .post("/api/v1/chat/completions", &ask(stream))
                .await;
            let error = answer.json()["error"].clone();
            assert_eq!(answer.status.as_u16(), status, "{error}");
            assert_eq!(error["availability"]["code"], code, "{error}");
            assert_eq!(
                error["metadata"]["previous_errors"]
                    .as_array()
                    .unwrap()
                    .len(),
                2
            );
            let told = answer
                .headers
                .get("retry-after")
                .map(|value| value.to_str().unwrap());
            assert_eq!(told, wait, "{error}");
            let id = answer.headers["x-generation-id"].to_str().unwrap();
            assert_eq!(server.generation(id).await["total_cost"], 0);
        }
        assert_eq!(labs.map(|lab| lab.calls()), [2, 2]);
        server.stop().await;
    };
    check(|_| error(503), 503, "temporarily_unavailable", None).await;
    check(
        |_| {
            json_with(
                429,
                "retry-after: 7\r\n",
                &json!({"error": {"message": "slow"}}),
            )
        },
        429,
        "capacity_exhausted",
        Some("7"),
    )
    .await;
    // Google says it in the error itself.
    let of_google = |_: &Seen| {
        let retry =
            json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "9s"});
        json_body(
            429,
            &json!({"error": {"code": 429, "message": "slow", "details": [retry]}}),
        )
    };
    check(of_google, 429, "capacity_exhausted", Some("9")).await;
    check(|_| error(404), 404, "model_unavailable_upstream", None).await;
}

#[tokio::test]
async fn without_fallbacks_the_first_error_is_the_answer() {
    let (server, labs) = both(|_| error(503)).await;
    let mut body = ask(false);
    body["provider"] = json!({"order": ["lab-b"], "allow_fallbacks": false});
    let answer = server.http.post("/api/v1/chat/completions", &body).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(labs.map(|lab| lab.calls()), [0, 1]);
    server.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_flaps_costs_no_client_an_answer() {
    let flapping = Upstream::start({
        let turn = std::sync::atomic::AtomicUsize::new(0);
        move |seen| match turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 3 {
            0 => answer(seen, HEALTHY),
            1 => error(500),
            _ => vec![Step::Reset],
        }
    })
    .await;
    let healthy = Upstream::answering(HEALTHY).await;
    let config = format!(
        "{}{}",
        flapping.provider("lab-a", "0.000001", "0.000002"),
        healthy.provider("lab-b", "0.000001", "0.000002")
    );
    let server = Server::alone(&config).await;
    for round in 0..60 {
        let stream = round % 2 == 0;
        let mut body = ask(stream);
        if round % 3 == 0 {
            body["provider"] = json!({"order": ["lab-a"]});
        }
        let answer = server.http.post("/api/v1/chat/completions", &body).await;
        assert_answer(&answer, stream, HEALTHY, HEALTHY_COST, "flapping");
    }
    // Whoever does not insist on the flapping endpoint is kept away from it.
    assert!(flapping.calls() < 40, "{}", flapping.calls());
    assert!(flapping.calls() >= 20 && healthy.calls() >= 20);
    server.stop().await;
}
