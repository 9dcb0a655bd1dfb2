//! A verb on its way to a node: everything an engine needs to carry it, and nothing else.

use hps_core::names::{DiskPath, NodeName, VmId, VmName};
use hps_core::verb::Verb;
use uuid::Uuid;

use super::options::Options;
use super::token::Token;

/// Longest `N_VM_KEEP`, in bytes; a single variable may have 128 KiB on Linux.
const KEEP_LIMIT: usize = 96 * 1024;

/// One verb for one VM on one node.
#[derive(Debug)]
pub struct Job {
    /// The operation it belongs to; the OpenSVC session id too.
    pub operation: Uuid,
    /// The VM.
    pub vm: VmId,
    /// The UUID its domain has.
    pub vm_uuid: Uuid,
    /// The name its domain has.
    pub name: VmName,
    /// What to do.
    pub verb: Verb,
    /// Where.
    pub node: NodeName,
    /// How.
    pub options: Options,
    /// What the node proves itself with.
    pub token: Token,
    /// Disks of other VMs, which a destroy must leave alone.
    pub keep: Vec<DiskPath>,
}

/// The part of a job that outlives the process that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in Job")]
pub struct Past {
    pub operation: Uuid,
    pub vm: VmId,
    pub verb: Verb,
    pub node: NodeName,
}

impl Job {
    /// The part of it that outlives this process.
    #[must_use]
    pub fn past(&self) -> Past {
        Past {
            operation: self.operation,
            vm: self.vm.clone(),
            verb: self.verb,
            node: self.node.clone(),
        }
    }

    /// The arguments behind `n_vm VERB`.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut options = self.options.clone();
        options.keep_storage |= self.verb == Verb::Destroy && self.keep_text().is_none();
        options.arguments(self.verb, &self.vm, &self.name)
    }

    /// The environment of `n_vm`, the token first.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment = vec![
            ("N_VM_TOKEN", self.token.expose().to_owned()),
            ("N_VM_OPERATION", self.operation.to_string()),
            ("N_VM_ID", self.vm.to_string()),
            ("N_VM_UUID", self.vm_uuid.to_string()),
            ("N_VM_NODE", self.node.to_string()),
        ];
        if let Some(keep) = self.keep_text().filter(|keep| !keep.is_empty()) {
            environment.push(("N_VM_KEEP", keep));
        }
        environment
    }

    /// `N_VM_KEEP`: paths parted by `:`, with `%XX` for what is no plain path character.
    /// `None` where there are too many to tell: then no storage may be removed at all.
    fn keep_text(&self) -> Option<String> {
        let text = self.keep.iter().map(encoded).collect::<Vec<_>>().join(":");
        (text.len() <= KEEP_LIMIT).then_some(text)
    }
}

fn encoded(path: &DiskPath) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    path.as_str()
        .bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(keep: Vec<DiskPath>) -> Job {
        Job {
            operation: Uuid::from_u128(1),
            vm: "vm-1".parse().unwrap(),
            vm_uuid: Uuid::from_u128(2),
            name: "web".parse().unwrap(),
            verb: Verb::Destroy,
            node: "tch-001".parse().unwrap(),
            options: Options::default(),
            token: Token::new(),
            keep,
        }
    }

    #[test]
    fn paths_to_keep_survive_any_character() {
        let keep = ["/a b:c", "/d%20é"]
            .map(|path| path.parse().unwrap())
            .to_vec();
        assert_eq!(job(keep).keep_text().unwrap(), "/a%20b%3Ac:/d%2520%C3%A9");
    }

    #[test]
    fn too_many_paths_to_tell_keep_all_storage() {
        let keep = (0..4000)
            .map(|n| format!("/images/{n:030}").parse().unwrap())
            .collect();
        let job = job(keep);
        assert!(job.arguments().contains(&"--keep-storage".to_owned()));
        assert!(!job.environment().iter().any(|(key, _)| *key == "N_VM_KEEP"));
    }
}
