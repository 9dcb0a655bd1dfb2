//! `o_vm console`: where a VM's screen is, and the ssh line that brings it here. The
//! screen itself listens on the node's loopback only.

use argh::FromArgs;

use super::Env;
use crate::model::exit::Exit;
use crate::operation::Conclusion;
use crate::operation::inventory;

/// Tell where a VM's screen is.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "console")]
pub struct Console {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
}

impl Console {
    /// Asks the node, and tells.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        match self.look(env) {
            Ok(text) => {
                super::say(&text);
                Exit::Success
            }
            Err(conclusion) => {
                super::print_error(&format!("console {}: {}", self.vm, conclusion.message));
                conclusion.code
            }
        }
    }

    fn look(&self, env: &Env) -> Result<String, Conclusion> {
        let vm = env.find(&self.vm)?;
        let no = |why: String| Conclusion::refused(Exit::Parameters, why);
        let node = vm
            .owner
            .clone()
            .ok_or_else(|| no("no node has it".to_owned()))?;
        let stop = super::interruptible();
        let engine = env.engine(&stop).map_err(no)?;
        inventory::refresh(&mut env.registry()?, engine.as_ref(), &node)
            .map_err(|why| Conclusion::refused(Exit::Unknown, format!("{node}: {why}")))?;
        let vm = env.find(&self.vm)?;
        let screen = vm
            .vnc
            .ok_or_else(|| no(format!("it has no VNC screen now; it is {}", vm.state)))?;
        Ok(tunnel(node.as_str(), &screen))
    }
}

fn tunnel(node: &str, screen: &str) -> String {
    let (address, port) = screen.rsplit_once(':').unwrap_or((screen, "5900"));
    format!(
        "node {node}, VNC {screen}\nssh -N -L {port}:{address}:{port} root@{node}\nthen point a VNC viewer at localhost:{port}"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_ssh_line_tunnels_to_the_screen() {
        assert!(
            super::tunnel("tch-001", "127.0.0.1:5901")
                .contains("ssh -N -L 5901:127.0.0.1:5901 root@tch-001\n")
        );
    }
}
