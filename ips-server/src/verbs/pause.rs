//! `o_vm pause`: stops a VM's CPUs; it stays in memory.

use hps_core::state::VmState;

use super::operate::{self, verb_args};
use crate::cli::Env;
use crate::model::exit::Exit;
use crate::model::options::Options;
use crate::model::verb::Spec;

/// The row of this verb.
pub static SPEC: Spec = Spec {
    proof: &[VmState::Paused],
    implied_state: |_| Some(VmState::Paused),
    node_command: Some("n_vm_pause"),
    ..Spec::on_owner("pause", "o_vm_pause")
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
