//! Routing that measures: what traffic teaches, and where requests go because of it.

mod exacto;
mod explain;
mod load;
mod measured;
mod stalled;
mod sticky;
