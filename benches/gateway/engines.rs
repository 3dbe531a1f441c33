//! The same plain requests, settled on each engine, in turns.

use crate::Result;
use crate::database::Engine;
use crate::figures::Figures;
use crate::home::Home;
use crate::load;
use crate::targets::{Provider, Target};
use crate::upstream::Manner;

/// What a request costs on one engine.
pub(crate) struct Row {
    pub(crate) engine: &'static str,
    pub(crate) connections: usize,
    pub(crate) figures: Figures,
}

/// Measures these engines.
pub(crate) async fn measure(engines: &[Engine], quick: bool) -> Result<Vec<Row>> {
    const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];
    let (rounds, divisor) = if quick { (1, 10) } else { (3, 1) };
    let provider = Provider::start()?;
    let mut servers = Vec::new();
    for &engine in engines {
        let home = Home::new(engine, &provider.config()).await?;
        servers.push((engine, Target::turnpike(&home)?, home));
    }
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        let requests = if connections == 1 { 3_000 } else { 20_000 } / divisor;
        let mut figures = vec![Vec::new(); servers.len()];
        for _ in 0..rounds {
            for ((_, target, _), figures) in servers.iter().zip(&mut figures) {
                let request = load::request(target, Manner::Plain, 2_000);
                load::closed(target, &request, 32, 320).await?;
                let load = load::closed(target, &request, connections, requests);
                figures.push(Figures::of(target, 1, load).await?);
            }
        }
        for ((engine, ..), figures) in servers.iter().zip(&figures) {
            rows.push(Row {
                engine: engine.name(),
                connections,
                figures: Figures::median(figures),
            });
        }
    }
    servers.iter().try_for_each(|(_, _, home)| home.verify())?;
    Ok(rows)
}
