//! The audit: author, time, source and reason of each change, one line in the same
//! transaction as the change itself.

use hps_core::kv::one_line;
use hps_core::names::VmId;
use rusqlite::{Transaction, params};

use super::{Registry, RegistryError, line, optional_line};
use crate::model::time::Timestamp;

/// The author of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Login name and uid.
    pub who: String,
    /// Terminal or client address.
    pub source: String,
    /// The text of `--reason`.
    pub reason: Option<String>,
}

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The time of the change.
    pub at: Timestamp,
    /// Login name and uid of the author.
    pub who: String,
    /// Terminal or client address of the author.
    pub source: String,
    /// The verb.
    pub what: String,
    /// The VM; it may be undefined by now.
    pub vm: Option<String>,
    /// The change in detail, as `key=value` words.
    pub detail: String,
    /// The reason that the author gave.
    pub reason: Option<String>,
}

/// Writes the line of a change.
pub(super) fn record(
    tx: &Transaction<'_>,
    author: &Author,
    what: &str,
    vm: Option<&VmId>,
    detail: &str,
) -> Result<(), RegistryError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO audit (at, who, source, what, vm_id, detail, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    statement.execute(params![
        Timestamp::now(),
        one_line(&author.who),
        one_line(&author.source),
        what,
        vm.map(VmId::as_str),
        one_line(detail),
        author.reason.as_deref().map(one_line)
    ])?;
    Ok(())
}

impl Registry {
    /// The audit of a VM, oldest first.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn audit(&self, vm: &VmId) -> Result<Vec<Entry>, RegistryError> {
        let sql = "SELECT at, who, source, what, vm_id, detail, reason FROM audit WHERE vm_id = ?1 ORDER BY id";
        self.read(|tx| {
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_and_then([vm.as_str()], |row| {
                Ok(Entry {
                    at: row.get(0)?,
                    who: line(row, 1)?,
                    source: line(row, 2)?,
                    what: line(row, 3)?,
                    vm: optional_line(row, 4)?,
                    detail: line(row, 5)?,
                    reason: optional_line(row, 6)?,
                })
            })?;
            rows.collect()
        })
    }
}
