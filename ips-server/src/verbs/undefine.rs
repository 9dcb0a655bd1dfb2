//! `o_vm undefine`: forgets a VM that no node owns. Its history stays.

use argh::FromArgs;

use super::{Env, done, registry_failed, say};
use crate::model::exit::Exit;
use crate::operation::Conclusion;

/// Remove a VM's definition; refused while a node owns the VM.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "undefine")]
pub struct Undefine {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
    /// why, for the audit
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

impl Undefine {
    /// Removes it.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        done("undefine", self.undefine(env))
    }

    fn undefine(&self, env: &Env) -> Result<(), Conclusion> {
        let vm = env.find(&self.vm)?;
        let author = env.author(self.reason.as_deref());
        env.registry()?
            .undefine(&author, &vm.id)
            .map_err(|error| registry_failed(&error))?;
        say(&format!("{} undefined", vm.id));
        Ok(())
    }
}
