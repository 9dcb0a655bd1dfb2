//! The names of the old functions, each a link to `n_vm`: what argv[0] means. Where the
//! old function took free text, words are data, so a title may begin with a dash, and only
//! a lone `--help` asks for help; the others take options as `n_vm` does.

/// One link.
#[derive(Debug)]
pub struct Link {
    /// The name of the link, which is the name of the old function.
    pub name: &'static str,
    /// The verb of `n_vm` it stands for.
    pub verb: &'static str,
    /// Whether its words are free text, and no options among them.
    free_text: bool,
}

const fn link(name: &'static str, verb: &'static str) -> Link {
    let free_text = false;
    Link {
        name,
        verb,
        free_text,
    }
}

const fn of_text(name: &'static str, verb: &'static str) -> Link {
    let free_text = true;
    Link {
        name,
        verb,
        free_text,
    }
}

/// Every link a package installs.
pub const LINKS: [Link; 8] = [
    of_text("n_vm_create", "create"),
    link("n_vm_start", "start"),
    link("n_vm_stop", "stop"),
    link("n_vm_pause", "pause"),
    link("n_vm_unpause", "unpause"),
    link("n_vm_destroy", "destroy"),
    of_text("n_ips_command", "ips-command"),
    of_text("n_remote_log", "remote-log"),
];

/// The words of the command line as `n_vm` itself would be given them, without argv[0].
#[must_use]
pub fn expand(argv0: &str, words: Vec<String>) -> Vec<String> {
    let name = argv0.rsplit('/').next().unwrap_or(argv0);
    let Some(link) = LINKS.iter().find(|link| link.name == name) else {
        return words;
    };
    let mut all = vec![link.verb.to_owned()];
    let help = matches!(words.as_slice(), [one] if one == "--help" || one == "-h");
    if link.free_text && !help {
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
    fn a_link_is_its_verb_and_free_text_is_data() {
        assert_eq!(
            expanded("/usr/sbin/n_vm_create", &["vm-7", "-title"]),
            ["create", "--", "vm-7", "-title"]
        );
        assert_eq!(expanded("n_vm_create", &["--help"]), ["create", "--help"]);
        assert_eq!(
            expanded("n_vm_stop", &["web", "--wait"]),
            ["stop", "web", "--wait"],
            "as engine opensvc calls it"
        );
    }

    #[test]
    fn any_other_name_is_n_vm_itself() {
        assert_eq!(expanded("target/debug/n_vm", &["list"]), ["list"]);
    }
}
