//! A router that remembers its routes, so that a test can hold every one of them to who may use it.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use http::Method;

/// A route: its method and its path, with `{…}` for what varies.
pub type Route = (Method, String);

/// Routes, and the list of them.
pub struct Routes<S> {
    prefix: &'static str,
    router: Router<S>,
    list: Vec<Route>,
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
            list: Vec::new(),
        }
    }

    /// One more route that reads.
    #[must_use]
    pub fn get<T: 'static>(self, path: &str, handler: impl Handler<T, S>) -> Self {
        self.on(Method::GET, MethodFilter::GET, path, handler)
    }

    /// One more route that makes or does something.
    #[must_use]
    pub fn post<T: 'static>(self, path: &str, handler: impl Handler<T, S>) -> Self {
        self.on(Method::POST, MethodFilter::POST, path, handler)
    }

    /// One more route that changes something.
    #[must_use]
    pub fn patch<T: 'static>(self, path: &str, handler: impl Handler<T, S>) -> Self {
        self.on(Method::PATCH, MethodFilter::PATCH, path, handler)
    }

    /// One more route that deletes something.
    #[must_use]
    pub fn delete<T: 'static>(self, path: &str, handler: impl Handler<T, S>) -> Self {
        self.on(Method::DELETE, MethodFilter::DELETE, path, handler)
    }

    /// Other routes beside these.
    #[must_use]
    pub fn merge(mut self, other: Routes<S>) -> Self {
        self.list.extend(other.list);
        self.router = self.router.merge(other.router);
        self
    }

    /// The same routes with something around them.
    #[must_use]
    pub fn around(mut self, layers: impl FnOnce(Router<S>) -> Router<S>) -> Self {
        self.router = layers(self.router);
        self
    }

    /// The router, and the list of its routes.
    pub fn finish(self) -> (Router<S>, Vec<Route>) {
        (self.router, self.list)
    }

    fn on<T: 'static>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &str,
        handler: impl Handler<T, S>,
    ) -> Self {
        let path = format!("{}{path}", self.prefix);
        self.router = self.router.route(&path, on(filter, handler));
        self.list.push((method, path));
        self
    }
}
