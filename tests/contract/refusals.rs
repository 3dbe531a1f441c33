//! What every route says to a stranger, to nonsense and to the wrong method: an error in the contract's form.

use http::Method;

use super::api_routes;
use super::held::Held;
use crate::support::client::Http;
use crate::support::server::Server;

#[tokio::test]
async fn every_route_refuses_in_the_contracts_form() {
    let server = Server::alone("").await;
    let mut held = Held::default();
    let (stranger, manager) = (Http::new(&server.base), server.manager().await);
    for route in api_routes() {
        let route: &'static str = route.leak();
        let (method, path) = route.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let path = format!("/api/v1{}", path.replace(['{', '}'], ""));
        for (http, method) in [
            (&stranger, &method),
            (&server.http, &method),
            (&manager, &method),
            (&server.http, &Method::PUT),
        ] {
            let answer = http
                .send(method.clone(), &path, "{nonsense".into(), &[])
                .await;
            let status = answer.status.as_u16();
            assert!(status < 500, "{method} {path}: {}", answer.text());
            held.hold(route, status, answer);
        }
    }
    held.hold(
        "GET /nothing",
        404,
        server.http.get("/api/v1/nothing").await,
    );
    held.finish();
    server.stop().await;
}
