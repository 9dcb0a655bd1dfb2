//! The journal as it is written: an operation begins, goes on, ends, each in one transaction
//! with the claim that goes with it. One open operation per VM, by the schema itself.

use hps_core::kv::one_line;
use hps_core::names::{NodeName, VmId};
use hps_core::state::VmState;
use hps_core::verb::Verb;
use rusqlite::{Transaction, params};
use uuid::Uuid;

use super::claims::{claim, end_claim, end_claim_after, outdated, owner, refusal};
use super::operations::CLAIMED;
use super::vms::Desired;
use super::{Author, Registry, RegistryError, audit, inventory};
use crate::operation::options::Options;
use crate::time::Timestamp;

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

impl Registry {
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
