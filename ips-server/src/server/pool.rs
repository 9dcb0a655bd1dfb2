//! Registries that are open, for whoever has a request to answer: opening one costs more than
//! most requests do. Held only while an answer is made, never while a client is waited for.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Worker;

/// How long a request waits for one that is free: longer than a registry may be locked.
const PATIENCE: Duration = Duration::from_secs(15);

/// Those that are free.
pub(super) struct Pool {
    free: Mutex<Vec<Worker>>,
    returned: Condvar,
}

/// One that is in use; it comes back when it is dropped, also in a panic.
struct Lent<'a> {
    pool: &'a Pool,
    worker: Option<Worker>,
}

impl Pool {
    pub(super) fn new(workers: Vec<Worker>) -> Self {
        Self {
            free: Mutex::new(workers),
            returned: Condvar::new(),
        }
    }

    /// Does something with one of them; `None`: none became free in time.
    pub(super) fn with<T>(&self, act: impl FnOnce(&Worker) -> T) -> Option<T> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .returned
            .wait_timeout_while(free, PATIENCE, |free| free.is_empty());
        let (mut free, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let worker = free.pop()?;
        drop(free);
        let lent = Lent {
            pool: self,
            worker: Some(worker),
        };
        lent.worker.as_ref().map(act)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut free = self
            .pool
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        free.extend(self.worker.take());
        self.pool.returned.notify_one();
    }
}
