//! What a node tells the IPS (design: contract 2): the result of a verb, and its inventory.
//! Both sides use these functions, so the wire exists once.

use std::str::FromStr;

use uuid::Uuid;

use crate::identity;
use crate::kv::{self, KvError, Pair};
use crate::names::{NodeName, VmId, VmName};
use crate::state::VmState;
use crate::verb::Verb;

/// Longest message on the wire, in bytes: a body above `kv::MAX_BYTES` is not taken at all,
/// and a destroy names every file it removed.
const MAX_MESSAGE: usize = 8 * 1024;

/// The result of one verb of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the keys of the format")]
pub struct Report {
    pub operation: Uuid,
    pub vm_id: VmId,
    pub verb: Verb,
    pub node: NodeName,
    pub exit_code: u8,
    pub state: VmState,
    pub message: String,
}

/// All a node has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the keys of the format")]
pub struct Inventory {
    pub node: NodeName,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: Uuid,
    /// Version of `n_vm`.
    pub version: String,
    pub cpus: u32,
    pub memory_mb: u64,
    pub domains: Vec<DomainReport>,
}

/// One domain of an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the keys of the format")]
pub struct DomainReport {
    /// libvirt's name: of a domain that others made, it may be no `VmName`.
    pub name: String,
    pub uuid: Uuid,
    pub state: VmState,
    pub vcpus: u32,
    pub memory_mb: u64,
    /// Address and port of its screen, where it has one: `127.0.0.1:5900`.
    pub vnc: Option<String>,
    /// What it is made of, where that was asked for.
    pub definition: Option<Definition>,
}

/// What a node knows of a domain beyond its state, for whoever lost the VM config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The `vm_id` it was made under, where the node still knows.
    pub vm_id: Option<VmId>,
    /// libvirt's XML, on one line.
    pub xml: String,
}

/// A body that is no report; names line and key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says it")]
pub enum ReportError {
    #[error(transparent)]
    Kv(#[from] KvError),
    #[error("line {line}: {key}: {reason}")]
    Value {
        line: usize,
        key: &'static str,
        reason: String,
    },
    #[error("{0} is missing")]
    Missing(&'static str),
}

impl Report {
    /// The body that reports it; a message that is too long loses its end.
    #[must_use]
    pub fn to_text(&self) -> String {
        [
            kv::line("operation", &self.operation.to_string()),
            kv::line("vm_id", self.vm_id.as_str()),
            kv::line("verb", self.verb.as_str()),
            kv::line("node", self.node.as_str()),
            kv::line("exit_code", &self.exit_code.to_string()),
            kv::line("state", self.state.as_str()),
            kv::line("message", beginning(&self.message)),
        ]
        .concat()
    }

    /// Parses the body of a report.
    ///
    /// # Errors
    /// The line or key that is wrong or missing.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        let pairs = kv::parse(bytes)?;
        Ok(Self {
            operation: uuid(&pairs, "operation")?,
            vm_id: get(&pairs, "vm_id")?,
            verb: get(&pairs, "verb")?,
            node: get(&pairs, "node")?,
            exit_code: get(&pairs, "exit_code")?,
            state: get(&pairs, "state")?,
            message: find(&pairs, "message")?.value.to_owned(),
        })
    }
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

fn beginning(message: &str) -> &str {
    let mut end = message.len().min(MAX_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

fn find<'a>(pairs: &'a [Pair<'a>], key: &'static str) -> Result<&'a Pair<'a>, ReportError> {
    pairs
        .iter()
        .find(|pair| pair.key == key)
        .ok_or(ReportError::Missing(key))
}

fn get<T: FromStr<Err: ToString>>(pairs: &[Pair<'_>], key: &'static str) -> Result<T, ReportError> {
    let pair = find(pairs, key)?;
    pair.value
        .parse()
        .map_err(|error: T::Err| ReportError::Value {
            line: pair.line,
            key,
            reason: error.to_string(),
        })
}

fn uuid(pairs: &[Pair<'_>], key: &'static str) -> Result<Uuid, ReportError> {
    let pair = find(pairs, key)?;
    identity::hyphenated(pair.value).ok_or_else(|| ReportError::Value {
        line: pair.line,
        key,
        reason: "want a UUID as 8-4-4-4-12 hex digits".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            operation: Uuid::from_u128(7),
            vm_id: "vm-7".parse().unwrap(),
            verb: Verb::Create,
            node: "tch-001".parse().unwrap(),
            exit_code: 5,
            state: VmState::Absent,
            message: "virt-install exited 1:\nno disk".to_owned(),
        }
    }

    #[test]
    fn a_report_is_read_back_with_its_message_on_one_line() {
        let want = Report {
            message: "virt-install exited 1: no disk".to_owned(),
            ..report()
        };
        assert_eq!(Report::parse(report().to_text().as_bytes()), Ok(want));
    }

    #[test]
    fn an_inventory_is_read_back() {
        let domain = |name: &str, vnc: Option<&str>| DomainReport {
            name: name.to_owned(),
            uuid: Uuid::from_u128(9),
            state: VmState::Running,
            vcpus: 2,
            memory_mb: 512,
            vnc: vnc.map(str::to_owned),
            definition: vnc.map(|_| Definition {
                vm_id: Some("vm-9".parse().unwrap()),
                xml: "<domain type='kvm'/>".to_owned(),
            }),
        };
        let inventory = Inventory {
            node: "tch-001".parse().unwrap(),
            boot_id: Uuid::from_u128(3),
            version: "0.1.0".to_owned(),
            cpus: 8,
            memory_mb: 65536,
            domains: vec![
                domain("web", Some("127.0.0.1:5900")),
                domain("made by hand", None),
            ],
        };
        assert_eq!(
            Inventory::parse(inventory.to_text().as_bytes()),
            Ok(inventory)
        );
    }

    #[test]
    fn an_error_names_line_and_key() {
        let text = report().to_text().replace("exit_code=5", "exit_code=256");
        let error = Report::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("line 5: exit_code: "), "{error}");
        assert_eq!(Report::parse(b""), Err(ReportError::Missing("operation")));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_parse_or_fail_without_a_panic(bytes: Vec<u8>) {
            let _ = Report::parse(&bytes);
            let _ = Inventory::parse(&bytes);
        }
    }
}
