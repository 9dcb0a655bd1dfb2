//! Proposals for a node's unregistered domains: for any XML of a domain, the proposals read
//! back as exactly as many definitions and comments.

use hps_core::report::Inventory;

use super::common::said_well;
use crate::adoption::Proposals;
use crate::verbs::import::parse;

/// An inventory with definitions: the proposals are lines, and `o_vm adopt --take` reads them.
pub fn adoption(bytes: &[u8]) {
    let inventory = match Inventory::parse(bytes) {
        Ok(inventory) => inventory,
        Err(error) => return said_well(&error),
    };
    let proposals = Proposals::of(&inventory, &[]);
    let text = proposals.text();
    for line in text.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
        let is_comment = line.starts_with('#');
        let is_pair = line.contains('=') && line.starts_with(|c: char| c.is_ascii_lowercase());
        assert!(line.is_empty() || is_comment || is_pair, "{line:?}");
    }
    let read = parse(&text).unwrap();
    assert_eq!(read.len(), proposals.registrable(), "{text}");
    let blocks = text.lines().filter(|line| line.starts_with("vm_id="));
    assert_eq!(blocks.count(), read.len(), "{text}");
}
