//! The names of the old functions, each a symbolic link to `n_vm`: argv[0] decides the verb.
//! Where the old function took free text, a title may begin with a dash, and only a lone
//! `--help` asks for help; the others take options as `n_vm` does.

use crate::commands::SPECS;
use crate::spec::{Link, Spec};

/// Every link that a package installs, with its verb.
pub fn all() -> impl Iterator<Item = (&'static Link, &'static Spec)> {
    let of_verb = |spec: &'static Spec| spec.links.iter().map(move |link| (link, spec));
    SPECS.iter().flat_map(of_verb)
}

fn find(name: &str) -> Option<(&'static Link, &'static Spec)> {
    for spec in SPECS {
        for link in spec.links {
            if link.name == name {
                return Some((link, spec));
            }
        }
    }
    None
}

/// The words of the command line as `n_vm` itself would be given them, without argv[0].
pub(crate) fn expand(argv0: &str, words: Vec<String>) -> Vec<String> {
    let name = argv0.rsplit('/').next().unwrap_or(argv0);
    let Some((link, spec)) = find(name) else {
        return words;
    };
    let mut expanded = vec![spec.name.to_string()];
    let is_help = matches!(words.as_slice(), [one] if one == "--help" || one == "-h");
    if link.free_text && !is_help {
        expanded.push("--".to_owned());
    }
    expanded.extend(words);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(argv0: &str, words: &[&str]) -> Vec<String> {
        expand(argv0, words.iter().map(|&word| word.to_owned()).collect())
    }

    /// Design, "Names an operator types": a contract with scripts that call these names.
    #[test]
    fn the_links_are_those_of_the_contract() {
        let table: Vec<_> = all()
            .map(|(link, spec)| format!("{} {}", link.name, spec.name))
            .collect();
        assert_eq!(
            table,
            [
                "n_vm_create create",
                "n_vm_start start",
                "n_vm_stop stop",
                "n_vm_reboot reboot",
                "n_vm_pause pause",
                "n_vm_unpause unpause",
                "n_vm_destroy destroy",
                "n_ips_command ips-command",
                "n_remote_log remote-log",
            ]
        );
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
