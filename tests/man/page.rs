//! A manual page in scdoc's source: sections, and the entries in them. An entry is a line
//! with tab-indented text below it; entries nest.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the pages are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/man")
}

/// The source of a page.
#[derive(Debug)]
pub(crate) struct Page(String);

/// One entry, without markup.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) head: String,
    /// Its first paragraph, on one line.
    pub(crate) text: String,
    pub(crate) entries: Vec<Entry>,
}

impl Page {
    pub(crate) fn read(name: &str) -> Self {
        Self(fs::read_to_string(folder().join(format!("{name}.scd"))).unwrap())
    }

    /// The names of the NAME section.
    pub(crate) fn names(&self) -> Vec<String> {
        let line = self
            .lines("# NAME")
            .into_iter()
            .find(|line| !line.is_empty());
        let names = line.unwrap().split(" - ").next().unwrap();
        names.split(", ").map(str::to_owned).collect()
    }

    /// The entries below a heading, up to the next of its kind or above.
    pub(crate) fn entries(&self, heading: &str) -> Vec<Entry> {
        entries(&self.lines(heading))
    }

    fn lines(&self, heading: &str) -> Vec<&str> {
        let depth = |line: &str| line.split(' ').next().unwrap_or_default().len();
        let ends = |line: &str| line.starts_with('#') && depth(line) <= depth(heading);
        let below = self.0.lines().skip_while(|line| *line != heading).skip(1);
        let lines: Vec<_> = below.take_while(|line| !ends(line)).collect();
        assert!(!lines.is_empty(), "there is no section {heading:?}");
        lines
    }
}

fn entries(lines: &[&str]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (at, head) in lines.iter().enumerate() {
        let is_head = !head.is_empty() && !head.starts_with(['\t', '#']);
        let body: Vec<_> = lines[at + 1..]
            .iter()
            .take_while(|line| line.is_empty() || line.starts_with('\t'))
            .map(|line| line.strip_prefix('\t').unwrap_or(line))
            .collect();
        if is_head && body.first().is_some_and(|line| !line.is_empty()) {
            let first = body.iter().take_while(|line| !line.is_empty());
            entries.push(Entry {
                head: plain(head),
                text: plain(&first.copied().collect::<Vec<_>>().join(" ")),
                entries: self::entries(&body),
            });
        }
    }
    entries
}

/// Without markup, as scdoc reads it: `_` inside a word is itself.
fn plain(text: &str) -> String {
    let chars: Vec<_> = text.chars().collect();
    let is_word = |at: Option<usize>| {
        at.and_then(|at| chars.get(at))
            .is_some_and(char::is_ascii_alphanumeric)
    };
    let mut plain = String::new();
    let mut at = 0;
    while at < chars.len() {
        match chars[at] {
            '\\' => {
                at += 1;
                plain.extend(chars.get(at));
            }
            '*' => {}
            '_' if !(is_word(at.checked_sub(1)) && is_word(Some(at + 1))) => {}
            c => plain.push(c),
        }
        at += 1;
    }
    plain
}
