//! The values that travel through the gateway. Values only: no I/O, no clock, no async.
//! Depends on nothing else in the crate; everything else may depend on it.

pub mod calendar;
pub mod call;
pub mod event;
pub mod generation;
pub mod identity;
pub mod ids;
pub mod input;
pub mod json;
pub mod money;
pub mod principal;
pub mod quota;
pub mod route;
pub mod search;
pub mod secret;
pub mod stop;
pub mod terms;
pub mod usage;
