//! The registry: one SQLite file that the server owns and root writes too. All SQL is in
//! this module's files, a file per family of tables. What is read back is parsed into
//! types again: a taken-over server user must not make root believe anything.

mod audit;
mod error;
pub mod inventory;
pub mod nodes;
mod open;
pub mod operations;
pub mod tokens;
pub mod vms;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use rusqlite::{Connection, Row, Transaction, TransactionBehavior};

pub use audit::{Author, Entry};
pub use error::RegistryError;

/// An open registry.
#[derive(Debug)]
pub struct Registry {
    connection: Connection,
    path: PathBuf,
}

impl Registry {
    /// Where its file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn connection(&self) -> &Connection {
        &self.connection
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

/// Reads a text column into its type; a text that does not fit is an error naming it.
fn column<T: FromStr<Err: ToString>>(
    row: &Row<'_>,
    table: &'static str,
    index: usize,
) -> Result<T, RegistryError> {
    let text: String = row.get(index)?;
    text.parse().map_err(|error: T::Err| RegistryError::BadRow {
        table,
        column: row.as_ref().column_name(index).unwrap_or("?").to_owned(),
        reason: error.to_string(),
    })
}

/// As [`column`], for one that may be NULL.
fn optional<T: FromStr<Err: ToString>>(
    row: &Row<'_>,
    table: &'static str,
    index: usize,
) -> Result<Option<T>, RegistryError> {
    if row.get_ref(index)? == rusqlite::types::ValueRef::Null {
        return Ok(None);
    }
    column(row, table, index).map(Some)
}

#[cfg(test)]
mod tests;
