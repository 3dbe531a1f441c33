//! Makes prices of what the lines say: base, tiers over it, hours.

use super::problem::Problem;
use super::rows::{EndpointRow, ScheduleRow};
use super::snapshot::{Prices, Pricing, Schedule, Tier};
use crate::domain::money::Picos;

/// The prices of an endpoint's line; a schedule that cannot be read is a problem.
pub(super) fn pricing(id: &str, row: &EndpointRow, problems: &mut Vec<Problem>) -> Pricing {
    let base = row.pricing.over(&Prices::default());
    let mut tiers: Vec<Tier> = row
        .tiers
        .iter()
        .map(|tier| Tier {
            above: tier.above,
            prices: tier.prices().over(&base),
        })
        .collect();
    tiers.sort_by_key(|tier| tier.above);
    let schedule = row.schedule.as_ref().and_then(|written| {
        let read = schedule(written);
        if read.is_none() {
            problems.push(Problem::of(format!("{id} at {}", row.tag), "the schedule is not of the form {\"hours\": [\"01:00-04:00\"], \"multiplier\": \"2\"}"));
        }
        read
    });
    Pricing {
        base,
        tiers,
        schedule,
        source: row.source.as_deref().unwrap_or_default().into(),
    }
}

fn schedule(row: &ScheduleRow) -> Option<Schedule> {
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let range = |text: &String| {
        text.split_once('-')
            .and_then(|(from, until)| Some((minute(from)?, minute(until)?)))
    };
    let hours = row.hours.iter().map(range).collect::<Option<Vec<_>>>()?;
    // A price of pico-dollars is read with twelve decimals; six are enough for parts per million.
    let multiplier = Picos::parse(&row.multiplier)
        .ok()
        .filter(|multiplier| multiplier.0 >= 0)?;
    Some(Schedule {
        hours,
        weekdays_only: row.weekdays_only,
        multiplier_ppm: multiplier.0 / Schedule::WHOLE,
    })
}
