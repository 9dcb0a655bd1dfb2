//! The help of `o_vm` with its verbs in groups; argh lists them in one column.

/// Verbs that are listed together.
#[derive(Debug)]
pub struct Group {
    /// What they are about: the heading is `{about} commands:`.
    pub about: &'static str,
    /// Their names, in the order of use.
    pub verbs: &'static [&'static str],
}

/// Puts each group's heading before its first verb.
#[must_use]
pub fn grouped(help: &str, groups: &[Group]) -> String {
    let Some((head, commands)) = help.split_once("\nCommands:\n") else {
        return help.to_owned();
    };
    let mut text = head.to_owned();
    for line in commands.lines() {
        let verb = line
            .strip_prefix("  ")
            .and_then(|line| line.split(' ').next());
        let group = groups
            .iter()
            .find(|group| group.verbs.first().copied() == verb);
        if let Some(group) = group.filter(|_| verb.is_some()) {
            text.push_str(&format!("\n{} commands:\n", group.about));
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Moves a help word in front of the verb behind the command line. argh would hand it on to
/// the verb as the word `help`, which there can be the name of a VM.
#[must_use]
pub fn help_last(mut words: Vec<&str>) -> Vec<&str> {
    let verb = words.iter().position(|word| !word.starts_with('-'));
    let is_help = |word: &&str| matches!(*word, "--help" | "-h");
    let at = match verb {
        Some(at) if words[at] == "help" => Some(at),
        Some(at) => words[..at].iter().position(is_help),
        None => None,
    };
    if let Some(at) = at {
        words.remove(at);
        words.push("--help");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_heading_is_before_its_first_verb() {
        let groups = [
            Group {
                about: "VM",
                verbs: &["define", "list"],
            },
            Group {
                about: "Service",
                verbs: &["log"],
            },
        ];
        let help = "Usage: x\n\nCommands:\n  define  Define\n  list    List: log\n  log     Log\n\nNotes:\n  define\n";
        let want = "Usage: x\n\nVM commands:\n  define  Define\n  list    List: log\n\nService commands:\n  log     Log\n\nNotes:\n  define\n";
        assert_eq!(
            grouped(&help.replace("\n  define\n", "\n  See x(1).\n"), &groups),
            want.replace("\n  define\n", "\n  See x(1).\n")
        );
    }

    #[test]
    fn help_before_the_verb_is_help_of_the_verb() {
        for (given, want) in [
            (&["help"][..], &["--help"][..]),
            (&["help", "show"], &["show", "--help"]),
            (&["--help", "show", "web"], &["show", "web", "--help"]),
            (&["-v", "-h", "show"], &["-v", "show", "--help"]),
            (&["show", "help"], &["show", "help"]),
            (&["show", "-h"], &["show", "-h"]),
            (&["-h"], &["-h"]),
            (&[], &[]),
        ] {
            assert_eq!(help_last(given.to_vec()), want, "{given:?}");
        }
    }
}
