//! Claims: the one node that owns a VM, or may own it.

use hps_core::names::{NodeName, VmId};
use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::RegistryError;
use crate::model::claim::Precondition;
use crate::model::operation::{CLAIMED, NewOperation};
use crate::model::time::Timestamp;
use crate::model::verb::ClaimEffect;

/// Why an operation may not begin on this node.
pub(super) fn refusal(
    tx: &Transaction<'_>,
    new: &NewOperation<'_>,
    node: &NodeName,
) -> Result<Option<String>, RegistryError> {
    let Some(vm) = new.vm else { return Ok(None) };
    let refused = claim_refusal(tx, vm, new.spec.claim, node)?;
    match (refused, new.precondition) {
        (None, Some(precondition)) => outdated(tx, vm, node, precondition),
        (refused, _) => Ok(refused),
    }
}

/// Why a verb with this effect on the claim may not run on this node.
pub(super) fn claim_refusal(
    tx: &Transaction<'_>,
    vm: &VmId,
    effect: ClaimEffect,
    node: &NodeName,
) -> Result<Option<String>, RegistryError> {
    let sql = "SELECT o.operation || ' (' || o.verb || coalesce(' on ' || t.node, '') || ')' \
         FROM operation o LEFT JOIN task t ON t.operation = o.operation AND t.position = 1 \
         WHERE o.vm_id = ?1 AND o.ended_at IS NULL";
    let open: Option<String> = tx
        .query_row(sql, [vm.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(open) = open {
        return Ok(Some(format!("operation {open} is open")));
    }
    Ok(match owner(tx, vm)? {
        Some(owner) if owner != node.as_str() => Some(format!("{owner} owns {vm}, or may own it")),
        None if effect != ClaimEffect::Takes => Some(format!("no node owns {vm}")),
        None => elsewhere(tx, vm, node)?,
        Some(_) => None,
    })
}

/// Why a VM must not be created again now.
fn outdated(
    tx: &Transaction<'_>,
    vm: &VmId,
    node: &NodeName,
    precondition: Precondition,
) -> Result<Option<String>, RegistryError> {
    let sql = "SELECT owner IS ?2, desired = 'running' FROM vm WHERE vm_id = ?1";
    let found = tx.query_row(sql, [vm.as_str(), node.as_str()], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    Ok(match (found.optional()?, precondition) {
        (Some((true, true)), _) | (Some((true, false)), Precondition::Owned) => None,
        (Some((true, false)), Precondition::ShouldRun) => {
            Some(format!("{vm} should no longer run"))
        }
        (Some((false, _)) | None, _) => Some(format!("{node} no longer owns {vm}")),
    })
}

/// Another node was seen to have a domain of it: a create here would make a second copy.
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
             `o_vm release {vm} --node-is-off {other}` states that it is gone"
        )
    }))
}

pub(super) fn owner(tx: &Transaction<'_>, vm: &VmId) -> Result<Option<String>, RegistryError> {
    let owner = tx.query_row(
        "SELECT owner FROM vm WHERE vm_id = ?1",
        [vm.as_str()],
        |row| row.get(0),
    );
    Ok(owner.optional()?.flatten())
}

/// Makes the claim; false where it existed already.
pub(super) fn claim(
    tx: &Transaction<'_>,
    vm: &VmId,
    node: &NodeName,
) -> Result<bool, RegistryError> {
    let sql = "UPDATE vm SET owner = ?2, owner_since = ?3 WHERE vm_id = ?1 AND owner IS NULL";
    Ok(tx.execute(sql, params![vm.as_str(), node.as_str(), Timestamp::now()])? == 1)
}

pub(super) fn end_claim(tx: &Transaction<'_>, vm: &str) -> Result<(), RegistryError> {
    tx.execute(
        "UPDATE vm SET owner = NULL, owner_since = NULL, vnc = NULL WHERE vm_id = ?1",
        [vm],
    )?;
    Ok(())
}

/// Ends the claim, except of a VM that should run and whose claim existed before the operation:
/// a create after a reboot failed, as when its disks are not there yet. The next start or sweep
/// tries again on the same node; a destroy ends the claim.
pub(super) fn end_claim_after(
    tx: &Transaction<'_>,
    operation: Uuid,
    vm: &str,
) -> Result<(), RegistryError> {
    let sql = "SELECT count(*) FROM vm WHERE vm_id = ?1 AND desired = 'running' \
         AND NOT EXISTS (SELECT 1 FROM step WHERE operation = ?2 AND step = ?3)";
    let kept: u32 = tx.query_row(sql, params![vm, operation.to_string(), CLAIMED], |row| {
        row.get(0)
    })?;
    if kept == 0 { end_claim(tx, vm) } else { Ok(()) }
}
