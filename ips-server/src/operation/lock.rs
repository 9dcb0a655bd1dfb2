//! One operation at a time per VM on the IPS: a lock file per VM (design: contract 4).
//! A child that carries a verb holds the lock too, so a lock that outlives its owner
//! means that the verb still runs. Lock files are never removed: that would race.

use std::fs::File;
use std::path::{Path, PathBuf};

use hps_core::lock::{LockFile, Mode, Owner, private_dir};
use hps_core::names::{NodeName, VmId};
use hps_core::proc::Process;
use hps_core::verb::VerbName;
use uuid::Uuid;

/// The lock of one VM, held until dropped.
#[derive(Debug)]
pub struct VmLock(LockFile);

/// The process that holds, or last held, a lock, and its operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The operation under way.
    pub operation: Uuid,
    /// Its verb.
    pub verb: VerbName,
    /// Its node.
    pub node: NodeName,
    /// The process that started it.
    pub process: Process,
}

/// The result of an attempt to acquire a lock.
#[derive(Debug)]
pub enum Attempt {
    /// This process holds the lock now.
    Locked(VmLock),
    /// Another process holds it; `None` when it has not signed yet.
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
    private_dir(folder)?;
    let file = LockFile::open(path)?;
    Ok(if file.try_lock(Mode::Exclusive)? {
        Attempt::Locked(VmLock(file))
    } else {
        Attempt::Held(file.owner().and_then(|owner| Holder::of(&owner)))
    })
}

impl VmLock {
    /// Records the operation for which the lock is held.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn sign(
        &mut self,
        operation: Uuid,
        verb: VerbName,
        node: &NodeName,
    ) -> std::io::Result<()> {
        self.0.sign(&[
            ("operation", &operation.to_string()),
            ("verb", verb.as_str()),
            ("node", node.as_str()),
        ])
    }

    /// The file, for a child to hold as well.
    #[must_use]
    pub fn file(&self) -> &File {
        self.0.file()
    }
}

impl Holder {
    fn of(owner: &Owner) -> Option<Self> {
        Some(Self {
            operation: owner.get("operation")?.parse().ok()?,
            verb: owner.get("verb")?.parse().ok()?,
            node: owner.get("node")?.parse().ok()?,
            process: owner.process.clone(),
        })
    }
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
    fn a_held_lock_names_its_living_holder() {
        let (folder, vm) = (folder("second"), "vm-1".parse().unwrap());
        let Attempt::Locked(mut lock) = try_lock(&folder, &vm).unwrap() else {
            panic!()
        };
        let node = "tch-001".parse().unwrap();
        lock.sign(Uuid::from_u128(5), VerbName::of("create"), &node)
            .unwrap();
        let Attempt::Held(Some(holder)) = try_lock(&folder, &vm).unwrap() else {
            panic!()
        };
        assert_eq!(
            (holder.operation, holder.verb),
            (Uuid::from_u128(5), VerbName::of("create"))
        );
        assert!(holder.process.is_alive());
        drop(lock);
        assert!(matches!(
            try_lock(&folder, &vm).unwrap(),
            Attempt::Locked(_)
        ));
        std::fs::remove_dir_all(folder).unwrap();
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
