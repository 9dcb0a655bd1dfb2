//! `o_vm import`: a stream of definitions, all or none. Each is a block: `vm_id=ID`, then
//! the keys of a VM config; blank lines separate the blocks. `o_vm export` writes it.

use argh::FromArgs;
use hps_core::config::{ConfigError, VmConfig};
use hps_core::kv;
use hps_core::names::VmId;

use super::finish;
use crate::cli::output::print;
use crate::cli::{Env, Error, usage_error};
use crate::model::exit::Exit;
use crate::registry::RegistryError;

/// Largest stream, in bytes: some 100,000 VMs.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Define many VMs at once, all or none.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "import", help_triggers("--help", "-h"))]
pub struct Import {
    /// the output of `o_vm export`; `-` is standard input
    #[argh(positional)]
    file: String,
    /// reason, for the audit log
    #[argh(option, arg_name = "text")]
    reason: Option<String>,
}

impl Import {
    /// Defines them.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        finish("import", self.import(env))
    }

    fn import(&self, env: &Env) -> Result<(), Error> {
        let stream = Stream::read(&self.file)?;
        let author = env.author(self.reason.as_deref());
        let defined = env.registry()?.define(&author, &stream.vms);
        defined.map_err(|error| stream.failed(error))?;
        print(&format!("{} VMs defined", stream.vms.len()));
        Ok(())
    }
}

/// A stream of definitions, and the line on which each begins.
pub(super) struct Stream {
    file: String,
    text: String,
    lines: Vec<usize>,
    pub(super) vms: Vec<(VmId, VmConfig)>,
}

impl Stream {
    /// Reads it from a file.
    pub(super) fn read(file: &str) -> Result<Self, Error> {
        let bytes = super::define::read_at_most(file, MAX_BYTES + 1)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
            return Err(usage_error(format!("{file}: more than {MAX_BYTES} bytes")));
        }
        let text =
            String::from_utf8(bytes).map_err(|_| usage_error(format!("{file}: not UTF-8")))?;
        let blocks = parse(&text).map_err(|why| usage_error(format!("{file}: {why}")))?;
        let (lines, vms) = blocks
            .into_iter()
            .map(|(line, id, config)| (line, (id, config)))
            .unzip();
        let file = file.to_owned();
        Ok(Self {
            file,
            text,
            lines,
            vms,
        })
    }

    /// A refused definition, with the line of the key.
    pub(super) fn refused(&self, at: usize, key: &str, reason: &str) -> Error {
        let line = line_of(&self.text, self.lines.get(at).copied().unwrap_or(1), key);
        usage_error(format!("{}: line {line}: {reason}", self.file))
    }

    /// An error of the registry, with its line if one of the definitions caused it.
    pub(super) fn failed(&self, error: RegistryError) -> Error {
        if let RegistryError::InUse { at, key, reason } = &error {
            return self.refused(*at, key, reason);
        }
        error.into()
    }
}

/// The line on which the block that begins at `first_line` has a key.
fn line_of(text: &str, first_line: usize, key: &str) -> usize {
    let mut block = text.lines().skip(first_line - 1);
    let found = block.position(|line| line.split_once('=').is_some_and(|(known, _)| known == key));
    first_line + found.unwrap_or(0)
}

/// Parses the stream, each definition with the line it begins on; an error names the line
/// of the stream and the key.
pub(crate) fn parse(text: &str) -> Result<Vec<(usize, VmId, VmConfig)>, String> {
    let mut vms = Vec::new();
    let mut block = String::new();
    let mut first_line = 1;
    for (number, line) in (1..).zip(text.lines().chain([""])) {
        if !line.trim_matches(' ').is_empty() {
            block.push_str(line);
            block.push('\n');
            continue;
        }
        if block.lines().any(|line| !line.starts_with('#')) {
            let (id, config) = definition(&block, first_line)?;
            vms.push((first_line, id, config));
        }
        block.clear();
        first_line = number + 1;
    }
    Ok(vms)
}

/// The `vm_id` line is made a comment, so that the config's own line numbers stay right.
fn definition(block: &str, first_line: usize) -> Result<(VmId, VmConfig), String> {
    let at = block.lines().position(|line| line.starts_with("vm_id="));
    let at = at.ok_or_else(|| format!("line {first_line}: the block has no vm_id"))?;
    let id = block
        .lines()
        .nth(at)
        .and_then(|line| line.strip_prefix("vm_id="))
        .unwrap_or_default();
    let id: VmId = id
        .parse()
        .map_err(|error| format!("line {}: vm_id: {error}", first_line + at))?;
    let config: String = block
        .lines()
        .enumerate()
        .map(|(index, line)| {
            if index == at {
                "#\n".to_owned()
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    let parsed = VmConfig::parse(config.as_bytes()).map_err(|error| located(&error, first_line))?;
    match parsed.unknown_keys.first() {
        None => Ok((id, parsed.config)),
        Some(key) => {
            let inside = block
                .lines()
                .position(|line| line.starts_with(&format!("{key}=")))
                .unwrap_or(0);
            Err(format!("line {}: unknown key {key}", first_line + inside))
        }
    }
}

/// The error with the line of the stream in place of the block's.
fn located(error: &ConfigError, first_line: usize) -> String {
    let text = kv::one_line(&error.to_string());
    let parts = text
        .strip_prefix("line ")
        .and_then(|rest| rest.split_once(": "));
    match parts.and_then(|(line, rest)| Some((line.parse::<usize>().ok()?, rest))) {
        Some((line, rest)) => format!("line {}: {rest}", first_line + line - 1),
        None => format!("line {first_line}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "vm_id=a\nname=a\ncpu_count=1\nram_mb=64\nprovision_method=virt-install\n\n\n\
        # second\nvm_id=b\nname=b\ncpu_count=2\nram_mb=64\nprovision_method=virt-install\n";

    #[test]
    fn blocks_are_definitions() {
        let vms = parse(TWO).unwrap();
        let ids: Vec<_> = vms
            .iter()
            .map(|(line, id, config)| format!("{line} {id} {}", config.vcpus))
            .collect();
        assert_eq!(ids, ["1 a 1", "8 b 2"]);
        assert!(parse("\n# nothing\n\n").unwrap().is_empty());
    }

    #[test]
    fn an_error_names_the_line_of_the_stream_and_the_key() {
        for (from, to, want) in [
            (
                "cpu_count=2",
                "cpu_count=x",
                "line 11: cpu_count: CPU count \"x\"",
            ),
            ("vm_id=b", "vm_id=b b", "line 9: vm_id: vm_id \"b b\""),
            ("vm_id=b\n", "", "line 8: the block has no vm_id"),
            ("name=b", "colour=b", "line 8: name is missing"),
            (
                "ram_mb=64\nprovision_method=virt-install\n",
                "ram_mb=64\nprovision_method=virt-install\ncolour=red\n",
                "line 6: unknown key colour",
            ),
        ] {
            let error = parse(&TWO.replace(from, to)).unwrap_err();
            assert!(error.starts_with(want), "{error}");
        }
    }
}
