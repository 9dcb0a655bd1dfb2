//! The second worker of the runtime. One worker serves more requests than two, which wake each
//! other for every request. But that worker also reads configs, and a registry that does not
//! answer would stop the whole server. So the second worker sleeps in a task of its own until a
//! read takes too long, and then serves until that read ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Server;

/// A read takes microseconds.
const STALL: Duration = Duration::from_millis(20);
/// How often the second worker looks, and how often while it serves.
const POLL: Duration = Duration::from_millis(20);

/// When the read on a worker began.
#[derive(Debug)]
pub(super) struct Standby {
    start: Instant,
    /// Microseconds after `start`; 0: there is none.
    reading_since: AtomicU64,
}

/// A read on a worker, until it is dropped.
#[derive(Debug)]
pub(super) struct ReadGuard<'a>(&'a Standby);

impl Default for Standby {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            reading_since: AtomicU64::new(0),
        }
    }
}

impl Standby {
    /// A read begins; there is one at a time.
    pub(super) fn begin_read(&self) -> ReadGuard<'_> {
        self.reading_since
            .store(self.now().max(1), Ordering::Relaxed);
        ReadGuard(self)
    }

    fn is_stalled(&self) -> bool {
        let since = self.reading_since.load(Ordering::Relaxed);
        let took = Duration::from_micros(self.now().saturating_sub(since));
        since > 0 && took > STALL
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        self.0.reading_since.store(0, Ordering::Relaxed);
    }
}

/// Keeps one worker out of the way while no read is stalled; returns when the server stops.
pub(super) async fn stand_by(server: Arc<Server>) {
    let standby = server.dispatcher.standby();
    while !server.is_stopping.load(Ordering::Relaxed) {
        // tokio runs what else this worker has to do first.
        tokio::task::yield_now().await;
        while !standby.is_stalled() && !server.is_stopping.load(Ordering::Relaxed) {
            std::thread::sleep(POLL);
        }
        while standby.is_stalled() {
            tokio::time::sleep(POLL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_read_is_a_stall() {
        let standby = Standby::default();
        assert!(!standby.is_stalled());
        let read = standby.begin_read();
        assert!(!standby.is_stalled());
        std::thread::sleep(STALL + Duration::from_millis(5));
        assert!(standby.is_stalled());
        drop(read);
        assert!(!standby.is_stalled());
    }
}
