//! One verb at a time on one VM: flock files below `state_dir`. The kernel lets go of
//! them when the last holder ends, and acting children hold them too, so an orphaned
//! virt-install still keeps the next `n_vm` waiting.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

/// Longest nap between two tries.
const NAP: Duration = Duration::from_millis(50);

/// A lock that is held as long as this, or a child that inherited it, lives.
#[derive(Debug)]
pub(crate) struct Lock(File);

/// Whether others may hold it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Alone,
    Shared,
}

/// A lock that could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("{} cannot be used", path.display())]
    Unusable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("another n_vm is at work on {what}{owner}; waited {:.1} s for it", waited.as_secs_f64())]
    Held {
        what: String,
        waited: Duration,
        owner: String,
    },
    #[error("waiting for another n_vm at work on {what} was ended by a signal{owner}")]
    Interrupted { what: String, owner: String },
}

impl Lock {
    /// The file, for a child to inherit.
    pub(crate) fn file(&self) -> &File {
        &self.0
    }

    /// Takes the lock `key`, waiting at most `patience`.
    pub(crate) fn take(
        dir: &Path,
        key: &str,
        mode: Mode,
        verb: &str,
        patience: Duration,
        told: &AtomicBool,
    ) -> Result<Self, LockError> {
        let mut file = open(&private_dir(&dir.join("locks"))?.join(key))?;
        let began = Instant::now();
        let mut nap = Duration::from_millis(1);
        while !try_lock(&file, key, mode)? {
            let what = key.to_owned();
            if told.load(Ordering::Relaxed) {
                let owner = owner(&mut file);
                return Err(LockError::Interrupted { what, owner });
            }
            if began.elapsed() >= patience {
                let (waited, owner) = (patience, owner(&mut file));
                return Err(LockError::Held {
                    what,
                    waited,
                    owner,
                });
            }
            std::thread::sleep(nap);
            nap = NAP.min(nap * 2);
        }
        sign(&file, verb);
        Ok(Self(file))
    }

    /// Takes the lock alone, at once; `None` where others hold it.
    pub(crate) fn try_now(dir: &Path, key: &str) -> Result<Option<Self>, LockError> {
        let file = open(&private_dir(&dir.join("locks"))?.join(key))?;
        let taken = try_lock(&file, key, Mode::Alone)?;
        Ok(taken.then_some(Self(file)))
    }
}

/// The rest of the names of those locks that begin with `prefix` and that somebody holds,
/// be it a child whose n_vm is gone.
pub(crate) fn held(dir: &Path, prefix: &str) -> Result<Vec<String>, LockError> {
    let held = |rest: String| {
        let file = open(&dir.join("locks").join(format!("{prefix}{rest}")))?;
        let is_free = try_lock(&file, &rest, Mode::Shared)?;
        Ok((!is_free).then_some(rest))
    };
    let all = known(dir, prefix)?.into_iter();
    all.map(held).filter_map(Result::transpose).collect()
}

/// The rest of the names of all locks that begin with `prefix`, held or not: they were
/// taken once since the node was started.
pub(crate) fn known(dir: &Path, prefix: &str) -> Result<Vec<String>, LockError> {
    let folder = private_dir(&dir.join("locks"))?;
    let unusable = |source| LockError::Unusable {
        path: folder.clone(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unusable)? {
        let name = entry.map_err(unusable)?.file_name();
        found.extend(
            name.to_str()
                .and_then(|name| name.strip_prefix(prefix))
                .map(str::to_owned),
        );
    }
    Ok(found)
}

/// The folder, made where it is missing, for root alone.
pub(crate) fn private_dir(path: &Path) -> Result<PathBuf, LockError> {
    let unusable = |source| LockError::Unusable {
        path: path.to_owned(),
        source,
    };
    if !path.is_dir() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(unusable)?;
    }
    Ok(path.to_owned())
}

fn open(path: &Path) -> Result<File, LockError> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path);
    opened.map_err(|source| LockError::Unusable {
        path: path.to_owned(),
        source,
    })
}

fn try_lock(file: &File, key: &str, mode: Mode) -> Result<bool, LockError> {
    let tried = match mode {
        Mode::Alone => file.try_lock(),
        Mode::Shared => file.try_lock_shared(),
    };
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(LockError::Unusable {
            path: PathBuf::from(key),
            source,
        }),
    }
}

/// Writes who holds it, for messages only: what counts is the flock.
fn sign(mut file: &File, verb: &str) {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Field 22, counted after the parenthesised name, which may hold anything.
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let start = after_name.split(' ').nth(19).unwrap_or_default();
    let text = format!(
        "boot_id={}\npid={}\nstart={start}\nverb={verb}\n",
        boot.trim(),
        std::process::id()
    );
    let _ = file
        .set_len(0)
        .and_then(|()| file.write_all(text.as_bytes()));
}

/// ` (pid 12, create)` of what [`sign`] wrote, or nothing.
fn owner(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.take(4096).read_to_string(&mut text);
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    match (value("pid="), value("verb=")) {
        (Some(pid), Some(verb)) => format!(" (pid {pid}, {verb})"),
        _ => String::new(),
    }
}
