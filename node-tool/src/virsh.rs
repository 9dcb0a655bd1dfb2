//! `virsh`, in its own words. Only two answers count: an exit code of 0, and `list --all` as
//! proof that a domain is absent. Domains are addressed by UUID, because `virsh start 7`
//! starts the domain with ID 7.

pub(crate) mod parse;

use std::cell::Cell;
use std::fs::File;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hps_core::exec::{Command, ExecError, Output};
use uuid::Uuid;

pub(crate) use parse::{Info, ListedDomain, Stats};

/// The acts of virsh on the state of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Start,
    /// Sends the ACPI request, and returns at once.
    Shutdown,
    /// Forces the domain off.
    Destroy,
    Suspend,
    Resume,
    /// Asks the guest through its agent or ACPI, as libvirt decides, and returns at once.
    Reboot,
    /// Restarts the virtual hardware.
    Reset,
}

impl Act {
    /// virsh's word for it.
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Shutdown => "shutdown",
            Self::Destroy => "destroy",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Reboot => "reboot",
            Self::Reset => "reset",
        }
    }

    /// What it is, in an error.
    pub(crate) fn doing(self) -> &'static str {
        match self {
            Self::Start => "starting the domain",
            Self::Shutdown => "requesting a shutdown",
            Self::Destroy => "forcing the domain off",
            Self::Suspend => "pausing the domain",
            Self::Resume => "resuming the domain",
            Self::Reboot => "requesting a reboot",
            Self::Reset => "resetting the domain",
        }
    }
}

/// The virsh of one libvirt.
#[derive(Debug)]
pub(crate) struct Virsh<'a> {
    uri: &'a str,
    deadline: Duration,
    interrupted: &'a AtomicBool,
    acted: &'a Cell<bool>,
}

/// Longest answer that is read: thousands of domains with all their CPUs.
const KEEP_BYTES: usize = 32 * 1024 * 1024;

/// Flags of `undefine`, from all that may belong to a domain down to those that every
/// driver accepts.
const UNDEFINE: [&[&str]; 4] = [
    &[
        "--nvram",
        "--managed-save",
        "--snapshots-metadata",
        "--checkpoints-metadata",
    ],
    &["--nvram", "--managed-save", "--snapshots-metadata"],
    &["--managed-save", "--snapshots-metadata"],
    &[],
];

/// `error: unsupported flags (0x14) in function testDomainUndefineFlags` (libvirt 9.0).
const FLAG_UNKNOWN: &[u8] = b"unsupported flags (0x";

impl<'a> Virsh<'a> {
    /// `interrupted`: a signal came; `acted`: something was changed, so that reading must
    /// not be interrupted any longer.
    pub(crate) fn new(
        uri: &'a str,
        deadline: Duration,
        interrupted: &'a AtomicBool,
        acted: &'a Cell<bool>,
    ) -> Self {
        Self {
            uri,
            deadline,
            interrupted,
            acted,
        }
    }

    /// Every call names the URI: the environment of the operator may name another.
    fn command(&self, words: &[&str]) -> Command<'a> {
        Command::new("virsh", self.deadline)
            .args(["--connect", self.uri])
            .args(words)
    }

    /// A child that only reads: a signal ends it, unless something was changed before.
    fn ask(&self, words: &[&str]) -> Result<Output, ExecError> {
        let mut command = self.command(words).keep(KEEP_BYTES);
        if !self.acted.get() {
            command = command.interrupted_by(self.interrupted);
        }
        let output = command.run()?;
        if output.cut {
            return Err(output.nonsense(format!("more than {KEEP_BYTES} bytes")));
        }
        Ok(output)
    }

    /// A child that changes something: it is never interrupted, and inherits the locks.
    fn act(&self, words: &[&str], locks: &[&File]) -> Result<Output, ExecError> {
        self.run_acting(self.command(words), locks)
    }

    /// Marks that something was changed, from the start of the child on: it may have acted even
    /// where it fails.
    fn run_acting<'b>(
        &self,
        mut command: Command<'b>,
        locks: &[&'b File],
    ) -> Result<Output, ExecError> {
        self.acted.set(true);
        for lock in locks {
            command = command.inherit(lock);
        }
        command.run()
    }

    /// Every domain of this libvirt.
    pub(crate) fn list(&self) -> Result<Vec<ListedDomain>, ExecError> {
        let output = self
            .ask(&["list", "--all", "--uuid", "--name"])?
            .success()?;
        parse::listing(&output.text()).map_err(|what| output.nonsense(what))
    }

    /// State and persistence of a domain; `None` only where the listing proves its absence.
    pub(crate) fn dominfo(&self, uuid: Uuid) -> Result<Option<Info>, ExecError> {
        let output = self.ask(&["dominfo", &uuid.to_string()])?;
        if output.code == 0 {
            let info = parse::info(&output.text());
            return info.map(Some).map_err(|what| output.nonsense(what));
        }
        if self.list()?.iter().any(|listed| listed.uuid == uuid) {
            return Err(output.exited());
        }
        Ok(None)
    }

    /// Every domain with its numbers, by one child.
    pub(crate) fn domstats(&self) -> Result<Vec<(ListedDomain, Stats)>, ExecError> {
        let both = "list --all --uuid --name; domstats --state --balloon --vcpu";
        let output = self.ask(&[both])?.success()?;
        parse::stats(&output.text()).map_err(|what| output.nonsense(what))
    }

    /// The VNC address and port of each of these domains that has one, by one child.
    pub(crate) fn vncdisplay(&self, uuids: &[Uuid]) -> Result<Vec<(Uuid, String)>, ExecError> {
        let each = uuids
            .iter()
            .map(|uuid| format!("echo {uuid}; vncdisplay {uuid}"));
        let all = each.collect::<Vec<_>>().join("; ");
        // The exit code is that of the last one, which may have no console.
        Ok(parse::consoles(&self.ask(&[&all])?.text()))
    }

    /// The domain's XML as it will be after the next start, without passwords.
    pub(crate) fn definition(&self, uuid: Uuid) -> Result<String, ExecError> {
        let uuid = uuid.to_string();
        Ok(self
            .ask(&["dumpxml", "--inactive", &uuid])?
            .success()?
            .text())
    }

    /// The domain's XML: as it runs, or as it will be after the next start.
    pub(crate) fn dumpxml(&self, uuid: Uuid, inactive: bool) -> Result<String, ExecError> {
        let uuid = uuid.to_string();
        let flags: &[&str] = if inactive {
            &["--inactive", "--security-info"]
        } else {
            &[]
        };
        let words = ["dumpxml"]
            .iter()
            .chain(flags)
            .copied()
            .chain([uuid.as_str()]);
        Ok(self.ask(&words.collect::<Vec<_>>())?.success()?.text())
    }

    /// The path of a pool's volume.
    pub(crate) fn vol_path(&self, pool: &str, volume: &str) -> Result<String, ExecError> {
        let output = self
            .ask(&["vol-path", "--pool", pool, "--vol", volume])?
            .success()?;
        Ok(output.text().trim_end_matches('\n').to_owned())
    }

    /// The CPU models libvirt knows for this architecture.
    pub(crate) fn cpu_models(&self) -> Result<Vec<String>, ExecError> {
        let output = self
            .ask(&["cpu-models", std::env::consts::ARCH])?
            .success()?;
        Ok(output
            .text()
            .lines()
            .map(|line| line.trim().to_owned())
            .collect())
    }

    /// The UUID of every storage pool.
    pub(crate) fn pool_list(&self) -> Result<Vec<Uuid>, ExecError> {
        let output = self.ask(&["pool-list", "--all", "--uuid"])?.success()?;
        parse::uuids(&output.text()).map_err(|what| output.nonsense(what))
    }

    /// The pool's XML.
    pub(crate) fn pool_dumpxml(&self, pool: Uuid) -> Result<String, ExecError> {
        Ok(self
            .ask(&["pool-dumpxml", &pool.to_string()])?
            .success()?
            .text())
    }

    /// Stops a pool; its files stay.
    pub(crate) fn pool_destroy(&self, pool: Uuid, locks: &[&File]) -> Result<Output, ExecError> {
        self.act(&["pool-destroy", &pool.to_string()], locks)
    }

    /// Undefines a pool; its files stay.
    pub(crate) fn pool_undefine(&self, pool: Uuid, locks: &[&File]) -> Result<Output, ExecError> {
        self.act(&["pool-undefine", &pool.to_string()], locks)
    }

    /// Makes a domain persistent, from its XML.
    pub(crate) fn define(&self, xml: &str, locks: &[&File]) -> Result<(), ExecError> {
        let command = self.command(&["define", "/dev/stdin"]).input(xml);
        self.run_acting(command, locks)?.success().map(drop)
    }

    /// Changes the state of a domain.
    pub(crate) fn act_on(&self, act: Act, uuid: Uuid, locks: &[&File]) -> Result<(), ExecError> {
        let output = self.act(&[act.word(), &uuid.to_string()], locks)?;
        output.success().map(drop)
    }

    /// The child that ends when the domain's guest restarts, for any cause. It prints
    /// nothing before, not even that it listens.
    pub(crate) fn listen_for_reboot(&self, uuid: Uuid, within: Duration) -> Command<'a> {
        // The deadline of the caller counts; this one ends a listener that it lost.
        let limit = within + self.deadline;
        // And its own ends one whose n_vm was killed: it has the locks of n_vm's parent.
        let seconds = limit.as_secs() + 1;
        Command::new("virsh", limit)
            .args(["--connect", self.uri, "event", "--event", "reboot"])
            .args(["--domain", &uuid.to_string()])
            .args(["--timeout", &seconds.to_string()])
    }

    /// Undefines a domain with its NVRAM, managed save, snapshot and checkpoint metadata, as
    /// far as the driver supports them. Never its storage.
    pub(crate) fn undefine(&self, uuid: Uuid, locks: &[&File]) -> Result<(), ExecError> {
        let uuid = uuid.to_string();
        let [first, rest @ ..] = UNDEFINE;
        let try_with = |flags: &[&str]| {
            let words: Vec<_> = ["undefine", uuid.as_str()]
                .iter()
                .chain(flags)
                .copied()
                .collect();
            self.act(&words, locks)
        };
        let mut output = try_with(first)?;
        for flags in rest {
            let unknown = output
                .stderr
                .windows(FLAG_UNKNOWN.len())
                .any(|at| at == FLAG_UNKNOWN);
            if output.code == 0 || !unknown {
                break;
            }
            output = try_with(flags)?;
        }
        output.success().map(drop)
    }
}
