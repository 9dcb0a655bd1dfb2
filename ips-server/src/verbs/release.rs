//! `o_vm release`: ends a claim when a node is lost. The operator confirms that the node is
//! off, with a reason for the audit. Refused while the node is healthy.

use argh::FromArgs;
use hps_core::names::NodeName;

use super::finish;
use crate::cli::output::print;
use crate::cli::{Env, Error, usage_error};
use crate::model::exit::Exit;
use crate::model::node::Health;
use crate::model::operation::BeginOutcome;
use crate::model::vm::Vm;

/// End a VM's claim on a node that is off for good.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "release", help_triggers("--help", "-h"))]
pub struct Release {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
    /// the node, which you confirm is powered off
    #[argh(option, arg_name = "node")]
    node_is_off: NodeName,
    /// reason, for the audit log
    #[argh(option, arg_name = "text")]
    reason: String,
}

impl Release {
    /// Ends the claim; 10 if that is refused.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish(&format!("release {}", self.vm), self.release(env))
    }

    fn release(&self, env: &Env) -> Result<(), Error> {
        if self.reason.trim().is_empty() {
            return Err(usage_error("--reason is empty"));
        }
        let vm = env.find(&self.vm)?;
        self.is_off(env, &vm)?;
        let _lock = env.lock(&vm.id)?;
        let (author, node) = (env.author(Some(&self.reason)), &self.node_is_off);
        match env.registry()?.release(&author, &vm.id, node)? {
            BeginOutcome::Journaled => print(&format!(
                "{} released from {node}; when that node is back, `o_vm sweep` reports what it \
                 still has",
                vm.id
            )),
            BeginOutcome::Refused(why) => return Err(Error::Refused(why)),
        }
        Ok(())
    }

    /// A node that answers is not off.
    fn is_off(&self, env: &Env, vm: &Vm) -> Result<(), Error> {
        let mut nodes = env.nodes()?.into_iter();
        let found = nodes.find(|known| known.name == self.node_is_off);
        match found.map(|known| known.health) {
            Some(Health::Healthy | Health::Frozen(_)) => Err(Error::Refused(format!(
                "{} answers, so it is not off; `o_vm destroy {}` removes the VM there",
                self.node_is_off, vm.id
            ))),
            Some(Health::NotReachable(_) | Health::NotInCluster) | None => Ok(()),
        }
    }
}
