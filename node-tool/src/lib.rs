//! `n_vm`: what a node does for its VMs. The binary is a wrapper around [`run`]; a
//! library only so that tests can read [`links`].

mod app;
mod check;
mod cli;
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
mod sysfs;
mod task;
#[cfg(feature = "tls")]
mod tls;
mod verbs;
mod virsh;
mod virt_install;

use std::cell::Cell;
use std::ffi::OsString;
use std::io::Write;
use std::time::Instant;

use argh::FromArgs;

use app::App;
use cli::Cli;
use error::Error;
use settings::Settings;
use signals::Signals;
use task::Task;

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
        log::say(&format!("which verb?\n{}", usage(&[])));
        return 1;
    };
    match surroundings(&cli) {
        Ok(app) => verbs::run(&app, verb),
        Err(error) => {
            log::say(&error.chain());
            1
        }
    }
}

/// The command line, or the exit code after help or usage was printed.
fn parse(argv: Vec<OsString>) -> Result<Cli, u8> {
    let words: Result<Vec<_>, _> = argv.into_iter().map(OsString::into_string).collect();
    let Ok(mut words) = words else {
        log::say("the command line is not UTF-8");
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
        Err(()) => {
            log::say(&format!("{}\n{}", early.output.trim_end(), usage(&words)));
            1
        }
    })
}

/// The usage line of the verb among these words, else of n_vm itself.
fn usage(words: &[&str]) -> String {
    let help = |words: &[&str]| {
        Cli::from_args(&["n_vm"], words)
            .err()
            .map(|early| early.output)
    };
    let of_verb = words
        .iter()
        .find_map(|word| help(&[word, "--help"]).filter(|text| text.starts_with("Usage")));
    let text = of_verb.or_else(|| help(&["--help"])).unwrap_or_default();
    text.lines()
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
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
        begun: Cell::new(false),
        since: Instant::now(),
    })
}

/// Writes to stdout; a reader that went away is no failure of ours.
fn print(bytes: &[u8]) -> u8 {
    match std::io::stdout().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            log::say(&format!("stdout: {error}"));
            1
        }
        _ => 0,
    }
}
