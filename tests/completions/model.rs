//! The commands of a program, for the shells: verbs, options, and the kind of each word. Read
//! from the program's help, so that the completion files cannot lag behind it.

use std::path::{Path, PathBuf};

use hps_core::state::VmState;

use crate::help;

/// The kind of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A word that the shell cannot complete.
    Free,
    Files,
    /// `vms`, `nodes` or `operations`, which the program lists.
    Listed(&'static str),
    Words(Vec<String>),
}

/// One verb, or the program itself.
#[derive(Debug)]
pub(crate) struct Verb {
    /// Separated by spaces; empty for the program itself.
    pub(crate) path: String,
    pub(crate) about: String,
    pub(crate) options: Vec<Opt>,
    /// Name and kind of each word behind it.
    pub(crate) words: Vec<(String, Kind)>,
    /// The verbs below it.
    pub(crate) verbs: Vec<String>,
}

/// An option.
#[derive(Debug)]
pub(crate) struct Opt {
    /// Without its dash.
    pub(crate) short: Option<String>,
    /// Without its dashes.
    pub(crate) long: String,
    pub(crate) about: String,
    /// Name and kind of its value.
    pub(crate) value: Option<(String, Kind)>,
}

/// A program.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) verbs: Vec<Verb>,
    /// Other names, each with the verb (and options) that it means.
    pub(crate) links: Vec<(&'static str, String)>,
    /// A shell line, in any shell, that prints words of kind `KIND` that begin with `PREFIX`.
    pub(crate) ask: &'static str,
    /// A verb that is another program: `ips-server vm` is `o_vm`.
    pub(crate) other: Option<(&'static str, &'static str)>,
}

impl Program {
    pub(crate) fn new(file: &Path, name: &'static str, ask: &'static str) -> Self {
        let verbs = help::tree(file, name).iter().map(verb).collect();
        Self {
            name,
            verbs,
            links: Vec::new(),
            ask,
            other: None,
        }
    }

    /// For names of functions.
    pub(crate) fn word(&self) -> String {
        self.name.replace('-', "_")
    }

    /// Every option that takes a value, by name. One name is of one kind in every verb:
    /// the shells' tables need no verb then.
    pub(crate) fn values(&self) -> Vec<(String, Kind)> {
        let mut values: Vec<(String, Kind)> = Vec::new();
        let mut switches = Vec::new();
        for option in self.verbs.iter().flat_map(|verb| &verb.options) {
            let long = option.long.clone();
            let Some((_, kind)) = &option.value else {
                switches.push(long);
                continue;
            };
            match values.iter().find(|(known, _)| *known == long) {
                Some((_, known)) => assert_eq!(known, kind, "--{long} is of two kinds"),
                None => values.push((long, kind.clone())),
            }
        }
        let both = values.iter().find(|(long, _)| switches.contains(long));
        assert_eq!(both, None, "takes a value here and none there");
        values
    }

    pub(crate) fn verb(&self, path: &str) -> &Verb {
        self.verbs.iter().find(|verb| verb.path == path).unwrap()
    }
}

impl Verb {
    /// The path of a verb below this one.
    pub(crate) fn below(&self, verb: &str) -> String {
        format!("{} {verb}", self.path).trim_start().to_owned()
    }
}

fn verb(help: &help::Verb) -> Verb {
    let words = help::section(&help.text, "Positional Arguments:").into_iter();
    // In the order of the usage.
    let words = words.inspect(|word| assert!(help.usage.contains(&word.name), "{help:?}"));
    let mut options: Vec<_> = help.options.iter().map(option).collect();
    let about = "display usage information".to_owned();
    options.push(Opt {
        short: None,
        long: "help".to_owned(),
        about,
        value: None,
    });
    Verb {
        path: help.words.join(" "),
        about: help.about(),
        options,
        words: words
            .map(|word| (word.name.clone(), kind(&word.name, &word.text)))
            .collect(),
        verbs: help.verbs.iter().map(|verb| verb.name.clone()).collect(),
    }
}

fn option(option: &help::Opt) -> Opt {
    let (short, long) = option.head.split_once(", ").unwrap_or(("", &option.head));
    let value = option.value.as_ref();
    Opt {
        short: short.strip_prefix('-').map(str::to_owned),
        long: long.strip_prefix("--").unwrap().to_owned(),
        about: option.text.clone(),
        value: value.map(|name| (name.clone(), kind(name, &option.text))),
    }
}

/// The kind of a word of this name; the help's text has the words of a choice.
fn kind(name: &str, text: &str) -> Kind {
    let listed = |text: &str| {
        let words = text.split(" (").next().unwrap().split(',');
        Kind::Words(words.map(|word| word.trim().to_owned()).collect())
    };
    match name {
        "vm" => Kind::Listed("vms"),
        // Of `n_vm`, whose VMs are this node's domains.
        "name" if text == "the VM" => Kind::Listed("vms"),
        "node" | "nodes" => Kind::Listed("nodes"),
        "operation" => Kind::Listed("operations"),
        "file" | "configuration" => Kind::Files,
        "force" => Kind::Words(vec!["force".to_owned()]),
        "state" => Kind::Words(VmState::ALL.map(|state| state.as_str().to_owned()).to_vec()),
        "level" => listed(text),
        "list" => listed(text.split_once(": ").unwrap().1),
        _ => Kind::Free,
    }
}

/// Compares a completion file with the generated text. With UPDATE in the environment it is
/// written instead.
pub(crate) fn is_up_to_date(name: &str, text: &str) {
    let file = file(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == text,
        "{} differs from the help: run `UPDATE=yes cargo test --test '*_completions' the_files`",
        file.display()
    );
}

/// The path of a completion file.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging/completions")
        .join(name)
}
