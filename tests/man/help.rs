//! The `--help` of a program, verb by verb, as a table.

use std::path::Path;
use std::process::{Command, Stdio};

/// One command line: the program itself (no words), or a verb.
#[derive(Debug)]
pub(crate) struct Verb {
    /// The words behind the program: none, `create`, `task run`.
    pub(crate) words: Vec<String>,
    /// The usage in the help, without the program, `<>` and the `[--]`.
    pub(crate) usage: String,
    /// The help.
    pub(crate) text: String,
    pub(crate) options: Vec<Opt>,
    /// Verbs below it.
    pub(crate) verbs: Vec<Entry>,
}

/// A word and its meaning.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// An option.
#[derive(Debug)]
pub(crate) struct Opt {
    /// `-n, --dry-run`
    pub(crate) head: String,
    /// The name of its value, if it has one.
    pub(crate) value: Option<String>,
    pub(crate) text: String,
}

/// The program and every verb, verbs of verbs too.
pub(crate) fn tree(program: &Path, name: &str) -> Vec<Verb> {
    let mut all: Vec<_> = verb(program, name, &[]).into_iter().collect();
    let mut next = 0;
    while next < all.len() {
        let below: Vec<_> = all[next]
            .verbs
            .iter()
            .map(|below| {
                [
                    all[next].words.as_slice(),
                    std::slice::from_ref(&below.name),
                ]
                .concat()
            })
            .collect();
        let found: Vec<_> = below
            .iter()
            .filter_map(|words| verb(program, name, words))
            .collect();
        // A verb that is another program is not in the tree.
        let is_ours = |entry: &Entry| {
            found
                .iter()
                .any(|verb| verb.words.last() == Some(&entry.name))
        };
        all[next].verbs.retain(is_ours);
        all.extend(found);
        next += 1;
    }
    assert!(all.len() > 1, "{name} --help lists no verb");
    all
}

impl Verb {
    /// What it does, in a sentence or two.
    pub(crate) fn about(&self) -> String {
        let about = self.text.split("\n\n").nth(1).unwrap();
        about.replace('`', "").trim().to_owned()
    }
}

/// One verb; `None` if its help is that of another program, as of `ips-server vm`.
fn verb(program: &Path, name: &str, words: &[String]) -> Option<Verb> {
    let text = help(program, words);
    let usage = text.lines().next().unwrap();
    let called = [&[name.to_owned()], words].concat().join(" ");
    let usage = usage.strip_prefix("Usage: ").unwrap();
    if !usage.starts_with(&format!("{name} ")) {
        return None;
    }
    let rest = usage.strip_prefix(&called).unwrap();
    let options = section(&text, "Options:").into_iter();
    Some(Verb {
        words: words.to_vec(),
        usage: rest
            .replace("[--] ", "")
            .replace(['<', '>'], "")
            .trim()
            .to_owned(),
        options: options
            .filter(|entry| !entry.name.starts_with("--help"))
            .map(|entry| option(entry, rest))
            .collect(),
        verbs: commands(&text),
        text,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the real program, as a user starts it"
)]
fn help(program: &Path, words: &[String]) -> String {
    let mut command = Command::new(program);
    command.args(words).arg("--help").stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{words:?} --help: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn option(entry: Entry, usage: &str) -> Opt {
    let long = entry.name.rsplit(", ").next().unwrap();
    let value = usage.split(&format!("{long} <")).nth(1);
    Opt {
        value: value.map(|rest| rest.split('>').next().unwrap().to_owned()),
        head: entry.name,
        text: entry.text,
    }
}

/// The verbs below all headings that end in `ommands:`; `o_vm` has them in groups.
fn commands(text: &str) -> Vec<Entry> {
    let headings = text.lines().filter(|line| line.ends_with("ommands:"));
    headings
        .flat_map(|heading| section(text, heading))
        .collect()
}

/// The entries below a heading of a help text: two spaces, the name, and the text further right, on
/// this and the following lines.
pub(crate) fn section(text: &str, heading: &str) -> Vec<Entry> {
    let lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let more = line.trim_start();
        if line.len() - more.len() > 2 {
            let last = &mut entries.last_mut().unwrap().text;
            last.push_str(if last.is_empty() { "" } else { " " });
            last.push_str(&more.replace('`', ""));
            continue;
        }
        let (name, text) = more.split_once("  ").unwrap_or((more, ""));
        let (name, text) = (name.to_owned(), text.trim_start().replace('`', ""));
        entries.push(Entry { name, text });
    }
    entries
}
