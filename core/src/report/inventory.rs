//! The inventory of a node: itself, and every domain that it has.

use uuid::Uuid;

use crate::kv::{self, Pair};
use crate::names::{NodeName, VmId, VmName};
use crate::state::VmState;

use super::ReportError;
use super::error::{find, get, uuid};

/// A node and its domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The node.
    pub node: NodeName,
    /// Of its kernel ([`crate::proc::boot_id`]).
    pub boot_id: Uuid,
    /// Of its `n_vm`.
    pub version: String,
    /// CPUs of the node.
    pub cpus: u32,
    /// Memory of the node, in MiB.
    pub memory_mb: u64,
    /// Every domain of its libvirt.
    pub domains: Vec<DomainReport>,
}

/// One domain of an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainReport {
    /// libvirt's name; not a [`VmName`], because domains made by others are listed as well.
    pub name: String,
    /// libvirt's UUID.
    pub uuid: Uuid,
    /// Its state.
    pub state: VmState,
    /// Its CPUs; 0 where libvirt does not show them.
    pub vcpus: u32,
    /// Its memory in MiB; 0 where libvirt does not show it.
    pub memory_mb: u64,
    /// Address and port of its VNC console, where it has one: `127.0.0.1:5900`.
    pub vnc: Option<String>,
    /// Its XML, where the request was for definitions.
    pub definition: Option<Definition>,
}

/// The facts about a domain beyond its state: enough to register it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The `vm_id` that it was created under, where the node still knows it.
    pub vm_id: Option<VmId>,
    /// libvirt's XML, on one line.
    pub xml: String,
}

impl Inventory {
    /// The body that reports it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let node = [
            kv::line("node", self.node.as_str()),
            kv::line("boot_id", &self.boot_id.to_string()),
            kv::line("version", &self.version),
            kv::line("cpus", &self.cpus.to_string()),
            kv::line("memory_mb", &self.memory_mb.to_string()),
        ]
        .concat();
        let domains = self
            .domains
            .iter()
            .map(|domain| format!("\n{}", domain.to_text()));
        node + &domains.collect::<String>()
    }

    /// Parses the body of an inventory.
    ///
    /// # Errors
    /// The line or key that is wrong or missing.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        let blocks = kv::parse_blocks(bytes)?;
        let (node, domains) = blocks.split_first().ok_or(ReportError::Missing("node"))?;
        Ok(Self {
            node: get(node, "node")?,
            boot_id: uuid(node, "boot_id")?,
            version: find(node, "version")?.value.to_owned(),
            cpus: get(node, "cpus")?,
            memory_mb: get(node, "memory_mb")?,
            domains: domains
                .iter()
                .map(|block| DomainReport::of(block))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl DomainReport {
    /// The domain's [`VmName`], unless others gave it a name no VM of ours can have.
    #[must_use]
    pub fn vm_name(&self) -> Option<VmName> {
        self.name.parse().ok()
    }

    fn to_text(&self) -> String {
        let vnc = self.vnc.as_deref().unwrap_or_default();
        [
            kv::line("name", &self.name),
            kv::line("uuid", &self.uuid.to_string()),
            kv::line("state", self.state.as_str()),
            kv::line("vcpus", &self.vcpus.to_string()),
            kv::line("memory_mb", &self.memory_mb.to_string()),
            kv::line("vnc", vnc),
            self.definition
                .as_ref()
                .map_or_else(String::new, Definition::to_text),
        ]
        .concat()
    }

    fn of(block: &[Pair<'_>]) -> Result<Self, ReportError> {
        let vnc = find(block, "vnc")?.value;
        Ok(Self {
            name: find(block, "name")?.value.to_owned(),
            uuid: uuid(block, "uuid")?,
            state: get(block, "state")?,
            vcpus: get(block, "vcpus")?,
            memory_mb: get(block, "memory_mb")?,
            vnc: (!vnc.is_empty()).then(|| vnc.to_owned()),
            definition: Definition::of(block)?,
        })
    }
}

impl Definition {
    fn to_text(&self) -> String {
        let vm_id = self.vm_id.as_ref().map(|id| kv::line("vm_id", id.as_str()));
        vm_id.unwrap_or_default() + &kv::line("xml", &self.xml)
    }

    fn of(block: &[Pair<'_>]) -> Result<Option<Self>, ReportError> {
        let Ok(xml) = find(block, "xml") else {
            return Ok(None);
        };
        let is_known = block.iter().any(|pair| pair.key == "vm_id");
        let vm_id = is_known.then(|| get(block, "vm_id")).transpose()?;
        let xml = xml.value.to_owned();
        Ok(Some(Self { vm_id, xml }))
    }
}
