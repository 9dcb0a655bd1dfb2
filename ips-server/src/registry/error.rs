//! Errors of the registry: what failed, in which file, and what to do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// The registry could not do what was asked; nothing was written. The text of each variant
/// begins with the file and ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The file cannot be created or opened.
    #[error("registry {}: cannot be opened; check that its folder exists and that this user may write it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// Its schema is newer than this program.
    #[error("registry {}: made by a newer version of this program (schema {found}, this one knows {known}); install that version", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest schema version of this program.
        known: u32,
    },
    /// The file is not a registry; it is left as it is.
    #[error("registry {}: not a registry; name another file, or move this one away", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// SQLite found damage.
    #[error("registry {}: damaged; restore a backup with `o_vm restore`", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The disk is full.
    #[error("registry {}: the disk is full; nothing was written, make room and try again", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The file, its folder or its mount does not allow writing.
    #[error("registry {}: cannot be written; check the file's owner and the mount", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// Another process held the write lock until the time-out.
    #[error("registry {}: locked by another process for too long; try again", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// Any other error of SQLite.
    #[error("registry {}", path.display())]
    Sql {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// An error of SQLite without its file; [`RegistryError::at`] adds that.
    #[error("registry")]
    Raw(#[from] rusqlite::Error),
    /// A value in the file does not parse: an error in a program, or tampering.
    #[error("registry: {table} {row:?} has an invalid {column}: {reason}")]
    BadRow {
        /// The table.
        table: &'static str,
        /// The row, by its first column.
        row: String,
        /// The column.
        column: String,
        /// The rule that the value breaks.
        reason: String,
    },
    /// An id, a name, a UUID or a disk path belongs to another VM already.
    #[error("{reason}")]
    InUse {
        /// The place of the refused definition among those given, from 0.
        at: usize,
        /// The key of the value in use.
        key: String,
        /// The message, with the VM that has it.
        reason: String,
    },
    /// A rule of the registry forbids it; the text names the obstacle.
    #[error("{0}")]
    Refused(String),
}

impl RegistryError {
    /// The same error with its file, and as the variant that fits SQLite's error code.
    #[must_use]
    pub(super) fn at(self, path: &Path) -> Self {
        let Self::Raw(source) = self else { return self };
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, source },
            Some(ErrorCode::NotADatabase) => Self::NotOurs { path },
            Some(ErrorCode::DiskFull) => Self::Full { path, source },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly { path, source }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Busy { path, source }
            }
            Some(_) | None => Self::Sql { path, source },
        }
    }
}
