//! What was used, added up by the day and by its parts. Pure.

use std::collections::BTreeMap;

use crate::console::chart::{COLOURS, Series};
use crate::domain::money::Nanos;
use crate::store::UsedAmounts;

const DAY: i64 = 86_400_000;

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) requests: i64,
    pub(super) prompt: i64,
    pub(super) completion: i64,
    pub(super) cost: Nanos,
}

/// Everything that was used in some days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Every day, also those on which nothing was used: the Unix milliseconds of its midnight.
    pub(super) days: Vec<i64>,
    /// Of each part and day.
    pub(super) cells: BTreeMap<(i64, String), Use>,
    /// Of each part, the dearest first.
    pub(super) parts: Vec<(String, Use)>,
    /// Of all.
    pub(super) whole: Use,
}

impl From<UsedAmounts> for Use {
    fn from(amounts: UsedAmounts) -> Self {
        Use {
            requests: amounts.requests,
            prompt: amounts.tokens_prompt,
            completion: amounts.tokens_completion,
            cost: amounts.cost,
        }
    }
}

impl Use {
    fn add(&mut self, other: Use) {
        self.requests = self.requests.saturating_add(other.requests);
        self.prompt = self.prompt.saturating_add(other.prompt);
        self.completion = self.completion.saturating_add(other.completion);
        self.cost = self.cost.saturating_add(other.cost);
    }

    /// All tokens.
    pub(super) fn tokens(&self) -> i64 {
        self.prompt.saturating_add(self.completion)
    }
}

impl Sums {
    /// Adds up what was used from the day that begins at `from` to the one before `until`.
    pub(super) fn of(
        from: i64,
        until: i64,
        used: impl Iterator<Item = (i64, String, Use)>,
    ) -> Self {
        let mut sums = Sums {
            days: (0..(until - from) / DAY)
                .map(|day| from + day * DAY)
                .collect(),
            ..Sums::default()
        };
        let mut parts: BTreeMap<String, Use> = BTreeMap::new();
        for (day, part, used) in used {
            sums.whole.add(used);
            parts.entry(part.clone()).or_default().add(used);
            sums.cells.entry((day, part)).or_default().add(used);
        }
        sums.parts = parts.into_iter().collect();
        sums.parts
            .sort_by_key(|(_, used)| std::cmp::Reverse((used.cost, used.tokens())));
        sums
    }

    /// The largest parts as the series of a chart, and one for all the rest.
    pub(super) fn series(&self, value: impl Fn(&Use) -> i64) -> Vec<Series> {
        let mut by_value: Vec<&str> = self.parts.iter().map(|(part, _)| part.as_str()).collect();
        by_value.sort_by_key(|part| {
            let of_part = self.parts.iter().find(|(name, _)| name == part);
            std::cmp::Reverse(of_part.map_or(0, |(_, used)| value(used)))
        });
        let shown = if by_value.len() > COLOURS {
            COLOURS - 1
        } else {
            by_value.len()
        };
        let (large, rest) = by_value.split_at(shown);
        let mut series: Vec<Series> = large
            .iter()
            .map(|part| self.one((*part).to_owned(), &[part], &value))
            .collect();
        if !rest.is_empty() {
            series.push(self.one(format!("{} others", rest.len()), rest, &value));
        }
        series
    }

    fn one(&self, name: String, parts: &[&str], value: &impl Fn(&Use) -> i64) -> Series {
        let of_day = |day: &i64| {
            let cells = parts
                .iter()
                .filter_map(|part| self.cells.get(&(*day, (*part).to_owned())));
            cells.fold(0_i64, |sum, used| sum.saturating_add(value(used)))
        };
        Series {
            name,
            values: self.days.iter().map(of_day).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(cost: i64) -> Use {
        Use {
            requests: 1,
            cost: Nanos(cost),
            ..Use::default()
        }
    }

    #[test]
    fn every_day_and_part_adds_up() {
        let cells = [(0, "a", 5), (0, "b", 1), (DAY, "b", 7), (DAY, "b", 1)];
        let sums = Sums::of(
            0,
            3 * DAY,
            cells
                .into_iter()
                .map(|(day, part, cost)| (day, part.to_owned(), used(cost))),
        );
        assert_eq!(sums.days, [0, DAY, 2 * DAY]);
        assert_eq!((sums.whole.cost, sums.whole.requests), (Nanos(14), 4));
        assert_eq!(
            sums.parts[0],
            (
                "b".to_owned(),
                Use {
                    requests: 3,
                    ..used(9)
                }
            )
        );
        let series = sums.series(|used| used.cost.0);
        assert_eq!(
            (series[0].name.as_str(), &series[0].values),
            ("b", &vec![1, 8, 0])
        );
        assert_eq!(series[1].values, [5, 0, 0]);
    }

    #[test]
    fn small_parts_are_shown_together() {
        let parts = (0..10).map(|part| (0, format!("p{part}"), used(part + 1)));
        let series = Sums::of(0, DAY, parts).series(|used| used.cost.0);
        assert_eq!(series.len(), COLOURS);
        let last = series.last().unwrap();
        assert_eq!((last.name.as_str(), last.values[0]), ("5 others", 15));
    }
}
