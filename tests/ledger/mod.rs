//! Holds and settlements through the ledger's tasks, on both engines.

mod away;
mod holds;
mod model;
