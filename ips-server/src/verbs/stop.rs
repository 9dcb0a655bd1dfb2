//! `o_vm stop`: asks a VM to shut down, or powers it off.

use hps_core::duration::TimeSpan;
use hps_core::state::VmState;

use super::force::Force;
use super::operate::{self, verb_args};
use crate::cli::Env;
use crate::model::exit::Exit;
use crate::model::options::Options;
use crate::model::verb::Spec;
use crate::model::vm::Desired;

/// The row of this verb.
pub static SPEC: Spec = Spec {
    proof: &[VmState::ShutOff, VmState::Absent],
    implied_state: off_if_waited,
    desired: Some(Desired::Off),
    node_command: Some("n_vm_stop"),
    ..Spec::on_owner("stop", "o_vm_stop")
};

/// A plain stop only asks the guest.
fn off_if_waited(options: &Options) -> Option<VmState> {
    (options.force || options.wait.is_some()).then_some(VmState::ShutOff)
}

/// The default of `--timeout`.
const WAIT: TimeSpan = TimeSpan::seconds(90);

verb_args! {
    /// Shut a VM down; `force` powers it off at once.
    Stop, "stop" {
        /// force: power it off at once
        #[argh(positional)]
        force: Option<Force>,
        /// wait until the VM is off
        #[argh(switch)]
        wait: bool,
        /// how long to wait: 90, 90s or 2m (default 90s)
        #[argh(option, arg_name = "duration", default = "WAIT")]
        timeout: TimeSpan,
        /// power the VM off when the time is over
        #[argh(switch)]
        force_after: bool,
    }
}

impl Stop {
    /// Executes it; exit codes in o_vm(1). `--force-after` needs the time, so it waits too.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let options = Options {
            force: self.force.is_some(),
            wait: (self.wait || self.force_after).then_some(self.timeout.get()),
            force_after: self.force_after,
            ..Options::default()
        };
        operate::run(env, &self.call(None, options))
    }
}
