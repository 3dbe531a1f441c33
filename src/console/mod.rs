//! What people see: accounts, models, keys, credit and activity, as pages that the server writes.
//!
//! Pages call the same functions as the API and never more: what belongs to an account is asked for
//! with that account. They work without script; the little there is only makes them quicker to use.

pub mod account;
pub mod activity;
pub mod admin;
pub mod apps;
pub mod assets;
mod chart;
pub mod credits;
pub mod docs;
pub mod elsewhere;
pub mod form;
pub mod format;
mod health;
pub mod home;
pub mod keys;
pub mod link;
pub mod models;
mod month;
pub mod page;
pub mod playground;
pub mod refusal;
mod runs;
mod snippet;
pub mod visit;

use crate::app::App;
use crate::edge::routes::Routes;

/// Every page.
pub fn pages() -> Routes<App> {
    Routes::default()
        .get("/", home::show)
        .get("/docs/errors", docs::errors)
        .get("/sign-in", account::sign_in_page)
        .post("/sign-in", account::sign_in)
        .post("/sign-in/{issuer}", elsewhere::begin)
        .get("/sign-in/{issuer}/callback", elsewhere::back)
        .get("/sign-up", account::sign_up_page)
        .post("/sign-up", account::sign_up)
        .post("/sign-out", account::sign_out)
        .post("/sign-out-everywhere", account::sign_out_everywhere)
        .get("/password/{link}", account::password_page)
        .post("/password/{link}", account::set_password)
        .get("/keys", keys::list)
        .get("/keys/new", keys::new)
        .post("/keys/new", keys::create)
        .get("/keys/{hash}", keys::show)
        .post("/keys/{hash}", keys::change)
        .post("/keys/{hash}/disable", keys::disable)
        .post("/keys/{hash}/enable", keys::enable)
        .post("/keys/{hash}/delete", keys::delete)
        .get("/models", models::list)
        .get("/models/{author}/{slug}", models::one)
        .get("/playground", playground::show)
        .post("/playground", playground::answer)
        .post("/playground/chat", playground::chat)
        .get("/credits", credits::show)
        .get("/activity", activity::show)
        .get("/activity.csv", activity::download)
        .get("/activity/{id}", activity::one)
        .get("/logs", activity::logs)
        .get("/apps", apps::list)
        .post("/apps/revoke", apps::revoke)
        .get("/admin", admin::show)
        .post("/admin/catalog/reload", admin::reload)
        .post("/admin/ledger/verify", admin::verify)
        .get("/admin/providers", admin::providers)
        .get("/admin/users", admin::users)
        .post("/admin/invitations", admin::invite)
        .get("/admin/users/{id}", admin::user)
        .post("/admin/users/{id}/grant", admin::grant)
        .post("/admin/users/{id}/role", admin::access)
        .post("/admin/users/{id}/password", admin::password_link)
        .post("/admin/users/{id}/sign-out", admin::sign_out)
        .get("/account", account::account)
        .post("/account/password", account::change_password)
        .post("/account/identities/remove", elsewhere::disconnect)
}
