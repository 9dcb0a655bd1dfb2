//! `o_vm unpause`: resumes a paused VM.

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
    name: VerbName::of("unpause"),
    target: Target::Owner,
    claim: ClaimEffect::Keeps,
    address: Address::Name,
    proof: &[VmState::Running],
    implied_state: |_| Some(VmState::Running),
    desired: Some(Desired::Running),
    plan: one_step,
    removes_storage: false,
    failures: &[1],
    recreate: None,
    link: "o_vm_unpause",
    node_command: Some("n_vm_unpause"),
};

verb_args! {
    /// Resume a paused VM.
    Unpause, "unpause" {}
}

impl Unpause {
    /// Executes it; exit codes in o_vm(1).
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        operate::run(env, &self.call(None, Options::default()))
    }
}
