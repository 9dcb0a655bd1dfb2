//! The registry: one SQLite file that the server owns and root writes too. All SQL is in
//! this module's files, a file per family of tables. What is read back is parsed into
//! types again: an attacker with the server's user must not control what root does.

pub mod adoption;
mod audit;
pub mod backup;
mod claims;
mod definitions;
mod error;
pub mod held;
pub mod inventory;
pub mod journal;
pub mod nodes;
mod open;
pub mod operations;
pub mod read_only;
pub mod tokens;
pub mod vms;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hps_core::kv::one_line;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Transaction, TransactionBehavior};

pub use audit::{Author, Entry};
pub use error::RegistryError;

/// An open registry.
#[derive(Debug)]
pub struct Registry {
    connection: Connection,
    path: PathBuf,
    /// Device and inode, from when it was opened.
    file: Option<(u64, u64)>,
}

impl Registry {
    /// Where its file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs queries whose answers belong together: all see one snapshot.
    fn read<T>(
        &self,
        act: impl FnOnce(&Connection) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        // Within a held transaction: it is the snapshot.
        let read = if self.connection.is_autocommit() {
            Snapshot::of(&self.connection)
                .map_err(RegistryError::from)
                .and_then(|snapshot| act(snapshot.0))
        } else {
            act(&self.connection)
        };
        read.map_err(|error| error.at(&self.path))
    }

    /// Begins a read transaction that stays open; nothing may be written meanwhile.
    fn hold(&self) -> Result<(), RegistryError> {
        let begin = || {
            let mut begin = self.connection.prepare_cached("BEGIN")?;
            begin.execute([])?;
            // A transaction begins with its first read.
            self.connection
                .prepare_cached("SELECT count(*) FROM vm WHERE vm_id = ''")?
                .query_row([], |_| Ok(()))
        };
        begin().map_err(|error| RegistryError::from(error).at(&self.path))
    }

    /// Ends the transaction of [`Registry::hold`], if there is one.
    fn let_go(&self) {
        if !self.connection.is_autocommit() {
            drop(Snapshot(&self.connection));
        }
    }

    /// Runs one transaction; what it returns is committed, an error rolls it back.
    fn write<T>(
        &mut self,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let written = write(&mut self.connection, act);
        written.map_err(|error| error.at(&self.path))
    }
}

fn write<T>(
    connection: &mut Connection,
    act: impl FnOnce(&Transaction<'_>) -> Result<T, RegistryError>,
) -> Result<T, RegistryError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = act(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

/// A transaction that only reads. rusqlite's own would parse its BEGIN and ROLLBACK each
/// time, which is a tenth of the time a config takes.
struct Snapshot<'a>(&'a Connection);

impl<'a> Snapshot<'a> {
    fn of(connection: &'a Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self(connection))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // Fails only after an error on which SQLite itself rolled back; that error is reported.
        let rollback = self.0.prepare_cached("ROLLBACK");
        let _ = rollback.and_then(|mut statement| statement.execute([]));
    }
}

/// Reads a text column into its type; a text that does not fit is an error that names
/// the row by its first column.
fn column<T: FromStr<Err: ToString>>(
    row: &Row<'_>,
    table: &'static str,
    index: usize,
) -> Result<T, RegistryError> {
    match row.get_ref(index)? {
        ValueRef::Text(text) => std::str::from_utf8(text)
            .map_err(|error| bad(row, table, index, &error))?
            .parse()
            .map_err(|error: T::Err| bad(row, table, index, &error)),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => {
            Err(bad(row, table, index, &"want a text"))
        }
    }
}

/// Free text, made safe to show: one line, without control characters.
fn line(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    let text: String = row.get(index)?;
    Ok(one_line(&text))
}

/// As [`line`], for one that may be NULL.
fn optional_line(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<String>> {
    let text: Option<String> = row.get(index)?;
    Ok(text.as_deref().map(one_line))
}

/// As [`column`], for a number.
fn number<T: FromStr<Err: ToString>>(
    row: &Row<'_>,
    table: &'static str,
    index: usize,
) -> Result<T, RegistryError> {
    let number: i64 = row.get(index)?;
    // Long enough for any i64.
    let mut text = [0; 20];
    let mut rest = &mut text[..];
    let _ = write!(rest, "{number}");
    let free = rest.len();
    std::str::from_utf8(&text[..text.len() - free])
        .map_err(|error| bad(row, table, index, &error))?
        .parse()
        .map_err(|error: T::Err| bad(row, table, index, &error))
}

fn bad(row: &Row<'_>, table: &'static str, index: usize, reason: &impl ToString) -> RegistryError {
    let first: Option<String> = row.get(0).ok();
    RegistryError::BadRow {
        table,
        row: first.unwrap_or_default(),
        column: row.as_ref().column_name(index).unwrap_or("?").to_owned(),
        reason: reason.to_string(),
    }
}

/// As [`column`], for one that may be NULL.
fn optional<T: FromStr<Err: ToString>>(
    row: &Row<'_>,
    table: &'static str,
    index: usize,
) -> Result<Option<T>, RegistryError> {
    if row.get_ref(index)? == ValueRef::Null {
        return Ok(None);
    }
    column(row, table, index).map(Some)
}

#[cfg(test)]
mod tests;
