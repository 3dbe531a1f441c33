//! Steps beside the model that a plan may name (contract 8).
//! Know the one dialer; know nothing of clients' protocols, accounts or SQL.

pub mod web;
