//! The rules for every manual page: it matches the program's help, and renders cleanly.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::help::Verb;
use crate::page::{self, Entry, Page};

/// Every verb with its usage, every option with its text; none is missing, none is extra.
pub(crate) fn verbs(page: &Page, tree: &[Verb]) {
    let entries = page.entries("# VERBS");
    let found: Vec<_> = entries.iter().map(|entry| entry.head.clone()).collect();
    let wanted = || tree.iter().filter(|verb| !verb.words.is_empty());
    same(found, wanted().map(head).collect());
    for verb in wanted() {
        let entry = find(&entries, &head(verb));
        begins(&entry.text, &verb.about());
        options(&entry.entries, verb);
    }
    let mut general = page.entries("# OPTIONS");
    general.retain(|entry| !entry.head.starts_with("--help"));
    options(&general, &tree[0]);
}

fn head(verb: &Verb) -> String {
    format!("{} {}", verb.words.join(" "), verb.usage)
        .trim_end()
        .to_owned()
}

fn options(entries: &[Entry], verb: &Verb) {
    let found = entries.iter().map(|entry| entry.head.clone()).collect();
    let shown = |head: &str, value: &Option<String>| match value {
        Some(value) => format!("{head} {}", value.trim_end_matches("...")),
        None => head.to_owned(),
    };
    let wanted = verb.options.iter();
    same(
        found,
        wanted
            .map(|option| shown(&option.head, &option.value))
            .collect(),
    );
    for option in &verb.options {
        begins(
            &find(entries, &shown(&option.head, &option.value)).text,
            &option.text,
        );
    }
}

fn find<'a>(entries: &'a [Entry], head: &str) -> &'a Entry {
    entries.iter().find(|entry| entry.head == head).unwrap()
}

/// The page may extend the help, but not contradict it.
fn begins(page: &str, help: &str) {
    let capital = help.starts_with("vm_id") || help.starts_with("ADDRESS");
    let mut letters = help.chars();
    let first = letters.next().unwrap();
    let wanted = match capital {
        true => help.to_owned(),
        false => first.to_uppercase().chain(letters).collect(),
    };
    assert!(page.starts_with(&wanted), "page: {page}\nhelp: {wanted}");
}

/// The same, in any order.
pub(crate) fn same(mut page: Vec<String>, mut program: Vec<String>) {
    page.sort_unstable();
    program.sort_unstable();
    assert_eq!(page, program, "left: the page, right: the program");
}

/// Every link: its name in NAME, and a line in LINKS that begins with its meaning.
pub(crate) fn links<'a>(
    page: &Page,
    program: &str,
    links: impl Iterator<Item = (&'a str, String)>,
) {
    let entries = page.entries("# LINKS");
    let shown = entries.iter().map(|entry| {
        let name = entry.head.split(' ').next().unwrap_or_default();
        let stands_for = entry.text.split('.').next().unwrap_or_default();
        format!("{name}: {stands_for}")
    });
    let wanted: Vec<_> = links.collect();
    let lines = wanted
        .iter()
        .map(|(name, words)| format!("{name}: {program} {words}"));
    same(shown.collect(), lines.collect());
    let names = std::iter::once(program).chain(wanted.iter().map(|(name, _)| *name));
    same(page.names(), names.map(str::to_owned).collect());
}

/// The codes below a heading, each with its meaning.
pub(crate) fn codes(page: &Page, heading: &str, wanted: impl Iterator<Item = (String, String)>) {
    let found = page.entries(heading).into_iter();
    let line = |(code, meaning): (String, String)| format!("{code}: {meaning}");
    let found = found.filter(|entry| entry.head.chars().all(|c| c.is_ascii_digit()));
    same(
        found.map(|entry| line((entry.head, entry.text))).collect(),
        wanted.map(line).collect(),
    );
}

/// Advice for every code but 0.
pub(crate) fn troubleshooting(page: &Page, codes: impl Iterator<Item = u8>) {
    let entries = page.entries("# TROUBLESHOOTING");
    let numbers = entries.iter().map(|entry| entry.head.clone());
    let numbers = numbers.filter(|head| head.chars().all(|c| c.is_ascii_digit()));
    let wanted = codes.filter(|code| *code != 0).map(|code| code.to_string());
    same(numbers.collect(), wanted.collect());
}

/// scdoc accepts the page, and neither groff nor man warns about the result.
pub(crate) fn renders(name: &str) {
    let source = page::folder().join(format!("{name}.scd"));
    let roff = run("scdoc", &[], Some(&source));
    let file = std::env::temp_dir().join(format!("hps-man-{}-{name}", std::process::id()));
    std::fs::write(&file, &roff.stdout).unwrap();
    let path = file.to_str().unwrap();
    let shown = run("man", &["--warnings", "-l", path], None);
    let linted = run("groff", &["-man", "-t", "-ww", "-Tutf8", "-z", path], None);
    std::fs::remove_file(&file).unwrap();
    for output in [&roff, &shown, &linted] {
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name}");
    }
    assert!(String::from_utf8_lossy(&shown.stdout).contains("DESCRIPTION"));
}

/// Runs a program and asserts success.
#[expect(
    clippy::disallowed_methods,
    reason = "tests start the real programs as a user does"
)]
pub(crate) fn run(program: &str, args: &[&str], input: Option<&Path>) -> Output {
    let mut command = Command::new(program);
    command
        .args(args)
        .env("LC_ALL", "C.UTF-8")
        .env("MANWIDTH", "80");
    command.stdin(match input {
        Some(path) => Stdio::from(std::fs::File::open(path).unwrap()),
        None => Stdio::null(),
    });
    let output = command.output();
    let output =
        output.unwrap_or_else(|error| panic!("{program}: {error}; tests/setup installs it"));
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    output
}
