//! Domains that a node has and that the registry did not know: defined and claimed in one
//! transaction, all or none. Nothing here is believed without a look at the node just then.

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
pub struct Adopted<'a> {
    /// The id it gets.
    pub id: &'a VmId,
    /// What it would be made from again.
    pub config: &'a VmConfig,
    /// The domain, as the node has just reported it.
    pub domain: &'a DomainReport,
}

impl Registry {
    /// Defines and claims all of them for a node, or none; how many the node did not own yet.
    ///
    /// # Errors
    /// Another node has or may have one of them, an operation on it is open, or what
    /// belongs to it belongs to another VM: which, and why.
    pub fn adopt(
        &mut self,
        author: &Author,
        node: &NodeName,
        all: &[Adopted<'_>],
    ) -> Result<usize, RegistryError> {
        self.write(|tx| {
            let mut new = 0;
            for (at, one) in all.iter().enumerate() {
                let taken = take(tx, author, node, one);
                new += usize::from(taken.map_err(|error| definitions::placed(error, at))?);
            }
            Ok(new)
        })
    }
}

/// Whether it was new to the node.
fn take(
    tx: &Transaction<'_>,
    author: &Author,
    node: &NodeName,
    one: &Adopted<'_>,
) -> Result<bool, RegistryError> {
    match vms::one(tx, "WHERE vm_id = ?1", [one.id.as_str()])? {
        Some(vm) if vm.config != *one.config => {
            let reason = format!(
                "VM {} is defined otherwise; take it as `o_vm config {}` prints it, or `o_vm undefine` it first",
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
    see(tx, node, one)?;
    let detail = format!("node={node} state={}", one.domain.state);
    audit::record(tx, author, "adopt", Some(one.id), &detail)?;
    Ok(true)
}

/// What runs should run; it is no stray any more.
fn see(tx: &Transaction<'_>, node: &NodeName, one: &Adopted<'_>) -> Result<(), RegistryError> {
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
