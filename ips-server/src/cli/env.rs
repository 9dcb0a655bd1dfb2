//! What a verb works in: the settings, and from them the registry, the engine, the lock of a
//! VM and the author of a change.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use hps_core::kv::one_line;
use hps_core::names::{NodeName, VmId};

use super::Error;
use crate::engine::Engine;
use crate::engine::local::Local;
use crate::engine::opensvc::{Limits, OpenSvc};
use crate::model::node::Node;
use crate::model::vm::Vm;
use crate::om::Om;
use crate::operation::lock::{Attempt, VmLock, try_lock};
use crate::registry::{Author, Registry};
use crate::settings::{EngineKind, Settings};

/// What a verb works in.
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
    pub fn registry(&self) -> Result<Registry, Error> {
        Ok(Registry::open(&self.settings.registry)?)
    }

    /// The VM of that id or name.
    ///
    /// # Errors
    /// No VM has it, or the registry cannot be read.
    pub fn find(&self, text: &str) -> Result<Vm, Error> {
        let found = self.registry()?.find(text)?;
        found.ok_or_else(|| Error::NotDefined(one_line(text)))
    }

    /// Locks a VM against operations, for as long as the lock lives.
    ///
    /// # Errors
    /// Another process has the lock, or the lock file cannot be used.
    pub fn lock(&self, vm: &VmId) -> Result<VmLock, Error> {
        match try_lock(&self.settings.lock_dir, vm).map_err(Error::Lock)? {
            Attempt::Locked(lock) => Ok(lock),
            Attempt::Held(_) => Err(Error::Busy(format!(
                "another operation on {vm} is in progress; `o_vm operations --vm {vm}` shows it"
            ))),
        }
    }

    /// The engine that the settings choose.
    ///
    /// # Errors
    /// Engine `local` cannot work with these settings.
    pub fn engine<'a>(&'a self, stop: &'a AtomicBool) -> Result<Box<dyn Engine + 'a>, Error> {
        match self.settings.engine {
            EngineKind::Local => Ok(Box::new(self.local(stop)?)),
            EngineKind::OpenSvc => Ok(Box::new(self.opensvc(stop))),
        }
    }

    /// Every node of the cluster, with its health.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub fn nodes(&self) -> Result<Vec<Node>, Error> {
        // One short question to `om`: Ctrl-C ends this process as usual.
        let stop = AtomicBool::new(false);
        self.engine(&stop)?.nodes().map_err(Error::Cluster)
    }

    fn local<'a>(&'a self, stop: &'a AtomicBool) -> Result<Local<'a>, Error> {
        let settings = &self.settings;
        Ok(Local {
            node: self.local_node()?,
            ips: base_url(&settings.listen)?,
            verb_timeout: settings.verb_timeout,
            margin: settings.task_margin,
            stop,
        })
    }

    fn opensvc<'a>(&'a self, stop: &'a AtomicBool) -> OpenSvc<'a> {
        let settings = &self.settings;
        let own = settings.node_name.clone();
        OpenSvc {
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
            own: own.map_or_else(OnceLock::new, OnceLock::from),
            checked: OnceLock::new(),
        }
    }

    fn local_node(&self) -> Result<NodeName, Error> {
        if let Some(name) = &self.settings.node_name {
            return Ok(name.clone());
        }
        let name = hps_core::proc::hostname().unwrap_or_default();
        let parsed = name.parse();
        parsed.map_err(|error| {
            Error::NoEngine(format!(
                "the name of this host is not a valid node name ({error}); set node_name"
            ))
        })
    }

    /// Who runs this command and from where, for the audit.
    #[must_use]
    pub fn author(&self, reason: Option<&str>) -> Author {
        let uid = nix::unistd::getuid();
        // Behind sudo the uid is root's; the uid stays beside the name, which can be set freely.
        let login = ["SUDO_USER", "LOGNAME", "USER"]
            .iter()
            .find_map(|key| std::env::var(key).ok())
            .or_else(|| Some(nix::unistd::User::from_uid(uid).ok()??.name));
        Author {
            who: format!("{} (uid {uid})", login.as_deref().unwrap_or("unknown")),
            source: source(),
            reason: reason.map(str::to_owned),
        }
    }
}

/// The address of the ssh client, else the terminal.
fn source() -> String {
    if let Ok(client) = std::env::var("SSH_CLIENT") {
        return client.split(' ').next().unwrap_or_default().to_owned();
    }
    let stdin = std::fs::read_link("/proc/self/fd/0").unwrap_or_default();
    let stdin = stdin.display().to_string();
    if stdin.starts_with("/dev/pts/") || stdin.starts_with("/dev/tty") {
        stdin
    } else {
        "no terminal".to_owned()
    }
}

/// `N_VM_IPS` of engine `local`: the server's own address. An address that means "all" can be
/// listened on, not connected to.
fn base_url(listen: &str) -> Result<String, Error> {
    if listen.starts_with("unix:") {
        return Err(Error::NoEngine(format!(
            "engine local needs a TCP address, and listen is {listen}; set it to 127.0.0.1:8068"
        )));
    }
    let reachable = listen
        .replace("0.0.0.0:", "127.0.0.1:")
        .replace("[::]:", "[::1]:");
    Ok(format!("http://{reachable}"))
}
