//! Backup of the registry while it is in use, and restore. After a kill at any moment the
//! registry is the complete old one or the complete new one, and the copy is complete or
//! missing.

use std::fs::{self, File, OpenOptions};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use rusqlite::params;

use super::open::give_away;
use super::{Registry, RegistryError};
use crate::model::time::Timestamp;

/// The bytes of a database file that SQLite locks: a process that has the file open in WAL
/// mode holds a lock on one of them (SQLite, "File Locking", `PENDING_BYTE`).
const LOCK_START: i64 = 0x4000_0000;
const LOCK_BYTES: i64 = 512;

impl Registry {
    /// Writes a copy as of one moment; readers and writers are not blocked.
    ///
    /// # Errors
    /// The copy cannot be written; an earlier copy stays as it was.
    pub fn back_up(&self, to: &Path) -> Result<(), RegistryError> {
        let new = beside(to, ".new");
        let failed = |source| RegistryError::Open {
            path: to.to_owned(),
            source,
        };
        // A backup that was killed leaves this file.
        remove(&new).map_err(failed)?;
        make_private(&new).map_err(failed)?;
        let copied = self
            .connection
            .execute("VACUUM INTO ?1", params![new.to_string_lossy()]);
        copied.map_err(|error| RegistryError::from(error).at(&new))?;
        Self::verify(&new)?;
        put_in_place(&new, to).map_err(failed)
    }

    /// Opens a copy, checks that it is ours, not newer, and sound; changes nothing of it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(copy: &Path) -> Result<(), RegistryError> {
        let registry = Self::open_as_is(copy)?;
        if registry.check_version()? == 0 {
            return Err(RegistryError::NotOurs {
                path: copy.to_owned(),
            });
        }
        registry.check()
    }
}

/// Puts a backup in the registry's place and keeps the old registry beside it; returns
/// where, if there was one.
///
/// # Errors
/// The backup is not sound, or another process has the registry open: nothing was changed.
pub fn restore(from: &Path, registry: &Path) -> Result<Option<PathBuf>, RegistryError> {
    Registry::verify(from)?;
    let failed = |source| RegistryError::Open {
        path: registry.to_owned(),
        source,
    };
    let new = beside(registry, ".new");
    remove(&new).map_err(failed)?;
    make_private(&new)
        .and_then(|file| {
            std::io::copy(&mut File::open(from)?, &mut &file)?;
            give_away(&file, registry)?;
            file.sync_all()
        })
        .map_err(failed)?;
    // The backup may have changed since the first check: the copy counts.
    Registry::verify(&new)?;
    let kept = keep(registry)?;
    put_in_place(&new, registry).map_err(failed)?;
    Ok(kept)
}

/// Keeps the existing registry under another name; refused while a process has it open.
fn keep(registry: &Path) -> Result<Option<PathBuf>, RegistryError> {
    let failed = |source| RegistryError::Open {
        path: registry.to_owned(),
        source,
    };
    let file = match OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(registry)
    {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if is_open_elsewhere(&file).map_err(failed)? {
        return Err(RegistryError::Refused(format!(
            "registry {}: in use; stop ips-server.service and hps-sweep.timer, and wait for every o_vm to end",
            registry.display()
        )));
    }
    drop(file);
    let stamp = Timestamp::now().to_string().replace(':', "");
    let kept = beside(registry, &format!(".before-{stamp}"));
    // The WAL is part of the registry. A damaged registry keeps its WAL beside it.
    let folded = Registry::open_as_is(registry).is_ok_and(|old| old.fold().is_ok());
    for part in ["-wal", "-shm"] {
        if folded {
            remove(&beside(registry, part)).map_err(failed)?;
        } else {
            rename_if_there(&beside(registry, part), &beside(&kept, part)).map_err(failed)?;
        }
    }
    // A second name first: the registry exists at every moment.
    fs::hard_link(registry, &kept).map_err(failed)?;
    Ok(Some(kept))
}

/// Whether another process has the file open as a database. Closing the file releases this
/// process's own SQLite locks on it (POSIX locks), so call this before opening it here.
fn is_open_elsewhere(file: &File) -> std::io::Result<bool> {
    let range = libc::flock {
        l_type: i16::try_from(libc::F_WRLCK).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: LOCK_START,
        l_len: LOCK_BYTES,
        l_pid: 0,
    };
    let mut found = range;
    fcntl(file, FcntlArg::F_GETLK(&mut found)).map_err(Error::from)?;
    Ok(i32::from(found.l_type) != libc::F_UNLCK)
}

/// `registry.db` and `.new`: `registry.db.new`, in the same folder.
fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}

fn make_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn rename_if_there(from: &Path, to: &Path) -> std::io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Renames once the bytes are on the disk, and syncs the folder.
fn put_in_place(new: &Path, to: &Path) -> std::io::Result<()> {
    File::open(new)?.sync_all()?;
    fs::rename(new, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
