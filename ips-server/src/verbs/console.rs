//! `o_vm console`: the address of a VM's VNC console, and the ssh command that forwards it.
//! The console listens on the node's loopback only.

use argh::FromArgs;

use super::finish;
use crate::cli::output::print;
use crate::cli::signals::interruptible;
use crate::cli::{Env, Error, usage_error};
use crate::model::exit::Exit;
use crate::operation::inventory;

/// Show how to reach a VM's VNC console.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "console", help_triggers("--help", "-h"))]
pub struct Console {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
}

impl Console {
    /// Asks the node, and prints the address.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish(&format!("console {}", self.vm), self.console(env))
    }

    fn console(&self, env: &Env) -> Result<(), Error> {
        let vm = env.find(&self.vm)?;
        let no_owner = || usage_error("no node owns the VM");
        let node = vm.owner.ok_or_else(no_owner)?;
        let stop = interruptible();
        let engine = env.engine(&stop)?;
        inventory::refresh(&mut env.registry()?, engine.as_ref(), &node)?;
        // The port is given when the domain starts, so only the answer of now counts.
        let vm = env.find(&self.vm)?;
        let no_console = || {
            usage_error(format!(
                "the VM has no VNC console now; its state is {}",
                vm.state
            ))
        };
        print(&tunnel(node.as_str(), &vm.vnc.ok_or_else(no_console)?));
        Ok(())
    }
}

fn tunnel(node: &str, vnc: &str) -> String {
    let (address, port) = vnc.rsplit_once(':').unwrap_or((vnc, "5900"));
    format!(
        "node {node}, VNC {vnc}\nssh -N -L {port}:{address}:{port} root@{node}\nthen connect a VNC viewer to localhost:{port}"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_ssh_command_forwards_the_console() {
        assert!(
            super::tunnel("tch-001", "127.0.0.1:5901")
                .contains("ssh -N -L 5901:127.0.0.1:5901 root@tch-001\n")
        );
    }
}
