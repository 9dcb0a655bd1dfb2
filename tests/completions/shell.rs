//! A folder with a test's own programs and settings, and the shells that complete there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::model::{Program, file, is_up_to_date};
use crate::{bash, fish, zsh};

/// Calls the function that `complete` registered for the command, as bash does at TAB.
const BASH: &str = r#"
. "$FILE"
read -ra COMP_WORDS <<<"$LINE"
[[ $LINE != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
spec=$(complete -p "${COMP_WORDS[0]}") || exit
spec=${spec#*-F }
"${spec%% *}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// fish has a command that prints its completions.
const FISH: &str = r#"
for file in $FOLDER/fish/*.fish
    source $file
end
complete -C "$LINE"
"#;

/// zsh completes only at a terminal, so it gets a pseudo-terminal.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty inner 'zsh -d -i'
zpty -r inner text '*READY*'
zpty -w -n inner "$LINE"$'\t'
while zpty -r inner text; do :; done
"#;

/// This zsh writes its completions to a file, and exits.
const ZSHRC: &str = r#"
PROMPT=
fpath=($FOLDER/zsh $fpath)
autoload -Uz compinit
compinit -D -u
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-[OAD]\ * ]]; then
        builtin compadd "$@"
        return
    fi
    local -a offered
    builtin compadd -A offered "$@"
    print -rl -- $offered >>$OUT
    builtin compadd "$@"
}
zstyle ':completion:*' insert-tab false
leave() { exit }
comppostfuncs=(leave)
bindkey '^I' complete-word
print READY
"#;

/// A folder with `bin`, which is first on PATH.
pub(crate) struct Place {
    folder: PathBuf,
    env: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("hps-tab-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("bin")).unwrap();
        let text = |name: &str| folder.join(name).display().to_string();
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", text("bin"));
        let env = [
            ("PATH", path),
            ("HOME", text("")),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("TERM", "dumb".to_owned()),
            ("FOLDER", text("")),
        ];
        let env = env.map(|(key, value)| (key.to_owned(), value)).to_vec();
        let place = Self { folder, env };
        for program in ["o_vm", "n_vm", "ips-server"] {
            for (_, name, to) in files(program) {
                place.install(&name, &to);
            }
        }
        place
    }

    /// Installs a completion file where a package would.
    fn install(&self, name: &str, to: &str) {
        let to = self.path(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        symlink(file(name), to).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Sets a variable for all programs that start from now on.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.env.retain(|(known, _)| known != key);
        self.env.push((key.to_owned(), value.to_owned()));
    }

    /// Puts a program on PATH.
    pub(crate) fn link(&self, name: &str, target: &str) -> PathBuf {
        let link = self.path("bin").join(name);
        let _ = symlink(target, &link);
        link
    }

    /// Puts a script on PATH.
    pub(crate) fn script(&self, name: &str, text: &str) {
        let file = self.path("bin").join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a program until it exits; it must succeed with an empty stderr.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> String {
        let output = self.output(program, args, &[]);
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "",
            "{program} {args:?}"
        );
        assert!(output.status.success(), "{program} {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "tests start the real programs as a user does"
    )]
    fn output(&self, program: &str, args: &[&str], more: &[(&str, &str)]) -> Output {
        // All of the standard PATH, not the test's: the shells are the system's.
        let own = self.path("bin").join(program);
        let mut command = Command::new(if own.exists() { own } else { program.into() });
        command.args(args).env_clear().stdin(Stdio::null());
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command.envs(more.iter().copied()).current_dir(&self.folder);
        let output = command.output();
        output.unwrap_or_else(|error| panic!("{program}: {error}; tests/setup installs it"))
    }

    /// The completions of bash at the end of the line.
    pub(crate) fn bash(&self, line: &str) -> Vec<String> {
        let file = self.path("bash").join(program_of(line));
        let more = [("LINE", line), ("FILE", file.to_str().unwrap())];
        let output = self.output("bash", &["--norc", "-c", BASH], &more);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
        words(&output.stdout)
    }

    /// The completions of fish.
    pub(crate) fn fish(&self, line: &str) -> Vec<String> {
        let output = self.output("fish", &["--no-config", "-c", FISH], &[("LINE", line)]);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
        words(&output.stdout)
    }

    /// The completions of zsh.
    pub(crate) fn zsh(&self, line: &str) -> Vec<String> {
        let out = self.path("offered");
        fs::write(&out, "").unwrap();
        fs::write(self.path(".zshrc"), ZSHRC).unwrap();
        let more = [("LINE", line), ("OUT", out.to_str().unwrap())];
        let output = self.output("timeout", &["30", "zsh", "-f", "-c", ZSH], &more);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
        words(&fs::read(&out).unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The command whose completion file a line needs.
fn program_of(line: &str) -> &str {
    match line.split(' ').next().unwrap() {
        "ips-server" => "ips-server",
        name if name.starts_with("n_") => "n_vm",
        _ => "o_vm",
    }
}

/// The first word of each line, sorted, without duplicates.
fn words(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let first = text.lines().filter_map(|line| line.split('\t').next());
    let mut words: Vec<_> = first
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// A program's files: the shell, the file in packaging/completions, and where it goes.
fn files(program: &str) -> [(&'static str, String, String); 3] {
    let (bash, zsh, fish) = (
        format!("{program}.bash"),
        format!("_{program}"),
        format!("{program}.fish"),
    );
    let placed = |folder: &str, name: &str| format!("{folder}/{name}");
    let to = [
        placed("bash", program),
        placed("zsh", &zsh),
        placed("fish", &fish),
    ];
    let [to_bash, to_zsh, to_fish] = to;
    [
        ("bash", bash, to_bash),
        ("zsh", zsh, to_zsh),
        ("fish", fish, to_fish),
    ]
}

/// Every file of these programs is up to date, and each shell can read its own.
pub(crate) fn files_are_up_to_date(programs: &[Program]) {
    let place = Place::new(&format!("syntax-{}", programs[0].name));
    for program in programs {
        for (shell, name, _) in files(program.name) {
            let text = match shell {
                "bash" => bash::file(program),
                "zsh" => zsh::file(program),
                _ => fish::file(program),
            };
            is_up_to_date(&name, &text);
            place.run(shell, &["-n", file(&name).to_str().unwrap()]);
        }
    }
}
