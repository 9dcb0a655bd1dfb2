//! `o_vm show`: a VM as in the registry, and its history.

use argh::FromArgs;

use super::finish;
use crate::cli::output::{print, print_json};
use crate::cli::{Env, Error};
use crate::json::VmJson;
use crate::model::exit::Exit;
use crate::model::time::short;
use crate::model::vm::Vm;

/// Show a VM: definition, node, state and history.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "show", help_triggers("--help", "-h"))]
pub struct Show {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

impl Show {
    /// Shows it.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish("show", self.show(env))
    }

    fn show(&self, env: &Env) -> Result<(), Error> {
        let vm = env.find(&self.vm)?;
        if self.json {
            print_json(&VmJson::of(&vm, env.settings.stale_after));
            return Ok(());
        }
        print_vm(env, &vm);
        let audit = env.registry()?.audit(&vm.id)?;
        for entry in audit {
            let reason = entry
                .reason
                .map(|reason| format!(" ({reason})"))
                .unwrap_or_default();
            print(&format!(
                "{}  {} by {} from {}: {}{reason}",
                entry.at, entry.what, entry.who, entry.source, entry.detail
            ));
        }
        Ok(())
    }
}

fn print_vm(env: &Env, vm: &Vm) {
    let seen = vm.seen_at.map_or_else(
        || "never seen".to_owned(),
        |at| format!("seen {} ago", short(at.age())),
    );
    let owner = vm
        .owner
        .as_ref()
        .map_or_else(|| "no node".to_owned(), ToString::to_string);
    print(&format!("vm_id={}", vm.id));
    print(vm.config.to_text().trim_end());
    print(&format!("# uuid {}", vm.uuid));
    print(&format!(
        "# on {owner}, {}, {seen}, should be {}",
        vm.shown_state(env.settings.stale_after),
        vm.desired.as_str()
    ));
}
