//! `o_vm set`: changes keys of a VM's config. Name, uuid, disks and networks of a domain
//! cannot change under it, so they are refused while a node owns the VM.

use argh::FromArgs;
use hps_core::config::VmConfig;
use hps_core::kv;

use super::finish;
use crate::cli::output::print;
use crate::cli::{Env, Error, usage_error};
use crate::error::chain;
use crate::model::exit::Exit;

/// Change keys of a VM's config; an empty value removes an optional key.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "set", help_triggers("--help", "-h"))]
pub struct Set {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
    /// key=value
    #[argh(positional, arg_name = "key=value")]
    pairs: Vec<String>,
    /// reason, for the audit log
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

impl Set {
    /// Changes them, all or none.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish("set", self.set(env))
    }

    fn set(&self, env: &Env) -> Result<(), Error> {
        let found = env.find(&self.vm)?;
        let _lock = env.lock(&found.id)?;
        // Read again under the lock: an operation may have changed the owner meanwhile.
        let vm = env.find(found.id.as_str())?;
        let changes = self.changes()?;
        if vm.owner.is_some()
            && let Some((key, _)) = changes.iter().find(|(key, _)| is_fixed(key))
        {
            return Err(usage_error(format!(
                "{key} cannot be changed while a node owns {}; run `o_vm destroy` first",
                vm.id
            )));
        }
        let config = changed(&vm.config, &changes)?;
        let author = env.author(self.reason.as_deref());
        let detail = self.pairs.join(" ");
        let owner = env
            .registry()?
            .redefine(&author, &vm.id, &config, &detail)?;
        match owner {
            Some(node) => print(&format!(
                "{} changed; the change takes effect when the VM is destroyed on {node} and created again",
                vm.id
            )),
            None => print(&format!(
                "{} changed; the change takes effect when the VM is created",
                vm.id
            )),
        }
        Ok(())
    }

    fn changes(&self) -> Result<Vec<(&str, &str)>, Error> {
        if self.pairs.is_empty() {
            return Err(usage_error("give at least one key=value"));
        }
        let mut keys: Vec<_> = self.pairs.iter().map(|pair| key_of(pair)).collect();
        keys.sort_unstable();
        if let Some(twice) = keys.windows(2).find(|two| two[0] == two[1]) {
            return Err(usage_error(format!("{} is given twice", twice[0])));
        }
        let split = |pair: &'_ String| -> Result<(usize, usize), Error> {
            let at = pair
                .find('=')
                .ok_or_else(|| usage_error(format!("{pair:?}: not key=value")))?;
            Ok((at, at + 1))
        };
        self.pairs
            .iter()
            .map(|pair| split(pair).map(|(end, start)| (&pair[..end], &pair[start..])))
            .collect()
    }
}

fn key_of(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(key, _)| key)
}

fn is_fixed(key: &str) -> bool {
    matches!(key, "name" | "uuid") || key.starts_with("disk_") || key.starts_with("vxlan_")
}

/// The config with the changes, parsed again from its text.
fn changed(config: &VmConfig, changes: &[(&str, &str)]) -> Result<VmConfig, Error> {
    let old = config.to_text();
    let old = kv::parse(old.as_bytes()).map_err(|error| usage_error(error.to_string()))?;
    let mut pairs: Vec<(&str, &str)> = old.iter().map(|pair| (pair.key, pair.value)).collect();
    for &(key, value) in changes {
        if value.contains(char::is_control) {
            return Err(usage_error(format!(
                "{key}: control character in {value:?}"
            )));
        }
        match pairs.iter_mut().find(|(known, _)| *known == key) {
            Some(pair) => pair.1 = value,
            None => pairs.push((key, value)),
        }
    }
    let kept = pairs.iter().filter(|(_, value)| !value.is_empty());
    let text: String = kept
        .map(|(key, value)| format!("{key}={value}\n"))
        .collect();
    let parsed = VmConfig::parse(text.as_bytes())
        .map_err(|error| usage_error(without_line(&chain(&error))))?;
    match parsed.unknown_keys.first() {
        Some(key) => Err(usage_error(format!("unknown key {key}"))),
        None => Ok(parsed.config),
    }
}

/// Without the line number, which is that of a text that the user has not seen.
fn without_line(message: &str) -> String {
    let stripped = message
        .strip_prefix("line ")
        .and_then(|rest| rest.split_once(": "));
    stripped.map_or(message, |(_, rest)| rest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> VmConfig {
        let text = b"name=v\ncpu_count=1\nram_mb=64\nprovision_method=virt-install\ntitle=T\n";
        VmConfig::parse(text).unwrap().config
    }

    #[test]
    fn a_key_is_replaced_added_or_removed() {
        let text = changed(
            &config(),
            &[("cpu_count", "4"), ("title", ""), ("boot", "hd")],
        )
        .unwrap()
        .to_text();
        assert_eq!(
            text,
            "name=v\ncpu_count=4\nram_mb=64\nprovision_method=virt-install\nboot=hd\n"
        );
    }

    #[test]
    fn a_bad_change_names_its_key_and_no_line() {
        for (change, want) in [
            (("cpu_count", "many"), "cpu_count: CPU count \"many\""),
            (("cpu_count", ""), "cpu_count is missing"),
            (("colour", "red"), "unknown key colour"),
            (("disk_1_b", "/b"), "disk_1_b without disk_1_a"),
        ] {
            let message = changed(&config(), &[change]).unwrap_err().to_string();
            assert!(message.starts_with(want), "{message}");
        }
    }
}
