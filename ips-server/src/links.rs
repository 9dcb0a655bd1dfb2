//! The other names of this program (design: Names an operator types), in one table. The
//! packages and the README hold the same names; a test holds them together.

/// A link and the words it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The file's name.
    pub name: &'static str,
    /// The words behind `o_vm`.
    pub words: &'static [&'static str],
}

const fn link(name: &'static str, words: &'static [&'static str]) -> Link {
    Link { name, words }
}

/// All links to `ips-server`.
pub const LINKS: [Link; 19] = [
    link("o_vm", &[]),
    link("o_vm_create", &["create"]),
    link("o_vm_start", &["start"]),
    link("o_vm_stop", &["stop"]),
    link("o_vm_reboot", &["reboot"]),
    link("o_vm_pause", &["pause"]),
    link("o_vm_unpause", &["unpause"]),
    link("o_vm_destroy", &["destroy"]),
    link("o_vm_list", &["list"]),
    link("o_vm_status", &["status"]),
    link("o_vm_validate_node", &["validate-node"]),
    link("o_vm_validate_node_quiet", &["validate-node", "--quiet"]),
    link("o_vm_get_healthy_nodes", &["healthy-nodes"]),
    link("o_vm_get_nodes_by_tag", &["nodes", "--names", "--tag"]),
    link("o_task_create", &["task", "create"]),
    link("o_task_run", &["task", "run"]),
    link("o_task_delete", &["task", "delete"]),
    link("o_task_list", &["task", "list"]),
    link("o_log", &["log"]),
];

/// The words that `argv` stands for, from `o_vm` on; none where it is `ips-server` itself.
#[must_use]
pub fn words(argv: &[String]) -> Option<Vec<&str>> {
    let (program, rest) = argv.split_first()?;
    let name = program.rsplit('/').next().unwrap_or_default();
    if let Some(link) = LINKS.iter().find(|link| link.name == name) {
        // Behind `--tag` it would be a tag.
        let is_help = matches!(rest, [word] if word == "--help");
        let words = link.words.iter().copied();
        let words = words.filter(|word| !(is_help && word.starts_with("--")));
        return Some(words.chain(guarded(link.name, rest)).collect());
    }
    match rest {
        [vm, rest @ ..] if vm == "vm" => Some(rest.iter().map(String::as_str).collect()),
        _ => None,
    }
}

/// A message that begins with a dash is a message: `o_log -x` must not be an option.
fn guarded<'a>(link: &str, rest: &'a [String]) -> Vec<&'a str> {
    let words = rest.iter().map(String::as_str);
    let is_text = link == "o_log" && rest != ["--help"];
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
