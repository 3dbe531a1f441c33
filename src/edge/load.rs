//! Sheds load before answers get late for everybody.
//!
//! On each core a task measures how long it waits for its turn once its time has come: so long waits every step of every
//! request there. While that is too long, pressure builds up, and with it the share of new calls that are refused with a
//! 503; once it is not, pressure falls again. In the balance the core is busy and nobody waits long. A moment's hitch
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
    pressures: Arc<PerCore<AtomicU32>>,
    metrics: Metrics,
}

/// For how long looks have come late, less what those in time make up for: milliseconds, within bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pressure(u32);

impl Pressure {
    /// Up to here nobody is refused …
    const TOLERATED: u32 = 400;
    /// … and here nearly everybody.
    const MOST: u32 = 2_000;
    /// What one late look counts for at most: a hitch, however long, is borne.
    const HITCH: u32 = 200;
    /// What a look in time makes up for: all is forgotten after half a second.
    const RELIEF: u32 = 80;

    /// After a look that came so `late`, where so much is `bearable`.
    fn after(self, late: Duration, bearable: Duration) -> Self {
        if late <= bearable {
            return Pressure(self.0.saturating_sub(Self::RELIEF));
        }
        let lasted = u32::try_from((BETWEEN_LOOKS + late).as_millis()).unwrap_or(Self::HITCH);
        Pressure((self.0 + lasted.min(Self::HITCH)).min(Self::MOST))
    }

    /// The share of calls that is refused: never all, so that it shows when there is time again.
    fn refused(self) -> f64 {
        let beyond = self.0.saturating_sub(Self::TOLERATED);
        f64::from(beyond) / f64::from(Self::MOST - Self::TOLERATED + Self::RELIEF)
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
        let pressures = Arc::new(PerCore::new(|_| AtomicU32::new(0)));
        for runtime in cores.runtimes() {
            let looks = look(Arc::clone(&pressures), bearable);
            tasks.spawn_on(stop.clone().run_until_cancelled_owned(looks), runtime);
        }
        Load { pressures, metrics }
    }

    /// Lets a new call in, or refuses it with a 503.
    pub fn admit(&self) -> Result<(), ApiError> {
        let refused = Pressure(self.pressures.here().load(Relaxed)).refused();
        if refused > 0.0 && rand::random::<f64>() < refused {
            self.metrics.refused("overloaded");
            return Err(ApiError::busy(
                "The server is overloaded. Try again in a moment",
            ));
        }
        Ok(())
    }
}

/// Looks at the core on which it runs.
async fn look(pressures: Arc<PerCore<AtomicU32>>, bearable: Duration) {
    loop {
        let due = Instant::now() + BETWEEN_LOOKS;
        sleep_until(due).await;
        let pressure = pressures.here();
        let now = Pressure(pressure.load(Relaxed)).after(due.elapsed(), bearable);
        pressure.store(now.0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEARABLE: Duration = Duration::from_millis(50);

    /// The share that is refused after looks that came so many milliseconds late.
    fn after(looks: impl IntoIterator<Item = u64>) -> f64 {
        let looks = looks.into_iter().map(Duration::from_millis);
        let pressure = looks.fold(Pressure::default(), |pressure, late| {
            pressure.after(late, BEARABLE)
        });
        pressure.refused()
    }

    #[test]
    fn a_hitch_refuses_nobody_and_lasting_lateness_nearly_all() {
        assert_eq!(after([900, 900]), 0.0);
        assert!(after([900; 4]) > 0.2);
        assert!(after([60; 10]) > 0.2);
        let lasting = after([60; 500]);
        assert!(lasting > 0.9 && lasting < 1.0, "{lasting}");
    }

    #[test]
    fn it_is_over_as_soon_as_it_came() {
        assert_eq!(after([60; 500].into_iter().chain([1; 25])), 0.0);
        assert_eq!(after([50; 500]), 0.0);
    }
}
