//! Help and usage errors of `o_vm` and `ips-server`.

use std::collections::HashSet;

use crate::harness::{Done, Ips};

/// The verbs below the headings of `o_vm --help`, in order, with their headings.
fn listed(help: &str) -> Vec<(String, String)> {
    let mut heading = "";
    let mut verbs = Vec::new();
    for line in help.lines() {
        if let Some(about) = line.strip_suffix(" commands:") {
            heading = about;
        } else if line.is_empty() {
            heading = "";
        } else if let Some(word) = line
            .strip_prefix("  ")
            .and_then(|rest| rest.split(' ').next())
            && !heading.is_empty()
            && !word.is_empty()
        {
            verbs.push((heading.to_owned(), word.to_owned()));
        }
    }
    verbs
}

#[test]
fn help_lists_every_verb_once_in_its_group() {
    let help = Ips::new().ok(&["--help"]);
    let verbs = listed(&help);
    let names: HashSet<_> = verbs.iter().map(|(_, verb)| verb).collect();
    assert_eq!(names.len(), verbs.len(), "{help}");
    let groups: Vec<_> = ips_server::verbs::GROUPS
        .iter()
        .flat_map(|group| group.verbs.iter().map(|verb| (group.about, *verb)))
        .collect();
    let found: Vec<_> = verbs
        .iter()
        .map(|(group, verb)| (group.as_str(), verb.as_str()))
        .collect();
    assert_eq!(found, groups, "{help}");
    for one in [
        ("VM", "define"),
        ("VM", "reboot"),
        ("Node", "release"),
        ("Service", "log"),
    ] {
        assert!(found.contains(&one), "{one:?}: {help}");
    }
}

#[test]
fn every_verb_has_its_help_by_each_way() {
    let ips = Ips::new();
    for (_, verb) in listed(&ips.ok(&["--help"])) {
        let help = ips.ok(&[&verb, "--help"]);
        assert!(help.starts_with(&format!("Usage: o_vm {verb}")), "{help}");
        assert!(!help.contains("README"), "{help}");
        for words in [
            [verb.as_str(), "-h"],
            ["help", &verb],
            ["-h", &verb],
            ["--help", &verb],
        ] {
            assert_eq!(ips.ok(&words), help, "{words:?}");
        }
    }
}

#[test]
fn the_help_of_both_programs_names_the_exit_codes() {
    let ips = Ips::new();
    let help = ips.ok(&["--help"]);
    assert!(
        help.contains("EXIT STATUS in o_vm(1)") && !help.contains("README"),
        "{help}"
    );
    assert_eq!(ips.ok(&["-h"]), help);
    assert_eq!(ips.ok(&["help"]), help);
    let server = ips.run("ips-server", &["-h"]);
    assert_eq!(server.code, 0);
    assert!(server.out.contains("ips-server(8)"), "{}", server.out);
    for command in ["serve", "nginx", "vm"] {
        let line = format!("\n  {command} ");
        assert!(server.out.contains(&line), "{command}: {}", server.out);
    }
}

#[test]
fn a_vm_may_be_named_help() {
    let ips = Ips::new();
    ips.define("help");
    for words in [["show", "help"], ["config", "help"]] {
        assert!(ips.ok(&words).contains("name=help\n"), "{words:?}");
    }
}

#[test]
fn ips_server_vm_is_o_vm_behind_options_too() {
    let ips = Ips::new();
    ips.define("a");
    let list = ips.ok(&["list", "--json"]);
    for words in [
        &["vm", "list", "--json"][..],
        &["-v", "vm", "list", "--json"],
    ] {
        assert_eq!(ips.run("ips-server", words).out, list, "{words:?}");
    }
    // Another registry, by a settings file.
    let other = ips.dir.join("other.db").display().to_string();
    std::fs::write(
        ips.dir.join("other.toml"),
        format!("registry = {other:?}\n"),
    )
    .unwrap();
    let mut command = ips.command("ips-server");
    command.args(["--config", "other.toml", "vm", "list", "--json"]);
    let done = Done::of(command.env_remove("IPS_REGISTRY").spawn().unwrap());
    assert_eq!((done.code, done.out.as_str()), (0, "[]\n"), "{done:?}");
}

#[test]
fn a_usage_error_names_the_help_of_its_verb() {
    let ips = Ips::new();
    for (words, want) in [
        (
            &["define", "--what"][..],
            "Run `o_vm define --help` for usage.",
        ),
        (&["create", "a"], "Run `o_vm create --help` for usage."),
        (&["bogus"], "Run `o_vm --help` for usage."),
        (&[], "`o_vm --help` lists the verbs"),
    ] {
        let done = ips.o_vm(words);
        assert_eq!((done.code, done.out.as_str()), (1, ""), "{words:?}");
        assert!(
            done.err.trim_end().ends_with(want),
            "{words:?}: {}",
            done.err
        );
    }
}
