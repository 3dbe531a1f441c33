//! What is kept, on both engines.

mod keys;
mod leases;
mod opening;
mod settlements;
mod verify;
