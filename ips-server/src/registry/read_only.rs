//! Reads the registry for completions without blocking any process or waiting for one. The
//! file is opened read-only, a lock that is held is an error at once, and a row that cannot
//! be read is skipped. Even these words are parsed into types: a shell shows them.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use hps_core::names::{NodeName, VmId, VmName};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use uuid::Uuid;

/// A registry open for reading only.
#[derive(Debug)]
pub struct ReadOnlyRegistry(Connection);

impl ReadOnlyRegistry {
    /// Opens the registry where there is one.
    ///
    /// # Errors
    /// It is not there, or not for this user.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri(path), flags)?;
        connection.busy_timeout(Duration::ZERO)?;
        Ok(Self(connection))
    }

    /// Every VM, in the order of the rows: shells sort by themselves.
    ///
    /// # Errors
    /// The registry cannot be read now.
    pub fn vms(&self) -> rusqlite::Result<Vec<(VmId, VmName)>> {
        self.rows("SELECT vm_id, name FROM vm", |row| {
            Some((word(row, 0)?, word(row, 1)?))
        })
    }

    /// The nodes that have reported or own a VM, by name.
    ///
    /// # Errors
    /// The registry cannot be read now.
    pub fn nodes(&self) -> rusqlite::Result<Vec<NodeName>> {
        let sql = "SELECT name FROM node UNION SELECT owner FROM vm WHERE owner IS NOT NULL";
        self.rows(sql, |row| word(row, 0))
    }

    /// The open operations, each with its VM where it concerns one.
    ///
    /// # Errors
    /// The registry cannot be read now.
    pub fn open_operations(&self) -> rusqlite::Result<Vec<(Uuid, Option<VmId>)>> {
        let sql = "SELECT operation, vm_id FROM operation WHERE ended_at IS NULL ORDER BY vm_id";
        self.rows(sql, |row| {
            let has_vm = row.get_ref(1).ok()? != ValueRef::Null;
            let vm = has_vm.then(|| word(row, 1)).flatten();
            if has_vm != vm.is_some() {
                return None;
            }
            Some((word(row, 0)?, vm))
        })
    }

    fn rows<T>(&self, sql: &str, read: impl Fn(&Row<'_>) -> Option<T>) -> rusqlite::Result<Vec<T>> {
        let mut statement = self.0.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.extend(read(row));
        }
        Ok(all)
    }
}

/// The URI of the registry. Without a WAL no process has it open, and it is read as
/// immutable: otherwise SQLite creates the files of the WAL even for a reader, and leaves them.
fn uri(path: &Path) -> OsString {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let path = path.as_os_str().as_bytes().iter();
    let escaped = path.flat_map(|&byte| match byte {
        b'%' => b"%25".to_vec(),
        b'?' => b"%3f".to_vec(),
        b'#' => b"%23".to_vec(),
        plain => vec![plain],
    });
    let mut uri = b"file:".to_vec();
    uri.extend(escaped);
    if !Path::new(&wal).exists() {
        uri.extend(b"?immutable=1");
    }
    OsString::from_vec(uri)
}

fn word<T: FromStr>(row: &Row<'_>, column: usize) -> Option<T> {
    row.get_ref(column).ok()?.as_str().ok()?.parse().ok()
}
