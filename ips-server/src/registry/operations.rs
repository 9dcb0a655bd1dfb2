//! The journal: operations with their steps, the claims that go with them, and the
//! tokens that open them to a node. One open operation per VM, by the schema itself.

use std::time::Duration;

use hps_core::kv::one_line;
use hps_core::names::{DiskPath, NodeName, VmId};
use hps_core::state::VmState;
use hps_core::verb::Verb;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::inventory::{self, Asked};
use super::tokens::forget_expired_tokens;
use super::vms::Desired;
use super::{Author, Registry, RegistryError, audit, column, line, optional_line};
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

/// An operation to be begun.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in Operation")]
pub struct Beginning<'a> {
    pub operation: Uuid,
    pub vm: &'a VmId,
    pub verb: Verb,
    pub node: &'a NodeName,
    pub options: &'a Options,
    /// Set where its node has lost the VM, and it is to be made again.
    pub again: Option<Again>,
}

/// What must still be so for a VM to be made again: who decided that looked a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// The node owns it; a person asked for it.
    Owned,
    /// And it should run; nobody asked.
    ShouldRun,
}

/// What came of beginning one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is in the journal, with the claim where there is one to make.
    Journaled,
    /// It may not begin; the text says why.
    Refused(String),
}

/// What the end of an operation changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in Verdict")]
pub struct Ending {
    pub exit_code: u8,
    pub reason: String,
    pub ends_claim: bool,
    pub state: Option<VmState>,
    pub desired: Option<Desired>,
}

/// The step that tells a claim made by the operation itself from one it found.
const CLAIMED: &str = "claimed";
/// The step that begins an attempt.
pub const STARTED: &str = "started";

/// How long a node has to report its inventory.
const INVENTORY_LIFE: Duration = Duration::from_secs(600);

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

    /// Journals an operation and, for a create, claims the VM for its node: one transaction.
    ///
    /// # Errors
    /// The registry cannot be written; then nothing is.
    pub fn begin(&mut self, author: &Author, new: &Beginning<'_>) -> Result<Begun, RegistryError> {
        self.write(|tx| {
            let refused = refusal(tx, new.vm, new.verb, new.node)?;
            let refused = match (refused, new.again) {
                (None, Some(again)) => outdated(tx, new, again)?,
                (refused, _) => refused,
            };
            if let Some(reason) = refused {
                return Ok(Begun::Refused(reason));
            }
            let now = Timestamp::now();
            tx.execute(
                "INSERT INTO operation (operation, vm_id, verb, node, options, started_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    new.operation.to_string(),
                    new.vm.as_str(),
                    new.verb.as_str(),
                    new.node.as_str(),
                    new.options.to_text(),
                    now
                ],
            )?;
            add_step(tx, new.operation, "journaled", new.verb.as_str())?;
            inventory::touch(tx, new.vm.as_str())?;
            if new.verb == Verb::Create && claim(tx, new.vm, new.node)? {
                add_step(tx, new.operation, CLAIMED, new.node.as_str())?;
            }
            let detail = format!("node={} operation={}", new.node, new.operation);
            audit::record(tx, author, new.verb.as_str(), Some(new.vm), &detail)?;
            Ok(Begun::Journaled)
        })
    }

    /// Lets whoever shows a token with this hash fetch the config and report.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn grant(
        &mut self,
        operation: &Operation,
        hash: [u8; 32],
        addresses: Option<&str>,
    ) -> Result<(), RegistryError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO token (hash, vm_id, operation, verb, node, addresses) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    hash,
                    operation.vm.as_str(),
                    operation.operation.to_string(),
                    operation.verb.as_str(),
                    operation.node.as_str(),
                    addresses
                ],
            )?;
            Ok(())
        })
    }

    /// Lets whoever shows a token with this hash report the inventory of a node, for ten minutes;
    /// it is asked from now on.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn grant_inventory(
        &mut self,
        node: &NodeName,
        hash: [u8; 32],
    ) -> Result<Asked, RegistryError> {
        self.write(|tx| {
            let now = Timestamp::now();
            forget_expired_tokens(tx, now)?;
            let asked = inventory::now(tx)?;
            let sql = "INSERT INTO token (hash, node, expires_at, asked) VALUES (?1, ?2, ?3, ?4)";
            let until = now.plus(INVENTORY_LIFE);
            tx.execute(sql, params![hash, node.as_str(), until, asked])?;
            Ok(asked)
        })
    }

    /// Makes a token worthless.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn revoke(&mut self, hash: [u8; 32]) -> Result<(), RegistryError> {
        self.write(|tx| {
            tx.execute("DELETE FROM token WHERE hash = ?1", [hash])?;
            Ok(())
        })
    }

    /// Records a step.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn step(&mut self, operation: Uuid, step: &str, result: &str) -> Result<(), RegistryError> {
        self.write(|tx| add_step(tx, operation, step, result))
    }

    /// Ends an operation, and its claim where that is proved: one transaction. A second
    /// end of the same operation changes nothing.
    ///
    /// # Errors
    /// The registry cannot be written; then the operation stays open.
    pub fn finish(&mut self, operation: Uuid, ending: &Ending) -> Result<(), RegistryError> {
        self.write(|tx| {
            let ended = tx.execute(
                "UPDATE operation SET ended_at = ?2, exit_code = ?3, reason = ?4 WHERE operation = ?1 AND ended_at IS NULL",
                params![operation.to_string(), Timestamp::now(), ending.exit_code, one_line(&ending.reason)],
            )?;
            if ended == 0 {
                return Ok(());
            }
            tx.execute("DELETE FROM token WHERE operation = ?1", [operation.to_string()])?;
            let sql = "SELECT vm_id, node FROM operation WHERE operation = ?1";
            let (vm, node): (String, String) =
                tx.query_row(sql, [operation.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            inventory::touch(tx, &vm)?;
            if ending.ends_claim {
                // Proved to be gone there: neither owned nor astray any more.
                tx.execute("DELETE FROM conflict WHERE vm_id = ?1 AND node = ?2", [&vm, &node])?;
            }
            apply(tx, operation, &vm, ending)
        })
    }

    /// Ends a claim on a person's word that the node is off.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn release(
        &mut self,
        author: &Author,
        vm: &VmId,
        node: &NodeName,
    ) -> Result<Begun, RegistryError> {
        self.write(|tx| {
            let owner = owner(tx, vm)?;
            inventory::touch(tx, vm.as_str())?;
            let forget = "DELETE FROM conflict WHERE vm_id = ?1 AND node = ?2";
            let forgotten = tx.execute(forget, [vm.as_str(), node.as_str()])?;
            if owner.as_deref() != Some(node.as_str()) && forgotten > 0 {
                audit::record(tx, author, "release", Some(vm), &format!("stray on node={node}"))?;
                return Ok(Begun::Journaled);
            }
            if owner.as_deref() != Some(node.as_str()) {
                let owner = owner.unwrap_or_else(|| "no node".to_owned());
                return Ok(Begun::Refused(format!("{vm} is owned by {owner}, not by {node}")));
            }
            end_claim(tx, vm.as_str())?;
            tx.execute("UPDATE vm SET state = 'unknown' WHERE vm_id = ?1", [vm.as_str()])?;
            tx.execute(
                "UPDATE operation SET ended_at = ?2, exit_code = 11, reason = ?3 WHERE vm_id = ?1 AND ended_at IS NULL",
                params![vm.as_str(), Timestamp::now(), format!("released: {node} is off")],
            )?;
            audit::record(tx, author, "release", Some(vm), &format!("node={node}"))?;
            Ok(Begun::Journaled)
        })
    }

    /// Disk paths that other VMs hold.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn disks_of_others(&self, vm: &VmId) -> Result<Vec<DiskPath>, RegistryError> {
        let sql =
            "SELECT path FROM disk WHERE vm_id <> ?1 AND path NOT LIKE '/dev/%' ORDER BY path";
        self.read(|tx| {
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_and_then([vm.as_str()], |row| column(row, "disk", 0))?;
            rows.collect()
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

/// Why an operation may not begin.
pub(super) fn refusal(
    tx: &Transaction<'_>,
    vm: &VmId,
    verb: Verb,
    node: &NodeName,
) -> Result<Option<String>, RegistryError> {
    let sql = "SELECT operation || ' (' || verb || ' on ' || node || ')' FROM operation WHERE vm_id = ?1 AND ended_at IS NULL";
    let open: Option<String> = tx
        .query_row(sql, [vm.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(open) = open {
        return Ok(Some(format!("operation {open} is open")));
    }
    Ok(match owner(tx, vm)? {
        Some(owner) if owner != node.as_str() => Some(format!("{owner} owns {vm}, or may own it")),
        None if verb != Verb::Create => Some(format!("no node owns {vm}")),
        None => elsewhere(tx, vm, node)?,
        Some(_) => None,
    })
}

/// Why a VM is not to be made again any more.
fn outdated(
    tx: &Transaction<'_>,
    new: &Beginning<'_>,
    again: Again,
) -> Result<Option<String>, RegistryError> {
    let Beginning { vm, node, .. } = new;
    let sql = "SELECT owner IS ?2, desired = 'running' FROM vm WHERE vm_id = ?1";
    let found = tx.query_row(sql, [vm.as_str(), node.as_str()], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    Ok(match (found.optional()?, again) {
        (Some((true, true)), _) | (Some((true, false)), Again::Owned) => None,
        (Some((true, false)), Again::ShouldRun) => Some(format!("{vm} should not run any more")),
        (Some((false, _)) | None, _) => Some(format!("{node} does not own {vm} any more")),
    })
}

/// A node that was seen to have a domain of it, and that a create on another would double.
fn elsewhere(
    tx: &Transaction<'_>,
    vm: &VmId,
    node: &NodeName,
) -> Result<Option<String>, RegistryError> {
    let sql = "SELECT node, state FROM conflict WHERE vm_id = ?1 AND node <> ?2";
    let found: Option<(String, String)> = tx
        .query_row(sql, [vm.as_str(), node.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(found.map(|(other, state)| {
        format!(
            "{other} has a domain of {vm} ({state}); `o_vm create {vm} {other}` takes it over, \
             `o_vm release {vm} --node-is-off {other}` says that it is gone"
        )
    }))
}

fn owner(tx: &Transaction<'_>, vm: &VmId) -> Result<Option<String>, RegistryError> {
    let owner = tx.query_row(
        "SELECT owner FROM vm WHERE vm_id = ?1",
        [vm.as_str()],
        |row| row.get(0),
    );
    Ok(owner.optional()?.flatten())
}

/// Makes the claim; false where it stood already.
pub(super) fn claim(
    tx: &Transaction<'_>,
    vm: &VmId,
    node: &NodeName,
) -> Result<bool, RegistryError> {
    let sql = "UPDATE vm SET owner = ?2, owner_since = ?3 WHERE vm_id = ?1 AND owner IS NULL";
    Ok(tx.execute(sql, params![vm.as_str(), node.as_str(), Timestamp::now()])? == 1)
}

fn end_claim(tx: &Transaction<'_>, vm: &str) -> Result<(), RegistryError> {
    tx.execute(
        "UPDATE vm SET owner = NULL, owner_since = NULL, vnc = NULL WHERE vm_id = ?1",
        [vm],
    )?;
    Ok(())
}

fn add_step(
    tx: &Transaction<'_>,
    operation: Uuid,
    step: &str,
    result: &str,
) -> Result<(), RegistryError> {
    tx.execute(
        "INSERT INTO step (operation, position, step, at, result) \
         SELECT ?1, coalesce(max(position), 0) + 1, ?2, ?3, ?4 FROM step WHERE operation = ?1",
        params![
            operation.to_string(),
            step,
            Timestamp::now(),
            one_line(result)
        ],
    )?;
    Ok(())
}

/// Ends the claim, but for a VM that should run and whose claim the operation found: it was
/// to be made again, as after a reboot, and failed, as where its disks are not there yet. The
/// next start or sweep tries again on the same node; a destroy gives it free.
fn end_claim_after(tx: &Transaction<'_>, operation: Uuid, vm: &str) -> Result<(), RegistryError> {
    let sql = "SELECT count(*) FROM vm WHERE vm_id = ?1 AND desired = 'running' \
         AND NOT EXISTS (SELECT 1 FROM step WHERE operation = ?2 AND step = ?3)";
    let kept: u32 = tx.query_row(sql, params![vm, operation.to_string(), CLAIMED], |row| {
        row.get(0)
    })?;
    if kept == 0 { end_claim(tx, vm) } else { Ok(()) }
}

/// What an end says of the VM itself.
fn apply(
    tx: &Transaction<'_>,
    operation: Uuid,
    vm: &str,
    ending: &Ending,
) -> Result<(), RegistryError> {
    if let Some(state) = ending.state {
        let sql = "UPDATE vm SET state = ?2, seen_at = ?3 WHERE vm_id = ?1";
        tx.execute(sql, params![vm, state.as_str(), Timestamp::now()])?;
    }
    if let Some(desired) = ending.desired {
        tx.execute(
            "UPDATE vm SET desired = ?2 WHERE vm_id = ?1",
            params![vm, desired.as_str()],
        )?;
    }
    if ending.ends_claim {
        end_claim_after(tx, operation, vm)?;
    }
    Ok(())
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
