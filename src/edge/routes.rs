//! A router that knows fixed paths by heart, and remembers its routes, so that a test can hold every one of them to who may
//! use it.

use std::collections::HashMap;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use axum::handler::Handler;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use http::{Method, Request};

/// A route: its method and its path, with `{…}` for what varies.
pub type Route = (Method, String);

/// An answer that is being made, as handlers that are functions return it.
pub type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Routes, and the list of them.
pub struct Routes<S> {
    prefix: &'static str,
    router: Router<S>,
    direct: Direct<S>,
    list: Vec<Route>,
}

/// The routes whose paths are fixed. axum's router makes boxes and a map for each request that it routes, which calls to
/// models need not pay for (`benches/README.md`).
pub struct Direct<S>(HashMap<String, Vec<(Method, Call<S>)>>);

type Call<S> = Box<dyn Fn(Request<Body>, S) -> Answering + Send + Sync>;

impl<S: 'static> Direct<S> {
    /// What answers at a path; `None` where the router must be asked, which knows all routes.
    pub fn at(&self, method: &Method, path: &str) -> Option<&Call<S>> {
        let calls = self.0.get(path)?;
        let (_, call) = calls.iter().find(|(of, _)| of == method)?;
        Some(call)
    }

    fn add<T: 'static>(
        &mut self,
        method: &Method,
        path: &str,
        handler: impl Handler<T, S, Future = Answering>,
    ) {
        if path.contains('{') {
            return;
        }
        let call: Call<S> = Box::new(move |request, state| handler.clone().call(request, state));
        let calls = self.0.entry(path.to_owned()).or_default();
        calls.push((method.clone(), call));
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Routes::below("")
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet; those to come have a path that begins with `prefix`.
    pub fn below(prefix: &'static str) -> Self {
        Routes {
            prefix,
            router: Router::new(),
            direct: Direct(HashMap::new()),
            list: Vec::new(),
        }
    }

    /// One more route that reads.
    #[must_use]
    pub fn get<T: 'static>(
        self,
        path: &str,
        handler: impl Handler<T, S, Future = Answering>,
    ) -> Self {
        self.on(Method::GET, MethodFilter::GET, path, handler)
    }

    /// One more route that makes or does something.
    #[must_use]
    pub fn post<T: 'static>(
        self,
        path: &str,
        handler: impl Handler<T, S, Future = Answering>,
    ) -> Self {
        self.on(Method::POST, MethodFilter::POST, path, handler)
    }

    /// One more route that changes something.
    #[must_use]
    pub fn patch<T: 'static>(
        self,
        path: &str,
        handler: impl Handler<T, S, Future = Answering>,
    ) -> Self {
        self.on(Method::PATCH, MethodFilter::PATCH, path, handler)
    }

    /// One more route that deletes something.
    #[must_use]
    pub fn delete<T: 'static>(
        self,
        path: &str,
        handler: impl Handler<T, S, Future = Answering>,
    ) -> Self {
        self.on(Method::DELETE, MethodFilter::DELETE, path, handler)
    }

    /// Other routes beside these.
    #[must_use]
    pub fn merge(mut self, other: Routes<S>) -> Self {
        self.list.extend(other.list);
        for (path, calls) in other.direct.0 {
            self.direct.0.entry(path).or_default().extend(calls);
        }
        self.router = self.router.merge(other.router);
        self
    }

    /// The same routes with something around them, which the router alone passes.
    #[must_use]
    pub fn around(mut self, layers: impl FnOnce(Router<S>) -> Router<S>) -> Self {
        self.direct.0.clear();
        self.router = layers(self.router);
        self
    }

    /// The router, and those of its routes that can do without it.
    pub fn finish(self) -> (Router<S>, Direct<S>) {
        (self.router, self.direct)
    }

    /// The list of the routes.
    pub fn list(self) -> Vec<Route> {
        self.list
    }

    fn on<T: 'static>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &str,
        handler: impl Handler<T, S, Future = Answering>,
    ) -> Self {
        let path = format!("{}{path}", self.prefix);
        self.direct.add(&method, &path, handler.clone());
        self.router = self.router.route(&path, on(filter, handler));
        self.list.push((method, path));
        self
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::State;

    use super::*;

    async fn reads(State(word): State<&'static str>) -> String {
        format!("{word} is read")
    }

    async fn writes(State(word): State<&'static str>) -> String {
        format!("{word} is written")
    }

    #[tokio::test]
    async fn fixed_paths_are_answered_without_the_router() {
        let one = Routes::below("/v1").get("/notes", reads);
        let two = Routes::below("/v1")
            .post("/notes", writes)
            .get("/notes/{id}", reads);
        let (_, direct) = one.merge(two).finish();
        for (method, said) in [(Method::GET, "it is read"), (Method::POST, "it is written")] {
            let call = direct.at(&method, "/v1/notes").expect("a fixed path");
            let answer = call(Request::default(), "it").await;
            let body = axum::body::to_bytes(answer.into_body(), 100)
                .await
                .expect("a body");
            assert_eq!(body, said);
        }
        for (method, path) in [
            (Method::DELETE, "/v1/notes"),
            (Method::GET, "/v1/notes/"),
            (Method::GET, "/v1/notes/{id}"),
            (Method::GET, "/notes"),
        ] {
            assert!(direct.at(&method, path).is_none(), "{method} {path}");
        }
    }

    #[test]
    fn what_has_something_around_it_goes_through_the_router() {
        let routes = Routes::<&str>::default().get("/notes", reads);
        let (_, direct) = routes.around(|router| router).finish();
        assert!(direct.at(&Method::GET, "/notes").is_none());
    }
}
