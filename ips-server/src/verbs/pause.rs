//! `o_vm pause`: pauses a running VM.

use argh::FromArgs;
use hps_core::verb::Verb;

use super::operate::{Order, order};
use crate::cli::Env;
use crate::model::exit::Exit;
use crate::operation::options::Options;

/// Pause a running VM.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "pause", help_triggers("--help", "-h"))]
pub struct Pause {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
    /// print the operation record as JSON
    #[argh(switch)]
    json: bool,
    /// reason, for the audit log
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

impl Pause {
    /// Performs it; the exit code is contract 3's.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let options = Options::default();
        let (json, reason) = (self.json, self.reason.as_deref());
        order(
            env,
            &Order {
                vm: &self.vm,
                verb: Verb::Pause,
                node: None,
                options,
                json,
                reason,
            },
        )
    }
}
