//! A call under way: its journey, and the one who waits for its answer.
//!
//! The journey runs in the task of its caller until the answer begins, since a task of its own would be woken, and wake
//! the caller's, for every request. From there on it goes on by itself: a stream has its reader, and a run whose caller
//! has left is still to be paid for.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::RecvError;

use super::Refused;
use crate::stream::client::{Begun, Head};

/// A call under way. Dropping it tells the journey that the caller left.
pub struct Serving {
    /// What is known before an endpoint answers: the generation's id and the model that was asked for.
    pub head: Head,
    /// Its answer.
    pub begun: Beginning,
}

/// Resolves when the answer begins, or is refused. An error means that the journey broke off, which is a fault of ours.
pub struct Beginning {
    begun: oneshot::Receiver<Result<Begun, Refused>>,
    journey: Option<Journey>,
}

/// A journey whose task tracker knows it, wherever it runs.
pub(super) type Journey = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Beginning {
    /// What waits for `begun`, and takes the journey there.
    pub(super) fn new(
        begun: oneshot::Receiver<Result<Begun, Refused>>,
        journey: Option<Journey>,
    ) -> Self {
        Beginning { begun, journey }
    }

    /// The same for one who need not be awake to it: the journey goes on by itself from here.
    pub fn apart(mut self) -> Self {
        self.part();
        self
    }

    /// Lets what is left of the journey go on by itself.
    fn part(&mut self) {
        if let Some(journey) = self.journey.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(journey);
        }
    }
}

impl Future for Beginning {
    type Output = Result<Result<Begun, Refused>, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Taken out meanwhile: one that panics is not to be polled again.
        if let Some(mut journey) = self.journey.take()
            && journey.as_mut().poll(context).is_pending()
        {
            self.journey = Some(journey);
        }
        let begun = Pin::new(&mut self.begun).poll(context);
        if begun.is_ready() {
            self.part();
        }
        begun
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        // The journey notices that nobody listens.
        self.begun.close();
        self.part();
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::task::TaskTracker;

    use super::*;

    type Answer = Result<Begun, Refused>;

    /// A beginning whose journey `goes`, and the tracker that knows of it.
    fn beginning<F>(go: impl FnOnce(oneshot::Sender<Answer>) -> F) -> (Beginning, TaskTracker)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (begin, begun) = oneshot::channel();
        let tracker = TaskTracker::new();
        let journey: Journey = Box::pin(tracker.track_future(go(begin)));
        (Beginning::new(begun, Some(journey)), tracker)
    }

    fn refused() -> Answer {
        let (refusal, report) = (super::super::Refusal::Closing, None);
        Err(Refused { refusal, report })
    }

    #[tokio::test]
    async fn an_answer_is_there_before_the_journey_is_over() {
        let (reached, at_its_end) = oneshot::channel();
        let (beginning, tracker) = beginning(|begin| async move {
            let _ = begin.send(refused());
            tokio::task::yield_now().await;
            let _ = reached.send(());
        });
        assert!(matches!(beginning.await, Ok(Err(_))));
        at_its_end.await.unwrap();
        tracker.close();
        tracker.wait().await;
    }

    #[tokio::test]
    async fn a_journey_learns_that_its_caller_has_left_and_goes_on() {
        let (reached, at_its_end) = oneshot::channel();
        let (beginning, tracker) = beginning(|mut begin| async move {
            begin.closed().await;
            let _ = reached.send(());
        });
        drop(beginning);
        at_its_end.await.unwrap();
        tracker.close();
        tracker.wait().await;
    }

    #[tokio::test]
    async fn one_that_goes_by_itself_needs_nobody_to_wait() {
        let (reached, at_its_end) = oneshot::channel();
        let (beginning, _tracker) = beginning(|begin| async move {
            let _ = begin.send(refused());
            let _ = reached.send(());
        });
        let beginning = beginning.apart();
        at_its_end.await.unwrap();
        assert!(matches!(beginning.await, Ok(Err(_))));
    }

    #[tokio::test]
    async fn a_panic_is_the_callers_and_the_journey_is_over() {
        let (beginning, tracker) = beginning(|_begin| async move { panic!("of the test") });
        let ended = tokio::spawn(async move { drop(beginning.await) }).await;
        assert!(ended.is_err_and(|error| error.is_panic()));
        tracker.close();
        tracker.wait().await;
    }
}
