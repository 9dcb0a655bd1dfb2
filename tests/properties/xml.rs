//! Domain XML decides what a destroy may remove.

use std::fmt::Write as _;

use super::common::said_well;
use crate::domain_xml::{Disk, Source, disks, paths, pool};

/// Parsed disks are written and read back; every file among them is one of the paths that the
/// XML contains, so one domain keeps each file that another may remove.
pub fn domain_xml(bytes: &[u8]) {
    let text = &String::from_utf8_lossy(bytes);
    match (disks(text), paths(text), pool(text)) {
        (Ok(disks_found), Ok(paths), Ok((_, folder))) => {
            assert_eq!(disks(&written(&disks_found)), Ok(disks_found.clone()));
            for disk in &disks_found {
                if let Source::File(path) | Source::Block(path) = &disk.source {
                    assert!(!path.starts_with('/') || paths.contains(path), "{path}");
                }
            }
            assert!(paths.iter().all(|path| path.starts_with('/')));
            assert!(!folder.starts_with('/') || paths.contains(&folder));
        }
        (Err(what), Err(_), Err(_)) => said_well(&what),
        mixed => unreachable!("one XML, three opinions: {mixed:?}"),
    }
}

pub(super) fn written(disks: &[Disk]) -> String {
    let disks: String = disks.iter().map(disk).collect();
    format!("<domain><devices>{disks}</devices></domain>")
}

fn disk(disk: &Disk) -> String {
    let (kind, source) = match &disk.source {
        Source::File(path) => ("file", element("source", &[("file", path)])),
        Source::Block(path) => ("block", element("source", &[("dev", path)])),
        Source::Volume { pool, volume } => {
            let source = element("source", &[("pool", pool), ("volume", volume)]);
            ("volume", source)
        }
        Source::Other(kind) => (kind.as_str(), "<source/>".to_owned()),
        Source::None => ("file", String::new()),
    };
    let flag = |name: &str, on: bool| {
        if on {
            element(name, &[])
        } else {
            String::new()
        }
    };
    let begin = element("disk", &[("type", kind), ("device", &disk.device)]).replace("/>", ">");
    [
        begin,
        source,
        element("target", &[("dev", &disk.target)]),
        element("driver", &[("type", &disk.format)]),
        flag("readonly", disk.readonly),
        flag("shareable", disk.shareable),
        "</disk>".to_owned(),
    ]
    .concat()
}

fn element(name: &str, attributes: &[(&str, &str)]) -> String {
    let mut text = format!("<{name}");
    for (key, value) in attributes {
        let value: String = value
            .chars()
            .map(|c| format!("&#{};", u32::from(c)))
            .collect();
        // Writing to a String cannot fail.
        let _ = write!(text, " {key}=\"{value}\"");
    }
    text + "/>"
}
