//! Who runs a handler, and with which registry. Each class of requests has a queue, registries
//! and threads of its own: a listing or a report that waits for another writer never keeps a
//! config waiting.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::reply::{Answer, Failure};
use crate::registry::{Registry, RegistryError};

/// Workers of the runtime that may read a config at a time.
pub(super) const READERS_HERE: usize = 1;
/// How often a request gives way to others before it goes to the pool.
const MAX_TURNS: usize = 100;
/// Registries for configs, and for reports.
const CONFIG_READERS: usize = 2;
const REPORT_WRITERS: usize = 2;
/// And for people: they leave nodes half of the machine.
const PEOPLE_READERS: usize = 1;
/// How many requests of nodes wait in each queue: forty nodes may all start at once.
const NODE_QUEUE: usize = 96;
const PEOPLE_QUEUE: usize = 32;
/// How long a request waits in its queue, and for its handler: longer than a registry may be
/// locked.
const QUEUE_WAIT: Duration = Duration::from_secs(15);
const RUN_LIMIT: Duration = Duration::from_secs(30);
/// How long a handler in the blocking pool waits for a lock of another process.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Which queue a request waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A config: read on the spot where the registry answers at once.
    Config,
    /// A node's report, and the health of the server.
    Report,
    /// What people and monitoring read.
    People,
}

/// The queues.
#[derive(Debug)]
pub(super) struct Dispatcher {
    /// Of the workers that read a config themselves: one is never among them, so a registry
    /// that does not answer leaves a worker for everything else.
    readers_here: Semaphore,
    configs: Queue,
    reports: Queue,
    people: Queue,
}

/// Registries of one class, and the requests that wait for one.
#[derive(Debug)]
struct Queue {
    registries: Vec<Arc<Mutex<Registry>>>,
    free: Arc<Semaphore>,
    /// Of those that wait, and those that have one.
    admitted: Arc<Semaphore>,
}

/// A registry, until it is dropped.
#[derive(Debug)]
struct Lease {
    // Before the permits: whoever gets one finds a registry unlocked.
    registry: OwnedMutexGuard<Registry>,
    _free: OwnedSemaphorePermit,
    _admitted: OwnedSemaphorePermit,
}

/// How many registries [`Dispatcher::new`] needs.
pub(super) const fn registry_count() -> usize {
    CONFIG_READERS + REPORT_WRITERS + PEOPLE_READERS
}

impl Dispatcher {
    pub(super) fn new(mut registries: Vec<Registry>) -> Self {
        let mut queue = |count: usize, waiting| {
            let rest = registries.len().saturating_sub(count);
            Queue::new(registries.split_off(rest), waiting)
        };
        Self {
            readers_here: Semaphore::new(READERS_HERE),
            configs: queue(CONFIG_READERS, NODE_QUEUE),
            reports: queue(REPORT_WRITERS, NODE_QUEUE),
            people: queue(PEOPLE_READERS, PEOPLE_QUEUE),
        }
    }

    /// Runs a handler on the worker itself, which costs a fraction of the way through the pool.
    /// `None`: other reads take too long, or another process has a lock; use the pool. Only for
    /// a handler that reads a row or two.
    pub(super) async fn run_here(
        &self,
        handler: impl FnOnce(&mut Registry) -> Answer,
    ) -> Option<Answer> {
        let mut turns = 0;
        let _reader = loop {
            match self.readers_here.try_acquire() {
                Ok(permit) => break permit,
                // A read takes microseconds: let other connections go first.
                Err(_) if turns < MAX_TURNS => tokio::task::yield_now().await,
                Err(_) => return None,
            }
            turns += 1;
        };
        let _free = self.configs.free.try_acquire().ok()?;
        let mut registry = self
            .configs
            .registries
            .iter()
            .find_map(|one| one.try_lock().ok())?;
        registry.set_lock_wait(Duration::ZERO).ok()?;
        match catch_panic(|| handler(&mut registry)) {
            Err(Failure::Registry(RegistryError::Busy { .. })) => None,
            answer => Some(answer),
        }
    }

    /// Runs a handler in the blocking pool, once a registry of its class is free.
    ///
    /// # Errors
    /// The handler's own; too many requests wait; the handler took too long or panicked.
    pub(super) async fn run(
        &self,
        class: Class,
        handler: impl FnOnce(&mut Registry) -> Answer + Send + 'static,
    ) -> Answer {
        let queue = match class {
            Class::Config => &self.configs,
            Class::Report => &self.reports,
            Class::People => &self.people,
        };
        let mut lease = queue.lease().await.ok_or(Failure::Busy)?;
        let run = tokio::task::spawn_blocking(move || {
            catch_panic(|| {
                lease.registry.set_lock_wait(LOCK_WAIT)?;
                handler(&mut lease.registry)
            })
        });
        match tokio::time::timeout(RUN_LIMIT, run).await {
            Ok(Ok(answer)) => answer,
            // The task is never cancelled while its server runs.
            Ok(Err(_)) => Err(Failure::Panicked),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

impl Queue {
    fn new(registries: Vec<Registry>, waiting: usize) -> Self {
        let count = registries.len();
        Self {
            registries: registries
                .into_iter()
                .map(|one| Arc::new(Mutex::new(one)))
                .collect(),
            free: Arc::new(Semaphore::new(count)),
            admitted: Arc::new(Semaphore::new(count + waiting)),
        }
    }

    /// `None`: too many wait, or none became free in time.
    async fn lease(&self) -> Option<Lease> {
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().ok()?;
        let free = Arc::clone(&self.free).acquire_owned();
        let free = tokio::time::timeout(QUEUE_WAIT, free).await.ok()?.ok()?;
        let lock = |one: &Arc<Mutex<Registry>>| Arc::clone(one).try_lock_owned().ok();
        Some(Lease {
            registry: self.registries.iter().find_map(lock)?,
            _free: free,
            _admitted: admitted,
        })
    }
}

/// A panic costs one request, not the server.
fn catch_panic(handler: impl FnOnce() -> Answer) -> Answer {
    catch_unwind(AssertUnwindSafe(handler)).unwrap_or_else(|_| {
        tracing::error!("a request handler panicked; please report this");
        Err(Failure::Panicked)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::super::reply::Reply;
    use super::*;

    /// With a registry in a folder of its own, and no more than two requests of people.
    fn dispatcher(name: &str) -> (Dispatcher, std::path::PathBuf) {
        let folder = std::env::temp_dir().join(format!("hps-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("registry.db");
        let open = || Registry::open(&path).unwrap();
        let registries = std::iter::repeat_with(open)
            .take(registry_count())
            .collect();
        let mut dispatcher = Dispatcher::new(registries);
        dispatcher.people.admitted = Arc::new(Semaphore::new(2));
        (dispatcher, folder)
    }

    fn answer(registry: &mut Registry) -> Answer {
        registry.ping()?;
        Ok(Reply::text("fine"))
    }

    #[tokio::test]
    async fn a_panic_costs_one_request() {
        let (dispatcher, folder) = dispatcher("panic");
        for class in [Class::Config, Class::Report, Class::People] {
            for _ in 0..5 {
                let panicked = dispatcher.run(class, |_| panic!("on purpose")).await;
                assert!(matches!(panicked, Err(Failure::Panicked)), "{class:?}");
            }
            assert!(dispatcher.run(class, answer).await.is_ok(), "{class:?}");
        }
        let panicked = dispatcher.run_here(|_| panic!("on purpose")).await;
        assert!(matches!(panicked, Some(Err(Failure::Panicked))));
        assert!(matches!(dispatcher.run_here(answer).await, Some(Ok(_))));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_queue_refuses_its_own_class_only() {
        let (dispatcher, folder) = dispatcher("queue");
        let dispatcher = Arc::new(dispatcher);
        let (release, released) = channel::<()>();
        let run = |handler: Box<dyn FnOnce(&mut Registry) -> Answer + Send>| {
            let dispatcher = Arc::clone(&dispatcher);
            tokio::spawn(async move { dispatcher.run(Class::People, handler).await })
        };
        let one = run(Box::new(move |registry| {
            let _ = released.recv();
            answer(registry)
        }));
        let two = run(Box::new(answer));
        while dispatcher.people.admitted.available_permits() > 0 {
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
