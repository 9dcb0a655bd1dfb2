//! `o_vm set`: changes keys of a VM's config. What a node would have to change under a
//! running domain (name, disks, networks, uuid) is refused while a node owns the VM.

use argh::FromArgs;
use hps_core::config::VmConfig;
use hps_core::kv;

use super::{Env, done, registry_failed, say, wrong};
use crate::error::chain;
use crate::model::exit::Exit;
use crate::operation::Conclusion;
use crate::operation::lock::{Attempt, try_lock};

/// Change keys of a VM's config; an empty value removes an optional key.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "set")]
pub struct Set {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: String,
    /// key=value
    #[argh(positional, arg_name = "key=value")]
    pairs: Vec<String>,
    /// why, for the audit
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

impl Set {
    /// Changes them, all or none.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        done("set", self.set(env))
    }

    fn set(&self, env: &Env) -> Result<(), Conclusion> {
        let found = env.find(&self.vm)?;
        let _lock = match try_lock(&env.settings.lock_dir, &found.id) {
            Ok(Attempt::Locked(lock)) => lock,
            Ok(Attempt::Held(_)) => {
                return Err(Conclusion::refused(
                    Exit::Refused,
                    "an operation on it is under way",
                ));
            }
            Err(error) => return Err(wrong(chain(&error))),
        };
        let vm = env.find(found.id.as_str())?;
        let changes = self.changes()?;
        if vm.owner.is_some()
            && let Some((key, _)) = changes.iter().find(|(key, _)| is_fixed(key))
        {
            return Err(wrong(format!(
                "{key} cannot be changed while a node owns {}; `o_vm destroy` first",
                vm.id
            )));
        }
        let config = changed(&vm.config, &changes)?;
        let author = env.author(self.reason.as_deref());
        let detail = self.pairs.join(" ");
        let owner = env
            .registry()?
            .redefine(&author, &vm.id, &config, &detail)
            .map_err(|error| registry_failed(&error))?;
        match owner {
            Some(node) => say(&format!(
                "{} changed; takes effect when it is destroyed on {node} and created again",
                vm.id
            )),
            None => say(&format!(
                "{} changed; takes effect when it is created",
                vm.id
            )),
        }
        Ok(())
    }

    fn changes(&self) -> Result<Vec<(&str, &str)>, Conclusion> {
        if self.pairs.is_empty() {
            return Err(wrong("want at least one key=value"));
        }
        let mut keys: Vec<_> = self.pairs.iter().map(|pair| key_of(pair)).collect();
        keys.sort_unstable();
        if let Some(twice) = keys.windows(2).find(|two| two[0] == two[1]) {
            return Err(wrong(format!("{} is given twice", twice[0])));
        }
        let split = |pair: &'_ String| -> Result<(usize, usize), Conclusion> {
            let at = pair
                .find('=')
                .ok_or_else(|| wrong(format!("{pair:?}: want key=value")))?;
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

/// The config with the changes: its text, key by key, parsed again as a whole.
fn changed(config: &VmConfig, changes: &[(&str, &str)]) -> Result<VmConfig, Conclusion> {
    let old = config.to_text();
    let old = kv::parse(old.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    let mut pairs: Vec<(&str, &str)> = old.iter().map(|pair| (pair.key, pair.value)).collect();
    for &(key, value) in changes {
        if value.contains(char::is_control) {
            return Err(wrong(format!("{key}: a control character in {value:?}")));
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
    let parsed =
        VmConfig::parse(text.as_bytes()).map_err(|error| wrong(without_line(&chain(&error))))?;
    match parsed.unknown_keys.first() {
        Some(key) => Err(wrong(format!("{key} is no key of a VM config"))),
        None => Ok(parsed.config),
    }
}

/// Line numbers of a text that the user never saw say nothing to him.
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
            (("colour", "red"), "colour is no key"),
            (("disk_1_b", "/b"), "disk_1_b without disk_1_a"),
        ] {
            let message = changed(&config(), &[change]).unwrap_err().message;
            assert!(message.starts_with(want), "{message}");
        }
    }
}
