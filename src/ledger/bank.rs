//! The bank: one task that borrows credit, gives idle credit back, beats this replica's heart, and
//! takes back the leases of the dead.
//!
//! All lending goes through it, one transaction for whoever waits at that moment, so a lease is never
//! lent to and given back at the same time, and a crowd at an empty lease asks the database once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::hold::HoldError;
use super::lease::{Credit, Lease, Leases, Return};
use super::{LedgerSettings, Rhythm};
use crate::clock;
use crate::domain::ids::{KeyHash, random_text};
use crate::domain::money::Nanos;
use crate::store::{Ask, Keep, Lent, Store, StoreError};

/// The most waiting runs that are served together.
const AT_ONCE: usize = 256;
/// The most leases that one transaction changes. Each takes some round trips, and a database may be some
/// milliseconds away: more of them would not be done within the patience, however often they were tried.
const LEASES_AT_ONCE: usize = 32;
/// How long a transaction of the bank may take. Everybody who waits for credit waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The way to the bank's task.
pub(super) struct Bank {
    wants: mpsc::Sender<Want>,
    pulse: Arc<Pulse>,
}

/// A run that waits for credit, or a lease that runs low.
struct Want {
    lease: Arc<Lease>,
    amount: i64,
    reply: Option<oneshot::Sender<Result<Credit, HoldError>>>,
}

/// When this replica was last known to be counted among the living.
struct Pulse {
    started: Instant,
    /// Milliseconds after `started`.
    beat_at: AtomicU64,
    /// `None` where there are no other replicas.
    fence: Option<Duration>,
}

/// The bank's task.
pub(super) struct Banker {
    store: Store,
    leases: Arc<Leases>,
    inbox: mpsc::Receiver<Want>,
    pulse: Arc<Pulse>,
    rhythm: Rhythm,
    /// Counts of beats of other replicas, and since when each stands still.
    others: HashMap<String, (i64, Instant)>,
}

/// A name that no replica has had before: a lease is never mistaken for one of an earlier run.
pub(super) fn fresh_name() -> Arc<str> {
    random_text(16).into()
}

/// Registers this process, after taking back what the dead had borrowed: the replica that worked in this
/// folder `before`, and on a database that nobody else may use, all there are.
pub(super) async fn register(
    store: &Store,
    replica: &str,
    before: Option<String>,
) -> Result<(), StoreError> {
    let dead = match before {
        _ if !store.is_shared() => store
            .replicas()
            .await?
            .into_iter()
            .map(|(replica, _)| replica)
            .collect(),
        before => Vec::from_iter(before),
    };
    for replica in dead {
        store.resign(&replica).await?;
    }
    store.register(replica, clock::now_ms()).await
}

/// The bank and its task, which the caller runs.
pub(super) fn open(store: Store, leases: Arc<Leases>, settings: &LedgerSettings) -> (Bank, Banker) {
    let fence = store.is_shared().then_some(settings.rhythm.fence);
    let pulse = Arc::new(Pulse {
        started: Instant::now(),
        beat_at: AtomicU64::new(0),
        fence,
    });
    // A want for each place in the queue of settlements, and some for refills: the bound is never met by runs.
    let (wants, inbox) = mpsc::channel(settings.queue + AT_ONCE);
    let bank = Bank {
        wants,
        pulse: Arc::clone(&pulse),
    };
    (
        bank,
        Banker {
            store,
            leases,
            inbox,
            pulse,
            rhythm: settings.rhythm,
            others: HashMap::new(),
        },
    )
}

impl Bank {
    /// Whether this replica may lend from memory: others would not yet take it for dead.
    pub(super) fn is_alive(&self) -> bool {
        self.pulse.is_alive()
    }

    /// Credit for one run, from the database.
    pub(super) async fn borrow(
        &self,
        lease: &Arc<Lease>,
        amount: i64,
    ) -> Result<Credit, HoldError> {
        let (reply, answer) = oneshot::channel();
        let want = Want {
            lease: Arc::clone(lease),
            amount,
            reply: Some(reply),
        };
        self.wants.send(want).await.map_err(|_| HoldError::Busy)?;
        answer.await.unwrap_or(Err(HoldError::Busy))
    }

    /// Asks for more ahead of need. A full bank is busy with those who wait; the lease will ask again.
    pub(super) fn refill(&self, lease: &Arc<Lease>) {
        if self
            .wants
            .try_send(Want {
                lease: Arc::clone(lease),
                amount: 0,
                reply: None,
            })
            .is_err()
        {
            lease.borrowed(0);
        }
    }
}

impl Pulse {
    fn is_alive(&self) -> bool {
        let Some(fence) = self.fence else { return true };
        self.started
            .elapsed()
            .saturating_sub(Duration::from_millis(self.beat_at.load(Ordering::Relaxed)))
            < fence
    }

    /// Counts from before the beat was sent: whoever watches cannot have seen it earlier.
    fn beat(&self, sent: Instant) {
        let at = sent.duration_since(self.started).as_millis();
        self.beat_at
            .store(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Banker {
    /// Serves until `stop`, or until nobody can ask any more; then gives everything back.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.rhythm.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut wants = Vec::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                taken = self.inbox.recv_many(&mut wants, AT_ONCE) => match taken {
                    0 => break,
                    _ => self.lend(std::mem::take(&mut wants)).await,
                },
                _ = ticks.tick() => self.tick().await,
            }
        }
        self.inbox.close();
        let replica = self.leases.replica();
        let resign = self.store.resign(&replica);
        if let Err(error) = within_patience(resign).await {
            tracing::warn!(%error, "leases could not be given back; they will be reclaimed");
        }
    }

    /// Serves everybody who waits from one transaction.
    async fn lend(&mut self, wants: Vec<Want>) {
        let mut crowds = self.crowds(wants);
        self.recall(&crowds).await;
        self.serve(&mut crowds).await;
        // Credit that rests in leases of other keys must not keep an account from spending it.
        crowds.retain(|_, crowd| !crowd.waiting.is_empty());
        if !crowds.is_empty() && self.collect_for(&crowds).await {
            self.serve(&mut crowds).await;
        }
        for crowd in crowds.into_values() {
            crowd.refuse();
        }
    }

    /// Who waits, by lease. Those whose credit has come meanwhile are served at once.
    fn crowds(&self, wants: Vec<Want>) -> HashMap<KeyHash, Crowd> {
        let replica = self.leases.replica();
        let mut crowds: HashMap<KeyHash, Crowd> = HashMap::new();
        for want in wants {
            if *want.lease.replica() != replica {
                // The lease was lost while the run waited; it may ask again under the new name.
                want.answer(Err(HoldError::Busy));
                continue;
            }
            let crowd = crowds
                .entry(*want.lease.key())
                .or_insert_with(|| Crowd::at(&want.lease));
            crowd.waiting.extend(want.try_take());
        }
        crowds
    }

    /// Gives back what was borrowed under a cap that no longer holds, so that the new one decides.
    async fn recall(&self, crowds: &HashMap<KeyHash, Crowd>) {
        let stale = crowds.values().map(|crowd| &crowd.lease);
        let stale = stale.filter(|lease| lease.is_stale());
        let backs = stale.filter_map(Lease::surrender).collect();
        self.give_back(backs).await;
    }

    async fn serve(&mut self, crowds: &mut HashMap<KeyHash, Crowd>) {
        let mut asking: Vec<&mut Crowd> = crowds.values_mut().collect();
        // Once this replica was taken for dead, the leases at hand are void.
        let mut disowned = false;
        for crowds in asking.chunks_mut(LEASES_AT_ONCE) {
            let asks: Vec<Ask> = crowds.iter().map(|crowd| crowd.ask()).collect();
            let lent = if disowned {
                Err(StoreError::Disowned)
            } else {
                self.borrow(&asks).await
            };
            match lent {
                Ok(lent) => {
                    for (crowd, lent) in crowds.iter_mut().zip(lent) {
                        crowd.served(lent);
                    }
                }
                Err(error) => {
                    disowned |= matches!(error, StoreError::Disowned);
                    for crowd in crowds {
                        crowd.failed(&error);
                    }
                }
            }
        }
        if disowned {
            self.start_anew().await;
        }
    }

    async fn borrow(&self, asks: &[Ask]) -> Result<Vec<Lent>, StoreError> {
        let sent = Instant::now();
        let replica = self.leases.replica();
        let borrow = self.store.borrow(&replica, asks, clock::now_ms());
        let lent = within_patience(borrow).await?;
        self.pulse.beat(sent);
        Ok(lent)
    }

    /// Brings home what rests in other leases of accounts that ran out. Answers whether anything moved.
    async fn collect_for(&self, crowds: &HashMap<KeyHash, Crowd>) -> bool {
        let needy = |lease: &Lease| {
            crowds
                .values()
                .any(|crowd| crowd.wants_wallet() && crowd.lease.account() == lease.account())
        };
        let resting: Vec<Arc<Lease>> = self
            .leases
            .all()
            .into_iter()
            .filter(|lease| !crowds.contains_key(lease.key()) && lease.free() > 0 && needy(lease))
            .collect();
        let backs = resting.iter().filter_map(Lease::surrender).collect();
        self.give_back(backs).await
    }

    async fn tick(&mut self) {
        // While the database is away, what is in memory is all there is to lend.
        if self.store.is_shared() && !self.beat().await {
            return;
        }
        let now = Instant::now();
        let spare = |lease: &Arc<Lease>| lease.spare(now, self.rhythm.idle);
        let spares = self.leases.all().iter().filter_map(spare).collect();
        self.give_back(spares).await;
        self.leases.sweep();
    }

    /// Gives back in pieces. Answers whether anything was given.
    async fn give_back(&self, backs: Vec<Return>) -> bool {
        let mut moved = false;
        for piece in backs.chunks(LEASES_AT_ONCE) {
            let keeps: Vec<Keep> = piece.iter().map(|back| back.keep.clone()).collect();
            let replica = self.leases.replica();
            let give = self.store.give_back(&replica, &keeps);
            match within_patience(give).await {
                Ok(given) => {
                    moved |= given.iter().any(|given| *given > Nanos::ZERO);
                    for (back, given) in piece.iter().zip(given) {
                        back.done(Some(given));
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "idle credit could not be given back");
                    piece.iter().for_each(|back| back.done(None));
                }
            }
        }
        moved
    }

    /// Shows that this replica lives, and looks after the others. Answers whether the database heard it.
    async fn beat(&mut self) -> bool {
        let (sent, replica) = (Instant::now(), self.leases.replica());
        match within_patience(self.store.beat(&replica)).await {
            Ok(()) => {
                self.pulse.beat(sent);
                self.bury_the_dead().await;
                true
            }
            Err(StoreError::Disowned) => {
                self.start_anew().await;
                false
            }
            Err(error) => {
                tracing::warn!(%error, "the heartbeat did not reach the database");
                // Who could not beat could not watch: others may have been cut off just as well.
                self.others.clear();
                false
            }
        }
    }

    /// Reclaims the leases of replicas whose beats were seen to stand still for long enough.
    async fn bury_the_dead(&mut self) {
        let Ok(seen) = within_patience(self.store.replicas()).await else {
            self.others.clear();
            return;
        };
        let (now, own) = (Instant::now(), self.leases.replica());
        let before = std::mem::take(&mut self.others);
        for (replica, beats) in seen {
            if *replica == *own {
                continue;
            }
            let since = before
                .get(&replica)
                .filter(|(count, _)| *count == beats)
                .map_or(now, |(_, since)| *since);
            // A count below zero was left by a replica that died while it reclaimed.
            if beats < 0 || now.duration_since(since) >= self.rhythm.reclaim {
                // What is not done in time is taken up again with the next beat.
                match within_patience(self.store.reclaim(&replica, beats)).await {
                    Ok(true) => tracing::info!(
                        replica,
                        "took back the leases of a replica that stopped beating"
                    ),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(%error, replica, "the leases of a dead replica could not be taken back")
                    }
                }
            }
            self.others.insert(replica, (beats, since));
        }
    }

    /// Others took this replica for dead: its leases are gone. Goes on with a new name and none.
    async fn start_anew(&mut self) {
        tracing::warn!("this replica was taken for dead; it starts over without leases");
        let replica = fresh_name();
        match within_patience(register(&self.store, &replica, None)).await {
            Ok(()) => self.leases.disowned(replica),
            Err(error) => tracing::warn!(%error, "the replica could not register again yet"),
        }
    }
}

/// The runs that wait for one lease.
struct Crowd {
    lease: Arc<Lease>,
    waiting: Vec<Want>,
    /// What the database had to offer, and what was free beside it.
    offer: Option<(Lent, i64)>,
    error: Option<StoreError>,
}

impl Crowd {
    fn at(lease: &Arc<Lease>) -> Self {
        Crowd {
            lease: Arc::clone(lease),
            waiting: Vec::new(),
            offer: None,
            error: None,
        }
    }

    fn ask(&self) -> Ask {
        let least = self
            .waiting
            .iter()
            .map(|want| want.amount)
            .min()
            .map_or(0, |amount| self.lease.missing(amount));
        let all = self
            .waiting
            .iter()
            .fold(0_i64, |sum, want| sum.saturating_add(want.amount));
        let need = self.lease.missing(all);
        Ask {
            key: *self.lease.key(),
            account: self.lease.account().clone(),
            least: Nanos(least),
            need: Nanos(need),
            want: Nanos(self.lease.appetite(need)),
        }
    }

    fn served(&mut self, lent: Lent) {
        let free = self.lease.free();
        self.lease.borrowed(lent.amount.0);
        self.offer = Some((lent, free));
        self.waiting = std::mem::take(&mut self.waiting)
            .into_iter()
            .filter_map(Want::try_take)
            .collect();
    }

    fn failed(&mut self, error: &StoreError) {
        self.lease.drifted();
        self.error = Some(error.clone());
    }

    /// Whether the wallet, rather than the key's cap, was too small.
    fn wants_wallet(&self) -> bool {
        self.offer.as_ref().is_some_and(|(lent, _)| {
            lent.key_room
                .is_none_or(|(room, _)| room > lent.wallet_room)
        })
    }

    fn refuse(self) {
        for want in self.waiting {
            let error = match (&self.error, &self.offer) {
                (Some(StoreError::Disowned), _) | (None, None) => HoldError::Busy,
                (Some(error), _) => HoldError::Store(error.clone()),
                (None, Some((lent, free))) => refusal(lent, *free, want.amount),
            };
            want.answer(Err(error));
        }
    }
}

/// Names the tighter of the two bounds.
fn refusal(lent: &Lent, free: i64, needed: i64) -> HoldError {
    match lent.key_room {
        Some((room, reset)) if room <= lent.wallet_room => HoldError::KeyLimit { reset },
        _ if lent.balance <= Nanos::ZERO => HoldError::NoCredit {
            balance: lent.balance,
        },
        _ => HoldError::Unaffordable {
            needed: Nanos(needed),
            available: lent
                .wallet_room
                .saturating_add(Nanos(free))
                .max(Nanos::ZERO),
        },
    }
}

impl Want {
    /// Serves the run if its lease has enough; otherwise it goes on waiting. A refill waits for nothing.
    fn try_take(self) -> Option<Want> {
        self.reply.as_ref()?;
        match self.lease.take(self.amount) {
            None => Some(self),
            Some(credit) => {
                self.answer(Ok(credit));
                None
            }
        }
    }

    /// A run that has gone drops its credit, which gives it back.
    fn answer(self, answer: Result<Credit, HoldError>) {
        if let Some(reply) = self.reply {
            let _ = reply.send(answer);
        }
    }
}

async fn within_patience<T>(
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or(Err(StoreError::Late))
}
