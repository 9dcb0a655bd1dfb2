//! The command lines of `ips-server` and `o_vm`: from argv to a verb or a command.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{EarlyExit, FromArgs};
use tracing::Level;

use crate::cli::Env;
use crate::cli::help::{grouped, help_last};
use crate::cli::output::{print, print_error_of};
use crate::error::chain;
use crate::http;
use crate::links;
use crate::logging;
use crate::model::exit::Exit;
use crate::nginx;
use crate::settings::{Settings, SettingsError, endpoint};
use crate::verbs::{GROUPS, Verb, complete};

/// Define VMs and run them on the nodes of a KVM cluster.
#[derive(FromArgs, Debug)]
#[argh(
    name = "o_vm",
    help_triggers("--help", "-h"),
    note = "A VM is given by its vm_id or its name.",
    note = "Exit codes: see EXIT STATUS in o_vm(1). Settings: see ips.toml(5)."
)]
struct OVm {
    /// print the version
    #[argh(switch)]
    version: bool,
    /// log each child process
    #[argh(switch, short = 'v')]
    verbose: bool,
    /// settings file (default /etc/hps/ips.toml)
    #[argh(option, arg_name = "file")]
    config: Option<PathBuf>,
    #[argh(subcommand)]
    verb: Option<Verb>,
}

/// Serve VM configs to the nodes of a KVM cluster.
#[derive(FromArgs, Debug)]
#[argh(
    name = "ips-server",
    help_triggers("--help", "-h"),
    note = "Exit codes: see ips-server(8). Settings: see ips.toml(5)."
)]
struct IpsServer {
    /// print the version
    #[argh(switch)]
    version: bool,
    /// log at level debug
    #[argh(switch, short = 'v')]
    verbose: bool,
    /// settings file (default /etc/hps/ips.toml)
    #[argh(option, arg_name = "file")]
    config: Option<PathBuf>,
    #[argh(subcommand)]
    command: Option<Command>,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
enum Command {
    Serve(Serve),
    Nginx(Nginx),
    Vm(Vm),
}

/// Run the HTTP server until SIGTERM.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "serve", help_triggers("--help", "-h"))]
struct Serve {
    /// ADDRESS:PORT or unix:/path (default: the setting; port 0 is any)
    #[argh(option, arg_name = "endpoint", from_str_fn(endpoint))]
    listen: Option<String>,
}

/// Print the nginx configuration, or check that it is installed.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "nginx",
    help_triggers("--help", "-h"),
    error_code(1, "a line is missing or in the wrong place"),
    error_code(2, "nginx does not print its configuration")
)]
struct Nginx {
    /// check that nginx has these lines
    #[argh(switch)]
    check: bool,
    /// nginx's main configuration file (default: nginx's own)
    #[argh(positional)]
    configuration: Option<PathBuf>,
}

/// Run a verb of o_vm: `ips-server vm VERB` is `o_vm VERB`.
// `links` handles `vm` as the first argument; this is `vm` after options of `ips-server`.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "vm", help_triggers("--help", "-h"))]
struct Vm {
    /// verb and its arguments
    #[argh(positional, greedy)]
    words: Vec<String>,
}

/// Runs a command line.
#[must_use]
pub fn run(argv: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Result<Vec<_>, _> = argv.map(OsString::into_string).collect();
    match words {
        Ok(argv) => match links::words(&argv) {
            Some(words) => o_vm(words),
            None => ips_server(argv.iter().skip(1).map(String::as_str).collect()),
        },
        // An argument that is not text is refused: altered, it could name another VM or file.
        Err(word) => {
            let word = hps_core::kv::one_line(&word.to_string_lossy());
            fail("o_vm", &format!("{word}: not UTF-8"))
        }
    }
}

fn o_vm(words: Vec<&str>) -> ExitCode {
    // Before the settings are read: an error in them must not be printed at TAB.
    if words.first() == Some(&complete::VERB) {
        return complete::run(&words[1..]);
    }
    let words = help_last(with_stdin(words));
    let args = match OVm::from_args(&["o_vm"], &words) {
        Ok(args) => args,
        Err(early) => return leave("o_vm", &early, &words),
    };
    log_to_stderr(args.verbose, Level::WARN);
    if args.version {
        return version("o_vm");
    }
    let Some(verb) = &args.verb else {
        return fail("o_vm", "a verb is missing; `o_vm --help` lists the verbs");
    };
    match load("o_vm", args.config.as_deref()) {
        Ok(settings) => verb.run(&Env { settings }),
        Err(code) => code,
    }
}

/// argh takes a lone `-` for an option; as the file of these verbs it is standard input.
/// Behind another option it is that option's value.
fn with_stdin(mut words: Vec<&str>) -> Vec<&str> {
    let reads = |word: &&str| matches!(*word, "define" | "import" | "adopt");
    if !words.iter().any(reads) {
        return words;
    }
    for at in 1..words.len() {
        let is_value = words[at - 1].starts_with("--") && words[at - 1] != "--take";
        if words[at] == "-" && !is_value {
            words[at] = "/dev/stdin";
        }
    }
    words
}

fn ips_server(words: Vec<&str>) -> ExitCode {
    let words = help_last(words);
    let args = match IpsServer::from_args(&["ips-server"], &words) {
        Ok(args) => args,
        Err(early) => return leave("ips-server", &early, &words),
    };
    if args.version {
        return version("ips-server");
    }
    match &args.command {
        Some(Command::Serve(command)) => serve(&args, command),
        Some(Command::Nginx(command)) => {
            log_to_stderr(args.verbose, Level::INFO);
            nginx(command)
        }
        Some(Command::Vm(command)) => vm(&args, command),
        None => fail(
            "ips-server",
            "a command is missing; `ips-server --help` lists the commands",
        ),
    }
}

fn serve(args: &IpsServer, command: &Serve) -> ExitCode {
    log_to_stderr(args.verbose, Level::INFO);
    let mut settings = match load("ips-server", args.config.as_deref()) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    if let Some(listen) = &command.listen {
        settings.listen.clone_from(listen);
    }
    match http::serve(settings) {
        Ok(()) => Exit::Success.into(),
        Err(error) => fail("ips-server", &chain(&error)),
    }
}

fn vm(args: &IpsServer, command: &Vm) -> ExitCode {
    let config = args.config.as_deref().map(Path::to_string_lossy);
    let mut words: Vec<&str> = Vec::new();
    if args.verbose {
        words.push("-v");
    }
    if let Some(config) = &config {
        words.extend(["--config", config]);
    }
    words.extend(command.words.iter().map(String::as_str));
    o_vm(words)
}

fn nginx(command: &Nginx) -> ExitCode {
    if !command.check {
        print(nginx::advice().trim_end());
        return ExitCode::SUCCESS;
    }
    let configuration = match nginx::configuration(command.configuration.as_deref()) {
        Ok(configuration) => configuration,
        Err(why) => {
            let why =
                format!("nginx: cannot read its configuration: {why}; run `nginx -t` as root");
            fail("ips-server", &why);
            return ExitCode::from(2);
        }
    };
    let (report, complete) = nginx::report(&nginx::includes(&configuration));
    print(report.trim_end());
    if let Some(hint) = nginx::few_connections(&configuration) {
        print(hint.trim_end());
    }
    ExitCode::from(u8::from(!complete))
}

fn log_to_stderr(verbose: bool, usual: Level) {
    logging::to_stderr(if verbose { Level::DEBUG } else { usual });
}

fn load(program: &str, config: Option<&Path>) -> Result<Settings, ExitCode> {
    let failed = |error: SettingsError| fail(program, &chain(&error));
    Settings::load(config).map_err(failed)
}

fn version(program: &str) -> ExitCode {
    print(&format!("{program} {}", env!("CARGO_PKG_VERSION")));
    Exit::Success.into()
}

/// Help goes to stdout and is a success; everything else is a usage error.
fn leave(program: &str, early: &EarlyExit, words: &[&str]) -> ExitCode {
    let output = early.output.trim_end();
    if early.status.is_err() {
        let verb = words.iter().find(|word| is_verb(word));
        let verb = verb.map(|verb| format!(" {verb}")).unwrap_or_default();
        return fail(
            program,
            &format!("{output}\nRun `{program}{verb} --help` for usage."),
        );
    }
    // Only the help of o_vm itself has a list of verbs that needs groups.
    if output.starts_with("Usage: o_vm [") {
        print(grouped(output, GROUPS).trim_end());
    } else {
        print(output);
    }
    Exit::Success.into()
}

fn is_verb(word: &str) -> bool {
    GROUPS.iter().any(|group| group.verbs.contains(&word))
}

/// Prints an error as this program's, and is exit code 1.
fn fail(program: &str, why: &str) -> ExitCode {
    print_error_of(program, why);
    Exit::Parameters.into()
}
