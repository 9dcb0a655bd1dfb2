//! Connection limits: a bounded number of slots, and a deadline for each phase of a
//! connection. When all slots are taken, a connection that never sent a request is ended,
//! else the one that has kept the server waiting longest: a flood of idle or slow clients
//! costs those clients their connections.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Between two requests: longer than nginx keeps a connection (60 s), so that nginx never
/// sends a request into one that is being closed.
const IDLE_LIMIT: Duration = Duration::from_secs(75);
/// From the first byte of a request's head, or of its body, to the last.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
const BODY_LIMIT: Duration = Duration::from_secs(30);
/// For the client to take all of an answer, and to take any more of it.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const STALL_LIMIT: Duration = Duration::from_secs(5);
/// A connection without a whole request by then is the first to go.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);
/// A connection is not evicted before: the bytes that it waits for may be on their way. Short,
/// because it bounds how many idle connections a second make room for others.
const EVICT_AFTER: Duration = Duration::from_millis(30);
/// The same for a connection that has had a request: a proxy may use it again at any time, and
/// on a busy machine an honest client may take that long to send or to read.
const EVICT_USED_AFTER: Duration = Duration::from_secs(1);
/// How long a new connection waits for a slot.
const SLOT_WAIT: Duration = Duration::from_secs(3);
/// How often it looks whether another connection may be ended by now.
const SLOT_POLL: Duration = Duration::from_millis(5);
/// How many evicted connections may still be closing while others have their slots.
const MAX_CLOSING: usize = 8;
/// How often the deadlines are checked. One look at all connections is cheaper than a timer
/// for each phase of each request.
const DEADLINE_POLL: Duration = Duration::from_millis(250);

/// What the server waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The runtime, to look at it for the first time: its request may be there already.
    New,
    /// The first byte of a request.
    Idle,
    /// The rest of its head.
    Head,
    /// Its body.
    Body,
    /// The server's own work.
    Working,
    /// The client, to take its answer.
    Answer,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Slot {
    state: Mutex<State>,
    task: OnceLock<AbortHandle>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    /// When the client last took a part of its answer.
    progress: Instant,
    has_requested: bool,
    is_ended: bool,
}

impl Slot {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            state: Mutex::new(State {
                phase: Phase::New,
                since: now,
                progress: now,
                has_requested: false,
                is_ended: false,
            }),
            task: OnceLock::new(),
        }
    }

    /// The task that ends with the slot.
    pub(super) fn set_task(&self, task: AbortHandle) {
        let task = self.task.get_or_init(|| task);
        if lock(&self.state).is_ended {
            task.abort();
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        lock(&self.state).enter(phase);
    }

    /// The server looked for bytes of a request.
    pub(super) fn has_read(&self, found_any: bool) {
        let mut state = lock(&self.state);
        match state.phase {
            Phase::New | Phase::Idle if found_any => state.enter(Phase::Head),
            Phase::New => state.enter(Phase::Idle),
            Phase::Idle | Phase::Head | Phase::Body | Phase::Working | Phase::Answer => {}
        }
    }

    /// The client took bytes of its answer.
    pub(super) fn has_written(&self) {
        lock(&self.state).progress = Instant::now();
    }

    /// The client took all that was to be written.
    pub(super) fn has_flushed(&self) {
        let mut state = lock(&self.state);
        if state.phase == Phase::Answer {
            state.enter(Phase::Idle);
        }
    }

    /// Since when the client takes its answer; `None`: it does not.
    pub(super) fn answering_since(&self) -> Option<Instant> {
        let state = lock(&self.state);
        (state.phase == Phase::Answer && !state.is_ended).then_some(state.since)
    }

    /// Closes the connection.
    pub(super) fn end(&self) {
        lock(&self.state).is_ended = true;
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl State {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
        self.progress = self.since;
        self.has_requested |= phase == Phase::Working;
    }

    fn is_overdue(&self, now: Instant) -> bool {
        let waited = now.saturating_duration_since(self.since);
        match self.phase {
            Phase::New | Phase::Idle => waited > IDLE_LIMIT,
            Phase::Head => waited > HEAD_LIMIT,
            Phase::Body => waited > BODY_LIMIT,
            // The dispatcher has limits of its own.
            Phase::Working => false,
            Phase::Answer => {
                let stalled = now.saturating_duration_since(self.progress);
                waited > ANSWER_LIMIT || stalled > STALL_LIMIT
            }
        }
    }

    fn is_evictable(&self) -> bool {
        let limit = match self.phase {
            Phase::New | Phase::Working => return false,
            Phase::Idle | Phase::Head | Phase::Body if !self.has_requested => EVICT_AFTER,
            Phase::Idle | Phase::Head | Phase::Body | Phase::Answer => EVICT_USED_AFTER,
        };
        !self.is_ended && self.since.elapsed() > limit
    }

    fn is_suspect(&self) -> bool {
        !self.has_requested && self.since.elapsed() > SUSPECT_AFTER
    }
}

/// All connections.
#[derive(Debug)]
pub(super) struct Slots {
    max: usize,
    used: Mutex<Used>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Used {
    next: u64,
    slots: HashMap<u64, Arc<Slot>>,
    /// Evicted, and not yet closed.
    closing: usize,
}

/// A slot until it is dropped.
#[derive(Debug)]
pub(super) struct SlotGuard {
    slots: Arc<Slots>,
    number: u64,
    slot: Arc<Slot>,
}

impl Slots {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            used: Mutex::default(),
            freed: Notify::new(),
        }
    }

    /// A slot for a new connection. `None`: the server is at work for all others.
    pub(super) async fn acquire(self: &Arc<Self>) -> Option<SlotGuard> {
        let acquired = async {
            loop {
                if let Some(guard) = self.try_acquire() {
                    return guard;
                }
                let _ = tokio::time::timeout(SLOT_POLL, self.freed.notified()).await;
            }
        };
        tokio::time::timeout(SLOT_WAIT, acquired).await.ok()
    }

    /// A free slot, or that of another connection, which is ended.
    fn try_acquire(self: &Arc<Self>) -> Option<SlotGuard> {
        let mut used = lock(&self.used);
        if used.slots.len() >= self.max && !used.evict_one() {
            return None;
        }
        let (number, slot) = (used.next, Arc::new(Slot::new()));
        used.next += 1;
        used.slots.insert(number, Arc::clone(&slot));
        let slots = Arc::clone(self);
        Some(SlotGuard {
            slots,
            number,
            slot,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        let used = lock(&self.used);
        used.slots.is_empty() && used.closing == 0
    }

    /// Ends the connections that never sent a request.
    pub(super) fn end_suspects(&self) {
        self.end_where(|state| state.is_evictable() && state.is_suspect());
    }

    /// Ends the connections between two requests.
    pub(super) fn end_idle(&self) {
        self.end_where(|state| state.phase == Phase::Idle);
    }

    fn end_overdue(&self) {
        let now = Instant::now();
        self.end_where(|state| state.is_overdue(now));
    }

    fn end_where(&self, is_meant: impl Fn(&State) -> bool) {
        for slot in lock(&self.used).slots.values() {
            let is_meant = is_meant(&lock(&slot.state));
            if is_meant {
                slot.end();
            }
        }
    }
}

impl Used {
    /// Whether there was one to evict.
    fn evict_one(&mut self) -> bool {
        if self.closing >= MAX_CLOSING {
            return false;
        }
        let evictable = self.slots.iter().filter_map(|(number, slot)| {
            let state = lock(&slot.state);
            let order = (!state.is_suspect(), state.since);
            state.is_evictable().then_some((order, *number))
        });
        let Some((_, number)) = evictable.min() else {
            return false;
        };
        if let Some(slot) = self.slots.remove(&number) {
            slot.end();
            self.closing += 1;
        }
        true
    }
}

/// Ends the connections that are past the deadline of their phase; never returns.
pub(super) async fn enforce_deadlines(slots: Arc<Slots>) {
    loop {
        tokio::time::sleep(DEADLINE_POLL).await;
        slots.end_overdue();
    }
}

impl Deref for SlotGuard {
    type Target = Arc<Slot>;

    fn deref(&self) -> &Self::Target {
        &self.slot
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        let mut used = lock(&self.slots.used);
        if used.slots.remove(&self.number).is_none() {
            used.closing -= 1;
        }
        drop(used);
        self.slots.freed.notify_one();
    }
}

/// A panic leaves nothing half done: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ended(slot: &Slot) -> bool {
        lock(&slot.state).is_ended
    }

    fn back_date(slot: &Slot, by: Duration) {
        let mut state = lock(&slot.state);
        state.since -= by;
        state.progress -= by;
    }

    #[tokio::test]
    async fn a_new_connection_gets_the_slot_of_the_longest_wait() {
        let slots = Arc::new(Slots::new(2));
        let one = slots.acquire().await.unwrap();
        one.enter(Phase::Working);
        let two = slots.acquire().await.unwrap();
        two.has_read(false);
        let slot = Arc::clone(&two);
        // As a connection does.
        let task = tokio::spawn(async move {
            let _two = two;
            std::future::pending::<()>().await;
        });
        slot.set_task(task.abort_handle());
        let three = slots.acquire().await.unwrap();
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(!is_ended(&one));
        drop((one, three));
        assert!(slots.is_empty());
    }

    #[tokio::test]
    async fn a_connection_without_a_request_is_evicted_first() {
        let slots = Arc::new(Slots::new(2));
        let old = slots.acquire().await.unwrap();
        old.enter(Phase::Working);
        old.enter(Phase::Answer);
        back_date(&old, Duration::from_secs(30));
        let mute = slots.acquire().await.unwrap();
        mute.has_read(false);
        back_date(&mute, Duration::from_secs(2));
        assert!(slots.try_acquire().is_some());
        assert!(is_ended(&mute) && !is_ended(&old));
    }

    #[tokio::test]
    async fn few_evicted_connections_are_closing_at_a_time() {
        let slots = Arc::new(Slots::new(1));
        let mut guards = Vec::new();
        while let Some(guard) = slots.try_acquire() {
            guard.has_read(false);
            back_date(&guard, EVICT_AFTER);
            guards.push(guard);
        }
        assert_eq!(guards.len(), 1 + MAX_CLOSING);
        drop(guards.remove(0));
        assert!(slots.try_acquire().is_some());
        drop(guards);
        assert!(slots.is_empty());
    }

    #[tokio::test]
    async fn a_connection_is_not_evicted_at_once() {
        let slots = Arc::new(Slots::new(1));
        let one = slots.acquire().await.unwrap();
        one.has_read(false);
        assert!(slots.try_acquire().is_none());
        back_date(&one, EVICT_AFTER);
        assert!(slots.try_acquire().is_some());
        assert!(is_ended(&one));
    }

    #[tokio::test]
    async fn a_connection_at_work_or_unread_is_never_evicted() {
        let slots = Arc::new(Slots::new(2));
        let one = slots.acquire().await.unwrap();
        one.enter(Phase::Working);
        let unread = slots.acquire().await.unwrap();
        back_date(&unread, Duration::from_secs(2));
        assert!(slots.acquire().await.is_none());
        assert!(!is_ended(&one) && !is_ended(&unread));
    }

    #[tokio::test]
    async fn a_slot_that_ended_before_its_task_began_ends_it() {
        let slots = Arc::new(Slots::new(1));
        let one = slots.acquire().await.unwrap();
        one.end();
        let task = tokio::spawn(std::future::pending::<()>());
        one.set_task(task.abort_handle());
        assert!(task.await.unwrap_err().is_cancelled());
    }

    #[test]
    fn each_phase_has_its_deadline() {
        for (phase, limit) in [
            (Phase::Idle, IDLE_LIMIT),
            (Phase::Head, HEAD_LIMIT),
            (Phase::Body, BODY_LIMIT),
            (Phase::Answer, STALL_LIMIT),
        ] {
            let slot = Slot::new();
            slot.enter(phase);
            let began = lock(&slot.state).since;
            let at = |wait| lock(&slot.state).is_overdue(began + wait);
            assert!(
                !at(limit) && at(limit + Duration::from_millis(1)),
                "{phase:?}"
            );
        }
    }

    #[test]
    fn an_answer_taken_in_small_parts_has_a_deadline_too() {
        let slot = Slot::new();
        slot.enter(Phase::Answer);
        back_date(&slot, ANSWER_LIMIT);
        slot.has_written();
        let now = Instant::now();
        assert!(lock(&slot.state).is_overdue(now + Duration::from_millis(1)));
        slot.enter(Phase::Working);
        assert!(!lock(&slot.state).is_overdue(now + Duration::from_secs(3600)));
    }
}
