//! `o_vm reboot`: asks a VM to reboot, or resets it.

use hps_core::duration::TimeSpan;
use hps_core::state::VmState;

use super::force::Force;
use super::operate::{self, verb_args};
use crate::cli::Env;
use crate::model::exit::Exit;
use crate::model::options::Options;
use crate::model::verb::Spec;

/// The row of this verb.
pub static SPEC: Spec = Spec {
    // A VM that runs ran before, too.
    implied_state: |_| Some(VmState::Running),
    ..Spec::on_owner("reboot", "o_vm_reboot")
};

/// The default of `--timeout`.
const WAIT: TimeSpan = TimeSpan::seconds(90);

verb_args! {
    /// Reboot a VM; `force` resets it at once.
    Reboot, "reboot" {
        /// force: reset it at once
        #[argh(positional)]
        force: Option<Force>,
        /// wait until the VM has rebooted
        #[argh(switch)]
        wait: bool,
        /// how long to wait: 90, 90s or 2m (default 90s)
        #[argh(option, arg_name = "duration", default = "WAIT")]
        timeout: TimeSpan,
    }
}

impl Reboot {
    /// Executes it; exit codes in o_vm(1).
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let options = Options {
            force: self.force.is_some(),
            wait: self.wait.then_some(self.timeout.get()),
            ..Options::default()
        };
        operate::run(env, &self.call(None, options))
    }
}
