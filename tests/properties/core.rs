//! Properties of the parsers of `core` for any bytes. The fuzz targets and the tests call these
//! same functions. A private module cannot be reached from tests/, so this is a module of the
//! crate, in tests and under cargo-fuzz only.

#![expect(
    clippy::unwrap_used,
    reason = "a failed expectation is a property's result"
)]

mod common;
#[cfg(test)]
mod core_round_trips;

use std::fmt::{Debug, Display};
use std::str::FromStr;

use crate::config::{ParsedConfig, VmConfig};
use crate::duration::TimeSpan;
use crate::identity;
use crate::kv::{self, Pair};
use crate::names::{
    BridgeName, DiskNumber, DiskPath, Mebibytes, NodeName, Text, Vcpus, VmId, VmName, Vni, Word,
};
use crate::report::{Inventory, Report};
use crate::state::VmState;
use crate::verb::VerbName;
use common::said_well;

#[cfg(test)]
common::replayed!(kv_text, vm_config, report, names);

/// KV text: every pair is a line of the input, with its number; written text reads back the
/// same; the blocks contain the pairs of the complete text.
pub fn kv_text(bytes: &[u8]) {
    let blocks = kv::parse_blocks(bytes);
    match &blocks {
        Ok(blocks) => blocks.iter().for_each(|block| are_lines_of(block, bytes)),
        Err(error) => said_well(error),
    }
    match kv::parse(bytes) {
        Ok(pairs) => {
            are_lines_of(&pairs, bytes);
            assert_eq!(blocks.map(|blocks| blocks.concat()), Ok(pairs.clone()));
            let text: String = pairs.iter().map(|p| kv::line(p.key, p.value)).collect();
            let again = kv::parse(text.as_bytes()).map(|again| keys_and_values(&again));
            assert_eq!(again, Ok(keys_and_values(&pairs)));
        }
        Err(error) => said_well(&error),
    }
}

/// The VM config: written text reads back the same, and each line of it is in the input; of the
/// input's lines only unknown keys and empty texts are lost.
pub fn vm_config(bytes: &[u8]) {
    let parsed = match VmConfig::parse(bytes) {
        Ok(parsed) => parsed,
        Err(error) => return said_well(&error),
    };
    let text = parsed.config.to_text();
    let plain = ParsedConfig {
        config: parsed.config,
        unknown_keys: Vec::new(),
    };
    assert_eq!(VmConfig::parse(text.as_bytes()), Ok(plain));
    let (given, written) = (
        kv::parse(bytes).unwrap(),
        kv::parse(text.as_bytes()).unwrap(),
    );
    for pair in &written {
        let same = |one: &&Pair<'_>| {
            let folded = pair.key == "uuid" && one.value.eq_ignore_ascii_case(pair.value);
            one.key == pair.key && (one.value == pair.value || folded)
        };
        assert_eq!(
            given.iter().filter(same).count(),
            1,
            "{pair:?} is not in the input"
        );
    }
    for pair in &given {
        let kept = written.iter().any(|one| one.key == pair.key);
        let empty = pair.value.is_empty() && matches!(pair.key, "title" | "description");
        let unknown = parsed.unknown_keys.iter().any(|key| key == pair.key);
        assert_eq!(
            1,
            u8::from(kept) + u8::from(empty) + u8::from(unknown),
            "{pair:?}"
        );
    }
}

/// Reports and inventories: written text reads back the same, and contains only values of the
/// input.
pub fn report(bytes: &[u8]) {
    match Report::parse(bytes) {
        Ok(report) => {
            let text = report.to_text();
            no_new_values(&text, bytes);
            assert_eq!(Report::parse(text.as_bytes()), Ok(report));
        }
        Err(error) => said_well(&error),
    }
    match Inventory::parse(bytes) {
        Ok(inventory) => {
            let text = inventory.to_text();
            no_new_values(&text, bytes);
            assert_eq!(Inventory::parse(text.as_bytes()), Ok(inventory));
        }
        Err(error) => said_well(&error),
    }
}

/// Names and quantities: printed text reads back the same; none looks like an option, or breaks
/// a line.
pub fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(id) = printed::<VmId>(text, |c| matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        assert!(id.to_string().eq_ignore_ascii_case(text));
        assert!(!identity::uuid_of_id(&id).is_nil() || identity::hyphenated(text).is_some());
    }
    let word = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    let line = |c: char| !c.is_control();
    let names = [
        printed::<VmName>(text, word).is_some(),
        printed::<NodeName>(text, word).is_some(),
        printed::<Word>(text, word).is_some(),
    ];
    assert!(!text.starts_with('-') || names == [false; 3]);
    assert!(text.starts_with('/') || printed::<DiskPath>(text, line).is_none());
    printed::<BridgeName>(text, line);
    printed::<Text>(text, line);
    let digit = |c: char| c.is_ascii_digit();
    printed::<Vni>(text, digit);
    printed::<Mebibytes>(text, digit);
    printed::<Vcpus>(text, digit);
    printed::<DiskNumber>(text, digit);
    if let Some(name) = printed::<VerbName>(text, |c| c.is_ascii_lowercase() || c == '-') {
        assert!(!text.starts_with('-'), "{name} is an option");
    }
    times(text);
    printed::<VmState>(text, |c| c.is_ascii_lowercase() || c == '-');
}

/// A time has one printed form in every unit.
fn times(text: &str) {
    match text.parse::<TimeSpan>() {
        Ok(time) => {
            assert_eq!(time.to_string().parse(), Ok(time), "{text}");
            assert!(text.starts_with(|c: char| c.is_ascii_digit()));
        }
        Err(error) => said_well(&error),
    }
}

/// The value of the text, if it has one.
fn printed<T>(text: &str, good: impl Fn(char) -> bool) -> Option<T>
where
    T: FromStr<Err: Display> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(value) => {
            let shown = value.to_string();
            assert!(!shown.is_empty() && shown.chars().all(good), "{value:?}");
            assert_eq!(shown.parse::<T>().ok().as_ref(), Some(&value));
            assert!(
                shown.eq_ignore_ascii_case(text),
                "{text:?} became {shown:?}"
            );
            Some(value)
        }
        Err(error) => {
            said_well(&error);
            None
        }
    }
}

fn keys_and_values(pairs: &[Pair<'_>]) -> Vec<(String, String)> {
    let owned = |pair: &Pair<'_>| (pair.key.to_owned(), pair.value.to_owned());
    pairs.iter().map(owned).collect()
}

fn are_lines_of(pairs: &[Pair<'_>], bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap();
    let lines: Vec<_> = text.split('\n').collect();
    for pair in pairs {
        let line = lines[pair.line - 1];
        let want = format!("{}={}", pair.key, pair.value);
        assert_eq!(line.strip_suffix('\r').unwrap_or(line), want);
    }
}

/// Each value of the text is in the input; numbers and UUIDs in any spelling.
fn no_new_values(text: &str, bytes: &[u8]) {
    let given = kv::parse_blocks(bytes).unwrap().concat();
    for pair in kv::parse_blocks(text.as_bytes()).unwrap().concat() {
        let same = |one: &&Pair<'_>| {
            let number = one.value.parse::<u64>().ok();
            let folded = one.value.eq_ignore_ascii_case(pair.value);
            one.key == pair.key && (folded || number.is_some_and(|n| pair.value == n.to_string()))
        };
        assert!(
            given.iter().any(|one| same(&one)),
            "{pair:?} is not in the input"
        );
    }
}
