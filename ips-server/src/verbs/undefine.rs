//! `o_vm undefine`: removes the definition of a VM that no node owns. Its history stays.

use argh::FromArgs;

use super::finish;
use crate::cli::output::print;
use crate::cli::{Env, Error};
use crate::model::exit::Exit;

/// Remove a VM's definition; refused while a node owns the VM.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "undefine", help_triggers("--help", "-h"))]
pub struct Undefine {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
    /// reason, for the audit log
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

impl Undefine {
    /// Removes it.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish("undefine", self.undefine(env))
    }

    fn undefine(&self, env: &Env) -> Result<(), Error> {
        let vm = env.find(&self.vm)?;
        let author = env.author(self.reason.as_deref());
        env.registry()?.undefine(&author, &vm.id)?;
        print(&format!("{} undefined", vm.id));
        Ok(())
    }
}
