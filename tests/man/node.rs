//! n_vm(1) compared with `n_vm --help` and the tables of the code. A test beside the settings
//! compares node.conf(5) with them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a test's result"
)]

mod check;
mod help;
mod page;

use std::path::Path;

use node_tool::exit::CREATE;
use node_tool::links;

use help::Verb;
use page::Page;

fn tree() -> Vec<Verb> {
    help::tree(Path::new(env!("CARGO_BIN_EXE_n_vm")), "n_vm")
}

#[test]
fn n_vm_has_every_verb_and_option_as_the_help_has_them() {
    check::verbs(&Page::read("n_vm.1"), &tree());
}

#[test]
fn n_vm_has_every_link() {
    let links = links::all().map(|(link, spec)| (link.name, spec.name.to_string()));
    check::links(&Page::read("n_vm.1"), "n_vm", links);
}

/// The exit codes of a help text, and 0.
fn codes(help: &str) -> Vec<(String, String)> {
    let heading = help.lines().skip_while(|line| *line != "Error codes:");
    let lines = heading
        .skip(1)
        .map_while(|line| line.trim_start().split_once(' '));
    let mut codes: Vec<_> = lines
        .map(|(code, text)| (code.to_owned(), text.to_owned()))
        .collect();
    if !codes.is_empty() {
        codes.push(("0".to_owned(), "the IPS answered".to_owned()));
    }
    codes
}

#[test]
fn n_vm_has_every_exit_code() {
    let page = Page::read("n_vm.1");
    let create = CREATE
        .iter()
        .map(|(code, text)| (code.to_string(), (*text).to_owned()));
    check::codes(&page, "## create", create);
    for verb in tree().iter().filter(|verb| !verb.words.is_empty()) {
        let codes = codes(&verb.text);
        if !codes.is_empty() {
            check::codes(&page, "## ips-command, remote-log", codes.into_iter());
        }
    }
    check::troubleshooting(&page, CREATE.iter().map(|(code, _)| *code));
}

#[test]
fn the_pages_of_the_node_render_without_a_warning() {
    for name in ["n_vm.1", "node.conf.5"] {
        check::renders(name);
    }
}
