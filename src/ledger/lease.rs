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
use crate::domain::principal::{LimitReset, Principal};
use crate::store::{Keep, Settlement};

const SHARDS: usize = 32;
/// A lease covers the spending of about this many seconds, so that busy keys seldom ask.
const SECONDS_AHEAD: i64 = 10;

/// A key's cap on spending, as its callers know it.
type Cap = Option<(Nanos, LimitReset)>;

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
    /// The cap of the latest caller, how often it has changed, and whether some of what is free was borrowed under
    /// another.
    cap: Cap,
    caps: u32,
    stale: bool,
    /// A refill is on its way.
    asked: bool,
    /// The row in the database may hold more than the sum here.
    adrift: bool,
    /// Counts the charges that are known to be committed.
    commits: u64,
    /// The largest hold of late.
    largest: i64,
    /// Charged since the last tick, and the average of a tick.
    charged: i64,
    pace: i64,
    used_at: Instant,
}

/// Credit on its way back to the database, of which `free` was brought down to what is kept.
pub(super) struct Return {
    pub(super) lease: Arc<Lease>,
    pub(super) keep: Keep,
    /// What left `free`.
    freed: i128,
    /// Commits seen by then, where the row was not known to equal the sum here.
    adrift_at: Option<u64>,
}

/// Credit taken from a lease for one run. Dropping it gives it back.
pub(super) struct Credit {
    lease: Arc<Lease>,
    amount: i64,
    /// Which of the caps it was taken under.
    caps: u32,
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
                who.limit,
                self.replica(),
                self.least,
            ))
        });
        Arc::clone(lease)
    }

    /// Notes a charge that nothing was held for.
    pub(super) fn charge(&self, settlement: &Settlement, net: i64) {
        if let Some(lease) = self.find(settlement) {
            lease.charge(0, net, 0);
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
    fn new(key: KeyHash, account: AccountId, cap: Cap, replica: Arc<str>, least: i64) -> Self {
        let state = State {
            free: 0,
            held: 0,
            settling: 0,
            void: false,
            cap,
            caps: 0,
            stale: false,
            asked: false,
            adrift: false,
            commits: 0,
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

    /// Takes credit for one run of a caller with this cap, if there is enough. A cap that has changed binds
    /// at once: what is free was borrowed under the old one, and has to go back first.
    pub(super) fn take_under(self: &Arc<Self>, cap: Cap, amount: i64) -> Option<Credit> {
        {
            let mut state = self.state.lock();
            if state.cap != cap {
                state.cap = cap;
                state.caps = state.caps.wrapping_add(1);
                state.stale = true;
            }
        }
        self.take(amount)
    }

    /// Whether what is free has to go back, because the cap has changed.
    pub(super) fn is_stale(&self) -> bool {
        self.state.lock().stale
    }

    /// Takes credit for one run, if there is enough.
    pub(super) fn take(self: &Arc<Self>, amount: i64) -> Option<Credit> {
        let mut state = self.state.lock();
        state.used_at = Instant::now();
        state.largest = state.largest.max(amount);
        if state.void || state.stale || state.free < i128::from(amount) {
            return None;
        }
        state.free -= i128::from(amount);
        state.held += i128::from(amount);
        Some(Credit {
            lease: Arc::clone(self),
            amount,
            caps: state.caps,
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
    pub(super) fn spare(self: &Arc<Self>, now: Instant, idle: Duration) -> Option<Return> {
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
        if state.void || (state.free <= i128::from(kept) && !state.adrift) {
            return None;
        }
        Some(self.keep(&mut state, kept))
    }

    /// Gives up everything that is free, for others of the same account or at the end.
    pub(super) fn surrender(self: &Arc<Self>) -> Option<Return> {
        let mut state = self.state.lock();
        state.stale = false;
        (!state.void).then(|| self.keep(&mut state, 0))
    }

    fn keep(self: &Arc<Self>, state: &mut State, kept: i64) -> Return {
        let free = state.free.min(i128::from(kept));
        let freed = state.free - free;
        state.free = free;
        let keep = clamp(state.free + state.held + state.settling).max(0);
        let adrift_at = std::mem::take(&mut state.adrift).then_some(state.commits);
        Return {
            lease: Arc::clone(self),
            keep: Keep {
                key: self.key,
                account: self.account.clone(),
                keep: Nanos(keep),
            },
            freed,
            adrift_at,
        }
    }

    /// Notes what the database took of a return. A charge that was committed after the return was made
    /// up, and before it arrived, has brought the row down already; then as much less was given, and that
    /// much of what was freed is still here to spend.
    fn returned(&self, back: &Return, given: i64) {
        let mut state = self.state.lock();
        match back.adrift_at {
            None if !state.void => state.free += (back.freed - i128::from(given)).max(0),
            None => {}
            // How far the row was off is not known, so that what was given says nothing; that no charge
            // came between does.
            Some(commits) => {
                state.adrift |= state.settling != 0 || state.commits != commits;
                // The row is empty then if less than nothing is known here: what was lent without an answer
                // has paid for the difference, which is not to be paid from later loans as well.
                if !state.adrift {
                    state.free = state.free.max(-state.held);
                }
            }
        }
    }

    fn is_spent(&self) -> bool {
        let state = self.state.lock();
        state.free <= 0 && state.held == 0 && state.settling == 0 && !state.adrift && !state.asked
    }

    fn give_back(&self, amount: i64, caps: u32) {
        let mut state = self.state.lock();
        state.held -= i128::from(amount);
        state.freed(i128::from(amount), caps);
    }

    fn charge(&self, held: i64, net: i64, caps: u32) {
        let mut state = self.state.lock();
        state.charged = state.charged.saturating_add(net);
        let (held, net) = (i128::from(held), i128::from(net));
        state.held -= held;
        state.settling += net;
        state.freed(held - net, caps);
    }

    fn settled(&self, net: i64, committed: bool) {
        let mut state = self.state.lock();
        state.settling -= i128::from(net);
        state.commits += u64::from(committed);
        if !committed && !state.void {
            state.free += i128::from(net);
        }
    }
}

impl State {
    /// What a run has not used of its credit is free again. Credit of another cap must not be lent under this one.
    fn freed(&mut self, amount: i128, caps: u32) {
        if !self.void {
            self.free += amount;
            self.stale |= amount > 0 && caps != self.caps;
        }
    }
}

fn clamp(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX })
}

impl Return {
    /// Notes what the database took, or that this is not known.
    pub(super) fn done(&self, given: Option<Nanos>) {
        match given {
            Some(given) => self.lease.returned(self, given.0),
            None => self.lease.drifted(),
        }
    }
}

impl Credit {
    pub(super) fn amount(&self) -> i64 {
        self.amount
    }

    /// Turns the credit into a charge of `net`; what is left of it is free again, what it exceeds is taken.
    pub(super) fn charge(mut self, net: i64) {
        let held = std::mem::take(&mut self.amount);
        self.lease.charge(held, net, self.caps);
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        if self.amount != 0 {
            self.lease.give_back(self.amount, self.caps);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A lease, the row that it mirrors, and everything that is under way between them.
    struct Mirror {
        lease: Arc<Lease>,
        row: i128,
        holds: Vec<Credit>,
        /// Charged, and not committed yet.
        queue: Vec<i64>,
        /// Committed, and not noted yet: the charge, and what the row covered of it.
        committed: Vec<(i64, i128)>,
        back: Option<Return>,
    }

    #[derive(Clone, Debug)]
    enum Step {
        Lend { amount: i64, answered: bool },
        Take(i64),
        Release(usize),
        Charge { hold: usize, net: i64 },
        Commit,
        Note,
        SetOut { everything: bool },
        Arrive { answered: bool },
    }

    fn step() -> impl Strategy<Value = Step> {
        let amount = 1_i64..100;
        prop_oneof![
            (amount.clone(), prop::bool::weighted(0.9))
                .prop_map(|(amount, answered)| Step::Lend { amount, answered }),
            amount.clone().prop_map(Step::Take),
            (0_usize..4).prop_map(Step::Release),
            // Some cost more than was held for them.
            (0_usize..4, 0_i64..120).prop_map(|(hold, net)| Step::Charge { hold, net }),
            Just(Step::Commit),
            Just(Step::Note),
            any::<bool>().prop_map(|everything| Step::SetOut { everything }),
            prop::bool::weighted(0.9).prop_map(|answered| Step::Arrive { answered }),
        ]
    }

    impl Mirror {
        fn new() -> Self {
            let lease = Lease::new(
                KeyHash::of("key"),
                "user_a".into(),
                None,
                "replica".into(),
                0,
            );
            Mirror {
                lease: Arc::new(lease),
                row: 0,
                holds: Vec::new(),
                queue: Vec::new(),
                committed: Vec::new(),
                back: None,
            }
        }

        fn take(&mut self, step: &Step) {
            match *step {
                // The bank does one thing at a time: it never lends while a return is on its way.
                Step::Lend { amount, answered } if self.back.is_none() => {
                    self.row += i128::from(amount);
                    if answered {
                        self.lease.borrowed(amount);
                    } else {
                        self.lease.drifted();
                    }
                }
                Step::Take(amount) => self.holds.extend(self.lease.take(amount)),
                Step::Release(hold) if hold < self.holds.len() => drop(self.holds.remove(hold)),
                Step::Charge { hold, net } if hold < self.holds.len() => {
                    self.holds.remove(hold).charge(net);
                    self.queue.push(net);
                }
                Step::Lend { .. } | Step::Release(_) | Step::Charge { .. } => {}
                Step::Commit => {
                    for net in self.queue.drain(..) {
                        let covered = self.row.min(i128::from(net));
                        self.row -= covered;
                        self.committed.push((net, covered));
                    }
                }
                Step::Note => {
                    for (net, covered) in self.committed.drain(..) {
                        self.lease.state.lock().free += i128::from(net) - covered;
                        self.lease.settled(net, true);
                    }
                }
                Step::SetOut { everything } if self.back.is_none() => {
                    let rest = if everything {
                        Duration::ZERO
                    } else {
                        Duration::MAX
                    };
                    self.back = self.lease.spare(Instant::now(), rest);
                }
                Step::SetOut { .. } => {}
                Step::Arrive { answered } => {
                    let Some(back) = self.back.take() else { return };
                    let given = (self.row - i128::from(back.keep.keep.0)).max(0);
                    self.row -= given;
                    back.done(answered.then_some(Nanos(clamp(given))));
                }
            }
        }

        /// What may still be charged to the lease.
        fn sum(&self) -> i128 {
            let state = self.lease.state.lock();
            state.free + state.held + state.settling
        }

        /// What the row will have once what is committed is noted.
        fn backing(&self) -> i128 {
            let unnoted: i128 = self.committed.iter().map(|(_, covered)| covered).sum();
            self.row + unnoted
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

        /// Whatever happens in whatever order, no more is lent here than the row has, and once everything
        /// has come to rest, nothing is left in the row that nobody here knows of.
        #[test]
        fn a_lease_never_exceeds_its_row_and_leaves_nothing_in_it(steps in prop::collection::vec(step(), 0..40)) {
            let mut mirror = Mirror::new();
            for step in &steps {
                mirror.take(step);
                prop_assert!(mirror.sum() <= mirror.backing(), "{} of {} after {step:?}", mirror.sum(), mirror.backing());
            }
            mirror.holds.clear();
            let (arrive, set_out) = (Step::Arrive { answered: true }, Step::SetOut { everything: true });
            for step in [&arrive, &Step::Commit, &Step::Note, &set_out, &arrive, &set_out, &arrive] {
                mirror.take(step);
            }
            prop_assert_eq!(mirror.row, 0);
            // Below nothing when a charge beyond its hold used up what was lent without an answer.
            prop_assert!(mirror.sum() <= 0);
        }
    }
}
