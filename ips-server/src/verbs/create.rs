//! `o_vm create`: makes a VM on a node, or finishes making it.

use argh::FromArgs;
use hps_core::names::NodeName;
use hps_core::verb::Verb;

use super::operate::{Order, order};
use crate::cli::Env;
use crate::model::exit::Exit;
use crate::operation::options::Options;

/// Create and start a VM on a node.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "create", help_triggers("--help", "-h"))]
pub struct Create {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
    /// name of the node
    #[argh(positional)]
    node: NodeName,
    /// print the operation record as JSON
    #[argh(switch)]
    json: bool,
    /// reason, for the audit log
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

impl Create {
    /// Performs it; the exit code is contract 3's.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let options = Options::default();
        let (json, reason) = (self.json, self.reason.as_deref());
        order(
            env,
            &Order {
                vm: &self.vm,
                verb: Verb::Create,
                node: Some(self.node.clone()),
                options,
                json,
                reason,
            },
        )
    }
}
