//! The load that shows the compiler which code runs (`scripts/release`): callers of every kind that the other parts send.

use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::database::Engine;
use crate::home::Home;
use crate::load;
use crate::soak::mix;
use crate::targets::{Provider, Target};
use crate::upstream::Manner;

/// The word that chooses it.
pub(crate) const ROLE: &str = "train";

/// How long mixed traffic comes.
const MIXED: Duration = Duration::from_secs(20);

/// Manners of answers, how many ask for them at once, and how often in all.
const LOADS: [(Manner, usize, usize); 6] = [
    (Manner::Plain, 1, 1_000),
    (Manner::Plain, 16, 10_000),
    (Manner::Plain, 64, 20_000),
    (Manner::Large, 64, 2_000),
    (Manner::Paced, 200, 400),
    (Manner::Unpaced, 200, 800),
];

/// Starts a server, which writes down what ran when it stops, and asks it for answers.
pub(crate) async fn run() -> Result<()> {
    let provider = Provider::start()?;
    let home = Home::new(Engine::Sqlite, &provider.config()).await?;
    let target = Target::turnpike(&home)?;
    for (manner, connections, requests) in LOADS {
        let prompt = if manner == Manner::Large {
            100_000
        } else {
            2_000
        };
        let request = load::request(&target, manner, prompt);
        load::spread(&target, &request, connections, requests, manner.lasts()).await?;
    }
    let told = Arc::default();
    mix::run(&target, None, MIXED, &told).await?;
    if let Some(other) = &*told.first_other.lock().await {
        return Err(format!("among {} answers there was {other}", told.served()).into());
    }
    drop(target);
    home.verify()
}
