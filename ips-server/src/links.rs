//! The other names of this program (design: Names an operator types), in one table. Tests
//! compare it with the packages and the README.

use crate::verbs::CATALOG;

/// A link and the arguments of `o_vm` that it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The file's name.
    pub name: &'static str,
    /// The arguments of `o_vm`.
    pub words: Vec<&'static str>,
}

/// The links that are not in the row of a verb.
const OTHERS: [(&str, &[&str]); 12] = [
    ("o_vm", &[]),
    ("o_vm_list", &["list"]),
    ("o_vm_status", &["status"]),
    ("o_vm_validate_node", &["validate-node"]),
    ("o_vm_validate_node_quiet", &["validate-node", "--quiet"]),
    ("o_vm_get_healthy_nodes", &["healthy-nodes"]),
    ("o_vm_get_nodes_by_tag", &["nodes", "--names", "--tag"]),
    ("o_task_create", &["task", "create"]),
    ("o_task_run", &["task", "run"]),
    ("o_task_delete", &["task", "delete"]),
    ("o_task_list", &["task", "list"]),
    ("o_log", &["log"]),
];

/// All links to `ips-server`.
#[must_use]
pub fn links() -> Vec<Link> {
    let verbs = CATALOG.0.iter().map(|spec| Link {
        name: spec.link,
        words: vec![spec.name.as_str()],
    });
    let others = OTHERS.iter().map(|(name, words)| Link {
        name,
        words: words.to_vec(),
    });
    verbs.chain(others).collect()
}

/// The arguments of `o_vm` that `argv` means; `None` if it is a call of `ips-server`.
#[must_use]
pub fn words(argv: &[String]) -> Option<Vec<&str>> {
    let (program, rest) = argv.split_first()?;
    let name = program.rsplit('/').next().unwrap_or_default();
    if let Some(link) = links().into_iter().find(|link| link.name == name) {
        // Behind `--tag`, `--help` would be the tag.
        let is_help = matches!(rest, [word] if is_help(word));
        let words = link.words.into_iter();
        let words = words.filter(|word| !(is_help && word.starts_with("--")));
        return Some(words.chain(guarded(link.name, rest)).collect());
    }
    match rest {
        [vm, rest @ ..] if vm == "vm" => Some(rest.iter().map(String::as_str).collect()),
        _ => None,
    }
}

fn is_help(word: &str) -> bool {
    matches!(word, "--help" | "-h")
}

/// A message may begin with a dash: the `-x` of `o_log -x` is not an option.
fn guarded<'a>(link: &str, rest: &'a [String]) -> Vec<&'a str> {
    let words = rest.iter().map(String::as_str);
    let is_text = link == "o_log" && !matches!(rest, [word] if is_help(word));
    if is_text {
        std::iter::once("--").chain(words).collect()
    } else {
        words.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words_of: &[&str]) -> Option<Vec<String>> {
        let argv: Vec<String> = words_of.iter().map(|&word| word.to_owned()).collect();
        words(&argv).map(|words| words.into_iter().map(str::to_owned).collect())
    }

    fn some(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|&word| word.to_owned()).collect())
    }

    #[test]
    fn a_link_stands_for_its_words() {
        assert_eq!(of(&["o_vm_reboot", "a"]), some(&["reboot", "a"]));
        assert_eq!(
            of(&["/usr/bin/o_vm_create", "a", "n"]),
            some(&["create", "a", "n"])
        );
        assert_eq!(
            of(&["o_vm_get_nodes_by_tag", "--help"]),
            some(&["nodes", "--help"])
        );
        assert_eq!(
            of(&["o_vm_get_nodes_by_tag", "tch"]),
            some(&["nodes", "--names", "--tag", "tch"])
        );
        assert_eq!(of(&["ips-server", "vm", "list"]), some(&["list"]));
        assert_eq!(of(&["ips-server", "serve"]), None);
    }

    #[test]
    fn a_message_may_begin_with_a_dash() {
        assert_eq!(of(&["o_log", "-x"]), some(&["log", "--", "-x"]));
        assert_eq!(of(&["o_log", "--help"]), some(&["log", "--help"]));
    }
}
