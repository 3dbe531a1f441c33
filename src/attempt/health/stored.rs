//! What one process measured of an endpoint, as it is kept in the database: the slots of each window
//! by their absolute number, so that what several processes measured can be summed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::histogram::Counts;
use super::ring::{Span, Tally};

/// Slots by number.
pub(super) type Slots = BTreeMap<i64, Tally>;

/// The windows of one endpoint as one process measured them, or as several did together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Windows {
    pub(super) five_minutes: Slots,
    pub(super) half_hour: Slots,
    pub(super) day: Slots,
}

impl Windows {
    /// Adds what another process measured.
    pub(super) fn add(&mut self, other: &Windows) {
        let add = |sum: &mut Slots, slots: &Slots| {
            for (number, tally) in slots {
                sum.entry(*number).or_default().add(tally);
            }
        };
        add(&mut self.five_minutes, &other.five_minutes);
        add(&mut self.half_hour, &other.half_hour);
        add(&mut self.day, &other.day);
    }

    /// As text.
    pub(super) fn to_text(&self) -> Result<String, serde_json::Error> {
        let rows = |slots: &Slots| slots.iter().map(Row::of).collect();
        serde_json::to_string(&Text {
            five_minutes: rows(&self.five_minutes),
            half_hour: rows(&self.half_hour),
            day: rows(&self.day),
        })
    }

    /// From text; `None` when another version wrote it.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        let text: Text = serde_json::from_str(text).ok()?;
        let slots = |rows: Vec<Row>| rows.into_iter().map(Row::into_slot).collect();
        Some(Windows {
            five_minutes: slots(text.five_minutes),
            half_hour: slots(text.half_hour),
            day: slots(text.day),
        })
    }
}

/// Adds to `sum` what of `slots` is in the window at a moment.
pub(super) fn add_current(slots: &Slots, span: Span, now: i64, sum: &mut Tally) {
    slots
        .range(span.first_at(now)..)
        .for_each(|(_, tally)| sum.add(tally));
}

#[derive(Serialize, Deserialize)]
struct Text {
    #[serde(rename = "5m")]
    five_minutes: Vec<Row>,
    #[serde(rename = "30m")]
    half_hour: Vec<Row>,
    #[serde(rename = "1d")]
    day: Vec<Row>,
}

/// A slot. Short names: a busy endpoint has some forty slots.
#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(rename = "n")]
    number: i64,
    #[serde(rename = "s")]
    served: u32,
    #[serde(rename = "f")]
    failed: u32,
    #[serde(rename = "r")]
    limited: u32,
    #[serde(rename = "p")]
    prompt_tokens: u64,
    #[serde(rename = "c")]
    cached_tokens: u64,
    #[serde(rename = "tj")]
    tools_judged: u32,
    #[serde(rename = "tb")]
    tools_bad: u32,
    #[serde(rename = "l")]
    latency: Vec<(u8, u32)>,
    #[serde(rename = "w", default)]
    whole: Vec<(u8, u32)>,
    #[serde(rename = "t")]
    throughput: Vec<(u8, u32)>,
}

impl Row {
    fn of((&number, tally): (&i64, &Tally)) -> Self {
        Row {
            number,
            served: tally.served,
            failed: tally.failed,
            limited: tally.limited,
            prompt_tokens: tally.prompt_tokens,
            cached_tokens: tally.cached_tokens,
            tools_judged: tally.tools_judged,
            tools_bad: tally.tools_bad,
            latency: tally.latency.sparse(),
            whole: tally.whole.sparse(),
            throughput: tally.throughput.sparse(),
        }
    }

    fn into_slot(self) -> (i64, Tally) {
        let tally = Tally {
            served: self.served,
            failed: self.failed,
            limited: self.limited,
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached_tokens,
            tools_judged: self.tools_judged,
            tools_bad: self.tools_bad,
            latency: Counts::of_sparse(&self.latency),
            whole: Counts::of_sparse(&self.whole),
            throughput: Counts::of_sparse(&self.throughput),
        };
        (self.number, tally)
    }
}
