//! What the tests stand on, of which a benchmark uses a part.

#[path = "../../tests/support/db.rs"]
pub(crate) mod db;
#[path = "../../tests/support/money.rs"]
pub(crate) mod money;
#[path = "../../tests/support/proxy.rs"]
pub(crate) mod proxy;
