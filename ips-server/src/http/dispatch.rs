//! Who runs a handler, and with which registry. Each class of requests has a queue, registries
//! and threads of its own: a listing or a report that waits for another writer never keeps a
//! config waiting.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard as StdMutexGuard};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::panics;
use super::reply::{Answer, Failure};
use crate::registry::held::{HeldRegistry, LogIndex};
use crate::registry::{Registry, RegistryError};

/// Registries for configs: each worker of the runtime may read one itself.
pub(super) const CONFIG_READERS: usize = 2;
/// How long a transaction for configs stays open, and how long none is then: the log can be
/// reset only while none is open.
const HOLD_LIMIT: Duration = Duration::from_millis(250);
const HOLD_PAUSE: Duration = Duration::from_millis(10);
/// And for reports: SQLite has one writer at a time anyway.
const REPORT_WRITERS: usize = 1;
/// And for people: they leave nodes half of the machine.
const PEOPLE_READERS: usize = 1;
/// How many requests for configs wait: as many as there are connections, so that strangers
/// who ask for configs, too, never keep a node out.
const CONFIG_QUEUE: usize = 256;
/// How many reports wait: forty nodes may all start at once. Each holds its body.
const REPORT_QUEUE: usize = 96;
const PEOPLE_QUEUE: usize = 32;
/// How long a request waits in its queue, and for its handler: longer than a registry may be
/// locked.
const QUEUE_WAIT: Duration = Duration::from_secs(15);
const RUN_LIMIT: Duration = Duration::from_secs(30);

/// Which queue a request waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A config: read on the worker itself where an open transaction has all that is committed.
    Config,
    /// Whether the registry answers: a new read, among the configs.
    Health,
    /// A node's report.
    Report,
    /// What people and monitoring read.
    People,
}

/// The queues.
#[derive(Debug)]
pub(super) struct Dispatcher {
    /// For configs, each with a transaction that workers read within. A worker waits for none
    /// of them; threads of the pool wait their turn.
    held: Vec<StdMutex<HeldRegistry>>,
    is_paused: AtomicBool,
    configs: Gate,
    reports: Queue,
    people: Queue,
}

/// The requests that wait for one of a number of places.
#[derive(Debug)]
struct Gate {
    free: Arc<Semaphore>,
    /// Of those that wait, and those that have one.
    admitted: Arc<Semaphore>,
}

/// A place, until it is dropped.
#[derive(Debug)]
struct Place {
    _free: OwnedSemaphorePermit,
    _admitted: OwnedSemaphorePermit,
}

/// Registries of one class, and the requests that wait for one.
#[derive(Debug)]
struct Queue {
    registries: Vec<Arc<Mutex<Registry>>>,
    gate: Gate,
}

/// A registry, until it is dropped.
#[derive(Debug)]
struct Lease {
    // Dropped before the place: who gets a place finds a registry unlocked.
    registry: OwnedMutexGuard<Registry>,
    _place: Place,
}

/// Threads of the blocking pool: one for each registry.
pub(super) const POOL_THREADS: usize = CONFIG_READERS + REPORT_WRITERS + PEOPLE_READERS;

impl Dispatcher {
    /// Opens the registries.
    ///
    /// # Errors
    /// The registry does not open.
    pub(super) fn open(path: &Path) -> Result<Self, RegistryError> {
        let open = |count: usize| {
            let registries = std::iter::repeat_with(|| Registry::open(path)).take(count);
            registries.collect::<Result<Vec<_>, _>>()
        };
        let readers = open(CONFIG_READERS)?;
        let index = readers.first().map(LogIndex::open).transpose()?;
        let hold = |registry| Some(StdMutex::new(HeldRegistry::new(registry, index?)));
        Ok(Self {
            held: readers.into_iter().filter_map(hold).collect(),
            is_paused: AtomicBool::new(false),
            configs: Gate::new(CONFIG_READERS, CONFIG_QUEUE),
            reports: Queue::new(open(REPORT_WRITERS)?, REPORT_QUEUE),
            people: Queue::new(open(PEOPLE_READERS)?, PEOPLE_QUEUE),
        })
    }

    /// Runs a handler on the worker itself, which costs a fraction of the way through the pool.
    /// `None`: no open transaction has all that is committed; use the pool. Only for a handler
    /// that reads a row or two.
    pub(super) fn run_here(&self, handler: impl FnOnce(&mut Registry) -> Answer) -> Option<Answer> {
        let mut held = self.held.iter().find_map(|held| held.try_lock().ok())?;
        let registry = held.current()?;
        Some(panics::catch(|| handler(registry)))
    }

    /// Runs a handler for a config in the blocking pool, within a new transaction, which the
    /// workers then go on with.
    ///
    /// # Errors
    /// As [`Dispatcher::run`].
    async fn run_config(
        self: &Arc<Self>,
        handler: impl FnOnce(&mut Registry) -> Answer + Send + 'static,
    ) -> Answer {
        let place = self.configs.enter().await.ok_or(Failure::Busy)?;
        let dispatcher = Arc::clone(self);
        pooled(move || {
            let _place = place;
            let mut held = dispatcher.lock_held()?;
            let is_paused = dispatcher.is_paused.load(Ordering::Relaxed);
            let registry = held.refresh();
            // Caught here: a panic that leaves with the lock would poison it.
            let answer = registry
                .map_err(Failure::from)
                .and_then(|registry| panics::catch(|| handler(registry)));
            if is_paused {
                held.release();
            }
            answer
        })
        .await
    }

    /// A registry for configs that is free; there are as many as places.
    fn lock_held(&self) -> Result<StdMutexGuard<'_, HeldRegistry>, Failure> {
        let mut free = self.held.iter().filter_map(|held| held.try_lock().ok());
        let found = free.next();
        // A worker has it for the time of a read.
        let waited = || self.held.first().and_then(|held| held.lock().ok());
        found.or_else(waited).ok_or(Failure::Panicked)
    }

    /// Ends open transactions now and then, for as long as the server runs.
    pub(super) async fn end_transactions(self: Arc<Self>) {
        loop {
            tokio::time::sleep(HOLD_LIMIT).await;
            self.is_paused.store(true, Ordering::Relaxed);
            for held in &self.held {
                // One that is in use is ended the next time.
                if let Ok(mut held) = held.try_lock() {
                    held.release();
                }
            }
            tokio::time::sleep(HOLD_PAUSE).await;
            self.is_paused.store(false, Ordering::Relaxed);
        }
    }

    /// Runs a handler in the blocking pool, once a registry of its class is free.
    ///
    /// # Errors
    /// The handler's own; too many requests wait; the handler took too long or panicked.
    pub(super) async fn run(
        self: &Arc<Self>,
        class: Class,
        handler: impl FnOnce(&mut Registry) -> Answer + Send + 'static,
    ) -> Answer {
        let queue = match class {
            Class::Config | Class::Health => return self.run_config(handler).await,
            Class::Report => &self.reports,
            Class::People => &self.people,
        };
        let mut lease = queue.lease().await.ok_or(Failure::Busy)?;
        pooled(move || handler(&mut lease.registry)).await
    }
}

/// Runs a handler on a thread of the blocking pool.
async fn pooled(handler: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    let run = tokio::task::spawn_blocking(|| panics::catch(handler));
    match tokio::time::timeout(RUN_LIMIT, run).await {
        Ok(Ok(answer)) => answer,
        // The task is never cancelled while its server runs.
        Ok(Err(_)) => Err(Failure::Panicked),
        Err(_) => Err(Failure::TimedOut),
    }
}

impl Gate {
    fn new(places: usize, waiting: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(places)),
            admitted: Arc::new(Semaphore::new(places + waiting)),
        }
    }

    /// `None`: too many wait, or no place became free in time.
    async fn enter(&self) -> Option<Place> {
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().ok()?;
        let free = Arc::clone(&self.free).acquire_owned();
        let free = tokio::time::timeout(QUEUE_WAIT, free).await.ok()?.ok()?;
        Some(Place {
            _free: free,
            _admitted: admitted,
        })
    }
}

impl Queue {
    fn new(registries: Vec<Registry>, waiting: usize) -> Self {
        Self {
            gate: Gate::new(registries.len(), waiting),
            registries: registries
                .into_iter()
                .map(|one| Arc::new(Mutex::new(one)))
                .collect(),
        }
    }

    /// `None`: too many wait, or none became free in time.
    async fn lease(&self) -> Option<Lease> {
        let place = self.gate.enter().await?;
        let lock = |one: &Arc<Mutex<Registry>>| Arc::clone(one).try_lock_owned().ok();
        Some(Lease {
            registry: self.registries.iter().find_map(lock)?,
            _place: place,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::super::reply::Reply;
    use super::*;

    /// With a registry in a folder of its own, and no more than two requests of people.
    fn dispatcher(name: &str) -> (Arc<Dispatcher>, std::path::PathBuf) {
        let folder = std::env::temp_dir().join(format!("hps-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("registry.db");
        let mut dispatcher = Dispatcher::open(&path).unwrap();
        dispatcher.people.gate.admitted = Arc::new(Semaphore::new(2));
        (Arc::new(dispatcher), folder)
    }

    fn answer(registry: &mut Registry) -> Answer {
        registry.ping()?;
        Ok(Reply::text("fine"))
    }

    #[tokio::test]
    async fn a_panic_costs_one_request() {
        let (dispatcher, folder) = dispatcher("panic");
        for class in [Class::Config, Class::Health, Class::Report, Class::People] {
            for _ in 0..5 {
                let panicked = dispatcher.run(class, |_| panic!("on purpose")).await;
                assert!(matches!(panicked, Err(Failure::Panicked)), "{class:?}");
            }
            assert!(dispatcher.run(class, answer).await.is_ok(), "{class:?}");
        }
        let panicked = dispatcher.run_here(|_| panic!("on purpose"));
        assert!(matches!(panicked, Some(Err(Failure::Panicked))));
        assert!(matches!(dispatcher.run_here(answer), Some(Ok(_))));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_queue_refuses_its_own_class_only() {
        let (dispatcher, folder) = dispatcher("queue");
        let (release, released) = channel::<()>();
        let run = |handler: Box<dyn FnOnce(&mut Registry) -> Answer + Send>| {
            let dispatcher = Arc::clone(&dispatcher);
            tokio::spawn(async move { dispatcher.run(Class::People, handler).await })
        };
        let one = run(Box::new(move |registry| {
            let _ = released.recv();
            answer(registry)
        }));
        // The second must not find the registry free: it would end, and its place with it.
        while dispatcher.people.gate.free.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let two = run(Box::new(answer));
        while dispatcher.people.gate.admitted.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = dispatcher.run(Class::People, answer).await;
        assert!(matches!(refused, Err(Failure::Busy)));
        assert!(dispatcher.run(Class::Report, answer).await.is_ok());
        assert!(dispatcher.run(Class::Config, answer).await.is_ok());
        release.send(()).unwrap();
        assert!(one.await.unwrap().is_ok() && two.await.unwrap().is_ok());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
