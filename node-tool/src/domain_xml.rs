//! The facts in libvirt's domain XML that decide whether a file may be removed.

use hps_core::kv;
use roxmltree::{Document, Node};

/// One disk of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    /// `vda`.
    pub target: String,
    pub source: Source,
    /// `disk`, `cdrom`, `floppy`, `lun`.
    pub device: String,
    /// `raw`, `qcow2`; a missing one is raw for libvirt.
    pub format: String,
    pub readonly: bool,
    pub shareable: bool,
}

/// Where a disk's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    File(String),
    Block(String),
    Volume {
        pool: String,
        volume: String,
    },
    /// An empty drive.
    None,
    /// `network`, `nvme`, `vhostuser`…
    Other(String),
}

/// The disks of a domain.
pub(crate) fn disks(xml: &str) -> Result<Vec<Disk>, String> {
    let document = parse(xml)?;
    let nodes = document.descendants().filter(|node| is(node, "disk"));
    Ok(nodes
        .filter(|node| node.parent().is_some_and(|up| is(&up, "devices")))
        .map(disk)
        .collect())
}

/// Every absolute path in the XML, in any attribute or text.
pub(crate) fn paths(xml: &str) -> Result<Vec<String>, String> {
    let document = parse(xml)?;
    let attributes = document
        .descendants()
        .flat_map(|node| node.attributes().map(|a| a.value()));
    let texts = document.descendants().filter_map(|node| node.text());
    let paths = attributes.chain(texts).filter(|text| text.starts_with('/'));
    Ok(paths.map(str::to_owned).collect())
}

/// Name and target folder of a storage pool.
pub(crate) fn pool(xml: &str) -> Result<(String, String), String> {
    let document = parse(xml)?;
    let text = |parent: &str, name: &str| {
        let found = document
            .descendants()
            .find(|node| is(node, name) && node.parent().is_some_and(|up| is(&up, parent)));
        found
            .and_then(|node| node.text())
            .unwrap_or_default()
            .to_owned()
    };
    Ok((text("pool", "name"), text("target", "path")))
}

fn parse(xml: &str) -> Result<Document<'_>, String> {
    // The error may quote a tag of any length, and control characters.
    Document::parse(xml).map_err(|error| {
        let error: String = kv::one_line(&error.to_string()).chars().take(200).collect();
        format!("not XML: {error}")
    })
}

/// By local name: the elements that count here have no namespace.
fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.tag_name().name() == name
}

fn disk(node: Node<'_, '_>) -> Disk {
    let child = |name: &str| node.children().find(|child| is(child, name));
    let attribute = |of: &str, name: &str| {
        child(of)
            .and_then(|child| child.attribute(name))
            .unwrap_or_default()
            .to_owned()
    };
    let format = attribute("driver", "type");
    Disk {
        target: attribute("target", "dev"),
        source: source(&node, child("source")),
        device: node.attribute("device").unwrap_or("disk").to_owned(),
        format: if format.is_empty() {
            "raw".to_owned()
        } else {
            format
        },
        readonly: child("readonly").is_some(),
        shareable: child("shareable").is_some(),
    }
}

/// Where the disk of this element is, by its `type`.
fn source(disk: &Node<'_, '_>, source: Option<Node<'_, '_>>) -> Source {
    let Some(source) = source else {
        return Source::None;
    };
    let get = |name: &str| source.attribute(name).map(str::to_owned);
    let kind = disk.attribute("type").unwrap_or("file");
    let found = match kind {
        "file" => get("file").map(Source::File),
        "block" => get("dev").map(Source::Block),
        "volume" => get("pool")
            .zip(get("volume"))
            .map(|(pool, volume)| Source::Volume { pool, volume }),
        _ => Some(Source::Other(kind.to_owned())),
    };
    // A drive without a medium still has an empty <source/>.
    found.unwrap_or(Source::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = include_str!("../../tests/fixtures/virsh/dumpxml-disks.out");

    #[test]
    fn each_kind_of_disk_of_a_real_domain_is_read() {
        let found: Vec<_> = disks(XML)
            .unwrap()
            .into_iter()
            .map(|disk| {
                (
                    disk.target,
                    disk.source,
                    disk.device,
                    disk.format,
                    disk.readonly,
                    disk.shareable,
                )
            })
            .collect();
        let file = |path: &str| Source::File(path.to_owned());
        let row = |target: &str, source, device: &str, format: &str, readonly, shareable| {
            (
                target.to_owned(),
                source,
                device.to_owned(),
                format.to_owned(),
                readonly,
                shareable,
            )
        };
        assert_eq!(
            found,
            [
                row(
                    "vda",
                    file("/srv/vm/own,1.qcow2"),
                    "disk",
                    "qcow2",
                    false,
                    false
                ),
                row(
                    "vdb",
                    Source::Block("/dev/loop7".into()),
                    "disk",
                    "raw",
                    false,
                    false
                ),
                row(
                    "vdc",
                    file("/srv/vm/shared.img"),
                    "disk",
                    "raw",
                    false,
                    true
                ),
                row(
                    "vdd",
                    file("/srv/vm/readonly.img"),
                    "disk",
                    "raw",
                    true,
                    false
                ),
                row(
                    "vde",
                    Source::Volume {
                        pool: "images".into(),
                        volume: "v".into()
                    },
                    "disk",
                    "raw",
                    false,
                    false
                ),
                row(
                    "sda",
                    file("/srv/vm/install.iso"),
                    "cdrom",
                    "raw",
                    true,
                    false
                ),
                row("sdb", Source::None, "cdrom", "raw", true, false),
            ]
        );
    }

    #[test]
    fn every_path_is_found() {
        let paths = paths(XML).unwrap();
        for path in [
            "/srv/vm/own,1.qcow2",
            "/dev/loop7",
            "/usr/bin/qemu-system-x86_64",
        ] {
            assert!(paths.iter().any(|found| found == path), "{path}");
        }
    }

    #[test]
    fn a_pool_has_a_name_and_a_folder() {
        let xml = include_str!("../../tests/fixtures/virsh/pool-dumpxml.out");
        assert_eq!(
            pool(xml).unwrap(),
            ("rec".to_owned(), "/tmp/rec".to_owned())
        );
    }

    #[test]
    fn a_text_that_is_not_xml_is_an_error() {
        assert!(disks("error: no domain").is_err());
        assert!(disks("").is_err());
        let long = disks(&format!("<a b=\0><{}></c>", "x".repeat(9999))).unwrap_err();
        assert!(long.len() < 300 && !long.contains('\0'), "{long}");
    }
}
