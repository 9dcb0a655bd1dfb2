//! `o_vm release`: the way out of a burnt host. A person says that a node is off, and
//! why; the claim ends, audited. Refused while the node is healthy.

use argh::FromArgs;
use hps_core::names::NodeName;

use crate::cli::output::{print, print_error};
use crate::cli::{Env, Error};
use crate::engine::Health;
use crate::model::exit::Exit;
use crate::operation::Conclusion;
use crate::operation::lock::{Attempt, try_lock};
use crate::registry::journal::Begun;

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
    /// Ends the claim; 10 where that is refused.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        match self.release(env) {
            Ok(line) => {
                print(&line);
                Exit::Success
            }
            Err(conclusion) => {
                print_error(&format!("release {}: {}", self.vm, conclusion.message));
                conclusion.code
            }
        }
    }

    fn release(&self, env: &Env) -> Result<String, Conclusion> {
        let node = &self.node_is_off;
        if self.reason.trim().is_empty() {
            return Err(Conclusion::refused(Exit::Parameters, "--reason is empty"));
        }
        let vm = env.find(&self.vm)?;
        let health = env
            .nodes()?
            .into_iter()
            .find(|known| known.name == *node)
            .map(|known| known.health);
        if let Some(Health::Healthy | Health::Frozen(_)) = health {
            let why = format!(
                "{node} answers: it is not off; `o_vm destroy {}` removes the VM there",
                vm.id
            );
            return Err(Conclusion::refused(Exit::Refused, why));
        }
        let _lock = match try_lock(&env.settings.lock_dir, &vm.id) {
            Ok(Attempt::Locked(lock)) => lock,
            Ok(Attempt::Held(_)) => {
                return Err(Conclusion::refused(
                    Exit::Refused,
                    "an operation on it is under way",
                ));
            }
            Err(error) => {
                return Err(Conclusion::refused(
                    Exit::Parameters,
                    crate::error::chain(&error),
                ));
            }
        };
        let author = env.author(Some(&self.reason));
        match env.registry()?.release(&author, &vm.id, node) {
            Ok(Begun::Journaled) => Ok(format!(
                "{} released from {node}; when that node comes back, `o_vm sweep` tells what it still has",
                vm.id
            )),
            Ok(Begun::Refused(why)) => Err(Conclusion::refused(Exit::Refused, why)),
            Err(error) => Err(Error::from(error).into()),
        }
    }
}
