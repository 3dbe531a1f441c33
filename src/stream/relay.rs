//! Carries a streamed answer from the upstream to the client, and counts it on the way.

use tokio::time::Instant;

use super::client::{Client, Delivery, Held};
use super::heard::Heard;
use super::meter::Meter;
use super::source::{Events, StreamError};
use crate::domain::event::{Choice, Event};

/// How a relay ended.
#[derive(Debug)]
pub enum Ending {
    /// The answer is complete; this waits until it is settled.
    Complete(Held),
    /// The upstream broke off.
    Broken(StreamError),
    /// The caller left. What had arrived by then is counted; dropping the stream cancels the upstream.
    Left,
}

/// What a relay saw.
#[derive(Debug)]
pub struct Relayed {
    /// How it ended.
    pub ending: Ending,
    /// When the first event arrived.
    pub first: Option<Instant>,
}

/// Relays until the answer ends, breaks, or nobody listens. A slow reader slows the upstream. What is there goes to the
/// client before more is waited for, and in one piece where there is much.
pub async fn relay<E>(
    stream: &mut impl Events,
    meter: &mut Meter,
    heard: &mut Heard,
    client: &mut Client<E>,
) -> Relayed {
    let (mut held, mut first, mut forwards) = (Held::default(), None, false);
    let ending = loop {
        if (client.is_full() || !stream.has_more().await) && client.flush().await.is_err() {
            break Ending::Left;
        }
        let event = match client.unless_left(stream.next()).await {
            Ok(Ok(Some(event))) => event,
            Ok(Ok(None)) => break Ending::Complete(held),
            Ok(Err(error)) => break Ending::Broken(error),
            Err(_left) => break Ending::Left,
        };
        first.get_or_insert_with(Instant::now);
        meter.event(&event);
        heard.event(&event);
        client.gather(match event {
            Event::Forwarded(event) => {
                forwards = true;
                if event.ends {
                    held.events.push(*event);
                    continue;
                }
                Delivery::Forwarded(event)
            }
            // The client has it in the provider's own words.
            Event::Choice(_) if forwards => continue,
            Event::Choice(choice) => {
                let (now, later) = split(choice);
                held.choices.extend(later);
                let Some(choice) = now else { continue };
                Delivery::Choice(choice)
            }
            Event::Sent(body) => Delivery::Sent(body),
            Event::Step(Some(maker)) => Delivery::Maker(maker),
            Event::Step(None) | Event::Usage(_) | Event::About(_) => continue,
        });
    };
    if let Ending::Left = ending {
        stream.arrived().for_each(|event| meter.event(&event));
    }
    Relayed { ending, first }
}

/// Counts the rest of an answer that nobody listens to any more, to its end or as far as it comes.
pub async fn drain(stream: &mut impl Events, meter: &mut Meter) {
    while let Ok(Some(event)) = stream.next().await {
        meter.event(&event);
    }
}

/// What may be delivered at once, and the finish reason that waits for the settlement.
fn split(mut choice: Box<Choice>) -> (Option<Box<Choice>>, Option<Choice>) {
    let Some(finish) = choice.finish.take() else {
        return (Some(choice), None);
    };
    let last = Choice {
        index: choice.index,
        finish: Some(finish),
        ..Choice::default()
    };
    ((!choice.is_empty()).then_some(choice), Some(last))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::domain::event::Message;
    use crate::domain::ids::GenerationId;
    use crate::domain::json::JsonText;
    use crate::stream::client::{self, Begun, Deliveries, Head};
    use crate::stream::handoff::Taker;

    /// An answer without end, of which so much was asked for.
    struct Endless {
        asked: usize,
        bursts: bool,
    }

    impl Events for Endless {
        async fn next(&mut self) -> Result<Option<Event>, StreamError> {
            self.asked += 1;
            let message = Message {
                content: Some(JsonText::of("more")),
                ..Message::default()
            };
            Ok(Some(Event::Choice(Box::new(Choice {
                message,
                ..Choice::default()
            }))))
        }

        async fn has_more(&mut self) -> bool {
            self.bursts
        }

        fn arrived(&mut self) -> impl Iterator<Item = Event> {
            std::iter::empty()
        }
    }

    /// What is asked of an endless answer for a client that reads nothing, and what waits for that client.
    async fn unread(bursts: bool) -> (usize, Taker<Deliveries>) {
        let (mut client, begun) = client::pair::<()>(false);
        client.stream(Head {
            id: GenerationId::new(0),
            created: 0,
            model: "acme/orca".into(),
            provider: "Lab".into(),
        });
        let Ok(Ok(Begun::Stream(_, deliveries))) = begun.await else {
            panic!("no stream");
        };
        let mut stream = Endless { asked: 0, bursts };
        let mut heard = Heard {
            calls: None,
            citations: None,
        };
        let mut meter = Meter::new(1);
        let relayed = relay(&mut stream, &mut meter, &mut heard, &mut client).now_or_never();
        assert!(relayed.is_none());
        (stream.asked, deliveries)
    }

    #[tokio::test]
    async fn an_answer_waits_for_who_does_not_read_it() {
        let (asked, mut deliveries) = unread(false).await;
        assert_eq!(asked, 2);
        assert_eq!(deliveries.take().await.map(|set| set.len()), Some(1));
    }

    #[tokio::test]
    async fn a_burst_goes_together_and_waits_too() {
        let (asked, mut deliveries) = unread(true).await;
        let set = deliveries.take().await.map(|set| set.len());
        assert!(
            set.is_some_and(|set| set > 1 && asked == 2 * set),
            "{set:?} {asked}"
        );
    }
}
