//! What is left of an answer when it is done with: nothing of one step, who made what of several.

use super::super::answer::Lesson;
use super::super::record::Run;
use super::Steps;
use super::makers::Made;
use crate::plugin::web::tool::Offer;
use crate::stream::source::{EventStream, Events};

/// A source of events that leaves something behind when it is done with.
pub(in crate::gateway) trait Leaves: Events {
    /// Whether the provider at work stops when it is hung up on.
    fn cancels(&self, run: &Run) -> bool;

    /// Nobody listens any more: what is under way is the last of it.
    fn no_further(&mut self);

    /// Writes down what there is, and closes.
    fn leave(self, run: &mut Run, lesson: &mut Lesson);
}

impl Leaves for EventStream {
    fn cancels(&self, run: &Run) -> bool {
        run.can_be_cancelled()
    }

    fn no_further(&mut self) {}

    fn leave(self, _: &mut Run, _: &mut Lesson) {}
}

impl Leaves for Steps<'_> {
    fn cancels(&self, _: &Run) -> bool {
        self.makers.cancel()
    }

    fn no_further(&mut self) {
        self.offer = Offer::Spent;
        self.makers.no_further();
    }

    fn leave(self, run: &mut Run, lesson: &mut Lesson) {
        let Made {
            by,
            before,
            attempts,
            watch,
        } = self.makers.over();
        let (searched, sources) = self.searches.over();
        run.goes_on_with(self.call);
        run.attempts.extend(attempts);
        run.search = searched;
        if !before.is_empty() {
            // Whose cache has the prompt is not known of steps at several endpoints.
            lesson.cache = None;
        }
        run.made_by(by, before);
        lesson.watch = watch;
        if let Some(citations) = &mut lesson.heard.citations {
            citations.found(sources);
        }
    }
}
