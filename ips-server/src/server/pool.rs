//! What requests share and have to wait for: registries that are open (opening one costs more
//! than most requests do), and leave to send a listing. A queue has an end: whoever comes
//! behind it is told so at once.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A number of things, each of which one may have at a time.
#[derive(Debug)]
pub(super) struct Pool<T> {
    state: Mutex<State<T>>,
    returned: Condvar,
    queue: usize,
    patience: Duration,
}

#[derive(Debug)]
struct State<T> {
    free: Vec<T>,
    waiting: usize,
}

/// One that is in use; it comes back when it is dropped, also in a panic.
#[derive(Debug)]
pub(super) struct Lent<T> {
    pool: Arc<Pool<T>>,
    thing: Option<T>,
}

impl<T> Pool<T> {
    /// So many may wait for one, each so long.
    pub(super) fn new(free: Vec<T>, queue: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { free, waiting: 0 }),
            returned: Condvar::new(),
            queue,
            patience,
        })
    }

    /// One of them; `None`: too many wait, or none became free in time.
    pub(super) fn take(self: &Arc<Self>) -> Option<Lent<T>> {
        let mut state = lock(&self.state);
        if state.free.is_empty() {
            if state.waiting >= self.queue {
                return None;
            }
            state.waiting += 1;
            let is_empty = |state: &mut State<T>| state.free.is_empty();
            let waited = self
                .returned
                .wait_timeout_while(state, self.patience, is_empty);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
        state.free.pop().map(|thing| Lent {
            pool: Arc::clone(self),
            thing: Some(thing),
        })
    }
}

impl<T> Lent<T> {
    /// The thing itself, for as long as it is lent.
    pub(super) fn get(&self) -> Option<&T> {
        self.thing.as_ref()
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        lock(&self.pool.state).free.extend(self.thing.take());
        self.pool.returned.notify_one();
    }
}

/// What a panic left is still right: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_behind_the_queue_is_told_at_once_and_what_is_dropped_comes_back() {
        let pool = Pool::new(vec![1], 0, Duration::from_secs(60));
        let one = pool.take().unwrap();
        assert!(pool.take().is_none());
        drop(one);
        assert_eq!(pool.take().unwrap().get(), Some(&1));
    }

    #[test]
    fn who_waits_gets_what_becomes_free() {
        let pool = Pool::new(vec![()], 1, Duration::from_secs(60));
        let one = pool.take().unwrap();
        let waiting = std::thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.take().is_some()
        });
        while lock(&pool.state).waiting == 0 {
            std::thread::yield_now();
        }
        assert!(pool.take().is_none(), "one may wait");
        drop(one);
        assert!(waiting.join().unwrap());
    }
}
