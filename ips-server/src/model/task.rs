//! A task: what an engine needs to run one verb of `n_vm` on a node, and nothing else.

use hps_core::names::{DiskPath, NodeName, VmId, VmName};
use hps_core::percent::encode_path;
use hps_core::verb::VerbName;
use uuid::Uuid;

use super::options::Options;
use super::token::Token;
use super::verb::{Address, Spec};

/// Longest `N_VM_KEEP`, in bytes; a single variable may have 128 KiB on Linux.
const KEEP_LIMIT: usize = 96 * 1024;

/// One verb for one VM on one node.
#[derive(Debug)]
pub struct Task {
    /// Its session id, unique in the journal; OpenSVC's session id too.
    pub session: Uuid,
    /// The VM.
    pub vm: VmId,
    /// The UUID of the VM's domain.
    pub vm_uuid: Uuid,
    /// The name of the VM's domain.
    pub name: VmName,
    /// The verb's row.
    pub spec: &'static Spec,
    /// The node.
    pub node: NodeName,
    /// The verb's options.
    pub options: Options,
    /// The secret with which the node authenticates.
    pub token: Token,
    /// Disks of other VMs, which a destroy must leave alone.
    pub keep: Vec<DiskPath>,
}

/// The part of a task that outlives the process that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRef {
    /// Its session id.
    pub session: Uuid,
    /// Its object, as part of a service's name: the VM, or the node.
    pub subject: String,
    /// The verb of `n_vm`.
    pub verb: VerbName,
    /// The node.
    pub node: NodeName,
}

impl Task {
    /// The part of it that outlives this process.
    #[must_use]
    pub fn reference(&self) -> TaskRef {
        TaskRef {
            session: self.session,
            subject: self.vm.to_string(),
            verb: self.spec.name,
            node: self.node.clone(),
        }
    }

    /// The words of `n_vm` for engines that need no shell: the verb and its arguments.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        std::iter::once(self.spec.name.to_string())
            .chain(self.arguments())
            .collect()
    }

    /// The command of an OpenSVC task. The specification's own (`n_vm_create ID`,
    /// `n_vm_stop NAME force`) where its words are enough: that is a contract with scripts on
    /// the nodes. With options that it does not have, `n_vm VERB …`.
    #[must_use]
    pub fn command(&self) -> String {
        let arguments = self.arguments();
        let has_options = arguments.iter().any(|word| word.starts_with("--"));
        match self.spec.node_command {
            Some(command) if !has_options => format!("{command} {}", arguments.join(" ")),
            Some(_) | None => format!("n_vm {}", self.words().join(" ")),
        }
    }

    fn arguments(&self) -> Vec<String> {
        let mut options = self.options.clone();
        options.keep_storage |= self.spec.removes_storage && self.keep_text().is_none();
        let address = match self.spec.address {
            Address::Id => self.vm.to_string(),
            Address::Name => self.name.to_string(),
        };
        std::iter::once(address).chain(options.words()).collect()
    }

    /// The environment of `n_vm`, the token first.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment = vec![
            ("N_VM_TOKEN", self.token.expose().to_owned()),
            ("N_VM_OPERATION", self.session.to_string()),
            ("N_VM_ID", self.vm.to_string()),
            ("N_VM_UUID", self.vm_uuid.to_string()),
            ("N_VM_NODE", self.node.to_string()),
        ];
        if let Some(keep) = self.keep_text().filter(|keep| !keep.is_empty()) {
            environment.push(("N_VM_KEEP", keep));
        }
        environment
    }

    /// `N_VM_KEEP`: paths separated by `:`, with `%XX` for any character that is not plain.
    /// `None` where there are too many for one variable: then no storage may be removed.
    fn keep_text(&self) -> Option<String> {
        let text = self
            .keep
            .iter()
            .map(|path| encode_path(path.as_str()))
            .collect::<Vec<_>>()
            .join(":");
        (text.len() <= KEEP_LIMIT).then_some(text)
    }
}
