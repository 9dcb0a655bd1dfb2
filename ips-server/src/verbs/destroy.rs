//! `o_vm destroy`: removes a VM from its node, with the files that are proved to be its own.

use hps_core::state::VmState;

use super::operate::{self, verb_args};
use crate::cli::Env;
use crate::model::exit::Exit;
use crate::model::options::Options;
use crate::model::verb::{ClaimEffect, Spec};
use crate::model::vm::Desired;

/// The row of this verb.
pub static SPEC: Spec = Spec {
    claim: ClaimEffect::Ends,
    proof: &[VmState::Absent],
    implied_state: |_| Some(VmState::Absent),
    desired: Some(Desired::Off),
    removes_storage: true,
    node_command: Some("n_vm_destroy"),
    ..Spec::on_owner("destroy", "o_vm_destroy")
};

verb_args! {
    /// Remove a VM from its node; its definition stays.
    Destroy, "destroy" {
        /// keep all files of the VM
        #[argh(switch)]
        keep_storage: bool,
    }
}

impl Destroy {
    /// Executes it; exit codes in o_vm(1).
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let options = Options {
            keep_storage: self.keep_storage,
            ..Options::default()
        };
        operate::run(env, &self.call(None, options))
    }
}
