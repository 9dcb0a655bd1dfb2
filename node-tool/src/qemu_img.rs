//! `qemu-img info --backing-chain`: every file that a disk image depends on.

use std::time::Duration;

use hps_core::exec::{Command, ExecError};
use tinyjson::JsonValue;

/// Keys whose text names a file, in any block node of the answer.
const NAMES: [&str; 4] = [
    "filename",
    "full-backing-filename",
    "data-file",
    "backing-filename",
];

/// Deepest JSON that is read: the parser calls itself for each level, until the stack ends.
const DEEPEST: usize = 200;

/// The files of the image's chain, itself first. `format` is the domain's: a
/// raw disk's content belongs to the VM, and must not be probed for a format.
pub(crate) fn backing_chain(
    path: &str,
    format: Option<&str>,
    deadline: Duration,
) -> Result<Vec<String>, ExecError> {
    let mut words = vec![
        "info",
        "--force-share",
        "--backing-chain",
        "--output",
        "json",
    ];
    if let Some(format) = format {
        words.extend(["-f", format]);
    }
    let output = Command::new("qemu-img", deadline)
        .args(words)
        .args(["--", path])
        .run()?
        .success()?;
    match files(&output.text()) {
        Ok(files) => Ok(files),
        Err(what) => Err(output.nonsense(what)),
    }
}

pub(crate) fn files(text: &str) -> Result<Vec<String>, String> {
    if depth(text) > DEEPEST {
        return Err(format!("JSON that is more than {DEEPEST} deep"));
    }
    let json: JsonValue = text.parse().map_err(|error| format!("not JSON: {error}"))?;
    let mut found = Vec::new();
    collect(&json, &mut found);
    if found.is_empty() {
        return Err("no file name in it".to_owned());
    }
    Ok(found)
}

/// How deep the text is as JSON.
fn depth(text: &str) -> usize {
    let (mut level, mut deepest) = (0_usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => level += 1,
            b']' | b'}' => level = level.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
        deepest = deepest.max(level);
    }
    deepest
}

fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

/// Adds every file name below this value.
fn collect(value: &JsonValue, found: &mut Vec<String>) {
    match value {
        JsonValue::Array(values) => values.iter().for_each(|value| collect(value, found)),
        JsonValue::Object(members) => {
            for (key, value) in members {
                match value.get::<String>() {
                    Some(name) if NAMES.contains(&key.as_str()) => found.push(name.clone()),
                    _ => collect(value, found),
                }
            }
        }
        JsonValue::Number(_) | JsonValue::Boolean(_) | JsonValue::String(_) | JsonValue::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_a_real_chain_is_found() {
        let mut found = files(include_str!(
            "../../tests/fixtures/virsh/qemu-img-chain.out"
        ))
        .unwrap();
        found.sort();
        found.dedup();
        assert_eq!(
            found,
            ["/srv/vm/base.qcow2", "/srv/vm/overlay.qcow2", "base.qcow2"]
        );
    }

    #[test]
    fn an_answer_without_a_file_is_no_answer() {
        assert!(files("[]").is_err());
        assert!(files("qemu-img: no").is_err());
    }

    #[test]
    fn an_answer_of_any_depth_ends_well() {
        for level in ["[", "{\"a\":", "[\"]\",", "[\"\\\"]\","] {
            let error = files(&level.repeat(300_000)).unwrap_err();
            assert_eq!(error, "JSON that is more than 200 deep", "{level}");
        }
        let chain = "[".repeat(199) + "{\"filename\":\"/a\"}" + &"]".repeat(199);
        assert_eq!(files(&chain).unwrap(), ["/a"]);
    }
}
