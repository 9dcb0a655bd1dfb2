//! The bash file of a program: a table of the words of each verb, and one function that reads
//! the words before the cursor.

use std::fmt::Write as _;

use crate::model::{Kind, Program, Verb};

/// `@NAME` and `@ASK` are filled in; `@LINKS` and `@OTHER` are lines.
const WALK: &str = r#"
_@NAME_offer() { # WHAT PREFIX
    case $1 in
        '') ;;
        @files) compopt -o default 2>/dev/null ;;
        @*)
            while IFS=$'\t' read -r word _; do
                [[ $word != "$2"* ]] || COMPREPLY+=("$word")
            done < <(_@NAME_ask "${1#@}" "$2")
            ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2") ;;
    esac
}

_@NAME() {
    local cur=${COMP_WORDS[COMP_CWORD]} given=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
    local path='' at=0 pending='' is_plain='' word verbs options words value
    COMPREPLY=()
@OTHER@LINKS    _@NAME_verb ''
    for word in "${given[@]}"; do
        if [[ -n $pending ]]; then
            pending=''
        elif [[ -z $is_plain && $word == -- ]]; then
            is_plain=yes
        elif [[ -z $is_plain && $word == -* ]]; then
            ! _@NAME_value "$word" || pending=$word
        elif [[ -n $verbs ]]; then
            path=${path:+$path }$word
            _@NAME_verb "$path"
        else
            at=$((at + 1))
        fi
    done
    if [[ -n $pending ]]; then
        _@NAME_value "$pending"
        _@NAME_offer "$value" "$cur"
    elif [[ -z $is_plain && $cur == -* ]]; then
        _@NAME_offer "$options" "$cur"
    else
        _@NAME_offer "${verbs:-${words[at]-}}" "$cur"
    fi
}
"#;

/// The file.
pub(crate) fn file(program: &Program) -> String {
    let (name, word) = (program.name, program.word());
    let mut text = format!(
        "# shellcheck shell=bash\n# bash completion of {name}. Made from its help by tests/completions: do not edit.\n\n"
    );
    let ask = program
        .ask
        .replace("KIND", "\"$1\"")
        .replace("PREFIX", "\"$2\"");
    let _ = write!(text, "_{word}_ask() {{ # KIND PREFIX\n    {ask}\n}}\n\n");
    let _ = writeln!(text, "_{word}_verb() {{ # PATH: sets verbs, options, words");
    text.push_str("    verbs='' options='' words=()\n    case $1 in\n");
    for verb in &program.verbs {
        text.push_str(&of_verb(program, verb));
    }
    text.push_str("    esac\n}\n\n");
    let _ = writeln!(
        text,
        "_{word}_value() {{ # OPTION: sets value; fails where it takes none"
    );
    text.push_str("    case $1 in\n");
    for (long, kind) in program.values() {
        let _ = writeln!(
            text,
            "        --{long}) value={} ;;",
            quoted(&of_kind(&kind))
        );
    }
    text.push_str("        *) return 1 ;;\n    esac\n}\n");
    let walk = WALK
        .replace("@OTHER", &other(program))
        .replace("@LINKS", &links(program));
    text.push_str(&walk.replace("@NAME", &word));
    let names: String = program
        .links
        .iter()
        .map(|(link, _)| format!(" {link}"))
        .collect();
    let _ = write!(text, "\ncomplete -F _{word} {name}{names}\n");
    text
}

fn of_verb(program: &Program, verb: &Verb) -> String {
    let mut verbs = verb.verbs.clone();
    if let (Some((word, _)), true) = (program.other, verb.path.is_empty()) {
        verbs.push(word.to_owned());
    }
    let options = verb.options.iter().flat_map(|option| {
        let short = option.short.iter().map(|short| format!("-{short}"));
        short.chain([format!("--{}", option.long)])
    });
    let words = verb.words.iter().map(|(_, kind)| quoted(&of_kind(kind)));
    format!(
        "        {})\n            verbs={} options={}\n            words=({})\n            ;;\n",
        quoted(&verb.path),
        quoted(&verbs.join(" ")),
        quoted(&options.collect::<Vec<_>>().join(" ")),
        words.collect::<Vec<_>>().join(" ")
    )
}

fn of_kind(kind: &Kind) -> String {
    match kind {
        Kind::Free => String::new(),
        Kind::Files => "@files".to_owned(),
        Kind::Listed(what) => format!("@{what}"),
        Kind::Words(words) => words.join(" "),
    }
}

fn quoted(text: &str) -> String {
    assert!(!text.contains('\''), "{text}");
    format!("'{text}'")
}

fn links(program: &Program) -> String {
    if program.links.is_empty() {
        return String::new();
    }
    let cases = program.links.iter();
    let cases = cases
        .map(|(name, words)| format!("        {name}) given=({words} \"${{given[@]}}\") ;;\n"));
    format!(
        "    case ${{COMP_WORDS[0]##*/}} in\n{}    esac\n",
        cases.collect::<String>()
    )
}

fn other(program: &Program) -> String {
    let Some((word, other)) = program.other else {
        return String::new();
    };
    format!(
        "    if ((COMP_CWORD > 1)) && [[ ${{COMP_WORDS[1]}} == {word} ]]; then
        # shellcheck source=/dev/null
        declare -F _{other} >/dev/null || . \"${{BASH_SOURCE[0]%/*}}/{other}\"
        COMP_WORDS=({other} \"${{COMP_WORDS[@]:2}}\")
        COMP_CWORD=$((COMP_CWORD - 1))
        _{other}
        return
    fi\n"
    )
}
