//! `o_vm create`: creates a VM on a node, or finishes an earlier attempt.

use hps_core::names::NodeName;
use hps_core::state::VmState;

use super::operate::{self, verb_args};
use crate::cli::Env;
use crate::model::exit::Exit;
use crate::model::options::Options;
use crate::model::verb::{Address, ClaimEffect, Spec, Target};
use crate::model::vm::Desired;

/// The row of this verb.
pub static SPEC: Spec = Spec {
    target: Target::Given,
    claim: ClaimEffect::Takes,
    address: Address::Id,
    proof: &[VmState::Running],
    implied_state: |_| Some(VmState::Running),
    desired: Some(Desired::Running),
    // n_vm(1), EXIT STATUS: 6 is doubt.
    failures: &[1, 2, 3, 4, 5, 7],
    node_command: Some("n_vm_create"),
    ..Spec::on_owner("create", "o_vm_create")
};

verb_args! {
    /// Create and start a VM on a node.
    Create, "create" {
        /// name of the node
        #[argh(positional)]
        node: NodeName,
    }
}

impl Create {
    /// Executes it; exit codes in o_vm(1).
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        operate::run(env, &self.call(Some(self.node.clone()), Options::default()))
    }
}
