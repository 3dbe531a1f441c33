//! Accounts, keys and runs for tests about money.

use std::sync::Arc;

use turnpike::auth::ApiKey;
use turnpike::domain::generation::{Charge, Generation, Served};
use turnpike::domain::ids::{AccountId, GenerationId};
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::{LimitReset, Principal};
use turnpike::store::{NewKey, Settlement, Store};

/// Monday, 31 August 2026, noon UTC.
pub(crate) const NOON: i64 = 1_788_177_600_000;

/// An account with this much credit.
pub(crate) async fn account(store: &Store, credit: i64) -> AccountId {
    let email = format!("{}@example.test", turnpike::domain::ids::random_text(10));
    let account = store.create_account(&email, false, NOON).await.unwrap().id;
    if credit != 0 {
        assert!(
            store
                .grant(&account, Nanos(credit), &email, NOON)
                .await
                .unwrap()
        );
    }
    account
}

/// A key of the account, perhaps with a cap.
pub(crate) async fn key(
    store: &Store,
    account: &AccountId,
    limit: Option<(i64, LimitReset)>,
) -> Principal {
    let new = new_key(account, limit);
    store.create_key(&new, NOON).await.unwrap();
    store.known_key(&new.hash).await.unwrap().unwrap().principal
}

pub(crate) fn new_key(account: &AccountId, limit: Option<(i64, LimitReset)>) -> NewKey {
    let ApiKey { hash, label, .. } = ApiKey::generate();
    NewKey {
        hash,
        label,
        account: account.clone(),
        name: "test".to_owned(),
        management: false,
        limit: limit.map(|(limit, _)| Nanos(limit)),
        limit_reset: limit.map_or(LimitReset::Never, |(_, reset)| reset),
        include_byok_in_limit: false,
        expires_at: None,
        creator: None,
    }
}

/// A run of `who` that costs this much.
pub(crate) fn run(who: &Principal, net: i64) -> Generation {
    Generation {
        id: GenerationId::new(NOON),
        created_at: NOON,
        account: who.account.clone(),
        key: who.key,
        served: Some(Served {
            model: "acme/orca".into(),
            provider: "lab-a".into(),
            provider_name: "Lab A".into(),
            endpoint: "lab-a".into(),
            upstream_id: None,
            service_tier: None,
        }),
        requested_model: "acme/orca".into(),
        api_type: "completions".into(),
        streamed: false,
        cancelled: false,
        finish_reason: Some("stop".into()),
        native_finish_reason: Some("stop".to_owned()),
        latency_ms: Some(12),
        generation_ms: Some(34),
        usage: None,
        reported: None,
        charge: Charge {
            gross: Nanos(net),
            net: Nanos(net),
            ..Charge::default()
        },
        attempts: Vec::new(),
        route: None,
        search: None,
        steps: Vec::new(),
        legs: Vec::new(),
        referer: None,
        title: None,
        user_agent: None,
        session_id: None,
        external_user: None,
    }
}

/// The settlement of a run by a replica.
pub(crate) fn settlement(
    replica: &str,
    generation: Generation,
    settled_at: i64,
) -> Arc<Settlement> {
    Arc::new(Settlement {
        generation,
        replica: replica.into(),
        settled_at,
    })
}
