//! What accounts pay and may do: limits, prices, discounts, activity, and the commands of the ledger.

mod activity;
mod charges;
mod free;
mod growth;
mod keys;
mod reports;
mod retention;
mod sanity;
