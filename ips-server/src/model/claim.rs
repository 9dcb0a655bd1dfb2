//! Which node owns a VM, and where else a domain of it was seen.

use hps_core::names::{NodeName, VmId};
use hps_core::state::VmState;

use super::time::Timestamp;

/// A node that has a domain of a VM that it does not own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The VM.
    pub vm: VmId,
    /// The node that has the domain.
    pub node: NodeName,
    /// The node that owns the VM.
    pub owner: Option<NodeName>,
    /// When the domain was seen.
    pub seen_at: Timestamp,
    /// The domain's state then.
    pub state: VmState,
}

/// What must still hold when a VM is created again on its owner: the caller read it before it
/// acquired the VM's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// The node owns the VM: for a command of an operator.
    Owned,
    /// The node owns the VM, and the VM should run: for the sweep.
    ShouldRun,
}
