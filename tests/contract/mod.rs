//! Every JSON answer, every chunk and every error, held against the reference's schemas (`schemas.json`), with objects
//! closed: a field that the schemas do not name is a deviation, unless [`beyond`] names it with its section of the
//! contract.

mod accounts;
mod beyond;
mod catalogue;
mod chat;
mod completions;
mod embeddings;
mod foreign;
mod held;
mod logprobs;
mod recorded;
mod refusals;
mod rerank;
mod schemas;
mod search;
mod sent;
mod skins;

use std::collections::BTreeSet;

use schemas::Validators;
use serde_json::{Value, json};
use turnpike::edge::router;

/// The routes of each test, as `METHOD /path` below `/api/v1`. A test that ends has been answered well on each of them.
const HELD: [&[&str]; 7] = [
    accounts::ROUTES,
    catalogue::ROUTES,
    chat::ROUTES,
    completions::ROUTES,
    embeddings::ROUTES,
    rerank::ROUTES,
    skins::ROUTES,
];

#[test]
fn every_route_of_the_api_is_held_to_the_contract() {
    let served: BTreeSet<String> = api_routes().collect();
    let held = HELD
        .iter()
        .copied()
        .flatten()
        .map(|route| (*route).to_owned());
    assert_eq!(held.collect::<BTreeSet<_>>(), served);
}

/// Every route below `/api/v1`, as `METHOD /path`.
fn api_routes() -> impl Iterator<Item = String> {
    router::list().into_iter().filter_map(|(method, path)| {
        let path = path.strip_prefix("/api/v1")?;
        Some(format!("{method} {path}"))
    })
}

/// The validator itself: what it must not let pass.
#[test]
fn a_deviation_is_found_wherever_it_stands() {
    let good = json!({
        "id": "gen-1", "object": "chat.completion", "created": 1, "model": "acme/orca", "system_fingerprint": null,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Four."}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "completion_tokens_details": null}
    });
    let check = |change: &dyn Fn(&mut Value), expected: &str| {
        let mut body = good.clone();
        change(&mut body);
        let found = Validators::default().deviations(
            "POST /chat/completions",
            200,
            "application/json",
            &body,
        );
        match found.as_slice() {
            [] => assert_eq!("", expected, "{body}"),
            [found, ..] => assert!(
                !expected.is_empty() && found.contains(expected),
                "{expected} is not {found}"
            ),
        }
    };
    check(&|_| {}, "");
    check(&|body| body["news"] = json!(1), "'news'");
    check(
        &|body| body["choices"][0]["message"]["news"] = json!(1),
        "'news'",
    );
    check(
        &|body| body["usage"]["completion_tokens_details"] = json!({"news": 1}),
        "'news'",
    );
    check(
        &|body| body["choices"][0]["finish_reason"] = json!("bored"),
        "\"bored\"",
    );
    check(&|body| body["created"] = json!("1"), "\"integer\"");
    check(
        &|body| body["choices"][0] = json!({"index": 0, "finish_reason": "stop"}),
        "\"message\"",
    );
    check(
        &|body| drop(body.as_object_mut().unwrap().remove("id")),
        "\"id\"",
    );
}
