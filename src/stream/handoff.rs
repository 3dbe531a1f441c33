//! One thing at a time from a giver to a taker: who gives waits until the last thing was taken, and either learns when the other
//! is gone. A stream that is silent holds one of these, so it is small: a queue of tokio's is fifteen times as large.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// The end that gives. Dropping it lets the taker have what was given, and no more.
#[derive(Debug)]
pub struct Giver<T>(Arc<Mutex<Place<T>>>);

/// The end that takes.
#[derive(Debug)]
pub struct Taker<T>(Arc<Mutex<Place<T>>>);

/// The other end is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

#[derive(Debug)]
struct Place<T> {
    given: Option<T>,
    giver: End,
    taker: End,
}

#[derive(Debug)]
enum End {
    Awake,
    Waits(Waker),
    Gone,
}

/// Both ends of a place for one thing.
pub fn pair<T>() -> (Giver<T>, Taker<T>) {
    let place = Arc::new(Mutex::new(Place {
        given: None,
        giver: End::Awake,
        taker: End::Awake,
    }));
    (Giver(Arc::clone(&place)), Taker(place))
}

impl<T> Giver<T> {
    /// Gives one thing, once there is room for it.
    pub async fn give(&mut self, thing: T) -> Result<(), Gone> {
        let mut thing = Some(thing);
        poll_fn(|context| {
            let mut place = self.0.lock();
            if place.taker.is_gone() {
                return Poll::Ready(Err(Gone));
            }
            if place.given.is_some() {
                place.giver.wait(context);
                return Poll::Pending;
            }
            place.given = thing.take();
            place.taker.wake();
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Whether nobody takes any more.
    pub fn is_alone(&self) -> bool {
        self.0.lock().taker.is_gone()
    }

    /// Waits until nobody takes any more.
    pub async fn alone(&mut self) {
        poll_fn(|context| {
            let mut place = self.0.lock();
            if place.taker.is_gone() {
                return Poll::Ready(());
            }
            place.giver.wait(context);
            Poll::Pending
        })
        .await;
    }
}

impl<T> Taker<T> {
    /// The next thing; `None` when nobody gives any more.
    pub fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut place = self.0.lock();
        if let Some(given) = place.given.take() {
            place.giver.wake();
            return Poll::Ready(Some(given));
        }
        if place.giver.is_gone() {
            return Poll::Ready(None);
        }
        place.taker.wait(context);
        Poll::Pending
    }

    /// As [`poll_take`](Self::poll_take) has it.
    pub async fn take(&mut self) -> Option<T> {
        poll_fn(|context| self.poll_take(context)).await
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        let mut place = self.0.lock();
        place.giver = End::Gone;
        place.taker.wake();
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        let mut place = self.0.lock();
        place.taker = End::Gone;
        place.giver.wake();
    }
}

impl End {
    fn is_gone(&self) -> bool {
        matches!(self, End::Gone)
    }

    fn wait(&mut self, context: &Context<'_>) {
        match self {
            End::Waits(waker) => waker.clone_from(context.waker()),
            End::Awake | End::Gone => *self = End::Waits(context.waker().clone()),
        }
    }

    /// Wakes it, if it waits.
    fn wake(&mut self) {
        if let End::Waits(_) = self
            && let End::Waits(waker) = std::mem::replace(self, End::Awake)
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn things_come_in_order_and_one_at_a_time() {
        let (mut giver, mut taker) = pair();
        assert_eq!(giver.give(0).now_or_never(), Some(Ok(())));
        assert_eq!(giver.give(1).now_or_never(), None);
        let gives = tokio::spawn(async move {
            for thing in 1..100 {
                giver.give(thing).await.unwrap();
            }
        });
        for thing in 0..100 {
            assert_eq!(taker.take().await, Some(thing));
        }
        assert_eq!(taker.take().await, None);
        gives.await.unwrap();
    }

    #[tokio::test]
    async fn what_was_given_last_can_be_taken_when_the_giver_is_gone() {
        let (mut giver, mut taker) = pair();
        giver.give("last").await.unwrap();
        drop(giver);
        assert_eq!(taker.take().await, Some("last"));
        assert_eq!(taker.take().await, None);
    }

    #[tokio::test]
    async fn a_giver_learns_that_it_is_alone() {
        let (mut giver, taker) = pair();
        assert!(!giver.is_alone() && giver.alone().now_or_never().is_none());
        giver.give(()).await.unwrap();
        let waits = tokio::spawn(async move {
            let refused = giver.give(()).await;
            giver.alone().await;
            (refused, giver.is_alone())
        });
        tokio::task::yield_now().await;
        drop(taker);
        assert_eq!(waits.await.unwrap(), (Err(Gone), true));
    }
}
