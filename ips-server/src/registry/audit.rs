//! Who changed what, when, from where and why: one line in the same transaction as the
//! change itself.

use hps_core::kv::one_line;
use hps_core::names::VmId;
use rusqlite::{Transaction, params};

use super::{Registry, RegistryError, line, optional_line};
use crate::model::time::Timestamp;

/// Who makes a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Login name and uid.
    pub who: String,
    /// Terminal or client address.
    pub source: String,
    /// What `--reason` said.
    pub reason: Option<String>,
}

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Entry {
    pub at: Timestamp,
    pub who: String,
    pub source: String,
    pub what: String,
    pub vm: Option<String>,
    pub detail: String,
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
