//! Lock files: flock decides which process holds one, and a record in the file names it.
//! The kernel releases a lock when the last descriptor is closed, so a child that inherits
//! the file keeps it beyond the death of its parent. Lock files are never deleted: two
//! processes could then hold "the same" lock through different inodes.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

use crate::kv;
use crate::proc::Process;

/// Longest owner record that is read, in bytes.
const MAX_RECORD: usize = 4096;

/// Whether others may hold the lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One holder.
    Exclusive,
    /// Any number of shared holders.
    Shared,
}

/// An open lock file. Closed on exec, unless a child inherits it ([`crate::exec::Command::inherit`]).
#[derive(Debug)]
pub struct LockFile(File);

/// The process that signed a lock, and the facts that it noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The process.
    pub process: Process,
    facts: Vec<(String, String)>,
}

impl Owner {
    /// The value of a fact.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.facts.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }
}

impl LockFile {
    /// Opens the file for root alone, and creates it where it is missing. A symbolic link is
    /// refused. The folder must exist ([`private_dir`]).
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(path);
        opened.map(Self)
    }

    /// Tries to acquire the lock, without waiting; `false` where others hold it. The lock is
    /// held until the file, and every inherited copy of it, is closed.
    ///
    /// # Errors
    /// The kernel's.
    pub fn try_lock(&self, mode: Mode) -> io::Result<bool> {
        let tried = match mode {
            Mode::Exclusive => self.0.try_lock(),
            Mode::Shared => self.0.try_lock_shared(),
        };
        match tried {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Writes this process and the given facts as the owner record.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn sign(&self, facts: &[(&str, &str)]) -> io::Result<()> {
        let this = Process::this();
        let mut text: String = facts
            .iter()
            .map(|(key, value)| kv::line(key, value))
            .collect();
        text += &kv::line("pid", &this.pid.to_string());
        text += &kv::line("started", &this.started.to_string());
        text += &kv::line("boot_id", &this.boot_id);
        self.0.set_len(0)?;
        self.0.write_all_at(text.as_bytes(), 0)
    }

    /// The owner record. `None` where there is none: the holder may not have signed yet.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        let mut record = vec![0; MAX_RECORD];
        let length = self.0.read_at(&mut record, 0).ok()?;
        record.truncate(length);
        let pairs = kv::parse(&record).ok()?;
        let facts = pairs
            .iter()
            .map(|pair| (pair.key.to_owned(), pair.value.to_owned()));
        let facts: Vec<_> = facts.collect();
        let get = |key: &str| {
            let found = facts.iter().find(|(known, _)| known == key);
            found.map(|(_, value)| value.as_str())
        };
        let process = Process {
            pid: get("pid")?.parse().ok()?,
            started: get("started")?.parse().ok()?,
            boot_id: get("boot_id")?.to_owned(),
        };
        Some(Owner { process, facts })
    }

    /// The file, for a child to inherit ([`crate::exec::Command::inherit`]).
    #[must_use]
    pub fn file(&self) -> &File {
        &self.0
    }
}

/// Creates the folder, and those above it, for root alone where they are missing.
///
/// # Errors
/// The kernel's.
pub fn private_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::*;

    /// A folder for one test, removed afterwards.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("hps-core-lock-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name).join("locks");
            private_dir(&path).unwrap();
            Self(path)
        }

        fn open(&self) -> LockFile {
            LockFile::open(&self.0.join("vm-1")).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
        }
    }

    #[test]
    fn a_second_process_sees_the_owner() {
        let folder = Folder::new("owner");
        let (first, second) = (folder.open(), folder.open());
        assert!(first.try_lock(Mode::Exclusive).unwrap());
        assert!(!second.try_lock(Mode::Exclusive).unwrap());
        assert_eq!(second.owner(), None, "not signed yet");
        first.sign(&[("verb", "create"), ("note", "a\nb")]).unwrap();
        first.sign(&[("verb", "stop"), ("note", "c\nd")]).unwrap();
        let owner = second.owner().unwrap();
        assert_eq!(
            (owner.get("verb"), owner.get("note")),
            (Some("stop"), Some("c d"))
        );
        assert!(owner.process.is_alive());
        drop(first);
        assert!(second.try_lock(Mode::Exclusive).unwrap());
    }

    #[test]
    fn shared_holders_exclude_an_exclusive_one() {
        let folder = Folder::new("shared");
        let (first, second, third) = (folder.open(), folder.open(), folder.open());
        assert!(first.try_lock(Mode::Shared).unwrap());
        assert!(second.try_lock(Mode::Shared).unwrap());
        assert!(!third.try_lock(Mode::Exclusive).unwrap());
    }

    #[test]
    fn a_record_that_is_cut_off_names_no_owner() {
        let folder = Folder::new("cut");
        let lock = folder.open();
        lock.sign(&[("verb", "create")]).unwrap();
        let length = lock.file().metadata().unwrap().len();
        // The boot id alone may be shorter than it was.
        lock.file().set_len(length - 50).unwrap();
        assert_eq!(lock.owner(), None);
    }

    #[test]
    fn a_symbolic_link_is_refused() {
        let folder = Folder::new("link");
        symlink("/etc/passwd", folder.0.join("vm-2")).unwrap();
        assert!(LockFile::open(&folder.0.join("vm-2")).is_err());
    }

    #[test]
    fn folder_and_file_are_for_root_alone() {
        let folder = Folder::new("mode");
        folder.open();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&folder.0), mode(&folder.0.join("vm-1"))),
            (0o700, 0o600)
        );
    }
}
