//! What the steps of a run have come to, and whether that ends them (contract 2.1 `stop_server_tools_when`). Pure.

use crate::domain::event::Finish;
use crate::domain::money::Nanos;
use crate::domain::stop::Stop;

/// The sums, and the conditions they are held against.
pub(super) struct Tally {
    stops: Vec<Stop>,
    steps: u64,
    tokens: u64,
    cost: Nanos,
}

/// What a step that is over came to.
pub(super) struct Step<'a> {
    pub(super) tokens: u64,
    pub(super) cost: Nanos,
    /// What the searches of all steps have cost by now.
    pub(super) searches: Nanos,
    /// The tools that it called.
    pub(super) called: Vec<String>,
    pub(super) finish: Option<&'a Finish>,
}

impl Tally {
    pub(super) fn new(stops: Vec<Stop>) -> Self {
        Tally {
            stops,
            steps: 0,
            tokens: 0,
            cost: Nanos::ZERO,
        }
    }

    /// Whether anything may end the steps: nothing has to be added up otherwise.
    pub(super) fn counts(&self) -> bool {
        !self.stops.is_empty()
    }

    /// Adds a step, and says whether it is one after which the model is to answer without tools.
    pub(super) fn ends_with(&mut self, step: &Step<'_>) -> bool {
        self.steps += 1;
        self.tokens = self.tokens.saturating_add(step.tokens);
        self.cost = self.cost.saturating_add(step.cost);
        self.stops.iter().any(|stop| match stop {
            Stop::Steps(most) => self.steps >= *most,
            Stop::Tokens(most) => self.tokens > *most,
            Stop::Cost(most) => self.cost.saturating_add(step.searches) > *most,
            Stop::Called(name) => step.called.contains(name),
            Stop::Finished(reason) => step
                .finish
                .is_some_and(|finish| finish.reason.as_str() == reason || finish.native == *reason),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::FinishReason;

    /// After which of four steps of ten tokens, a nano-dollar and a call each the model is to answer; 0 for none.
    fn check(stops: &[Stop], expect: u64) {
        let mut tally = Tally::new(stops.to_vec());
        let finish = Finish {
            reason: FinishReason::ToolCalls,
            native: "tool_use".to_owned(),
        };
        let step = Step {
            tokens: 10,
            cost: Nanos(1),
            searches: Nanos(5),
            called: vec!["lookup".to_owned()],
            finish: Some(&finish),
        };
        let ended = (1..=4).find(|_| tally.ends_with(&step));
        assert_eq!(ended.unwrap_or(0), expect, "{stops:?}");
    }

    #[test]
    fn any_condition_ends_the_steps() {
        check(&[], 0);
        check(&[Stop::Steps(3)], 3);
        check(&[Stop::Steps(0)], 1);
        check(&[Stop::Tokens(20)], 3);
        check(&[Stop::Cost(Nanos(6))], 2);
        check(&[Stop::Called("lookup".to_owned())], 1);
        check(&[Stop::Called("other".to_owned())], 0);
        check(&[Stop::Finished("tool_calls".to_owned())], 1);
        check(&[Stop::Finished("tool_use".to_owned())], 1);
        check(&[Stop::Finished("length".to_owned())], 0);
        check(&[Stop::Steps(4), Stop::Tokens(5)], 1);
    }
}
