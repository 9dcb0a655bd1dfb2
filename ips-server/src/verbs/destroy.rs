//! `o_vm destroy`: removes a VM from its node, with the files that are provably its own.

use argh::FromArgs;
use hps_core::verb::Verb;

use super::operate::{Order, order};
use crate::cli::Env;
use crate::model::exit::Exit;
use crate::operation::options::Options;

/// Remove a VM from its node; its definition stays.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "destroy", help_triggers("--help", "-h"))]
pub struct Destroy {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
    /// keep all files of the VM
    #[argh(switch)]
    keep_storage: bool,
    /// print the operation record as JSON
    #[argh(switch)]
    json: bool,
    /// reason, for the audit log
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

impl Destroy {
    /// Performs it; the exit code is contract 3's.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let options = Options {
            keep_storage: self.keep_storage,
            ..Options::default()
        };
        let (json, reason) = (self.json, self.reason.as_deref());
        order(
            env,
            &Order {
                vm: &self.vm,
                verb: Verb::Destroy,
                node: None,
                options,
                json,
                reason,
            },
        )
    }
}
