//! `o_vm show`: all that the registry knows of a VM, the why included.

use argh::FromArgs;

use super::{Env, done, registry_failed, say, say_json};
use crate::json::ShownVm;
use crate::model::exit::Exit;
use crate::model::time::short;
use crate::model::vm::Vm;
use crate::operation::Conclusion;

/// Show a VM: definition, place, state, and who changed it.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "show")]
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
        done("show", self.show(env))
    }

    fn show(&self, env: &Env) -> Result<(), Conclusion> {
        let vm = env.find(&self.vm)?;
        if self.json {
            say_json(&ShownVm::of(&vm, env.settings.stale_after));
            return Ok(());
        }
        tell(env, &vm);
        let audit = env
            .registry()?
            .audit(&vm.id)
            .map_err(|error| registry_failed(&error))?;
        for entry in audit {
            let reason = entry
                .reason
                .map(|reason| format!(" ({reason})"))
                .unwrap_or_default();
            say(&format!(
                "{}  {} by {} from {}: {}{reason}",
                entry.at, entry.what, entry.who, entry.source, entry.detail
            ));
        }
        Ok(())
    }
}

fn tell(env: &Env, vm: &Vm) {
    let seen = vm.seen_at.map_or_else(
        || "never seen".to_owned(),
        |at| format!("seen {} ago", short(at.age())),
    );
    let owner = vm
        .owner
        .as_ref()
        .map_or_else(|| "no node".to_owned(), ToString::to_string);
    say(&format!("vm_id={}", vm.id));
    say(vm.config.to_text().trim_end());
    say(&format!("# uuid {}", vm.uuid));
    say(&format!(
        "# on {owner}, {}, {seen}, should be {}",
        vm.shown_state(env.settings.stale_after),
        vm.desired.as_str()
    ));
}
