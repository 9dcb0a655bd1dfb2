//! The fish file of a program: a `complete` line for each verb, option and word.

use std::fmt::Write as _;

use crate::model::{Kind, Opt, Program, Verb};

/// `@NAME` is filled in; `@VALUES` are the options that take a value, `@PATHS` the verbs
/// that have verbs below them.
const WALK: &str = r#"
# Prints the verb before the cursor and how many of its words are there: "create 1".
function __@NAME_where
    set -l given (commandline -opc)
    set -e given[1]
    set -l path
    set -l at 0
    set -l is_value no
    set -l is_plain no
    for word in $given
        if test $is_value = yes
            set is_value no
        else if test $is_plain = no; and test "$word" = --
            set is_plain yes
        else if test $is_plain = no; and string match -q -- '-*' $word
            contains -- $word @VALUES; and set is_value yes
        else if contains -- "$path" @PATHS
            set path $path $word
        else
            set at (math $at + 1)
        end
    end
    echo "$path $at"
end

function __@NAME_in # PATH: whether that verb is before the cursor
    string match -qr -- "^$argv[1] [0-9]+\$" (__@NAME_where)
end

function __@NAME_at # PATH N: whether word N behind that verb is at the cursor
    test (__@NAME_where) = "$argv[1] $argv[2]"
end
"#;

/// The file.
pub(crate) fn file(program: &Program) -> String {
    let (name, word) = (program.name, program.word());
    let mut text = format!(
        "# fish completion of {name}. Made from its help by tests/completions: do not edit.\n\n"
    );
    let ask = program.ask.replace("KIND", "$argv[1]");
    let ask = ask.replace("PREFIX", "(commandline -ct)");
    let _ = write!(text, "function __{word}_ask # KIND\n    {ask}\nend\n");
    let values: Vec<_> = program
        .values()
        .into_iter()
        .map(|(long, _)| format!("--{long}"))
        .collect();
    let paths = program.verbs.iter().filter(|verb| !verb.verbs.is_empty());
    let paths: Vec<_> = paths.map(|verb| format!("'{}'", verb.path)).collect();
    let walk = WALK
        .replace("@VALUES", &values.join(" "))
        .replace("@PATHS", &paths.join(" "));
    text.push_str(&walk.replace("@NAME", &word));
    let _ = write!(text, "\ncomplete -c {name} -f\n");
    for verb in &program.verbs {
        of_verb(&mut text, program, verb);
    }
    if let Some((word, other)) = program.other {
        let _ = writeln!(
            text,
            "complete -c {name} -n '__{0}_at \"\" 0' -a {word} -d 'Run a verb of {other}'",
            program.word()
        );
        let _ = writeln!(
            text,
            "complete -c {name} -n '__{0}_in {word}' -a '(complete -C (string replace -r -- \"^\\S+\\s+{word}\\b\" {other} (commandline -cp)))'",
            program.word()
        );
    }
    for (link, words) in &program.links {
        let _ = writeln!(text, "complete -c {link} -w '{name} {words}'");
    }
    text
}

fn of_verb(text: &mut String, program: &Program, verb: &Verb) {
    let (name, word, path) = (program.name, program.word(), &verb.path);
    for below in &verb.verbs {
        let about = quoted(&program.verb(&verb.below(below)).about);
        let _ = writeln!(
            text,
            "complete -c {name} -n '__{word}_at \"{path}\" 0' -a {below} -d {about}"
        );
    }
    for option in &verb.options {
        let of_option = of_option(program, option);
        let _ = writeln!(
            text,
            "complete -c {name} -n '__{word}_in \"{path}\"' {of_option}"
        );
    }
    for (at, (_, kind)) in verb.words.iter().enumerate() {
        if *kind != Kind::Free {
            let offer = offer(program, kind);
            let _ = writeln!(
                text,
                "complete -c {name} -n '__{word}_at \"{path}\" {at}' {offer}"
            );
        }
    }
}

fn of_option(program: &Program, option: &Opt) -> String {
    let short = option.short.as_ref().map(|short| format!("-s {short} "));
    let value = option.value.as_ref().map(|(_, kind)| match kind {
        Kind::Free => " -x".to_owned(),
        Kind::Files => format!(" -r {}", offer(program, kind)),
        Kind::Listed(_) | Kind::Words(_) => format!(" -x {}", offer(program, kind)),
    });
    let about = quoted(&option.about);
    format!(
        "{}-l {} -d {about}{}",
        short.unwrap_or_default(),
        option.long,
        value.unwrap_or_default()
    )
}

fn offer(program: &Program, kind: &Kind) -> String {
    match kind {
        Kind::Free => String::new(),
        Kind::Files => "-F".to_owned(),
        Kind::Listed(what) => format!("-a '(__{}_ask {what})'", program.word()),
        Kind::Words(words) => format!("-a '{}'", words.join(" ")),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
