//! What people see: accounts, models, keys, credit and activity, as pages that the server writes.
//!
//! Pages call the same functions as the API and never more: what belongs to an account is asked for
//! with that account. They work without script; the little there is only makes them quicker to use.

pub mod account;
pub mod assets;
pub mod form;
pub mod format;
pub mod link;
pub mod page;
pub mod refusal;
pub mod visit;

use crate::app::App;
use crate::edge::routes::Routes;

/// Every page.
pub fn pages() -> Routes<App> {
    Routes::default()
        .get("/sign-in", account::sign_in_page)
        .post("/sign-in", account::sign_in)
        .get("/sign-up", account::sign_up_page)
        .post("/sign-up", account::sign_up)
        .post("/sign-out", account::sign_out)
        .post("/sign-out-everywhere", account::sign_out_everywhere)
        .get("/password/{link}", account::password_page)
        .post("/password/{link}", account::set_password)
        .get("/account", account::account)
        .post("/account/password", account::change_password)
}
