//! `o_vm pause`: stops a VM's CPUs; it stays in memory.

use hps_core::state::VmState;
use hps_core::verb::VerbName;

use super::operate::{self, verb_args};
use crate::cli::Env;
use crate::model::exit::Exit;
use crate::model::options::Options;
use crate::model::verb::{Address, ClaimEffect, Spec, Target, one_step};

/// The row of this verb.
pub static SPEC: Spec = Spec {
    name: VerbName::of("pause"),
    target: Target::Owner,
    claim: ClaimEffect::Keeps,
    address: Address::Name,
    proof: &[VmState::Paused],
    implied_state: |_| Some(VmState::Paused),
    desired: None,
    plan: one_step,
    removes_storage: false,
    failures: &[1],
    recreate: None,
    link: "o_vm_pause",
    node_command: Some("n_vm_pause"),
};

verb_args! {
    /// Pause a VM; it stays in memory.
    Pause, "pause" {}
}

impl Pause {
    /// Executes it; exit codes in o_vm(1).
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        operate::run(env, &self.call(None, Options::default()))
    }
}
