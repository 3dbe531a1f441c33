//! How those who wait for a settlement learn of it.
//!
//! A batch answers many, and most of them on other threads than the writer's. Each thread is woken once for all of its
//! own, not once for each, and gets back what it had handed over: memory is soonest used again where it came from.

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::settle::SettleError;

/// How a settlement went.
pub(super) type Outcome = Result<(), SettleError>;

/// Who waits for an outcome, and on which runtime.
pub(super) struct Reply {
    waiting: oneshot::Sender<Outcome>,
    runtime: Option<Handle>,
}

impl Reply {
    /// A reply to the task that asks, and where it arrives.
    pub(super) fn expected() -> (Self, oneshot::Receiver<Outcome>) {
        let (waiting, arrives) = oneshot::channel();
        let runtime = Handle::try_current().ok();
        (Reply { waiting, runtime }, arrives)
    }
}

/// Gives each its outcome, and drops where it waits what the outcome is of. Those who have gone are no loss: the money is
/// settled all the same.
pub(super) fn answer<T: Send + 'static>(replies: impl IntoIterator<Item = (Reply, (T, Outcome))>) {
    let mut crowds: Vec<(Option<Handle>, Vec<_>)> = Vec::new();
    for (Reply { waiting, runtime }, outcome) in replies {
        let id = |runtime: &Option<Handle>| runtime.as_ref().map(Handle::id);
        let known = crowds
            .iter_mut()
            .find(|(other, _)| id(other) == id(&runtime));
        match known {
            Some((_, crowd)) => crowd.push((waiting, outcome)),
            None => crowds.push((runtime, vec![(waiting, outcome)])),
        }
    }
    for (runtime, crowd) in crowds {
        let tell = move || {
            for (waiting, (settlement, outcome)) in crowd {
                drop(settlement);
                let _ = waiting.send(outcome);
            }
        };
        match runtime {
            // A task that waits for nothing, and is over as soon as it has begun.
            Some(runtime) => drop(runtime.spawn(async move { tell() })),
            None => tell(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_its_own_outcome_wherever_it_waits() {
        let runtimes = [(); 2].map(|()| {
            tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap()
        });
        let (mut replies, mut arriving) = (Vec::new(), Vec::new());
        for turn in 0..7 {
            let runtime = runtimes.get(turn % 3);
            let _inside = runtime.map(|runtime| runtime.enter());
            let (reply, arrives) = Reply::expected();
            let outcome = if turn % 2 == 0 {
                Ok(())
            } else {
                Err(SettleError::Stopped)
            };
            replies.push((reply, (turn, outcome)));
            arriving.push((turn, runtime, arrives));
        }
        answer(replies);
        for (turn, runtime, arrives) in arriving {
            let outcome = match runtime {
                Some(runtime) => runtime.block_on(arrives),
                None => arrives.blocking_recv(),
            };
            assert_eq!(outcome.unwrap().is_ok(), turn % 2 == 0, "{turn}");
        }
    }

    #[tokio::test]
    async fn who_has_gone_keeps_nobody_from_an_answer() {
        let (gone, left) = Reply::expected();
        let (reply, arrives) = Reply::expected();
        drop(left);
        answer([(gone, ((), Ok(()))), (reply, ((), Ok(())))]);
        assert!(arrives.await.unwrap().is_ok());
    }
}
