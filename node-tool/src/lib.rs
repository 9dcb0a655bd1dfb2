//! `n_vm`: the VMs of this node. The binary is a wrapper around [`run`]; a library
//! only so that tests can read [`links`] and [`exit`].

mod app;
mod check;
mod commands;
mod domain_xml;
mod error;
pub mod exit;
mod files;
mod ips;
pub mod links;
mod lock;
mod log;
mod notify;
mod pools;
#[cfg(any(test, fuzzing))]
#[path = "../../tests/properties/node.rs"]
pub mod properties;
mod qemu_img;
mod removal;
mod route;
mod settings;
mod show;
mod signals;
pub mod spec;
mod sysfs;
mod task;
#[cfg(feature = "tls")]
mod tls;
mod virsh;
mod virt_install;

use std::cell::Cell;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use argh::FromArgs;

use app::App;
use commands::Verb;
use error::Error;
use settings::Settings;
use signals::Signals;
use task::Task;

/// Create, run and remove the VMs of this node, with virt-install and virsh.
#[derive(Debug, FromArgs)]
#[argh(help_triggers("--help", "-h"))]
#[argh(note = "Settings: /etc/hps/node.conf, N_VM_<KEY> in the environment. Manual: n_vm(1).")]
#[argh(
    error_code(
        1,
        "the command line, the settings, or any failure of a verb other than create"
    ),
    error_code(2, "create: the VM config could not be fetched"),
    error_code(3, "create: the VM config is not valid"),
    error_code(4, "create: its provision_method is not supported"),
    error_code(5, "create: virt-install failed, and the domain is not there"),
    error_code(6, "create: libvirt did not answer in time"),
    error_code(7, "create: a domain of that name is another VM")
)]
struct Cli {
    /// print the version
    #[argh(switch)]
    version: bool,
    /// log each child process
    #[argh(switch, short = 'v')]
    verbose: bool,
    /// settings file instead of /etc/hps/node.conf
    #[argh(option, arg_name = "file")]
    config: Option<PathBuf>,
    #[argh(subcommand)]
    verb: Option<Verb>,
}

/// Runs a command line, argv[0] first, and returns the exit code.
#[must_use]
pub fn run(argv: Vec<OsString>) -> u8 {
    let cli = match parse(argv) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    if cli.version {
        return print(concat!("n_vm ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
    }
    let Some(verb) = &cli.verb else {
        return usage_error("a verb is missing", &[]);
    };
    match surroundings(&cli) {
        Ok(app) => verb.run(&app),
        Err(error) => {
            log::print_error(&error.chain());
            1
        }
    }
}

/// The command line, or the exit code after help or usage was printed.
fn parse(argv: Vec<OsString>) -> Result<Cli, u8> {
    let words: Result<Vec<_>, _> = argv.into_iter().map(OsString::into_string).collect();
    let Ok(mut words) = words else {
        log::print_error("the command line is not UTF-8");
        return Err(1);
    };
    let argv0 = if words.is_empty() {
        "n_vm".to_owned()
    } else {
        words.remove(0)
    };
    let words = links::expand(&argv0, words);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    Cli::from_args(&["n_vm"], &words).map_err(|early| match early.status {
        Ok(()) => print(early.output.as_bytes()),
        Err(()) => usage_error(early.output.trim_end(), &words),
    })
}

fn usage_error(mistake: &str, words: &[&str]) -> u8 {
    log::print_error(&format!("{mistake}\n{}", usage(words)));
    1
}

/// The usage line of the verb among these words, else of `n_vm` itself.
fn usage(words: &[&str]) -> String {
    let help = |words: &[&str]| {
        let early = Cli::from_args(&["n_vm"], words).err();
        early.map(|early| early.output)
    };
    let of_verb = words
        .iter()
        .find_map(|word| help(&[word, "--help"]).filter(|text| text.starts_with("Usage")));
    let text = of_verb.or_else(|| help(&["--help"])).unwrap_or_default();
    let lines = text.lines().take_while(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn surroundings(cli: &Cli) -> Result<App, Error> {
    let settings = Settings::load(cli.config.as_deref())?;
    log::to_stderr(if cli.verbose {
        tracing::Level::DEBUG
    } else {
        settings.log
    });
    Ok(App {
        settings,
        task: Task::from_env()?,
        signals: Signals::catch().map_err(Error::Signals)?,
        acted: Cell::new(false),
        since: Instant::now(),
    })
}

/// Writes to stdout; a reader that stopped reading is not an error.
fn print(bytes: &[u8]) -> u8 {
    match std::io::stdout().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            log::print_error(&format!("stdout: {error}"));
            1
        }
        _ => 0,
    }
}
