//! Tokens that the keys of service accounts are traded for: kept while they are good, traded ahead of their end, and
//! by one exchange at a time, which all who need it wait for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, Shared};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Uri};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::TransportError;
use super::client::Client;
use crate::clock::now_ms;
use crate::domain::secret::Secret;
use crate::wire::assertion::{self, ServiceAccount, Token};

/// So long before its end a token is traded for the next, or at half its life, if that is later.
const AHEAD_MS: i64 = 300_000;
/// So long after a failure a token that is still good serves before the next try.
const PAUSE_MS: i64 = 30_000;
/// An exchange that takes longer is given up.
const WITHIN: Duration = Duration::from_secs(10);
/// An answer with a token is not longer than this.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The tokens of all accounts. Cloning shares them.
#[derive(Clone, Default)]
pub(super) struct Tokens(Arc<Mutex<HashMap<AccountKey, State>>>);

/// An account under one of its keys: a reload with another key begins anew.
#[derive(Clone, PartialEq, Eq, Hash)]
struct AccountKey {
    email: String,
    key_id: Option<String>,
    token_uri: String,
}

/// What is known of an account's token.
#[derive(Default)]
struct State {
    held: Option<Held>,
    /// The exchange that is under way.
    exchange: Option<Exchange>,
}

/// A token, and until when, in Unix milliseconds, it is fresh and good.
#[derive(Clone)]
struct Held {
    secret: Secret,
    fresh_until: i64,
    good_until: i64,
}

type Exchange = Shared<BoxFuture<'static, Result<Held, TransportError>>>;

impl Tokens {
    /// A token of `account`; `client` goes for it when there is none, or the one at hand is about to end. A token that
    /// is still good serves when the next cannot be had.
    pub(super) async fn of(
        &self,
        account: &Arc<ServiceAccount>,
        client: &Arc<Client>,
    ) -> Result<Secret, TransportError> {
        let key = AccountKey {
            email: account.email.clone(),
            key_id: account.key_id.clone(),
            token_uri: account.token_uri.clone(),
        };
        let exchange = {
            let mut states = self.0.lock();
            let state = states.entry(key.clone()).or_default();
            let fresh = |held: &&Held| held.is_fresh(now_ms());
            if let Some(held) = state.held.as_ref().filter(fresh) {
                return Ok(held.secret.clone());
            }
            let begin = || {
                exchange(Arc::clone(account), Arc::clone(client))
                    .boxed()
                    .shared()
            };
            state.exchange.get_or_insert_with(begin).clone()
        };
        let outcome = exchange.clone().await;
        let mut states = self.0.lock();
        let state = states.entry(key).or_default();
        // Whoever comes first puts the outcome down; a later exchange is none of this one's business.
        let current = state.exchange.as_ref();
        if current.is_some_and(|current| current.ptr_eq(&exchange)) {
            state.exchange = None;
            match (&outcome, &mut state.held) {
                (Ok(held), _) => state.held = Some(held.clone()),
                (Err(_), Some(held)) => held.fresh_until = now_ms().saturating_add(PAUSE_MS),
                (Err(_), None) => {}
            }
        }
        match (outcome, &state.held) {
            (Ok(held), _) => Ok(held.secret),
            (Err(_), Some(held)) if now_ms() < held.good_until => Ok(held.secret.clone()),
            (Err(error), _) => Err(error),
        }
    }
}

impl Held {
    fn is_fresh(&self, now_ms: i64) -> bool {
        now_ms < self.fresh_until.min(self.good_until)
    }

    fn new(token: Token, now_ms: i64) -> Self {
        let ahead = AHEAD_MS.min(token.lifetime_ms / 2);
        Held {
            secret: token.secret,
            fresh_until: now_ms.saturating_add(token.lifetime_ms - ahead),
            good_until: now_ms.saturating_add(token.lifetime_ms),
        }
    }
}

/// Trades the key for a token.
async fn exchange(
    account: Arc<ServiceAccount>,
    client: Arc<Client>,
) -> Result<Held, TransportError> {
    let now = now_ms();
    let request = request(&account, now)?;
    let answer = async {
        let answer = client.send(request).await?;
        let body = answer.body.collect_at_most(MAX_ANSWER_BYTES).await?;
        Ok::<_, TransportError>((answer.status, body))
    };
    let (status, body) = timeout(WITHIN, answer).await.map_err(|_| {
        TransportError::Lost("the provider's token endpoint did not answer in time".to_owned())
    })??;
    let token = assertion::granted(status.as_u16(), &body).map_err(TransportError::NoToken)?;
    Ok(Held::new(token, now))
}

fn request(account: &ServiceAccount, now: i64) -> Result<Request<Bytes>, TransportError> {
    let unfit = |reason: &str| TransportError::Address(reason.to_owned());
    let form = account.request(now).map_err(unfit)?;
    let uri: Uri = account
        .token_uri
        .parse()
        .map_err(|_| unfit("the key's `token_uri` is no address"))?;
    let mut request = Request::post(uri)
        .body(form.into())
        .map_err(|error| TransportError::Address(error.to_string()))?;
    request.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_traded_ahead_of_its_end() {
        let fresh = |lifetime_ms: i64, now_ms: i64| {
            let secret = Secret::new("t");
            Held::new(
                Token {
                    secret,
                    lifetime_ms,
                },
                1_000,
            )
            .is_fresh(now_ms)
        };
        assert!(fresh(3_600_000, 3_300_999));
        assert!(!fresh(3_600_000, 3_301_000));
        // A short one at half its life.
        assert!(fresh(60_000, 30_999));
        assert!(!fresh(60_000, 31_000));
        assert!(!fresh(0, 1_000));
    }
}
