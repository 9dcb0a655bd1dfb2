//! The command lines of `ips-server` and `o_vm`, and which verb runs what.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use argh::{EarlyExit, FromArgs};

use crate::error::chain;
use crate::model::exit::Exit;
use crate::settings::{Settings, endpoint};
use crate::verbs::{
    Env, adopt, backup, complete, config, console, create, define, destroy, export, healthy_nodes,
    import, list, log, nodes, operations, pause, reboot, release, set, show, start, status, stop,
    sweep, task, undefine, unpause, validate_node,
};
use crate::{http, links, logging, nginx};

/// Runs VMs on thin KVM hosts: definitions, operations, and the truth about them.
/// A VM is named by its vm_id or its name. Exit codes: see README.md.
#[derive(FromArgs, Debug)]
#[argh(name = "o_vm")]
struct OVm {
    /// print the version
    #[argh(switch)]
    version: bool,
    /// log more: each child process
    #[argh(switch, short = 'v')]
    verbose: bool,
    /// settings file (default /etc/hps/ips.toml)
    #[argh(option, arg_name = "file")]
    config: Option<PathBuf>,
    #[argh(subcommand)]
    verb: Option<Verb>,
}

macro_rules! verbs {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        #[derive(FromArgs, Debug)]
        #[argh(subcommand)]
        enum Verb {
            $($name($module::$name)),+,
            Task(task::Task),
        }

        impl Verb {
            fn run(&self, env: &Env) -> u8 {
                match self {
                    $(Self::$name(verb) => verb.run(env).code()),+,
                    Self::Task(verb) => verb.run(env),
                }
            }
        }
    };
}

verbs!(
    define::Define,
    set::Set,
    undefine::Undefine,
    show::Show,
    config::Config,
    list::List,
    import::Import,
    export::Export,
    backup::Backup,
    backup::Restore,
    create::Create,
    start::Start,
    stop::Stop,
    reboot::Reboot,
    pause::Pause,
    unpause::Unpause,
    destroy::Destroy,
    status::Status,
    console::Console,
    operations::Operations,
    sweep::Sweep,
    release::Release,
    adopt::Adopt,
    nodes::Nodes,
    validate_node::ValidateNode,
    healthy_nodes::HealthyNodes,
    log::Log,
);

/// Serves VM configs to nodes. `ips-server vm VERB` is `o_vm VERB`.
#[derive(FromArgs, Debug)]
#[argh(name = "ips-server")]
struct IpsServer {
    /// print the version
    #[argh(switch)]
    version: bool,
    /// log more
    #[argh(switch, short = 'v')]
    verbose: bool,
    /// settings file (default /etc/hps/ips.toml)
    #[argh(option, arg_name = "file")]
    config: Option<PathBuf>,
    #[argh(subcommand)]
    command: Option<ServerCommand>,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
enum ServerCommand {
    Serve(Serve),
    Nginx(Nginx),
}

/// Print the lines that nginx needs; or look whether it has them. Changes nothing.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "nginx",
    error_code(1, "a line is missing, or stands in a wrong place"),
    error_code(2, "nobody can tell: nginx does not give its configuration")
)]
struct Nginx {
    /// look whether they are there
    #[argh(switch)]
    check: bool,
    /// nginx's main configuration file (default: nginx's own)
    #[argh(positional)]
    configuration: Option<PathBuf>,
}

/// Answer nodes and people until told to end.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "serve")]
struct Serve {
    /// ADDRESS:PORT or unix:/path (default: the setting; port 0 is any)
    #[argh(option, arg_name = "endpoint", from_str_fn(endpoint))]
    listen: Option<String>,
}

/// Runs what the command line says.
#[must_use]
pub fn run(argv: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Result<Vec<_>, _> = argv.map(OsString::into_string).collect();
    match words {
        Ok(words) => run_words(&words),
        // What is no text is refused, never altered.
        Err(word) => usage_free("o_vm", &format!("{word:?}: not UTF-8")),
    }
}

fn run_words(argv: &[String]) -> ExitCode {
    match links::words(argv) {
        // Before the settings are read: nothing may be said about them here.
        Some(words) if words.first() == Some(&complete::VERB) => complete::run(&words[1..]),
        Some(words) => match OVm::from_args(&["o_vm"], &with_stdin(words)) {
            Ok(args) => o_vm(&args),
            Err(early) => leave("o_vm", &early),
        },
        None => {
            let words: Vec<_> = argv.iter().skip(1).map(String::as_str).collect();
            match IpsServer::from_args(&["ips-server"], &words) {
                Ok(args) => ips_server(args),
                Err(early) => leave("ips-server", &early),
            }
        }
    }
}

/// argh takes a lone `-` for an option; as the file of define, import or adopt it names
/// standard input. Behind any other option it is that option's value.
fn with_stdin(mut words: Vec<&str>) -> Vec<&str> {
    let reads = words
        .iter()
        .any(|word| matches!(*word, "define" | "import" | "adopt"));
    for at in 1..words.len() {
        let is_value = words[at - 1].starts_with("--") && words[at - 1] != "--take";
        if reads && words[at] == "-" && !is_value {
            words[at] = "/dev/stdin";
        }
    }
    words
}

fn o_vm(args: &OVm) -> ExitCode {
    logging::to_stderr(if args.verbose {
        tracing::Level::DEBUG
    } else {
        tracing::Level::WARN
    });
    if args.version {
        return version("o_vm");
    }
    let Some(verb) = &args.verb else {
        return usage("o_vm", "a verb is missing");
    };
    match Settings::load(args.config.as_deref()) {
        Ok(settings) => verb.run(&Env { settings }).into(),
        Err(error) => usage_free("o_vm", &chain(&error)),
    }
}

fn ips_server(args: IpsServer) -> ExitCode {
    logging::to_stderr(if args.verbose {
        tracing::Level::DEBUG
    } else {
        tracing::Level::INFO
    });
    if args.version {
        return version("ips-server");
    }
    let serve = match args.command {
        Some(ServerCommand::Serve(serve)) => serve,
        Some(ServerCommand::Nginx(asked)) => return nginx(&asked),
        None => return usage("ips-server", "a command is missing"),
    };
    let mut settings = match Settings::load(args.config.as_deref()) {
        Ok(settings) => settings,
        Err(error) => return usage_free("ips-server", &chain(&error)),
    };
    if let Some(listen) = serve.listen {
        settings.listen = listen;
    }
    match http::serve(settings) {
        Ok(()) => Exit::Success.into(),
        Err(error) => usage_free("ips-server", &chain(&error)),
    }
}

fn nginx(asked: &Nginx) -> ExitCode {
    if !asked.check {
        println(nginx::advice().trim_end());
        return ExitCode::SUCCESS;
    }
    let configuration = match nginx::configuration(asked.configuration.as_deref()) {
        Ok(configuration) => configuration,
        Err(why) => {
            usage_free(
                "ips-server",
                &format!("nginx: cannot tell: {why}; as root, does `nginx -t` pass?"),
            );
            return ExitCode::from(2);
        }
    };
    let (report, complete) = nginx::report(&nginx::found(&configuration));
    println(report.trim_end());
    if let Some(hint) = nginx::few_connections(&configuration) {
        println(hint.trim_end());
    }
    ExitCode::from(u8::from(!complete))
}

fn version(program: &str) -> ExitCode {
    println(&format!("{program} {}", env!("CARGO_PKG_VERSION")));
    Exit::Success.into()
}

/// Help goes to stdout and is no failure; everything else is usage, on stderr, exit 1.
fn leave(program: &str, early: &EarlyExit) -> ExitCode {
    if early.status.is_ok() {
        println(early.output.trim_end());
        return Exit::Success.into();
    }
    usage(program, early.output.trim_end())
}

fn usage(program: &str, why: &str) -> ExitCode {
    usage_free(
        program,
        &format!("{why}\nRun `{program} --help` for usage."),
    )
}

fn usage_free(program: &str, why: &str) -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{program}: {why}");
    Exit::Parameters.into()
}

fn println(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
