//! Trying endpoints until one answers, and learning from it how they do. Knows transport and wires;
//! knows nothing of money or clients' protocols.

mod ask;
pub mod asked;
mod batch;
mod course;
pub mod failure;
pub mod health;
mod hedge;
pub mod judge;
mod lane;
mod media;
pub mod pace;
pub mod policy;
pub mod run;
mod sent;
pub mod watch;

pub use course::{Course, Order};
pub use lane::Width;
pub use media::Files;
