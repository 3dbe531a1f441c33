//! Who cannot search says so, before anything is spent.

use http::StatusCode;
use serde_json::json;

use crate::support::client::Answer;
use crate::support::server::Server;
use crate::support::upstream::Upstream;
use crate::support::web::{ask, send};

#[tokio::test]
async fn who_cannot_search_says_so_before_anything_is_spent() {
    let model = Upstream::answering("No").await;
    let bare = Server::alone(&model.provider("lab-a", "0.000001", "0.000001")).await;
    let check = |answer: Answer, words: &str| {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        let message = answer.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.contains(words), "{message}");
    };
    check(
        send(&bare, &ask(json!({}))).await,
        "the operator may set EXA_API_KEY",
    );
    check(
        send(
            &bare,
            &ask(json!({"plugins": [{"id": "web", "engine": "searxng"}]})),
        )
        .await,
        "the operator may set searxng.base_url",
    );
    check(
        send(
            &bare,
            &ask(json!({"plugins": [{"id": "web", "engine": "native"}]})),
        )
        .await,
        "searches the web itself",
    );
    check(
        send(
            &bare,
            &ask(json!({"plugins": [{"id": "web", "engine": "bing"}]})),
        )
        .await,
        "bing is not offered here",
    );
    let embeddings = json!({"model": "acme/orca:online", "input": "x"});
    assert_eq!(
        bare.http
            .post("/api/v1/embeddings", &embeddings)
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(model.calls(), 0);
    let off = json!({"model": "acme/orca", "plugins": [{"id": "web", "enabled": false}]});
    assert_eq!(send(&bare, &ask(off)).await.status, StatusCode::OK);
    bare.stop().await;
}
