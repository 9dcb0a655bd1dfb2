//! A registry that keeps one read transaction open, so that later reads take no lock.
//!
//! A read of SQLite takes a lock in the index of its log (`-shm`); where another process holds
//! that lock, SQLite retries for some ten seconds, and no time-out of its own ends that. A
//! thread that must not wait reads within a transaction that is open already, and first
//! compares the header of the index with the one that the transaction began with: every commit
//! changes it (<https://sqlite.org/walformat.html>, "The WAL-Index Header").

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::{Registry, RegistryError};

/// Both copies of the index header, which a commit writes one after the other.
const HEADER_BYTES: usize = 96;
/// How often a transaction is begun again because a commit came in between.
const TRIES: u32 = 3;

type Header = [u8; HEADER_BYTES];

/// A registry with, at times, an open read transaction.
#[derive(Debug)]
pub struct HeldRegistry {
    registry: Registry,
    index: LogIndex,
    /// The header with which the open transaction began.
    header: Option<Header>,
}

impl HeldRegistry {
    /// Holds no transaction yet.
    #[must_use]
    pub fn new(registry: Registry, index: LogIndex) -> Self {
        Self {
            registry,
            index,
            header: None,
        }
    }

    /// The registry, where its transaction has all that is committed; reads wait for no lock.
    pub fn current(&mut self) -> Option<&mut Registry> {
        let held = self.header?;
        (self.index.header() == Some(held)).then_some(&mut self.registry)
    }

    /// Begins a transaction that has all that is committed now, and returns the registry. May
    /// wait for locks. While others commit all the time, the registry comes without one.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn refresh(&mut self) -> Result<&mut Registry, RegistryError> {
        for _ in 0..TRIES {
            self.release();
            let before = self.index.header();
            self.registry.hold()?;
            // Equal before and after: the transaction began with it.
            if before.is_some() && self.index.header() == before {
                self.header = before;
                return Ok(&mut self.registry);
            }
        }
        self.release();
        Ok(&mut self.registry)
    }

    /// Ends the transaction: the log cannot be reset while one is open.
    pub fn release(&mut self) {
        self.header = None;
        self.registry.let_go();
    }
}

/// The index of the registry's log, for all who hold the registry. It is never closed: closing
/// any descriptor of a file drops all locks of the process on it, those of SQLite too
/// (fcntl(2)).
#[derive(Debug, Clone, Copy)]
pub struct LogIndex(&'static File);

impl LogIndex {
    /// Opens the index of this registry, once in a process.
    ///
    /// # Errors
    /// The registry cannot be read, or the index does not open.
    pub fn open(registry: &Registry) -> Result<Self, RegistryError> {
        // A read creates the index.
        registry.ping()?;
        let mut name = registry.path().as_os_str().to_owned();
        name.push("-shm");
        let path = PathBuf::from(name);
        match File::open(&path) {
            Ok(file) => Ok(Self(Box::leak(Box::new(file)))),
            Err(source) => Err(RegistryError::Open { path, source }),
        }
    }

    /// Its header; `None` while a commit is writing it.
    fn header(self) -> Option<Header> {
        let mut header = [0; HEADER_BYTES];
        self.0.read_exact_at(&mut header, 0).ok()?;
        let (one, other) = header.split_at(HEADER_BYTES / 2);
        (one == other).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hps_core::config::VmConfig;
    use hps_core::names::VmId;

    use super::*;
    use crate::registry::Author;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("hps-held-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn define(path: &Path, name: &str) {
        let text = format!("name={name}\ncpu_count=1\nram_mb=64\nprovision_method=virt-install\n");
        let config = VmConfig::parse(text.as_bytes()).unwrap().config;
        let author = Author {
            who: "test".into(),
            source: "test".into(),
            reason: None,
        };
        let mut registry = Registry::open(path).unwrap();
        registry
            .define(&author, &[(name.parse().unwrap(), config)])
            .unwrap();
    }

    fn held(path: &Path) -> HeldRegistry {
        let registry = Registry::open(path).unwrap();
        let index = LogIndex::open(&registry).unwrap();
        HeldRegistry::new(registry, index)
    }

    fn id(text: &str) -> VmId {
        text.parse().unwrap()
    }

    #[test]
    fn a_transaction_is_current_until_the_next_commit() {
        let folder = folder("current");
        let path = folder.join("registry.db");
        define(&path, "a");
        let mut held = held(&path);
        assert!(held.current().is_none(), "nothing is held yet");
        assert!(held.refresh().unwrap().vm(&id("a")).unwrap().is_some());
        assert!(held.current().unwrap().vm(&id("a")).unwrap().is_some());
        define(&path, "b");
        assert!(held.current().is_none(), "b is committed");
        assert!(held.refresh().unwrap().vm(&id("b")).unwrap().is_some());
        held.release();
        assert!(held.current().is_none());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_checkpoint_leaves_it_current_and_a_new_log_does_not() {
        let folder = folder("checkpoint");
        let path = folder.join("registry.db");
        define(&path, "a");
        let mut held = held(&path);
        held.refresh().unwrap();
        let other = Registry::open(&path).unwrap();
        other
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .unwrap();
        assert!(held.current().unwrap().vm(&id("a")).unwrap().is_some());
        held.release();
        other.fold().unwrap();
        define(&path, "b");
        assert!(held.refresh().unwrap().vm(&id("b")).unwrap().is_some());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn every_commit_is_seen_by_the_next_look() {
        let folder = folder("every");
        let path = folder.join("registry.db");
        define(&path, "a");
        let mut held = held(&path);
        let mut current = 0;
        for number in 0..50 {
            let name = format!("v{number}");
            held.refresh().unwrap();
            current += u32::from(held.current().is_some());
            define(&path, &name);
            let seen = held.current().map(|registry| registry.vm(&id(&name)));
            assert!(
                seen.is_none_or(|vm| vm.unwrap().is_some()),
                "{name} is missed"
            );
        }
        assert!(current > 25, "only {current} of 50 were held");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
