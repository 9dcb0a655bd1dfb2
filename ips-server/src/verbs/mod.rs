//! One file per verb of `o_vm`, and what they share: settings, registry, engine, output.

pub mod adopt;
pub mod backup;
pub mod complete;
pub mod config;
pub mod console;
pub mod create;
pub mod define;
pub mod destroy;
pub mod export;
mod force;
pub mod healthy_nodes;
pub mod import;
pub mod list;
pub mod log;
pub mod nodes;
pub mod operate;
pub mod operations;
pub mod pause;
pub mod reboot;
pub mod release;
pub mod set;
pub mod show;
pub mod start;
pub mod status;
pub mod stop;
pub mod sweep;
pub mod task;
#[cfg(test)]
mod tests;
pub mod undefine;
pub mod unpause;
pub mod validate_node;

use std::io::{IsTerminal, Write};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use hps_core::names::NodeName;
use serde::Serialize;

use crate::engine::Engine;
use crate::engine::local::Local;
use crate::engine::opensvc::{Limits, OpenSvc};
use crate::error::chain;
use crate::model::exit::Exit;
use crate::model::node::Node;
use crate::model::verb::Catalog;
use crate::model::vm::Vm;
use crate::om::Om;
use crate::operation::Conclusion;
use crate::registry::{Author, Registry, RegistryError};
use crate::settings::{EngineKind, Settings};

/// The rows of the verbs that run on nodes.
pub const CATALOG: Catalog = Catalog(&[
    &create::SPEC,
    &start::SPEC,
    &stop::SPEC,
    &reboot::SPEC,
    &pause::SPEC,
    &unpause::SPEC,
    &destroy::SPEC,
]);

/// What every verb works in.
#[derive(Debug)]
pub struct Env {
    /// The settings.
    pub settings: Settings,
}

impl Env {
    /// Opens the registry.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub fn registry(&self) -> Result<Registry, Conclusion> {
        Registry::open(&self.settings.registry).map_err(|error| registry_failed(&error))
    }

    /// The VM of that id or name.
    ///
    /// # Errors
    /// There is none, or the registry cannot be read.
    pub fn find(&self, text: &str) -> Result<Vm, Conclusion> {
        let found = self
            .registry()?
            .find(text)
            .map_err(|error| registry_failed(&error))?;
        found.ok_or_else(|| {
            let text = hps_core::kv::one_line(text);
            Conclusion::refused(
                Exit::Parameters,
                format!("no VM {text} is defined; `o_vm list` names those that are"),
            )
        })
    }

    /// What carries verbs to nodes here.
    ///
    /// # Errors
    /// This host has no usable name.
    pub fn engine<'a>(&'a self, stop: &'a AtomicBool) -> Result<Box<dyn Engine + 'a>, String> {
        let settings = &self.settings;
        match settings.engine {
            EngineKind::Local => Ok(Box::new(Local {
                node: self.local_node()?,
                ips: base_url(&settings.listen)?,
                verb_timeout: settings.verb_timeout,
                margin: settings.task_margin,
                stop,
            })),
            EngineKind::OpenSvc => Ok(Box::new(OpenSvc {
                om: Om {
                    timeout: settings.om_timeout,
                    interrupt: Some(stop),
                },
                limits: Limits {
                    instance: settings.instance_timeout,
                    verb: settings.verb_timeout,
                    delete: settings.delete_timeout,
                    task_margin: settings.task_margin,
                    wait_margin: settings.wait_margin,
                    poll: settings.poll_interval,
                },
                advertise: settings.advertise.clone(),
                bind_address: settings.bind_address,
                stop,
                own: settings
                    .node_name
                    .clone()
                    .map_or_else(OnceLock::new, OnceLock::from),
                checked: OnceLock::new(),
            })),
        }
    }

    fn local_node(&self) -> Result<NodeName, String> {
        if let Some(name) = &self.settings.node_name {
            return Ok(name.clone());
        }
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let parsed = name.trim().parse();
        parsed
            .map_err(|error| format!("this host's name is no node name ({error}); set `node_name`"))
    }

    /// Who runs this command, for the audit.
    #[must_use]
    pub fn author(&self, reason: Option<&str>) -> Author {
        let uid = nix::unistd::getuid();
        let login = ["SUDO_USER", "LOGNAME", "USER"]
            .iter()
            .find_map(|key| std::env::var(key).ok())
            .or_else(|| Some(nix::unistd::User::from_uid(uid).ok()??.name));
        let terminal = std::fs::read_link("/proc/self/fd/0").map(|path| path.display().to_string());
        let source = match (std::env::var("SSH_CLIENT"), terminal) {
            (Ok(client), _) => client.split(' ').next().unwrap_or_default().to_owned(),
            (Err(_), Ok(path)) if path.starts_with("/dev/pts/") || path.starts_with("/dev/tty") => {
                path
            }
            (Err(_), Ok(_) | Err(_)) => "no terminal".to_owned(),
        };
        Author {
            who: format!("{} (uid {uid})", login.as_deref().unwrap_or("unknown")),
            source,
            reason: reason.map(str::to_owned),
        }
    }
}

/// `N_VM_IPS` of the local engine: the server's own address.
fn base_url(listen: &str) -> Result<String, String> {
    if listen.starts_with("unix:") {
        return Err(format!(
            "engine local fetches over TCP, and `listen` is {listen}; set it to 127.0.0.1:8068"
        ));
    }
    let reachable = listen
        .replace("0.0.0.0:", "127.0.0.1:")
        .replace("[::]:", "[::1]:");
    Ok(format!("http://{reachable}"))
}

/// Every node of the cluster.
fn all_nodes(env: &Env) -> Result<Vec<Node>, Conclusion> {
    let stop = AtomicBool::new(false);
    let engine = env
        .engine(&stop)
        .map_err(|why| Conclusion::refused(Exit::Parameters, why))?;
    let nodes = engine.nodes();
    nodes.map_err(|error| Conclusion::refused(Exit::NodeNotReachable, chain(&error)))
}

/// The registry could not do it: 1, with the whole reason.
fn registry_failed(error: &RegistryError) -> Conclusion {
    Conclusion::refused(Exit::Parameters, chain(error))
}

/// One line on stdout. A reader that has gone away is no error.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// One line on stderr, as this program's.
fn print_error(line: &str) {
    let line = hps_core::kv::one_line(line);
    let _ = writeln!(std::io::stderr().lock(), "o_vm: {line}");
}

fn say_json(value: &impl Serialize) {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    // Our own types always serialize; a reader that has gone away is no error.
    let written = if std::io::stdout().is_terminal() {
        serde_json::to_writer_pretty(&mut out, value)
    } else {
        serde_json::to_writer(&mut out, value)
    };
    let _ = written.map(|()| writeln!(out));
}

/// A whole text as one write and its line end.
fn say_bytes(mut bytes: Vec<u8>) {
    bytes.push(b'\n');
    let _ = std::io::stdout().lock().write_all(&bytes);
}

/// A table with aligned columns; the last is not padded.
fn say_table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<_> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for row in &rows {
        let cells: Vec<_> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
}

/// Ends a verb that only reads or edits the registry: 0, or the refusal's code.
fn done(verb: &str, result: Result<(), Conclusion>) -> Exit {
    match result {
        Ok(()) => Exit::Success,
        Err(conclusion) => {
            print_error(&format!("{verb}: {}", conclusion.message));
            conclusion.code
        }
    }
}

/// What somebody gave cannot be used.
fn wrong(why: impl Into<String>) -> Conclusion {
    Conclusion::refused(Exit::Parameters, why)
}

/// Raised by the first Ctrl-C or TERM; the second ends this process at once.
fn interruptible() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // Only a signal number that may not be handled is refused; these may.
        let _ = signal_hook::flag::register_conditional_shutdown(
            signal,
            i32::from(Exit::StoppedWaiting.code()),
            Arc::clone(&stop),
        );
        let _ = signal_hook::flag::register(signal, Arc::clone(&stop));
    }
    stop
}
