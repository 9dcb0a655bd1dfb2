//! `o_vm list`: the VMs of the registry, with each state and its age. It asks no node.

use std::io::IsTerminal;

use argh::FromArgs;
use hps_core::names::NodeName;
use hps_core::state::VmState;

use super::finish;
use crate::cli::output::{print_bytes, print_json, print_table};
use crate::cli::{Env, Error, usage_error};
use crate::json::{VmJson, vms_json};
use crate::model::exit::Exit;
use crate::model::time::short;
use crate::model::vm::Vm;

/// List the VMs of the registry.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "list", help_triggers("--help", "-h"))]
pub struct List {
    /// only on this node
    #[argh(option)]
    node: Option<NodeName>,
    /// only in this state
    #[argh(option)]
    state: Option<VmState>,
    /// only names that match this pattern of * and ?
    #[argh(option, arg_name = "glob")]
    name: Option<String>,
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// columns of the table, separated by commas: vm_id,name,node,state,seen,desired,cpus,memory,title,uuid
    #[argh(option, arg_name = "list")]
    columns: Option<String>,
}

/// A column: its name for `--columns`, its title, and its cell.
type Column = (&'static str, &'static str, fn(&Env, &Vm) -> String);

const COLUMNS: [Column; 10] = [
    ("vm_id", "VM_ID", |_, vm| vm.id.to_string()),
    ("name", "NAME", |_, vm| vm.config.name.to_string()),
    ("node", "NODE", |_, vm| {
        vm.owner
            .as_ref()
            .map_or_else(|| "-".to_owned(), ToString::to_string)
    }),
    ("state", "STATE", |env, vm| {
        vm.shown_state(env.settings.stale_after).to_string()
    }),
    ("seen", "SEEN", |_, vm| {
        vm.seen_at.map_or_else(
            || "never".to_owned(),
            |at| format!("{} ago", short(at.age())),
        )
    }),
    ("desired", "DESIRED", |_, vm| vm.desired.as_str().to_owned()),
    ("cpus", "CPUS", |_, vm| vm.config.vcpus.to_string()),
    ("memory", "MEMORY", |_, vm| {
        format!("{} MiB", vm.config.memory)
    }),
    ("title", "TITLE", |_, vm| {
        vm.config
            .title
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
    }),
    ("uuid", "UUID", |_, vm| vm.uuid.to_string()),
];
const USUAL: &str = "vm_id,name,node,state,seen,cpus,memory,title";

impl List {
    /// Lists them.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish("list", self.list(env))
    }

    fn list(&self, env: &Env) -> Result<(), Error> {
        let columns = columns(self.columns.as_deref().unwrap_or(USUAL))?;
        let registry = env.registry()?;
        // To a program the rows go as they are read; indented JSON needs them all.
        if self.json && !std::io::stdout().is_terminal() {
            let wants = |vm: &Vm| self.wants(env, vm);
            let json = vms_json(&registry, env.settings.stale_after, wants);
            print_bytes(json?);
            return Ok(());
        }
        let mut vms = registry.vms()?;
        vms.retain(|vm| self.wants(env, vm));
        if self.json {
            print_json_array(env, &vms);
        } else {
            table(env, &columns, &vms);
        }
        Ok(())
    }

    fn wants(&self, env: &Env, vm: &Vm) -> bool {
        let glob =
            |pattern: &String| matches(pattern.as_bytes(), vm.config.name.as_str().as_bytes());
        self.node
            .as_ref()
            .is_none_or(|node| vm.owner.as_ref() == Some(node))
            && self
                .state
                .is_none_or(|state| vm.shown_state(env.settings.stale_after) == state)
            && self.name.as_ref().is_none_or(glob)
    }
}

fn columns(names: &str) -> Result<Vec<&'static Column>, Error> {
    let find = |name: &str| {
        let all: Vec<_> = COLUMNS.iter().map(|(name, ..)| *name).collect();
        let unknown = || {
            usage_error(format!(
                "--columns {name:?}: unknown column; the columns are {}",
                all.join(",")
            ))
        };
        COLUMNS
            .iter()
            .find(|(known, ..)| *known == name)
            .ok_or_else(unknown)
    };
    names.split(',').map(find).collect()
}

fn table(env: &Env, columns: &[&Column], vms: &[Vm]) {
    let head: Vec<_> = columns.iter().map(|(_, title, _)| *title).collect();
    print_table(
        &head,
        vms.iter()
            .map(|vm| columns.iter().map(|(.., cell)| cell(env, vm)).collect()),
    );
}

/// The usual table.
pub(super) fn print_usual(env: &Env, vms: &[Vm]) {
    // The usual columns exist.
    let columns = columns(USUAL).unwrap_or_default();
    table(env, &columns, vms);
}

/// One top-level array.
pub(super) fn print_json_array(env: &Env, vms: &[Vm]) {
    print_json(
        &vms.iter()
            .map(|vm| VmJson::of(vm, env.settings.stale_after))
            .collect::<Vec<_>>(),
    );
}

/// One object.
pub(super) fn print_json_one(env: &Env, vms: &[Vm]) {
    for vm in vms {
        print_json(&VmJson::of(vm, env.settings.stale_after));
    }
}

/// `*` is any text, `?` any character, everything else itself.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
        ([b'?', pattern @ ..], [_, text @ ..]) => matches(pattern, text),
        ([one, pattern @ ..], [other, text @ ..]) => one == other && matches(pattern, text),
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn globs_match_as_a_shell_does() {
        let matches =
            |pattern: &str, text: &str| super::matches(pattern.as_bytes(), text.as_bytes());
        for (pattern, text, want) in [
            ("*", "", true),
            ("web*", "web-01", true),
            ("*01", "web-01", true),
            ("w?b*1", "web-01", true),
            ("web", "web-01", false),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
    }
}
