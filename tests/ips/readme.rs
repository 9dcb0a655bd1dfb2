//! README.md and docs/contracts.md against the code: exit codes, settings, length, links.

use std::path::Path;

use ips_server::model::exit::Exit;
use ips_server::settings::KEYS;

use crate::harness::Ips;

const README: &str = include_str!("../../README.md");
const CONTRACTS: &str = include_str!("../../docs/contracts.md");

/// `(first cell, second cell)` of the table below a line that contains `mark`.
fn table(mark: &str) -> Vec<(String, String)> {
    let after = CONTRACTS.split_once(mark).unwrap().1;
    let rows = after
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    rows.skip(2)
        .map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            (cells[0].to_owned(), cells[1].to_owned())
        })
        .collect()
}

/// The codes of the table for `o_vm` in docs/contracts.md.
pub(crate) fn codes_of_o_vm() -> Vec<String> {
    let rows = table("`o_vm create` and the other verbs");
    rows.into_iter().map(|(code, _)| code).collect()
}

#[test]
fn contracts_have_every_exit_code_of_o_vm() {
    let code: Vec<_> = Exit::ALL
        .iter()
        .map(|exit| (exit.code().to_string(), exit.meaning().to_owned()))
        .collect();
    assert_eq!(table("`o_vm create` and the other verbs"), code);
    for exit in Exit::ALL {
        assert_eq!(Exit::from_code(exit.code()), Some(exit));
    }
}

#[test]
fn contracts_have_every_setting_of_the_ips() {
    let rows = table("IPS, `/etc/hps/ips.toml`");
    let mut found: Vec<_> = rows
        .iter()
        .map(|(key, _)| key.trim_matches('`').replace("[nodes] ", "nodes_"))
        .collect();
    let mut keys = KEYS.map(str::to_owned).to_vec();
    found.sort_unstable();
    keys.sort_unstable();
    assert_eq!(found, keys);
}

/// The README is for newcomers; further text belongs in docs/.
#[test]
fn the_readme_has_at_most_200_lines() {
    let lines = README.lines().count();
    assert!(lines <= 200, "{lines} lines");
}

/// `(verb, options)` of each command line of `o_vm` in the README: in a block, or between backticks.
fn commands_of_o_vm() -> Vec<(String, Vec<String>)> {
    let lines = README.split(['\n', '`', '#']);
    let lines = lines.filter_map(|line| line.strip_prefix("o_vm "));
    let words = lines.map(|line| line.split_whitespace().map(str::to_owned));
    words
        .filter_map(|mut words| {
            let verb = words.next()?;
            let is_verb = verb.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            (is_verb && !verb.starts_with('-')).then(|| (verb, options(words)))
        })
        .collect()
}

fn options(words: impl Iterator<Item = String>) -> Vec<String> {
    words.filter(|word| word.starts_with("--")).collect()
}

#[test]
fn every_command_of_the_readme_exists() {
    let ips = Ips::new();
    let commands = commands_of_o_vm();
    assert!(commands.len() > 20, "{commands:?}");
    for (verb, options) in commands {
        let help = ips.ok(&[&verb, "--help"]);
        for option in options {
            assert!(
                help.contains(&format!("  {option} ")),
                "o_vm {verb} {option}"
            );
        }
    }
}

/// The targets of `[text](target)` in a Markdown file, without web addresses.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains("://"))
}

#[test]
fn every_link_of_the_documents_has_a_file() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut met = 0;
    for file in [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/architecture.md",
        "docs/contracts.md",
        "docs/reliability.md",
    ] {
        let text = std::fs::read_to_string(top.join(file)).unwrap();
        let folder = top.join(file);
        for link in links(&text) {
            let target = folder.parent().unwrap().join(link);
            assert!(target.exists(), "{file}: {link}");
            met += 1;
        }
    }
    assert!(met >= 6, "{met} links");
}

/// The paths between backticks. One with a name in capitals (`verbs/VERB.rs`) means many files, one
/// below `dist/` is built.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    text.split('`').skip(1).step_by(2).filter(move |path| {
        let stem = path.rsplit('/').next().unwrap_or_default();
        let is_built = path.starts_with('/') || path.starts_with("dist/");
        let stands_for_many = ["VERB", "RESOURCE", "schema_N"]
            .iter()
            .any(|name| stem.contains(name));
        path.contains('/') && path.chars().all(is_path) && !is_built && !stands_for_many
    })
}

#[test]
fn every_path_of_the_documents_exists() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let roots = ["", "ips-server/src", "node-tool/src", "tests/fixtures"];
    let mut missing = Vec::new();
    let mut met = 0;
    for file in [
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "README.md",
        "SECURITY.md",
    ] {
        let text = std::fs::read_to_string(top.join(file)).unwrap();
        for path in paths(&text) {
            met += 1;
            if !roots.iter().any(|root| top.join(root).join(path).exists()) {
                missing.push(format!("{file}: {path}"));
            }
        }
    }
    assert!(met > 50, "{met} paths");
    assert_eq!(missing, [""; 0]);
}
