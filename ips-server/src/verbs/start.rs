//! `o_vm start`: starts a VM on its node, and creates it again where its node has lost it.

use hps_core::state::VmState;
use hps_core::verb::VerbName;

use super::operate::{self, verb_args};
use crate::cli::Env;
use crate::model::exit::Exit;
use crate::model::options::Options;
use crate::model::verb::{Address, ClaimEffect, Spec, Target, one_step};
use crate::model::vm::Desired;

/// The row of this verb.
pub static SPEC: Spec = Spec {
    name: VerbName::of("start"),
    target: Target::Owner,
    claim: ClaimEffect::Keeps,
    address: Address::Name,
    proof: &[VmState::Running],
    implied_state: |_| Some(VmState::Running),
    desired: Some(Desired::Running),
    plan: one_step,
    removes_storage: false,
    failures: &[1],
    recreate: Some(&super::create::SPEC),
    link: "o_vm_start",
    node_command: Some("n_vm_start"),
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
