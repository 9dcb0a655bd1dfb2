//! One operation at a time per VM on the IPS: a lock file per VM (design: contract 4).
//! A child that carries a verb holds the lock too, so a lock that outlives its owner
//! means that the verb still runs. Lock files are never removed: that would race.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hps_core::kv;
use hps_core::names::{NodeName, VmId};
use hps_core::verb::VerbName;
use uuid::Uuid;

/// The lock of one VM, held until dropped.
#[derive(Debug)]
pub struct VmLock {
    file: File,
}

/// Who holds, or last held, a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The operation under way.
    pub operation: Uuid,
    /// Its verb.
    pub verb: VerbName,
    /// Its node.
    pub node: NodeName,
    /// The process that began it.
    pub process: Process,
}

/// A process, told apart from a later one with the same pid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`: clock ticks since boot.
    pub started: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

/// What came of trying to lock.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours.
    Locked(VmLock),
    /// Somebody holds it; `None` when they had not written who yet.
    Held(Option<Holder>),
}

/// A lock file that could not be made or opened.
#[derive(Debug, thiserror::Error)]
#[error("lock file {}", path.display())]
pub struct LockError {
    path: PathBuf,
    source: std::io::Error,
}

/// Tries to lock a VM, without waiting.
///
/// # Errors
/// The folder or the file cannot be made or opened.
pub fn try_lock(folder: &Path, vm: &VmId) -> Result<Attempt, LockError> {
    let path = folder.join(format!("{vm}.lock"));
    attempt(folder, &path).map_err(|source| LockError { path, source })
}

fn attempt(folder: &Path, path: &Path) -> std::io::Result<Attempt> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .mode(0o600)
        .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Attempt::Locked(VmLock { file })),
        Err(TryLockError::WouldBlock) => Ok(Attempt::Held(read_holder(&mut file))),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl VmLock {
    /// Writes down for whom the lock is held.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn mark(
        &mut self,
        operation: Uuid,
        verb: VerbName,
        node: &NodeName,
    ) -> std::io::Result<()> {
        let Process {
            pid,
            started,
            boot_id,
        } = Process::this();
        let text = [
            kv::line("operation", &operation.to_string()),
            kv::line("verb", verb.as_str()),
            kv::line("node", node.as_str()),
            kv::line("pid", &pid.to_string()),
            kv::line("started", &started.to_string()),
            kv::line("boot_id", &boot_id),
        ]
        .concat();
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }

    /// The file, for a child to hold as well.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Process {
    /// This process.
    #[must_use]
    pub fn this() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started: start_time(pid).unwrap_or(0),
            boot_id: boot_id(),
        }
    }

    /// Whether it is still the same process, alive.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.boot_id == boot_id() && start_time(self.pid) == Some(self.started)
    }
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = Vec::new();
    file.take(4096).read_to_end(&mut text).ok()?;
    let pairs = kv::parse(&text).ok()?;
    let get = |key: &str| {
        pairs
            .iter()
            .find(|pair| pair.key == key)
            .map(|pair| pair.value)
    };
    Some(Holder {
        operation: get("operation")?.parse().ok()?,
        verb: get("verb")?.parse().ok()?,
        node: get("node")?.parse().ok()?,
        process: Process {
            pid: get("pid")?.parse().ok()?,
            started: get("started")?.parse().ok()?,
            boot_id: get("boot_id")?.to_owned(),
        },
    })
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// `123 (a name) S 1 …`: the 20th field after the last `)`.
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let zombie = rest.trim_start().starts_with('Z');
    (!zombie)
        .then(|| rest.split_ascii_whitespace().nth(19)?.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("hps-lock-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_second_taker_sees_who_holds_it_and_that_he_lives() {
        let (folder, vm) = (folder("second"), "vm-1".parse().unwrap());
        let Attempt::Locked(mut lock) = try_lock(&folder, &vm).unwrap() else {
            panic!()
        };
        let node = "tch-001".parse().unwrap();
        lock.mark(Uuid::from_u128(5), VerbName::of("create"), &node)
            .unwrap();
        let Attempt::Held(Some(holder)) = try_lock(&folder, &vm).unwrap() else {
            panic!()
        };
        assert_eq!(
            (holder.operation, holder.verb),
            (Uuid::from_u128(5), VerbName::of("create"))
        );
        assert!(holder.process.lives());
        drop(lock);
        assert!(matches!(
            try_lock(&folder, &vm).unwrap(),
            Attempt::Locked(_)
        ));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn another_boot_or_a_reused_pid_is_not_the_holder() {
        let this = Process::this();
        assert!(
            !Process {
                boot_id: "x".into(),
                ..this.clone()
            }
            .lives()
        );
        assert!(
            !Process {
                started: this.started + 1,
                ..this
            }
            .lives()
        );
    }

    #[test]
    fn a_symbolic_link_in_place_of_a_lock_is_refused() {
        let (folder, vm) = (folder("link"), "vm-1".parse().unwrap());
        std::fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.join("vm-1.lock")).unwrap();
        assert!(try_lock(&folder, &vm).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
