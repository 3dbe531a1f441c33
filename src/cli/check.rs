//! `check`: reaching it means that everything was read and found right.

use serde::Serialize;

use super::Failure;
use super::output::Output;
use super::setup::{self, Setup};
use crate::catalog::Summary;
use crate::store::Database;

#[derive(Serialize)]
struct Checked {
    listen: String,
    database: String,
    models: usize,
    endpoints: usize,
    providers: usize,
}

pub(super) fn check(setup: &Setup, out: &Output) -> Result<(), Failure> {
    let Summary {
        providers,
        models,
        endpoints,
    } = Summary::of(&setup.catalog.snapshot());
    let database = setup::place(&Database::from(&setup.config));
    let checked = Checked {
        listen: setup.config.listen.to_string(),
        database,
        models,
        endpoints,
        providers,
    };
    out.print(&checked, |checked| {
        let Checked { listen, database, models, endpoints, providers } = checked;
        format!("The configuration is right: {models} models at {endpoints} endpoints of {providers} providers, on {listen}, with {database}.")
    })
}
