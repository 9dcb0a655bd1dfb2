//! The zsh file of a program: a line of `_arguments` for each verb.

use std::fmt::Write as _;

use crate::model::{Kind, Opt, Program, Verb};

/// The file.
pub(crate) fn file(program: &Program) -> String {
    let (name, word) = (program.name, program.word());
    let links: String = program
        .links
        .iter()
        .map(|(link, _)| format!(" {link}"))
        .collect();
    let mut text = format!(
        "#compdef {name}{links}\n# zsh completion of {name}. Made from its help by tests/completions: do not edit.\n\n"
    );
    let ask = program
        .ask
        .replace("KIND", "\"$1\"")
        .replace("PREFIX", "\"$PREFIX\"");
    let _ = write!(
        text,
        "_{word}_ask() {{ # KIND
    local -a lines
    lines=(${{(f)\"$({ask})\"}})
    lines=(${{lines//$'\\t'/:}})
    _describe \"$1\" lines
}}

_{word}_verb() {{ # PATH
    local curcontext=$curcontext state line
    local -a verbs
    typeset -A opt_args
    case $1 in\n"
    );
    for verb in &program.verbs {
        text.push_str(&of_verb(program, verb));
    }
    text.push_str("    esac\n}\n\n");
    let _ = write!(text, "_{word}() {{\n    case $service in\n");
    for (link, words) in &program.links {
        let verb = words.split(" -").next().unwrap();
        let _ = writeln!(text, "        {link}) _{word}_verb '{verb}' ;;");
    }
    let _ = write!(
        text,
        "        *) _{word}_verb '' ;;\n    esac\n}}\n\n_{word} \"$@\"\n"
    );
    text
}

fn of_verb(program: &Program, verb: &Verb) -> String {
    let mut text = format!(
        "        '{}')\n            _arguments -S -C \\\n",
        verb.path
    );
    let mut specs: Vec<_> = verb
        .options
        .iter()
        .flat_map(|option| of_option(program, option))
        .collect();
    if verb.verbs.is_empty() {
        let words = verb.words.iter().zip(1..);
        specs.extend(
            words.map(|((name, kind), at)| {
                format!("{at}:{}:{}", escaped(name), action(program, kind))
            }),
        );
        text.push_str(&lines(&specs));
        text.push_str("            ;;\n");
        return text;
    }
    specs.extend(["1:verb:->verb".to_owned(), "*::word:->word".to_owned()]);
    text.push_str(&lines(&specs));
    text.push_str(
        "            case $state in\n                verb)\n                    verbs=(\n",
    );
    for below in &verb.verbs {
        let about = &program.verb(&verb.below(below)).about;
        let _ = writeln!(
            text,
            "                        {}",
            quoted(&format!("{below}:{about}"))
        );
    }
    let top = verb.path.is_empty();
    if let (Some((word, other)), true) = (program.other, top) {
        let _ = writeln!(
            text,
            "                        '{word}:Run a verb of {other}'"
        );
    }
    text.push_str(
        "                    )\n                    _describe verb verbs\n                    ;;\n",
    );
    if let (Some((word, other)), true) = (program.other, top) {
        let _ = write!(
            text,
            "                word)\n                    if [[ $words[1] == {word} ]]; then\n                        words[1]={other}\n                        _normal\n                        return\n                    fi\n                    _{}_verb \"$words[1]\"\n                    ;;\n",
            program.word()
        );
    } else {
        let path = verb.below("$words[1]");
        let _ = writeln!(
            text,
            "                word) _{}_verb \"{path}\" ;;",
            program.word()
        );
    }
    text.push_str("            esac\n            ;;\n");
    text
}

fn lines(specs: &[String]) -> String {
    let quoted: Vec<_> = specs
        .iter()
        .map(|spec| format!("                {}", quoted(spec)))
        .collect();
    quoted.join(" \\\n") + "\n"
}

fn of_option(program: &Program, option: &Opt) -> Vec<String> {
    let names = option.short.iter().map(|short| format!("-{short}"));
    let names = names.chain([format!("--{}", option.long)]);
    let spec = |name: String| {
        let about = escaped(&option.about);
        match &option.value {
            None => format!("{name}[{about}]"),
            Some((value, kind)) => {
                // `a[,b]...`: may be given again.
                let plain = value.trim_end_matches("...");
                let star = if plain == value { "" } else { "*" };
                let action = action(program, kind);
                format!("{star}{name}[{about}]:{}:{action}", escaped(plain))
            }
        }
    };
    names.map(spec).collect()
}

/// A leading space: `_arguments` adds no words of its own.
fn action(program: &Program, kind: &Kind) -> String {
    match kind {
        Kind::Free => " ".to_owned(),
        Kind::Files => "_files".to_owned(),
        Kind::Listed(what) => format!(" _{}_ask {what}", program.word()),
        Kind::Words(words) => format!("({})", words.join(" ")),
    }
}

/// For a text inside a spec.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if matches!(letter, '[' | ']' | ':' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
