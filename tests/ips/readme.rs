//! The README's tables against the code's.

use ips_server::model::exit::Exit;

const README: &str = include_str!("../../README.md");

/// `(first cell, second cell)` of the table behind a line that holds `mark`.
fn table(mark: &str) -> Vec<(String, String)> {
    let after = README.split_once(mark).unwrap().1;
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

/// The codes of the README's table for `o_vm`.
pub(crate) fn codes_of_o_vm() -> Vec<String> {
    let rows = table("`o_vm create` and the other verbs");
    rows.into_iter().map(|(code, _)| code).collect()
}

#[test]
fn the_exit_codes_of_o_vm_are_those_of_the_code() {
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
fn every_setting_of_the_ips_stands_in_the_readme() {
    for key in [
        "listen",
        "registry",
        "engine",
        "node_name",
        "advertise",
        "lock_dir",
        "om_timeout",
        "instance_timeout",
        "verb_timeout",
        "delete_timeout",
        "task_margin",
        "wait_margin",
        "poll_interval",
        "stale_after",
    ] {
        assert!(README.contains(&format!("`{key}`")), "{key}");
    }
}
