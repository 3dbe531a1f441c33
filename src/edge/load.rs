//! Sheds load before answers get late for everybody.
//!
//! On each core a task measures how long it waits for its turn once its time has come: so long waits every step of every
//! request there. While that is lastingly too long, a growing share of new calls is refused with a 503; where nobody waits,
//! it shrinks fast, and in between hardly at all. In the balance the core is busy and nobody waits long. A moment's hitch
//! refuses nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::ApiError;
use crate::cores::{Cores, PerCore};
use crate::telemetry::metrics::Metrics;

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// How loaded the cores are. Cloning shares it.
#[derive(Clone)]
pub struct Load {
    /// The share of calls that each refuses, as the bits of a number.
    refused: Arc<PerCore<AtomicU32>>,
    metrics: Metrics,
}

/// How late looks are, and what share of calls is refused for it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Pressure {
    /// On average over the last moments, in seconds.
    late: f32,
    /// For how many seconds that has been too long.
    lasting: f32,
    refused: f32,
}

impl Pressure {
    /// A look that comes later than that counts for no more time.
    const HITCH: Duration = Duration::from_millis(200);
    /// Over so many seconds it is averaged: looks that come late are few, and count for more.
    const AVERAGED: f32 = 0.08;
    /// So many seconds are borne.
    const TOLERATED: f32 = 0.4;
    /// What refusals grow by in a second that is late …
    const GROWTH: f32 = 0.5;
    /// … shrink by where nobody waits …
    const RELIEF: f32 = 1.0;
    /// … and shrink by where some do.
    const EASING: f32 = 0.1;
    /// Never all, so that it shows when there is time again.
    const MOST: f32 = 0.95;

    /// After a look that came so `late`, where so much is `bearable`.
    fn after(self, late: Duration, bearable: Duration) -> Self {
        let passed = (BETWEEN_LOOKS + late).min(Self::HITCH).as_secs_f32();
        let bearable = bearable.as_secs_f32();
        // However late one look was, the next ones tell.
        let late = late.as_secs_f32().min(2.0 * bearable);
        let weight = 1.0 - (-passed / Self::AVERAGED).exp();
        let average = self.late + (late - self.late) * weight;
        let lasting = if average > bearable {
            self.lasting + passed
        } else {
            0.0
        };
        let change = if lasting > Self::TOLERATED {
            Self::GROWTH
        } else if lasting > 0.0 {
            0.0
        } else if average > bearable / 4.0 {
            -Self::EASING
        } else {
            -Self::RELIEF
        };
        Pressure {
            late: average,
            lasting,
            refused: (self.refused + change * passed).clamp(0.0, Self::MOST),
        }
    }
}

impl Load {
    /// Watches the cores until `stop`. A step that waits for longer than `bearable` waits too long.
    pub fn watch(
        cores: &Cores,
        bearable: Duration,
        metrics: Metrics,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let refused = Arc::new(PerCore::new(|_| AtomicU32::default()));
        for runtime in cores.runtimes() {
            let looks = look(Arc::clone(&refused), bearable);
            tasks.spawn_on(stop.clone().run_until_cancelled_owned(looks), runtime);
        }
        Load { refused, metrics }
    }

    /// Lets a new call in, or refuses it with a 503.
    pub fn admit(&self) -> Result<(), ApiError> {
        let refused = f32::from_bits(self.refused.here().load(Relaxed));
        if refused > 0.0 && rand::random::<f32>() < refused {
            self.metrics.refused("overloaded");
            return Err(ApiError::busy(
                "The server is overloaded. Try again in a moment",
            ));
        }
        Ok(())
    }
}

/// Looks at the core on which it runs.
async fn look(refused: Arc<PerCore<AtomicU32>>, bearable: Duration) {
    let mut pressure = Pressure::default();
    loop {
        let due = Instant::now() + BETWEEN_LOOKS;
        sleep_until(due).await;
        pressure = pressure.after(due.elapsed(), bearable);
        refused.here().store(pressure.refused.to_bits(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEARABLE: Duration = Duration::from_millis(50);

    /// After looks that came so many milliseconds late.
    fn after(looks: impl IntoIterator<Item = u64>) -> Pressure {
        let looks = looks.into_iter().map(Duration::from_millis);
        looks.fold(Pressure::default(), |pressure, late| {
            pressure.after(late, BEARABLE)
        })
    }

    #[test]
    fn a_hitch_refuses_nobody_and_lasting_lateness_nearly_all() {
        assert_eq!(after([900, 1, 1, 1, 1, 1, 1, 1, 1]).refused, 0.0);
        let some = after([60; 20]).refused;
        assert!(some > 0.1 && some < 0.6, "{some}");
        assert_eq!(after([60; 500]).refused, Pressure::MOST);
    }

    #[test]
    fn it_is_over_soon_after_the_last_who_had_to_wait() {
        let calm = [1; 60];
        assert_eq!(after([60; 500].into_iter().chain(calm)).refused, 0.0);
        assert_eq!(after([50; 500]).refused, 0.0);
    }

    #[test]
    fn between_too_long_and_not_at_all_it_stays_nearly_as_it_is() {
        let before = after([100; 10]).refused;
        let after = after([100; 10].into_iter().chain([30; 20])).refused;
        assert!(before > 0.2, "{before}");
        assert!(after > before * 0.8, "{before} {after}");
    }
}
