//! `o_vm unpause`: resumes a paused VM.

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
    node_command: Some("n_vm_unpause"),
    ..Spec::on_owner("unpause", "o_vm_unpause")
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
