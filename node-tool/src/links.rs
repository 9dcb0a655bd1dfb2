//! The names of the old functions, each a link to `n_vm`: what argv[0] means.
//! A link's words are always data, so a title may begin with a dash; only a lone
//! `--help` asks for help.

/// One link.
#[derive(Debug)]
pub struct Link {
    /// The name of the link, which is the name of the old function.
    pub name: &'static str,
    /// The verb of `n_vm` it stands for.
    pub verb: &'static str,
}

const fn link(name: &'static str, verb: &'static str) -> Link {
    Link { name, verb }
}

/// Every link a package installs.
pub const LINKS: [Link; 8] = [
    link("n_vm_create", "create"),
    link("n_vm_start", "start"),
    link("n_vm_stop", "stop"),
    link("n_vm_pause", "pause"),
    link("n_vm_unpause", "unpause"),
    link("n_vm_destroy", "destroy"),
    link("n_ips_command", "ips-command"),
    link("n_remote_log", "remote-log"),
];

/// The words of the command line as `n_vm` itself would be given them, without argv[0].
#[must_use]
pub fn expand(argv0: &str, words: Vec<String>) -> Vec<String> {
    let name = argv0.rsplit('/').next().unwrap_or(argv0);
    let Some(link) = LINKS.iter().find(|link| link.name == name) else {
        return words;
    };
    let mut all = vec![link.verb.to_owned()];
    if !matches!(words.as_slice(), [one] if one == "--help" || one == "-h") {
        all.push("--".to_owned());
    }
    all.extend(words);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(argv0: &str, words: &[&str]) -> Vec<String> {
        expand(argv0, words.iter().map(|&word| word.to_owned()).collect())
    }

    #[test]
    fn a_link_is_its_verb_and_its_words_are_data() {
        assert_eq!(
            expanded("/usr/sbin/n_vm_create", &["vm-7", "-title"]),
            ["create", "--", "vm-7", "-title"]
        );
        assert_eq!(expanded("n_vm_stop", &["--help"]), ["stop", "--help"]);
    }

    #[test]
    fn any_other_name_is_n_vm_itself() {
        assert_eq!(expanded("target/debug/n_vm", &["list"]), ["list"]);
    }
}
