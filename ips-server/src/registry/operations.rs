//! The journal as it is read: operations, with their steps.

use hps_core::names::{NodeName, VmId};
use hps_core::state::VmState;
use hps_core::verb::Verb;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{Registry, RegistryError, column, line, optional_line};
use crate::operation::options::Options;
use crate::time::Timestamp;

/// One operation of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the keys of the JSON")]
pub struct Operation {
    pub operation: Uuid,
    pub vm: VmId,
    pub verb: Verb,
    pub node: NodeName,
    pub options: Options,
    pub started_at: Timestamp,
    /// `None`: it is open.
    pub ended: Option<End>,
    /// What the node said of it.
    pub reported: Option<Reported>,
    pub steps: Vec<Step>,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the keys of the JSON")]
pub struct End {
    pub at: Timestamp,
    pub exit_code: u8,
    pub reason: String,
}

/// What the node said of an operation, with its token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in hps_core::report::Report")]
pub struct Reported {
    pub exit_code: u8,
    pub state: VmState,
    pub message: String,
}

/// One step of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the keys of the JSON")]
pub struct Step {
    pub step: String,
    pub at: Timestamp,
    pub result: String,
}

/// The step that tells a claim made by the operation itself from one it found.
pub(super) const CLAIMED: &str = "claimed";
/// The step that begins an attempt.
pub const STARTED: &str = "started";

const COLUMNS: &str = "operation, vm_id, verb, node, options, started_at, ended_at, exit_code, reason, \
     report_exit_code, report_state, report_message";

impl Operation {
    /// Whether it made the claim itself, and was started at most once: what it proves
    /// absent was never there.
    #[must_use]
    pub fn has_fresh_claim(&self) -> bool {
        let count = |name: &str| self.steps.iter().filter(|step| step.step == name).count();
        count(CLAIMED) == 1 && count(STARTED) <= 1
    }

    /// Whether its verb may have reached a node.
    #[must_use]
    pub fn was_started(&self) -> bool {
        self.steps.iter().any(|step| step.step == STARTED)
    }
}

impl Registry {
    /// The open operation of a VM.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn open_operation(&self, vm: &VmId) -> Result<Option<Operation>, RegistryError> {
        let found = self.select("WHERE vm_id = ?1 AND ended_at IS NULL", [vm.as_str()])?;
        Ok(found.into_iter().next())
    }

    /// Every open operation, oldest first.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn open_operations(&self) -> Result<Vec<Operation>, RegistryError> {
        self.select("WHERE ended_at IS NULL ORDER BY rowid", [])
    }

    /// One operation.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn operation(&self, operation: Uuid) -> Result<Option<Operation>, RegistryError> {
        let found = self.select("WHERE operation = ?1", [operation.to_string()])?;
        Ok(found.into_iter().next())
    }

    /// The newest operations, newest first; of one VM or of all.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn operations(
        &self,
        vm: Option<&VmId>,
        most: u32,
    ) -> Result<Vec<Operation>, RegistryError> {
        self.select(
            // As they were journaled: a clock that is set back makes none of them newer.
            "WHERE ?1 IS NULL OR vm_id = ?1 ORDER BY rowid DESC LIMIT ?2",
            params![vm.map(VmId::as_str), most],
        )
    }

    /// How many operations ended how: verb, result, count.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn count_operations(&self) -> Result<Vec<(Verb, String, u32)>, RegistryError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT verb, coalesce(CAST(exit_code AS TEXT), 'open'), count(*) FROM operation \
                 GROUP BY 1, 2 ORDER BY 1, 2",
            )?;
            let rows = statement.query_and_then([], |row| {
                Ok((column(row, "operation", 0)?, row.get(1)?, row.get(2)?))
            })?;
            rows.collect()
        })
    }

    fn select(
        &self,
        clause: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<Operation>, RegistryError> {
        self.read(|tx| {
            let sql = format!("SELECT {COLUMNS} FROM operation {clause}");
            let mut statement = tx.prepare_cached(&sql)?;
            let rows = statement.query_and_then(params, operation)?;
            let mut operations = rows.collect::<Result<Vec<_>, RegistryError>>()?;
            for operation in &mut operations {
                operation.steps = steps(tx, operation.operation)?;
            }
            Ok(operations)
        })
    }
}

fn steps(tx: &Connection, operation: Uuid) -> Result<Vec<Step>, RegistryError> {
    let sql = "SELECT step, at, result FROM step WHERE operation = ?1 ORDER BY position";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_and_then([operation.to_string()], |row| {
        Ok(Step {
            step: line(row, 0)?,
            at: column(row, "step", 1)?,
            result: line(row, 2)?,
        })
    })?;
    rows.collect()
}

fn operation(row: &Row<'_>) -> Result<Operation, RegistryError> {
    let ended_at: Option<Timestamp> = row.get(6)?;
    let ended = match ended_at {
        None => None,
        Some(at) => Some(End {
            at,
            exit_code: row.get(7)?,
            reason: optional_line(row, 8)?.unwrap_or_default(),
        }),
    };
    let exit_code: Option<u8> = row.get(9)?;
    let reported = match exit_code {
        None => None,
        Some(exit_code) => Some(Reported {
            exit_code,
            state: column(row, "operation", 10)?,
            message: optional_line(row, 11)?.unwrap_or_default(),
        }),
    };
    Ok(Operation {
        operation: column(row, "operation", 0)?,
        vm: column(row, "operation", 1)?,
        verb: column(row, "operation", 2)?,
        node: column(row, "operation", 3)?,
        options: Options::parse(&row.get::<_, String>(4)?),
        started_at: column(row, "operation", 5)?,
        ended,
        reported,
        steps: Vec::new(),
    })
}
