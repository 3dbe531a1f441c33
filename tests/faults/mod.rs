//! What breaks around the gateway, and what must hold all the same.

mod away;
mod crash;
mod disconnect;
mod overload;
mod overspend;
mod secrets;
mod upstreams;
