//! `o_vm start`: starts a VM on its node, and creates it again where its node has lost it.

use hps_core::state::VmState;

use super::operate::{self, verb_args};
use crate::cli::Env;
use crate::model::exit::Exit;
use crate::model::options::Options;
use crate::model::verb::Spec;
use crate::model::vm::Desired;

/// The row of this verb.
pub static SPEC: Spec = Spec {
    proof: &[VmState::Running],
    implied_state: |_| Some(VmState::Running),
    desired: Some(Desired::Running),
    recreate: Some(&super::create::SPEC),
    node_command: Some("n_vm_start"),
    ..Spec::on_owner("start", "o_vm_start")
};

verb_args! {
    /// Start a VM.
    Start, "start" {}
}

impl Start {
    /// Executes it; exit codes in o_vm(1).
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        operate::run(env, &self.call(None, Options::default()))
    }
}
