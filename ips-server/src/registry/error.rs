//! What can go wrong with the registry: what was met, in which file, and what to do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// The registry could not do what was asked; nothing was written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says it")]
pub enum RegistryError {
    #[error("registry {}: cannot be opened; is the folder there, and may this user write it?", path.display())]
    Open {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("registry {}: made by a newer version of this program (schema {found}, this one knows {known}); install that version", path.display())]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    #[error("registry {}: this is no registry; name another file, or move this one away", path.display())]
    NotOurs { path: PathBuf },
    #[error("registry {}: damaged; restore a backup with `o_vm restore`", path.display())]
    Corrupt {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error("registry {}: the disk is full; nothing was written, make room and try again", path.display())]
    Full {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error("registry {}: cannot be written; check the file's owner and the mount", path.display())]
    ReadOnly {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error("registry {}: locked by another process for too long; try again", path.display())]
    Busy {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error("registry {}", path.display())]
    Sql {
        path: PathBuf,
        source: rusqlite::Error,
    },
    /// Not yet told which file.
    #[error("registry")]
    Raw(#[from] rusqlite::Error),
    #[error("registry: {table} {row:?} holds a bad {column}: {reason}")]
    BadRow {
        table: &'static str,
        row: String,
        column: String,
        reason: String,
    },
    /// What belongs to one VM is given to another: which of the definitions, by its place
    /// among them from 0, and which key of it.
    #[error("{reason}")]
    InUse {
        at: usize,
        key: String,
        reason: String,
    },
    /// A rule of the registry forbids it; the text names what is in the way.
    #[error("{0}")]
    Refused(String),
}

impl RegistryError {
    /// Names the file and, for what SQLite met, what to do about it.
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
