//! Files that a request names by address, for providers that take bytes only: fetched once, and from nowhere that a
//! caller must not reach.

use std::net::Ipv4Addr;

use http::StatusCode;
use serde_json::{Value, json};
use url::{Host, Url};

use crate::support::server::Server;
use crate::support::upstream::{Script, Seen, Step, Upstream, answer, json_body};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nnot much of a picture";
const INLINE: &str = "quirks = { inline_media = true }\nwire =";

/// Forms of addresses that lead to this machine, its network or its cloud, or are no address of a file.
const FORBIDDEN: &[&str] = &[
    "http://127.0.0.1/a.png",
    "http://127.0.0.1:5432/",
    "https://127.0.0.1/",
    "HTTP://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0x7F.1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0177.0.0x1/",
    "http://127.0.0.1./",
    "http://1%32%37.0.0.1/",
    "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
    "http://127\u{3002}0\u{3002}0\u{3002}1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://0/",
    "http://0.0.0.0/",
    "http://0.0.0.0:8080/",
    "http://localhost/",
    "http://LOCALHOST:6379/",
    "http://10.0.0.1/",
    "http://0xa.1/",
    "http://012.0.0.1/",
    "http://167772161/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://192.168.257/",
    "http://3232235521/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254:80/computeMetadata/v1/",
    "http://2852039166/",
    "http://0xA9FEA9FE/",
    "http://0251.0376.0251.0376/",
    "http://169.16689662/",
    "http://100.100.100.200/latest/meta-data/",
    "http://192.0.0.192/",
    "http://198.18.0.1/",
    "http://192.0.2.1/",
    "http://203.0.113.9/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://240.0.0.1/",
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]:8080/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[0:0:0:0:0:ffff:10.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:db8::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://[ff02::1]/",
    "http://caller@127.0.0.1/",
    "http://public.example@127.0.0.1/",
    "http://user:pass@1.1.1.1/",
    "http://127.0.0.1#@1.1.1.1/",
    "http://127.0.0.1\\@1.1.1.1/",
    "http:127.0.0.1/",
    "http:/127.0.0.1/",
    "http:\\\\127.0.0.1\\",
    "http://\t127.0.0.1/",
    "http://127.0.\n0.1/",
    "http://",
    "http://[::1/",
    "http://1.1.1.1:99999/",
];

/// Where a redirect may not lead either: what is no web address at all is not even taken for one in a request.
const NOT_THE_WEB: &[&str] = &[
    "file:///etc/passwd",
    "ftp://1.1.1.1/",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "//127.0.0.2/",
    "data:text/plain,a",
    "javascript:0",
];

fn ask(addresses: &[&str]) -> Value {
    let part = |address: &&str| json!({"type": "image_url", "image_url": {"url": address}});
    let parts: Vec<Value> = addresses.iter().map(part).collect();
    json!({"model": "acme/orca", "provider": {"order": ["lab-a", "lab-b"]}, "messages": [{"role": "user", "content": parts}]})
}

/// Model `acme/orca` for which files must be inline at both its providers, the first of which fails.
fn takes_bytes(upstream: &Upstream) -> String {
    let provider = |slug| {
        upstream
            .provider(slug, "0.000001", "0.000001")
            .replace("wire =", INLINE)
    };
    let sees = |config: String| {
        config.replace(
            "context_length",
            "input_modalities = [\"text\", \"image\"]\ncontext_length",
        )
    };
    sees(provider("lab-a") + &provider("lab-b"))
}

async fn lab() -> Upstream {
    Upstream::start(|seen| match seen.body["model"].as_str() {
        Some("orca-at-lab-a") => json_body(503, &json!({"error": {"message": "not now"}})),
        _ => answer(seen, "A picture"),
    })
    .await
}

fn file(content_type: &str, headers: &str, bytes: &[u8]) -> Script {
    let head = format!(
        "HTTP/1.1 200 OK\r\n{content_type}{headers}connection: close\r\ncontent-length: {}\r\n\r\n",
        bytes.len()
    );
    vec![Step::Write(head.into_bytes()), Step::Write(bytes.to_vec())]
}

fn redirect(to: &str) -> Script {
    let head = format!(
        "HTTP/1.1 302 Found\r\nlocation: {to}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    vec![Step::Write(head.into_bytes())]
}

fn files(seen: &Seen) -> Script {
    match seen.path.as_str() {
        "/typed" => file("content-type: Image/WebP; a=b\r\n", "", PNG),
        "/untyped" => file("content-type: application/octet-stream\r\n", "", PNG),
        "/moved" => redirect("/untyped"),
        "/round" => redirect("/round"),
        "/packed" => file("", "content-encoding: gzip\r\n", PNG),
        "/huge" => vec![Step::Write(
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n".to_vec(),
        )],
        "/endless" => {
            let mut script = vec![Step::Write(
                b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec(),
            )];
            script.extend(std::iter::repeat_n(Step::Write(vec![0; 1 << 20]), 21));
            script
        }
        "/short" => vec![Step::Write(
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_vec(),
        )],
        "/secret" => file("content-type: image/png\r\n", "", PNG),
        path => match path
            .strip_prefix("/to/")
            .and_then(|number| number.parse::<usize>().ok())
        {
            Some(number) => redirect(redirects()[number]),
            None => json_body(404, &json!({})),
        },
    }
}

/// Addresses that a header can carry and that do not lead to this very server, which these tests allow.
fn redirects() -> Vec<&'static str> {
    let allowed = |address: &str| match Url::parse(address).ok().as_ref().and_then(Url::host) {
        Some(Host::Ipv4(literal)) => literal == Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(literal)) => literal.to_canonical() == Ipv4Addr::LOCALHOST,
        Some(Host::Domain(name)) => name.starts_with("localhost"),
        None => false,
    };
    let all = FORBIDDEN.iter().chain(NOT_THE_WEB).copied();
    all.filter(|address| address.bytes().all(|byte| byte.is_ascii_graphic()))
        .filter(|address| !allowed(address))
        .collect()
}

#[tokio::test]
async fn a_file_is_fetched_once_and_put_in_where_it_was_named() {
    let (lab, host) = (lab().await, Upstream::start(files).await);
    let server = Server::alone(&format!(
        "{}\n[media]\nnetworks = \"127.0.0.1\"",
        takes_bytes(&lab)
    ))
    .await;
    let at = |path: &str| format!("http://{}{path}", host.address);
    let (typed, untyped, moved) = (at("/typed"), at("/untyped"), at("/moved"));
    let body = ask(&[&typed, &untyped, "data:image/gif;base64,AAAA", &moved]);
    let answer = server.http.post("/api/v1/chat/completions", &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    // Two endpoints were tried, and each file was read once, the third behind a redirect.
    assert_eq!((lab.calls(), host.calls()), (2, 4));
    let seen = lab.seen();
    let parts = seen[1].body["messages"][0]["content"].as_array().unwrap();
    let urls: Vec<&str> = parts
        .iter()
        .map(|part| part["image_url"]["url"].as_str().unwrap())
        .collect();
    let data = "iVBORw0KGgpub3QgbXVjaCBvZiBhIHBpY3R1cmU=";
    assert_eq!(
        urls,
        [
            format!("data:image/webp;base64,{data}"),
            format!("data:image/png;base64,{data}"),
            "data:image/gif;base64,AAAA".to_owned(),
            format!("data:image/png;base64,{data}"),
        ]
    );
    for seen in host.seen() {
        assert!(
            !seen.head.to_ascii_lowercase().contains("authorization"),
            "{}",
            seen.head
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_provider_that_fetches_itself_is_given_the_address() {
    let lab = lab().await;
    let config = takes_bytes(&lab).replace(INLINE, "wire =");
    let server = Server::alone(&config).await;
    let address = "http://169.254.169.254/a.png";
    let answer = server
        .http
        .post("/api/v1/chat/completions", &ask(&[address]))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(
        lab.seen()[1].body["messages"][0]["content"][0]["image_url"]["url"],
        address
    );
    server.stop().await;
}

#[tokio::test]
async fn no_form_of_a_forbidden_address_is_reached() {
    assert!(FORBIDDEN.len() >= 60);
    let lab = lab().await;
    let server = Server::alone(&takes_bytes(&lab)).await;
    for address in FORBIDDEN {
        let answer = server
            .http
            .post("/api/v1/chat/completions", &ask(&[address]))
            .await;
        let said = answer.json()["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{address}: {said}");
        let refused = [
            "its address is not public",
            "its address is not a plain http or https URL",
        ];
        assert!(
            refused.iter().any(|why| said.contains(why)),
            "{address}: {said}"
        );
    }
    assert_eq!(lab.calls(), 0);
    server.stop().await;
}

#[tokio::test]
async fn no_redirect_leads_to_a_forbidden_address() {
    let (lab, host) = (lab().await, Upstream::start(files).await);
    let server = Server::alone(&format!(
        "{}\n[media]\nnetworks = \"127.0.0.1\"",
        takes_bytes(&lab)
    ))
    .await;
    for (number, to) in redirects().iter().enumerate() {
        let address = format!("http://{}/to/{number}", host.address);
        let answer = server
            .http
            .post("/api/v1/chat/completions", &ask(&[&address]))
            .await;
        let said = answer.text();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{to}: {said}");
        let refused = ["not public", "not a plain http", "redirects without end"];
        assert!(refused.iter().any(|why| said.contains(why)), "{to}: {said}");
    }
    assert_eq!((lab.calls(), host.calls()), (0, redirects().len()));
    server.stop().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_had_is_the_callers_mistake_and_says_why() {
    let (lab, host) = (lab().await, Upstream::start(files).await);
    let server = Server::alone(&format!(
        "{}\n[media]\nnetworks = \"127.0.0.0/8\"",
        takes_bytes(&lab)
    ))
    .await;
    let nobody = Upstream::nobody().await;
    let at = |path: &str| format!("http://{}{path}", host.address);
    for (address, reason) in [
        (at("/missing"), "its server answered 404"),
        (at("/round"), "redirects without end"),
        (at("/packed"), "an encoding that was not asked for"),
        (at("/huge"), "larger than 20 MB"),
        (at("/endless"), "larger than 20 MB"),
        (at("/short"), "cannot be reached"),
        (format!("http://{nobody}/"), "cannot be reached"),
    ] {
        let answer = server
            .http
            .post("/api/v1/chat/completions", &ask(&[&address]))
            .await;
        let said = answer.json()["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{address}: {said}");
        assert!(
            said.contains("messages[0].content[0]") && said.contains(reason),
            "{address}: {said}"
        );
        assert!(!said.contains(&host.address.to_string()), "{said}");
    }
    let many = vec!["http://127.0.0.1/"; 33];
    let answer = server
        .http
        .post("/api/v1/chat/completions", &ask(&many))
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(lab.calls(), 0);
    server.stop().await;
}
