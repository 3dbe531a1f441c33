//! Stacked bars by the day, drawn by the server: no script, no styles written into the page. Pure.

use maud::{Markup, html};

use super::format::short_day;

const WIDTH: i64 = 900;
const HEIGHT: i64 = 230;
const LEFT: i64 = 70;
const TOP: i64 = 12;
const BOTTOM: i64 = 26;
/// Colours there are, the last for all the rest.
pub(super) const COLOURS: usize = 6;

/// One part of every bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Series {
    /// What it is of.
    pub(super) name: String,
    /// A value for each day, none below nothing.
    pub(super) values: Vec<i64>,
}

/// A chart of `series` over `days` (Unix milliseconds), whose values `show` puts into words.
pub(super) fn bars(
    title: &str,
    days: &[i64],
    series: &[Series],
    show: impl Fn(i64) -> String,
) -> Markup {
    let totals = days.iter().enumerate().map(|(day, _)| total(series, day));
    let step = step(totals.max().unwrap_or_default());
    let top = step.saturating_mul(4);
    let slot = (WIDTH - LEFT) / i64::try_from(days.len()).unwrap_or(1).max(1);
    let width = (slot - slot / 4).max(1);
    html! {
        svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(title) {
            @for line in 0..=4 {
                @let y = height_of(top - step * line, top) + TOP;
                line.grid x1=(LEFT) x2=(WIDTH) y1=(y) y2=(y) {}
                text.end x=(LEFT - 8) y=(y + 4) { (show(step * line)) }
            }
            @for (index, day) in days.iter().enumerate() {
                @let x = LEFT + slot * i64::try_from(index).unwrap_or_default() + (slot - width) / 2;
                @for (number, series, from, until) in parts(series, index) {
                    @let (y, end) = (TOP + height_of(top - until, top), TOP + height_of(top - from, top));
                    rect class=(colour(number)) x=(x) y=(y) width=(width) height=((end - y).max(1)) {
                        title { (short_day(*day)) ", " (series.name) ": " (show(until - from)) }
                    }
                }
                @if index % (days.len() / 8 + 1) == 0 {
                    text.middle x=(x + width / 2) y=(HEIGHT - 6) { (short_day(*day)) }
                }
            }
        }
        @if series.len() > 1 {
            ul.legend { @for (number, series) in series.iter().enumerate() { li {
                svg viewBox="0 0 10 10" aria-hidden="true" { rect class=(colour(number)) width="10" height="10" rx="2" {} }
                (series.name)
            } } }
        }
    }
}

/// The parts of a day's bar that are not empty, from the bottom: number, series, where it begins and ends.
fn parts(series: &[Series], day: usize) -> Vec<(usize, &Series, i64, i64)> {
    let mut bottom = 0;
    let mut parts = Vec::new();
    for (number, series) in series.iter().enumerate() {
        let value = series.values.get(day).copied().unwrap_or_default().max(0);
        if value > 0 {
            parts.push((number, series, bottom, bottom + value));
            bottom += value;
        }
    }
    parts
}

fn total(series: &[Series], day: usize) -> i64 {
    parts(series, day)
        .last()
        .map_or(0, |(_, _, _, until)| *until)
}

/// The distance of the lines: 1, 2 or 5 and zeros, so that four of them are as high as the highest bar.
fn step(highest: i64) -> i64 {
    let mut unit: i64 = 1;
    loop {
        for factor in [1, 2, 5] {
            let step = unit.saturating_mul(factor);
            if step.saturating_mul(4) >= highest {
                return step;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

fn height_of(value: i64, top: i64) -> i64 {
    let room = i128::from(HEIGHT - TOP - BOTTOM);
    i64::try_from(i128::from(value) * room / i128::from(top.max(1))).unwrap_or_default()
}

fn colour(number: usize) -> &'static str {
    ["s1", "s2", "s3", "s4", "s5", "s6"][number.min(COLOURS - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_at_round_numbers() {
        for (highest, expect) in [(0, 1), (4, 1), (5, 2), (9, 5), (21, 10), (4_000, 1_000)] {
            assert_eq!(step(highest), expect, "{highest}");
        }
        assert_eq!(step(i64::MAX).saturating_mul(4), i64::MAX);
    }

    #[test]
    fn parts_stand_on_each_other() {
        let series = [("a", vec![3, 0]), ("b", vec![4, -1]), ("c", vec![5, 6])];
        let series = series.map(|(name, values)| Series {
            name: name.to_owned(),
            values,
        });
        let spans = |day| {
            parts(&series, day)
                .into_iter()
                .map(|(number, _, from, until)| (number, from, until))
                .collect::<Vec<_>>()
        };
        assert_eq!(spans(0), [(0, 0, 3), (1, 3, 7), (2, 7, 12)]);
        assert_eq!(spans(1), [(2, 0, 6)]);
        assert_eq!(total(&series, 0), 12);
    }

    #[test]
    fn a_name_cannot_leave_its_place() {
        let series = [Series {
            name: "<script>".to_owned(),
            values: vec![1],
        }];
        let drawn = bars("a", &[0], &series, |value| value.to_string()).into_string();
        assert!(drawn.contains("&lt;script&gt;") && !drawn.contains("<script>"));
    }
}
