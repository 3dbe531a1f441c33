//! The leases of this replica, in memory: what it may spend for each key without asking.
//!
//! A lease is split in three: `free`, `held` by runs under way, and `settling`, charged but not yet
//! committed. Their sum mirrors the lease's row in the database; it may fall behind the row — then less
//! is spent than could be — but never exceed it. So credit that the database may or may not have moved,
//! because the connection broke, is counted as moved away, and the next giving back, which states what is
//! kept, puts the row right.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::domain::ids::{AccountId, KeyHash};
use crate::domain::money::Nanos;
use crate::domain::principal::Principal;
use crate::store::{Keep, Settlement};

const SHARDS: usize = 32;
/// A lease covers the spending of about this many seconds, so that busy keys seldom ask.
const SECONDS_AHEAD: i64 = 10;

/// Every lease of this replica. Asking for one takes a shared lock of one shard.
pub(super) struct Leases {
    shards: [RwLock<HashMap<KeyHash, Arc<Lease>>>; SHARDS],
    replica: RwLock<Arc<str>>,
    /// The least that is borrowed at a time, where there is enough.
    least: i64,
}

/// Credit borrowed for one key.
pub(super) struct Lease {
    key: KeyHash,
    account: AccountId,
    replica: Arc<str>,
    least: i64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    // Wide, so that not even a charge that no database takes can overflow them.
    free: i128,
    held: i128,
    settling: i128,
    /// Taken back by others: nothing is lent from it any more.
    void: bool,
    /// A refill is on its way.
    asked: bool,
    /// The row in the database may hold more than the sum here.
    adrift: bool,
    /// The largest hold of late.
    largest: i64,
    /// Charged since the last tick, and the average of a tick.
    charged: i64,
    pace: i64,
    used_at: Instant,
}

/// Credit taken from a lease for one run. Dropping it gives it back.
pub(super) struct Credit {
    lease: Arc<Lease>,
    amount: i64,
}

impl Leases {
    pub(super) fn new(replica: Arc<str>, least: Nanos) -> Self {
        Leases {
            shards: std::array::from_fn(|_| RwLock::default()),
            replica: RwLock::new(replica),
            least: least.0.max(0),
        }
    }

    /// The name under which this replica borrows.
    pub(super) fn replica(&self) -> Arc<str> {
        Arc::clone(&self.replica.read())
    }

    /// The lease of the caller's key, perhaps empty.
    pub(super) fn of(&self, who: &Principal) -> Arc<Lease> {
        let shard = self.shard(&who.key);
        if let Some(lease) = shard.read().get(&who.key) {
            return Arc::clone(lease);
        }
        // The replica's name is read under the shard's lock: after a disowning no lease of the old name is left.
        let mut shard = shard.write();
        let lease = shard.entry(who.key).or_insert_with(|| {
            Arc::new(Lease::new(
                who.key,
                who.account.clone(),
                self.replica(),
                self.least,
            ))
        });
        Arc::clone(lease)
    }

    /// Notes a charge that nothing was held for.
    pub(super) fn charge(&self, settlement: &Settlement, net: i64) {
        if let Some(lease) = self.find(settlement) {
            lease.charge(0, net);
        }
    }

    /// Notes that a charge is committed, or will never be.
    pub(super) fn settled(&self, settlement: &Settlement, committed: bool) {
        if let Some(lease) = self.find(settlement) {
            lease.settled(settlement.net().0, committed);
        }
    }

    /// Notes that the lease's row fell short of its charges by `amount`, which was hence not taken from it.
    pub(super) fn fell_short(&self, replica: &str, key: &KeyHash, amount: i64) {
        if let Some(lease) = self
            .shard(key)
            .read()
            .get(key)
            .filter(|lease| *lease.replica == *replica)
        {
            lease.state.lock().free += i128::from(amount);
        }
    }

    /// Every lease there is.
    pub(super) fn all(&self) -> Vec<Arc<Lease>> {
        self.shards
            .iter()
            .flat_map(|shard| shard.read().values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Forgets leases that hold nothing and are wanted by nobody.
    pub(super) fn sweep(&self) {
        for shard in &self.shards {
            shard
                .write()
                .retain(|_, lease| Arc::strong_count(lease) > 1 || !lease.is_spent());
        }
    }

    /// Gives up every lease, which others have taken back, and goes on under a new name.
    pub(super) fn disowned(&self, replica: Arc<str>) {
        *self.replica.write() = replica;
        for shard in &self.shards {
            for (_, lease) in shard.write().drain() {
                let mut state = lease.state.lock();
                state.void = true;
                state.free = 0;
            }
        }
    }

    fn find(&self, settlement: &Settlement) -> Option<Arc<Lease>> {
        let key = &settlement.generation.key;
        self.shard(key)
            .read()
            .get(key)
            .filter(|lease| lease.replica == settlement.replica)
            .cloned()
    }

    fn shard(&self, key: &KeyHash) -> &RwLock<HashMap<KeyHash, Arc<Lease>>> {
        &self.shards[usize::from(key.as_bytes()[0]) % SHARDS]
    }
}

impl Lease {
    fn new(key: KeyHash, account: AccountId, replica: Arc<str>, least: i64) -> Self {
        let state = State {
            free: 0,
            held: 0,
            settling: 0,
            void: false,
            asked: false,
            adrift: false,
            largest: 0,
            charged: 0,
            pace: 0,
            used_at: Instant::now(),
        };
        Lease {
            key,
            account,
            replica,
            least,
            state: Mutex::new(state),
        }
    }

    pub(super) fn key(&self) -> &KeyHash {
        &self.key
    }

    pub(super) fn account(&self) -> &AccountId {
        &self.account
    }

    pub(super) fn replica(&self) -> &Arc<str> {
        &self.replica
    }

    /// Takes credit for one run, if there is enough.
    pub(super) fn take(self: &Arc<Self>, amount: i64) -> Option<Credit> {
        let mut state = self.state.lock();
        state.used_at = Instant::now();
        state.largest = state.largest.max(amount);
        if state.void || state.free < i128::from(amount) {
            return None;
        }
        state.free -= i128::from(amount);
        state.held += i128::from(amount);
        Some(Credit {
            lease: Arc::clone(self),
            amount,
        })
    }

    /// Whether it is time to borrow ahead of need; says so once until [`Lease::borrowed`].
    pub(super) fn asks_ahead(&self) -> bool {
        let mut state = self.state.lock();
        let low = !state.void
            && !state.asked
            && state.free
                < i128::from(
                    state
                        .largest
                        .max(state.pace.saturating_mul(SECONDS_AHEAD / 2)),
                );
        state.asked |= low;
        low
    }

    /// How much to borrow when `need` is needed at once: enough for some time at the pace of late.
    pub(super) fn appetite(&self, need: i64) -> i64 {
        let state = self.state.lock();
        let ahead = state
            .largest
            .saturating_mul(2)
            .max(state.pace.saturating_mul(SECONDS_AHEAD))
            .max(self.least);
        need.saturating_add(ahead.saturating_sub(clamp(state.free).max(0)).max(0))
    }

    /// What is missing for a hold of `amount`.
    pub(super) fn missing(&self, amount: i64) -> i64 {
        clamp(i128::from(amount) - self.state.lock().free).max(0)
    }

    /// What is free now.
    pub(super) fn free(&self) -> i64 {
        clamp(self.state.lock().free)
    }

    /// Adds what the database lent.
    pub(super) fn borrowed(&self, amount: i64) {
        let mut state = self.state.lock();
        // Who got nothing asks again after the next tick, not with the next run.
        state.asked &= amount == 0;
        if !state.void {
            state.free += i128::from(amount);
        }
    }

    /// Notes that the row in the database may hold more than is known here.
    pub(super) fn drifted(&self) {
        let mut state = self.state.lock();
        state.adrift = true;
    }

    /// Once a tick: what to give back, if anything. What is given back is gone from here at once.
    pub(super) fn spare(&self, now: Instant, idle: Duration) -> Option<Keep> {
        let mut state = self.state.lock();
        state.pace = clamp((i128::from(state.pace) * 3 + i128::from(state.charged)) / 4);
        state.charged = 0;
        state.asked = false;
        state.largest -= state.largest / 16;
        let wanted = state
            .largest
            .saturating_mul(2)
            .max(state.pace.saturating_mul(SECONDS_AHEAD))
            .max(self.least);
        let kept = if now.duration_since(state.used_at) >= idle {
            0
        } else {
            wanted.saturating_mul(2)
        };
        let adrift = std::mem::take(&mut state.adrift);
        if state.void || (state.free <= i128::from(kept) && !adrift) {
            return None;
        }
        Some(self.keep(&mut state, kept))
    }

    /// Gives up everything that is free, for others of the same account or at the end.
    pub(super) fn surrender(&self) -> Option<Keep> {
        let mut state = self.state.lock();
        (!state.void).then(|| self.keep(&mut state, 0))
    }

    fn keep(&self, state: &mut State, kept: i64) -> Keep {
        state.free = state.free.min(i128::from(kept));
        let keep = clamp(state.free + state.held + state.settling).max(0);
        Keep {
            key: self.key,
            account: self.account.clone(),
            keep: Nanos(keep),
        }
    }

    fn is_spent(&self) -> bool {
        let state = self.state.lock();
        state.free <= 0 && state.held == 0 && state.settling == 0 && !state.adrift && !state.asked
    }

    fn give_back(&self, amount: i64) {
        let mut state = self.state.lock();
        state.held -= i128::from(amount);
        if !state.void {
            state.free += i128::from(amount);
        }
    }

    fn charge(&self, held: i64, net: i64) {
        let mut state = self.state.lock();
        state.charged = state.charged.saturating_add(net);
        let (held, net) = (i128::from(held), i128::from(net));
        state.held -= held;
        state.settling += net;
        if !state.void {
            state.free += held - net;
        }
    }

    fn settled(&self, net: i64, committed: bool) {
        let mut state = self.state.lock();
        state.settling -= i128::from(net);
        if !committed && !state.void {
            state.free += i128::from(net);
        }
    }
}

fn clamp(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX })
}

impl Credit {
    pub(super) fn amount(&self) -> i64 {
        self.amount
    }

    /// Turns the credit into a charge of `net`; what is left of it is free again, what it exceeds is taken.
    pub(super) fn charge(mut self, net: i64) {
        let held = std::mem::take(&mut self.amount);
        self.lease.charge(held, net);
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        if self.amount != 0 {
            self.lease.give_back(self.amount);
        }
    }
}
