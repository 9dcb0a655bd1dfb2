//! Reads the journal: operations with their plans and logs.

use hps_core::names::VmId;
use hps_core::verb::VerbName;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{Registry, RegistryError, column, line, number, optional, optional_line};
use crate::model::operation::{LogEntry, Operation};
use crate::model::options::Options;
use crate::model::step::{EndRecord, NewStep, NodeResult, Step};

const COLUMNS: &str = "operation, vm_id, verb, options, started_at, ended_at, exit_code, reason";
const TASK: &str = "SELECT session, position, verb, node, options, recovery, undo, started_at, \
     ended_at, exit_code, reason, report_exit_code, report_state, report_message \
     FROM task WHERE operation = ?1 ORDER BY position";

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
    pub fn operation(&self, id: Uuid) -> Result<Option<Operation>, RegistryError> {
        let found = self.select("WHERE operation = ?1", [id.to_string()])?;
        Ok(found.into_iter().next())
    }

    /// The newest operations, newest first, of one VM or of all.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn operations(
        &self,
        vm: Option<&VmId>,
        most: u32,
    ) -> Result<Vec<Operation>, RegistryError> {
        self.select(
            // In the order of journaling: a clock that is set back makes none of them newer.
            "WHERE ?1 IS NULL OR vm_id = ?1 ORDER BY rowid DESC LIMIT ?2",
            params![vm.map(VmId::as_str), most],
        )
    }

    /// The number of operations by verb and exit code (or `open`).
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn count_operations(&self) -> Result<Vec<(VerbName, String, u32)>, RegistryError> {
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
        self.read(|tx| select(tx, clause, params))
    }
}

/// The operations of a clause, with their plans and logs.
pub(super) fn select(
    tx: &Connection,
    clause: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<Operation>, RegistryError> {
    let sql = format!("SELECT {COLUMNS} FROM operation {clause}");
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_and_then(params, operation)?;
    let mut operations = rows.collect::<Result<Vec<_>, RegistryError>>()?;
    for operation in &mut operations {
        operation.plan = plan(tx, operation.id)?;
        operation.log = log(tx, operation.id)?;
    }
    Ok(operations)
}

fn plan(tx: &Connection, operation: Uuid) -> Result<Vec<Step>, RegistryError> {
    let mut statement = tx.prepare_cached(TASK)?;
    let rows = statement.query_and_then([operation.to_string()], step)?;
    rows.collect()
}

fn log(tx: &Connection, operation: Uuid) -> Result<Vec<LogEntry>, RegistryError> {
    let sql = "SELECT step, at, result FROM step WHERE operation = ?1 ORDER BY position";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_and_then([operation.to_string()], |row| {
        Ok(LogEntry {
            step: line(row, 0)?,
            at: column(row, "step", 1)?,
            result: line(row, 2)?,
        })
    })?;
    rows.collect()
}

fn operation(row: &Row<'_>) -> Result<Operation, RegistryError> {
    Ok(Operation {
        id: column(row, "operation", 0)?,
        vm: optional(row, "operation", 1)?,
        verb: column(row, "operation", 2)?,
        options: Options::parse(&row.get::<_, String>(3)?),
        started_at: column(row, "operation", 4)?,
        end: end_record(row, "operation", 5)?,
        plan: Vec::new(),
        log: Vec::new(),
    })
}

fn step(row: &Row<'_>) -> Result<Step, RegistryError> {
    let exit_code: Option<u8> = row.get(11)?;
    let reported = match exit_code {
        None => None,
        Some(exit_code) => Some(NodeResult {
            exit_code,
            state: column(row, "task", 12)?,
            message: optional_line(row, 13)?.unwrap_or_default(),
        }),
    };
    Ok(Step {
        position: number(row, "task", 1)?,
        plan: NewStep {
            session: column(row, "task", 0)?,
            verb: column(row, "task", 2)?,
            node: column(row, "task", 3)?,
            options: Options::parse(&row.get::<_, String>(4)?),
            recovery: column(row, "task", 5)?,
            undo: optional(row, "task", 6)?,
        },
        started_at: optional(row, "task", 7)?,
        end: end_record(row, "task", 8)?,
        reported,
    })
}

/// End, exit code and reason, from this column on.
fn end_record(
    row: &Row<'_>,
    table: &'static str,
    first: usize,
) -> Result<Option<EndRecord>, RegistryError> {
    if row.get_ref(first)? == ValueRef::Null {
        return Ok(None);
    }
    Ok(Some(EndRecord {
        at: column(row, table, first)?,
        exit_code: row.get(first + 1)?,
        reason: optional_line(row, first + 2)?.unwrap_or_default(),
    }))
}
