//! Makes a VM config from a domain's XML, with notes on what a VM config cannot express. The XML is
//! untrusted input: every value is parsed into its type before it is proposed.

use std::collections::HashSet;
use std::str::FromStr;

use hps_core::config::VmConfig;
use hps_core::identity;
use hps_core::kv::{self, one_line};
use hps_core::names::{BridgeName, DiskPath, Text, VmId, Vni, Word};
use hps_core::report::DomainReport;
use roxmltree::{Document, Node};

/// Devices that a VM config has no key for.
const UNSUPPORTED: [&str; 5] = ["hostdev", "filesystem", "shmem", "redirdev", "tpm"];

/// A VM config made from a domain, with notes for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    /// The config from which the VM would be created again.
    pub config: VmConfig,
    /// Notes on values that the config leaves out or guesses.
    pub notes: Vec<String>,
}

/// Reads a domain as the VM of that id.
///
/// # Errors
/// No VM config describes the domain.
pub(super) fn draft(domain: &DomainReport, id: &VmId, xml: &str) -> Result<Draft, String> {
    let document = Document::parse(xml)
        .map_err(|error| kv::shown(&one_line(&format!("not valid XML: {error}"))))?;
    let root = document.root_element();
    let mut lines = Lines::default();
    lines.put("name", &domain.name);
    lines.put("cpu_count", &domain.vcpus.to_string());
    lines.put("ram_mb", &domain.memory_mb.to_string());
    lines.put("provision_method", "virt-install");
    let devices = child(&root, "devices");
    let devices: Vec<_> = devices.iter().flat_map(Node::children).collect();
    disks(&mut lines, id, &devices);
    networks(&mut lines, &devices);
    words(&mut lines, &root);
    if identity::uuid_of_id(id) != domain.uuid {
        lines.put("uuid", &domain.uuid.to_string());
    }
    for device in devices.iter().map(|node| node.tag_name().name()) {
        if UNSUPPORTED.contains(&device) {
            lines.note(&format!(
                "it has a {device}, which it loses when it is created again"
            ));
        }
    }
    let parsed = VmConfig::parse(lines.text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(Draft {
        config: parsed.config,
        notes: lines.notes,
    })
}

/// The config's text as it grows.
#[derive(Default)]
struct Lines {
    text: String,
    notes: Vec<String>,
}

impl Lines {
    fn put(&mut self, key: &str, value: &str) {
        self.text.push_str(&kv::line(key, value));
    }

    fn note(&mut self, text: &str) {
        self.notes.push(one_line(text));
    }

    /// A value that is valid for its key; else a note.
    fn put_as<T: FromStr<Err: ToString>>(&mut self, key: &str, value: &str) {
        match value.parse::<T>() {
            Ok(_) => self.put(key, value),
            Err(error) => self.note(&format!("left out: {key}: {}", error.to_string())),
        }
    }
}

/// A disk of the domain that a VM config can name.
struct Disk<'a> {
    path: &'a str,
    serial: &'a str,
}

fn disks(lines: &mut Lines, id: &VmId, devices: &[Node<'_, '_>]) {
    let mut found = Vec::new();
    for node in devices.iter().filter(|node| node.has_tag_name("disk")) {
        let device = node.attribute("device").unwrap_or("disk");
        let source = child(node, "source");
        let get = |name| source.and_then(|source| source.attribute(name));
        let path = get("file").or_else(|| get("dev")).unwrap_or_default();
        if device != "disk" {
            lines.note(&format!("left out: {device} {path:?}"));
        } else if let Err(error) = path.parse::<DiskPath>() {
            let kind = node.attribute("type").unwrap_or("file");
            lines.note(&format!("left out: a disk of type {kind:?}: {error}"));
        } else {
            let serial = child(node, "serial").and_then(|serial| serial.text());
            let serial = serial.unwrap_or_default();
            found.push(Disk { path, serial });
        }
    }
    let keys = keys(id, &found);
    let mut named: Vec<_> = keys.into_iter().zip(&found).collect();
    named.sort_by_key(|((number, side), _)| (*number, *side));
    for ((number, side), disk) in named {
        lines.put(&format!("disk_{number}_{side}"), disk.path);
    }
}

/// The number and side of each disk. They follow from the serial if create made it from
/// them. Two disks of one serial are two paths of one LUN. The others are numbered in order.
fn keys(id: &VmId, disks: &[Disk<'_>]) -> Vec<(u32, char)> {
    let mut used = HashSet::new();
    let from_serial: Vec<_> = disks
        .iter()
        .map(|disk| made_from(id, disk.serial).filter(|key| used.insert(*key)))
        .collect();
    let mut keys: Vec<(u32, char)> = Vec::new();
    for (at, key) in from_serial.into_iter().enumerate() {
        let twin = disks[..at]
            .iter()
            .zip(&keys)
            .find(|(earlier, _)| !earlier.serial.is_empty() && earlier.serial == disks[at].serial)
            .map(|(_, (number, _))| (*number, 'b'));
        let free = || {
            (1..)
                .map(|number| (number, 'a'))
                .find(|key| !used.contains(key))
        };
        let key = key
            .or_else(|| twin.filter(|key| !used.contains(key)))
            .or_else(free)
            .unwrap_or((u32::MAX, 'a'));
        used.insert(key);
        keys.push(key);
    }
    keys
}

/// The key from which create makes this serial (design: contract 1, Disks).
fn made_from(id: &VmId, serial: &str) -> Option<(u32, char)> {
    let mut all = (1..=99).flat_map(|number| [(number, 'a'), (number, 'b')]);
    all.find(|(number, side)| {
        serial.len() == 20 && identity::serial(&format!("{id}/disk_{number}_{side}")) == serial
    })
}

fn networks(lines: &mut Lines, devices: &[Node<'_, '_>]) {
    let mut used = HashSet::new();
    for node in devices.iter().filter(|node| node.has_tag_name("interface")) {
        let bridge = child(node, "source").and_then(|source| source.attribute("bridge"));
        let Some(bridge) = bridge.filter(|name| name.parse::<BridgeName>().is_ok()) else {
            let kind = node.attribute("type").unwrap_or("?");
            lines.note(&format!(
                "left out: an interface of type {kind:?} without a bridge"
            ));
            continue;
        };
        let digits = bridge.trim_start_matches(|c: char| !c.is_ascii_digit());
        match digits.parse::<Vni>() {
            Ok(vni) if used.insert(vni) => {
                lines.put(&format!("vxlan_{vni}"), bridge);
                lines.note(&format!(
                    "the VNI {vni} is guessed from the name of the bridge"
                ));
            }
            Ok(_) | Err(_) => lines.note(&format!(
                "left out: an interface on {bridge:?}: add vxlan_VNI={bridge}"
            )),
        }
    }
}

/// The keys that have at most one value.
fn words(lines: &mut Lines, root: &Node<'_, '_>) {
    for name in ["title", "description"] {
        if let Some(text) = child(root, name).and_then(|node| node.text()) {
            lines.put_as::<Text>(name, text);
        }
    }
    let os = child(root, "os");
    let in_os = |name| os.and_then(|os| child(&os, name));
    let is_uefi = os.is_some_and(|os| os.attribute("firmware") == Some("efi"))
        || in_os("loader").is_some_and(|loader| loader.attribute("type") == Some("pflash"));
    if is_uefi {
        lines.put("firmware", "uefi");
    }
    boot(lines, os);
    let cpu = child(root, "cpu");
    if let Some(model) = cpu
        .and_then(|cpu| child(&cpu, "model"))
        .and_then(|model| model.text())
    {
        lines.put_as::<Word>("cpu_model", model);
    }
    let system = root
        .descendants()
        .find(|node| node.tag_name().name() == "os" && node.attribute("id").is_some());
    if let Some(id) = system.and_then(|node| node.attribute("id")) {
        lines.note(&format!(
            "the operating system is {id:?}: add os_variant=NAME"
        ));
    }
}

fn boot(lines: &mut Lines, os: Option<Node<'_, '_>>) {
    let order: Vec<_> = os
        .iter()
        .flat_map(Node::children)
        .filter(|node| node.has_tag_name("boot"))
        .filter_map(|node| node.attribute("dev"))
        .collect();
    match order[..] {
        [] | ["network", "hd"] => {}
        ["hd" | "network"] | ["hd", "network"] => lines.put("boot", &order.join(",")),
        _ => lines.note(&format!("left out: boot from {:?}", order.join(","))),
    }
}

fn child<'a, 'i>(node: &Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children()
        .find(|child| child.tag_name().name() == name)
}
