//! A gateway in use: people with names that are too long, keys, apps, a month of runs, a provider that fails.

use serde_json::json;
use turnpike::catalog::{Catalog, CatalogSource, Environment};
use turnpike::clock::now_ms;
use turnpike::domain::generation::{Generation, Served};
use turnpike::domain::identity::{Email, Identity};
use turnpike::domain::ids::{GenerationId, KeyHash};
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::LimitReset;
use turnpike::domain::usage::{Tokens, Usage, UsageSource};
use turnpike::store::{Account, NewKey};

use crate::support::browser::Browser;
use crate::support::client::Http;
use crate::support::issuer::Issuer;
use crate::support::money::{run, settlement};
use crate::support::server::Server;
use crate::support::upstream::{Upstream, json_body};

const DAY: i64 = 86_400_000;

/// What an app asks for, at length.
pub(super) const WIDE_QUERY: &str = "callback_url=https%3A%2F%2Fa-rather-long-subdomain.of-an-app.with-a-long-name.example%2Fcallback%3Fa%3Db&code_challenge=x&code_challenge_method=plain&key_label=An+app+whose+label+is+as+long+as+labels+may+be&limit=12.5&usage_limit_type=monthly&expires_at=2100-01-01T00%3A00%3A00Z";

/// Addresses of pages that name something, and what serves them.
#[derive(Default)]
pub(super) struct Seeded {
    pub(super) invitation: String,
    pub(super) password_link: String,
    pub(super) unserved: String,
    pub(super) key: String,
    pub(super) run: String,
    pub(super) user: String,
    running: Option<Running>,
}

struct Running {
    server: Server,
    ann: Browser,
    newcomer: Browser,
    root: Browser,
    _providers: [Upstream; 2],
    _issuer: Issuer,
}

const MODELS: [(&str, &str); 4] = [
    ("acme/orca", "0.000003"),
    ("acme/krill", "0.0000002"),
    (
        "beacon-labs/a-model-with-a-name-that-goes-on-and-on-32k-instruct-preview",
        "0.00001",
    ),
    ("beacon-labs/lantern", "0"),
];

impl Seeded {
    pub(super) async fn start() -> Seeded {
        Box::pin(seed()).await
    }

    pub(super) fn base(&self) -> &str {
        &self.running().server.base
    }

    pub(super) fn ann(&self) -> &Browser {
        &self.running().ann
    }

    pub(super) fn newcomer(&self) -> &Browser {
        &self.running().newcomer
    }

    pub(super) fn root(&self) -> &Browser {
        &self.running().root
    }

    pub(super) async fn stop(self) {
        Box::pin(self.running.unwrap().server.stop()).await;
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }
}

async fn seed() -> Seeded {
    let issuer = Issuer::start().await;
    let words =
        "A turnpike is a road that is paid for by those who use it.\n\nIt has a bar, and a keeper.";
    let good = Upstream::answering(words).await;
    let bad = Upstream::start(|_| json_body(500, &json!({"error": {"message": "no"}}))).await;
    let config = format!(
        "{}{}{}",
        issuer.config(""),
        provider(&good, "lab-a"),
        provider(&bad, "a-provider-with-a-long-slug")
    );
    let server = Server::alone(&config).await;
    let email = "maximiliane.mustermann-von-und-zu@department.university.example";
    let (account, ann) = server.person(email, false).await;
    let (_, root) = server.person("root@example.com", true).await;
    let (_, newcomer) = server.person("new@example.com", false).await;
    let mut seeded = Seeded {
        invitation: link(&server, "/sign-up?invitation=", None).await,
        password_link: link(&server, "/password/", Some(&account)).await,
        unserved: unserved(),
        user: format!("/admin/users/{}", account.id),
        ..Seeded::default()
    };
    let name = "a key with a name of eighty characters, as somebody who likes long names writes"
        .to_owned();
    let keys = [
        keys(&server, &account, &name).await,
        keys(&server, &account, "laptop").await,
    ];
    month(&server, &keys[0]).await;
    seeded.run = live(&server, &keys).await;
    seeded.key = format!("/keys/{}", KeyHash::of(&keys[0]));
    connect(&server, &account, &ann).await;
    seeded.running = Some(Running {
        server,
        ann,
        newcomer,
        root,
        _providers: [good, bad],
        _issuer: issuer,
    });
    seeded
}

fn provider(upstream: &Upstream, slug: &str) -> String {
    let head = format!(
        "[[providers]]\nslug = \"{slug}\"\nname = \"{slug} Inc\"\nwire = \"openai\"\nbase_url = \"http://{}/v1\"\n",
        upstream.address
    );
    let model = |(id, price): &(&str, &str)| {
        format!(
            "[[providers.models]]\nid = \"{id}\"\nname = \"{id}\"\ndescription = \"A model that was made up for the tests. It says what it is told to say, and nothing that would surprise anybody who reads them.\"\n\
             input_modalities = [\"text\", \"image\"]\ncontext_length = 131072\nmax_output_tokens = 8192\nquantization = \"fp8\"\n\
             pricing = {{ prompt = \"{price}\", completion = \"{price}\", cache_read = \"{price}\" }}\n\
             supported_parameters = [\"tools\", \"tool_choice\", \"max_tokens\", \"temperature\", \"response_format\", \"top_p\", \"stop\", \"seed\"]\n"
        )
    };
    head + &MODELS.iter().map(model).collect::<String>()
}

async fn link(server: &Server, before: &str, account: Option<&Account>) -> String {
    let now = now_ms();
    let secret = match account {
        Some(account) => server.people().password_link(&account.id, now).await,
        None => server.people().invitation(now).await,
    };
    format!("{before}{}", secret.unwrap().expose())
}

/// A model of the catalogue that nobody can serve without a key.
fn unserved() -> String {
    let source = CatalogSource {
        environment: Environment::from_fn(|_| None),
        ..CatalogSource::built_in()
    };
    let snapshot = Catalog::load(source).unwrap().snapshot();
    let unserved = |model: &&std::sync::Arc<_>| {
        let model: &turnpike::catalog::snapshot::Model = model;
        model.endpoints.is_empty() && !model.disabled.is_empty()
    };
    format!(
        "/models/{}",
        snapshot.models.iter().find(unserved).unwrap().id
    )
}

async fn keys(server: &Server, account: &Account, name: &str) -> String {
    let change = |key: &mut NewKey| {
        key.account = account.id.clone();
        key.name = name.to_owned();
        (key.limit, key.limit_reset) = (Some(Nanos::from_dollars(5)), LimitReset::Monthly);
    };
    server.create_key(change).await
}

/// Runs of the last four weeks, more of them on some days.
async fn month(server: &Server, key: &str) {
    let who = server.store.known_key(&KeyHash::of(key)).await.unwrap();
    let (who, now) = (who.unwrap().principal, now_ms());
    let mut runs = Vec::new();
    for day in 0..28_i64 {
        for (index, (model, _)) in MODELS.iter().enumerate() {
            let at = now - day * DAY - 1_000;
            let net = (1 + (day * 7 + index as i64 * 3) % 11) * 13_000_000;
            let generation = Generation {
                id: GenerationId::new(at),
                created_at: at,
                served: Some(Served {
                    model: (*model).into(),
                    provider: "lab-a".into(),
                    provider_name: "lab-a Inc".into(),
                    endpoint: "lab-a".into(),
                    upstream_id: None,
                    service_tier: None,
                }),
                usage: Some(Usage {
                    tokens: Tokens {
                        prompt: 1_200,
                        completion: 340,
                        ..Tokens::default()
                    },
                    source: UsageSource::Reported,
                }),
                ..run(&who, net)
            };
            runs.push(settlement("seed", generation, at));
        }
    }
    server.store.settle(&runs).await.unwrap();
}

/// Requests of now, the last of which fails over.
async fn live(server: &Server, keys: &[String; 2]) -> String {
    let mut last = String::new();
    for turn in 0..6 {
        let chat = json!({
            "model": "acme/orca", "max_tokens": 100, "stream": turn < 5,
            "messages": [{"role": "user", "content": "Go"}],
            "provider": {"order": ["a-provider-with-a-long-slug", "lab-a"]},
        });
        let http = Http::new(&server.base).with_key(&keys[1]);
        let answer = http.post("/api/v1/chat/completions", &chat).await;
        assert!(answer.status.is_success(), "{}", answer.text());
        if turn == 5 {
            last = answer.json()["id"].as_str().unwrap().to_owned();
        }
    }
    format!("/activity/{last}")
}

/// An app, and an account elsewhere.
async fn connect(server: &Server, account: &Account, browser: &Browser) {
    let fields = [
        ("request", WIDE_QUERY),
        ("decision", "approve"),
        ("limit", "12.5"),
    ];
    let answer = browser
        .submit(&format!("/auth?{WIDE_QUERY}"), "/auth", &fields)
        .await;
    let location = answer.location();
    let code = location.split("code=").nth(1).unwrap();
    let exchange = json!({"code": code, "code_verifier": "x", "code_challenge_method": "plain"});
    let exchanged = Http::new(&server.base)
        .post("/api/v1/auth/keys", &exchange)
        .await;
    assert!(exchanged.status.is_success(), "{}", exchanged.text());
    let identity = Identity {
        issuer: "https://an-issuer-that-is-no-longer-configured.example".to_owned(),
        subject: "ann".to_owned(),
        email: Some(Email {
            address: account.email.clone(),
            verified: true,
        }),
    };
    let connected = server
        .store
        .connect_identity(&account.id, &identity, now_ms());
    assert_eq!(connected.await.unwrap(), account.id);
}
