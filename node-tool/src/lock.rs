//! One verb at a time on one VM: lock files below `state_dir`. Acting children inherit
//! them, so an orphaned virt-install still keeps the next `n_vm` waiting.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hps_core::duration::rounded_text;
use hps_core::lock::{LockFile, private_dir};

pub(crate) use hps_core::lock::Mode;

/// Longest pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// A lock, held as long as this, or a child that inherited it, lives.
#[derive(Debug)]
pub(crate) struct Lock(LockFile);

/// A lock that was not acquired.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// A folder or file that cannot be created, opened or locked.
    #[error("{} cannot be used", path.display())]
    Unusable {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Others held it for the whole time. The owner record is for people: it may be old.
    #[error("another n_vm is at work on {what}{owner}; waited {} s for it", rounded_text(*waited))]
    Held {
        what: String,
        waited: Duration,
        owner: String,
    },
    /// A signal came while others held it.
    #[error("interrupted while waiting for another n_vm at work on {what}{owner}")]
    Interrupted { what: String, owner: String },
}

impl Lock {
    /// The file, for a child to inherit.
    pub(crate) fn file(&self) -> &File {
        self.0.file()
    }

    /// Acquires the lock `key`, waiting at most `patience`.
    pub(crate) fn acquire(
        dir: &Path,
        key: &str,
        mode: Mode,
        verb: &str,
        patience: Duration,
        interrupted: &AtomicBool,
    ) -> Result<Self, LockError> {
        let (path, file) = open(dir, key)?;
        let began = Instant::now();
        let mut pause = Duration::from_millis(1);
        while !try_lock(&path, &file, mode)? {
            let (what, waited) = (key.to_owned(), patience);
            if interrupted.load(Ordering::Relaxed) {
                let owner = owner(&file);
                return Err(LockError::Interrupted { what, owner });
            }
            if began.elapsed() >= patience {
                let owner = owner(&file);
                return Err(LockError::Held {
                    what,
                    waited,
                    owner,
                });
            }
            std::thread::sleep(pause);
            pause = PAUSE.min(pause * 2);
        }
        // For messages only: the flock counts, with or without an owner record.
        let _ = file.sign(&[("verb", verb)]);
        Ok(Self(file))
    }

    /// Acquires the lock alone, at once; `None` where others hold it.
    pub(crate) fn try_now(dir: &Path, key: &str) -> Result<Option<Self>, LockError> {
        let (path, file) = open(dir, key)?;
        let acquired = try_lock(&path, &file, Mode::Exclusive)?;
        Ok(acquired.then_some(Self(file)))
    }
}

/// The rest of the names of those locks that begin with `prefix` and are held, if only by a
/// child whose `n_vm` is gone.
pub(crate) fn held(dir: &Path, prefix: &str) -> Result<Vec<String>, LockError> {
    let held = |rest: String| {
        let (path, file) = open(dir, &format!("{prefix}{rest}"))?;
        let is_free = try_lock(&path, &file, Mode::Shared)?;
        Ok((!is_free).then_some(rest))
    };
    let all = known(dir, prefix)?.into_iter();
    all.map(held).filter_map(Result::transpose).collect()
}

/// The rest of the names of all locks that begin with `prefix`, held or not: they were
/// acquired at least once since the node was started.
pub(crate) fn known(dir: &Path, prefix: &str) -> Result<Vec<String>, LockError> {
    let folder = folder(dir)?;
    let unusable = |source| unusable(&folder, source);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unusable)? {
        let name = entry.map_err(unusable)?.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(prefix));
        found.extend(rest.map(str::to_owned));
    }
    Ok(found)
}

fn folder(dir: &Path) -> Result<PathBuf, LockError> {
    let folder = dir.join("locks");
    private_dir(&folder).map_err(|source| unusable(&folder, source))?;
    Ok(folder)
}

fn open(dir: &Path, key: &str) -> Result<(PathBuf, LockFile), LockError> {
    let path = folder(dir)?.join(key);
    let file = LockFile::open(&path).map_err(|source| unusable(&path, source))?;
    Ok((path, file))
}

fn try_lock(path: &Path, file: &LockFile, mode: Mode) -> Result<bool, LockError> {
    file.try_lock(mode).map_err(|source| unusable(path, source))
}

fn unusable(path: &Path, source: std::io::Error) -> LockError {
    let path = path.to_owned();
    LockError::Unusable { path, source }
}

/// ` (pid 12, create)`, or nothing.
fn owner(file: &LockFile) -> String {
    let owner = file.owner();
    let text = owner.and_then(|owner| {
        let verb = owner.get("verb")?;
        Some(format!(" (pid {}, {verb})", owner.process.pid))
    });
    text.unwrap_or_default()
}
