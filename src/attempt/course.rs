//! Which candidate is next: the ranking's order, less what an attempt has ruled out. Pure.

use std::collections::VecDeque;

use super::failure::{Failure, Next};
use crate::domain::ids::ModelId;
use crate::rank::Candidate;

/// How much the order of the candidates means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The caller wrote it (contract 6.2 `order`): it is kept.
    Exact,
    /// The ranking advises it: a doubtful endpoint may be put off.
    Advised,
}

/// The candidates still to be tried.
#[derive(Debug)]
pub struct Course {
    order: Order,
    ahead: VecDeque<Step>,
}

#[derive(Debug)]
struct Step {
    candidate: Candidate,
    /// Whether it was passed over before, in favour of others.
    put_off: bool,
}

impl Course {
    pub(super) fn new(candidates: Vec<Candidate>, order: Order) -> Self {
        let ahead = candidates.into_iter().map(|candidate| Step {
            candidate,
            put_off: false,
        });
        Course {
            order,
            ahead: ahead.collect(),
        }
    }

    /// The next candidate that `admits`. One that does not is put off until the others of its model
    /// were tried, and tried then all the same: a doubtful endpoint is better than none.
    pub(super) fn next(&mut self, admits: impl Fn(&Candidate) -> bool) -> Option<Candidate> {
        loop {
            let step = self.ahead.pop_front()?;
            let admitted = admits(&step.candidate) || self.order == Order::Exact;
            match self.last_of(&step.candidate.model.id) {
                Some(last) if !step.put_off && !admitted => {
                    let put_off = Step {
                        put_off: true,
                        ..step
                    };
                    self.ahead.insert(last + 1, put_off);
                }
                _ => return Some(step.candidate),
            }
        }
    }

    /// Those that are left, in order.
    pub fn rest(self) -> Vec<Candidate> {
        self.ahead.into_iter().map(|step| step.candidate).collect()
    }

    /// Whether there is another candidate.
    pub(super) fn has_more(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Whether there is another candidate for the same model.
    pub(super) fn has_more_of(&self, model: &ModelId) -> bool {
        self.last_of(model).is_some()
    }

    /// Rules out what would fail in the same way as `candidate` did.
    pub(super) fn after(&mut self, candidate: &Candidate, failure: &Failure) {
        let same_model = |step: &Step| step.candidate.model.id == candidate.model.id;
        match failure.next() {
            Next::Endpoint => {}
            Next::Model => self.ahead.retain(|step| !same_model(step)),
            Next::LongerContext => {
                let limit = candidate.endpoint.context_length.unwrap_or(0);
                let longer = |step: &Step| {
                    let context = step.candidate.endpoint.context_length;
                    context.is_some_and(|context| context > limit)
                };
                self.ahead.retain(|step| !same_model(step) || longer(step));
            }
        }
    }

    fn last_of(&self, model: &ModelId) -> Option<usize> {
        let is_of = |step: &Step| step.candidate.model.id == *model;
        self.ahead.iter().rposition(is_of)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::fixture::{endpoint, model};
    use crate::catalog::snapshot::Endpoint;
    use crate::wire::Fault;

    fn candidates(of: &[(&str, &str, u64)]) -> Vec<Candidate> {
        let candidate = |&(id, tag, context): &(&str, &str, u64)| {
            let endpoint = Endpoint {
                context_length: Some(context),
                ..endpoint(tag, 1, 1)
            };
            let model = Arc::new(model(id, vec![endpoint]));
            Candidate {
                endpoint: Arc::clone(&model.endpoints[0]),
                model,
                online: false,
            }
        };
        of.iter().map(candidate).collect()
    }

    /// The tags in the order they are tried, when `resting` are not admitted and all fail with `failure`.
    fn tried(of: &[(&str, &str, u64)], resting: &[&str], failure: &Failure) -> Vec<String> {
        in_order(Order::Advised, of, resting, failure)
    }

    fn in_order(
        order: Order,
        of: &[(&str, &str, u64)],
        resting: &[&str],
        failure: &Failure,
    ) -> Vec<String> {
        let mut course = Course::new(candidates(of), order);
        let mut tags = Vec::new();
        let admits = |candidate: &Candidate| !resting.contains(&candidate.endpoint.tag.as_str());
        while let Some(candidate) = course.next(admits) {
            tags.push(candidate.endpoint.tag.to_string());
            course.after(&candidate, failure);
        }
        tags
    }

    const TWO_MODELS: [(&str, &str, u64); 4] = [
        ("acme/orca", "a", 100),
        ("acme/orca", "b", 100),
        ("acme/orca", "c", 200),
        ("acme/minnow", "d", 50),
    ];

    fn fault(status: u16, code: &str) -> Failure {
        Failure::Fault(Fault {
            status,
            code: Some(code.to_owned()),
            ..Fault::default()
        })
    }

    #[test]
    fn a_failure_of_the_endpoint_goes_on_to_every_other() {
        let check = |resting: &[&str], expect: &[&str]| {
            assert_eq!(
                tried(&TWO_MODELS, resting, &Failure::Timeout),
                expect,
                "{resting:?}"
            );
        };
        check(&[], &["a", "b", "c", "d"]);
        check(&["a"], &["b", "c", "a", "d"]);
        check(&["a", "b"], &["c", "a", "b", "d"]);
        check(&["a", "b", "c", "d"], &["a", "b", "c", "d"]);
    }

    #[test]
    fn an_exact_order_is_kept() {
        let kept = in_order(Order::Exact, &TWO_MODELS, &["a", "b"], &Failure::Timeout);
        assert_eq!(kept, ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_fault_of_the_request_goes_on_to_the_next_model() {
        assert_eq!(
            tried(&TWO_MODELS, &[], &fault(400, "bad_schema")),
            ["a", "d"]
        );
        assert_eq!(
            tried(&TWO_MODELS, &[], &fault(403, "content_policy_violation")),
            ["a", "d"]
        );
    }

    #[test]
    fn a_prompt_that_is_too_long_goes_where_there_is_more_room() {
        let too_long = fault(400, "context_length_exceeded");
        assert_eq!(tried(&TWO_MODELS, &[], &too_long), ["a", "c", "d"]);
    }
}
