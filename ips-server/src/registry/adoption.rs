//! Defines and claims domains of a node that are missing in the registry, in one transaction,
//! all or none. The caller has just read the domains from the node.

use hps_core::config::VmConfig;
use hps_core::names::{NodeName, VmId};
use hps_core::report::DomainReport;
use hps_core::state::VmState;
use rusqlite::{Transaction, params};

use super::audit::{self, Author};
use super::claims::{claim, claim_refusal};
use super::inventory;
use super::{Registry, RegistryError, definitions, vms};
use crate::model::time::Timestamp;
use crate::model::verb::ClaimEffect;
use crate::model::vm::Desired;

/// A domain that is to become a VM of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption<'a> {
    /// Its vm_id.
    pub id: &'a VmId,
    /// Its config, for a later create.
    pub config: &'a VmConfig,
    /// The domain, as the node has just reported it.
    pub domain: &'a DomainReport,
}

impl Registry {
    /// Defines and claims all of them for a node, or none; how many the node did not own yet.
    ///
    /// # Errors
    /// Another node has or may have one of them, an operation on it is open, or its name, UUID
    /// or a disk path belongs to another VM. The error names it and the reason.
    pub fn adopt(
        &mut self,
        author: &Author,
        node: &NodeName,
        all: &[Adoption<'_>],
    ) -> Result<usize, RegistryError> {
        self.write(|tx| {
            let mut new = 0;
            for (at, one) in all.iter().enumerate() {
                let added = register(tx, author, node, one);
                new += usize::from(added.map_err(|error| definitions::placed(error, at))?);
            }
            Ok(new)
        })
    }
}

/// Registers one domain; whether the node did not own it yet.
fn register(
    tx: &Transaction<'_>,
    author: &Author,
    node: &NodeName,
    one: &Adoption<'_>,
) -> Result<bool, RegistryError> {
    match vms::one(tx, "WHERE vm_id = ?1", [one.id.as_str()])? {
        Some(vm) if vm.config != *one.config => {
            let reason = format!(
                "VM {} has a different definition; use the one that `o_vm config {}` prints, or run `o_vm undefine` first",
                vm.id, vm.id
            );
            return Err(definitions::in_use("vm_id", reason));
        }
        Some(vm) if vm.owner.as_ref() == Some(node) => return Ok(false),
        Some(_) => {}
        None => {
            definitions::insert(tx, one.id, one.config)?;
            audit::record(
                tx,
                author,
                "define",
                Some(one.id),
                &format!("name={}", one.config.name),
            )?;
        }
    }
    if let Some(reason) = claim_refusal(tx, one.id, ClaimEffect::Takes, node)? {
        return Err(definitions::in_use("vm_id", reason));
    }
    claim(tx, one.id, node)?;
    inventory::bump_epoch(tx, one.id.as_str())?;
    record_state(tx, node, one)?;
    let detail = format!("node={node} state={}", one.domain.state);
    audit::record(tx, author, "adopt", Some(one.id), &detail)?;
    Ok(true)
}

/// Records the domain's state: one that runs should run, and is no longer a conflict.
fn record_state(
    tx: &Transaction<'_>,
    node: &NodeName,
    one: &Adoption<'_>,
) -> Result<(), RegistryError> {
    let desired = match one.domain.state {
        VmState::Running | VmState::Paused => Desired::Running,
        VmState::ShutOff
        | VmState::Crashed
        | VmState::PmSuspended
        | VmState::Absent
        | VmState::Unknown => Desired::Off,
    };
    let id = one.id.as_str();
    tx.execute(
        "UPDATE vm SET state = ?2, desired = ?3, vnc = ?4, seen_at = ?5 WHERE vm_id = ?1",
        params![
            id,
            one.domain.state.as_str(),
            desired.as_str(),
            one.domain.vnc,
            Timestamp::now()
        ],
    )?;
    let sql = "DELETE FROM conflict WHERE vm_id = ?1 AND node = ?2";
    tx.execute(sql, [id, node.as_str()])?;
    Ok(())
}
