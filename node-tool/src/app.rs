//! The surroundings of a verb: settings, the operation around it, signals, virsh, locks.

use std::cell::Cell;
use std::fs::File;
use std::time::{Duration, Instant};

use hps_core::exec::ExecError;
use hps_core::names::{VmId, VmName};
use hps_core::state::VmState;
use uuid::Uuid;

use crate::error::{Conflict, Error, Hint};
use crate::ips::{Ips, IpsError};
use crate::lock::{Lock, LockError, Mode};
use crate::settings::Settings;
use crate::signals::Signals;
use crate::spec::Spec;
use crate::task::Task;
use crate::virsh::{Act, Info, ListedDomain, Virsh};

/// The surroundings of a verb.
#[derive(Debug)]
pub(crate) struct App {
    /// File and environment, parsed.
    pub settings: Settings,
    /// The operation around this verb; empty by hand.
    pub task: Task,
    /// SIGTERM and SIGINT, as a flag.
    pub signals: Signals,
    /// Whether something was changed already. From then on reading is not interrupted
    /// either: the verb comes to its end and knows its outcome.
    pub acted: Cell<bool>,
    /// When this verb began: its waits for all locks together have one limit.
    pub since: Instant,
}

/// The domain that a verb is about, with every other verb on it locked out.
#[derive(Debug)]
pub(crate) struct Domain {
    pub uuid: Uuid,
    /// As it was when the lock was acquired.
    pub info: Info,
    pub locks: Locks,
}

/// The locks a verb holds; every child that acts inherits them.
#[derive(Debug, Default)]
pub(crate) struct Locks(Vec<Lock>);

impl Locks {
    pub(crate) fn files(&self) -> Vec<&File> {
        self.0.iter().map(Lock::file).collect()
    }

    pub(crate) fn add(&mut self, lock: Lock) {
        self.0.push(lock);
    }
}

impl App {
    /// The virsh of the configured libvirt, under the signals of this verb.
    pub(crate) fn virsh(&self) -> Virsh<'_> {
        let (uri, deadline) = (&self.settings.connect, self.settings.virsh_timeout);
        Virsh::new(uri, deadline, self.signals.interrupted(), &self.acted)
    }

    /// The IPS, with the token of this operation.
    pub(crate) fn ips(&self) -> Result<Ips, IpsError> {
        Ips::find(&self.settings, &self.task)
    }

    /// Waits for every other verb on this VM.
    pub(crate) fn lock_name(
        &self,
        name: &VmName,
        spec: &Spec,
        locks: &mut Locks,
    ) -> Result<(), Error> {
        self.lock(&format!("name-{name}"), spec, locks)
    }

    /// Waits for every other create of this `vm_id`.
    pub(crate) fn lock_id(&self, id: &VmId, spec: &Spec, locks: &mut Locks) -> Result<(), Error> {
        self.lock(&format!("id-{id}"), spec, locks)
    }

    fn lock(&self, key: &str, spec: &Spec, locks: &mut Locks) -> Result<(), Error> {
        locks.add(self.acquire(key, Mode::Exclusive, spec.name.as_str())?);
        Ok(())
    }

    /// Waits for a lock for what is left of `lock_timeout`.
    pub(crate) fn acquire(&self, key: &str, mode: Mode, verb: &str) -> Result<Lock, LockError> {
        let limit = self.settings.lock_timeout;
        let left = limit.saturating_sub(self.since.elapsed());
        let (dir, patience) = (&self.settings.state_dir, left.max(Duration::from_millis(1)));
        Lock::acquire(dir, key, mode, verb, patience, self.signals.interrupted())
    }

    /// The domain of exactly this name; `None`: the listing proves that there is none.
    pub(crate) fn resolve(&self, name: &VmName) -> Result<Option<Uuid>, Error> {
        let all = self.list()?;
        let wanted = self.task.uuid;
        let renamed =
            |listed: &&ListedDomain| Some(listed.uuid) == wanted && listed.name != name.as_str();
        if let Some(ListedDomain { name, .. }) = all.iter().find(renamed).cloned() {
            return Err(Error::Conflict(Conflict::Renamed { name }));
        }
        let found = all.into_iter().find(|listed| listed.name == name.as_str());
        match (found.map(|listed| listed.uuid), wanted) {
            (Some(found), Some(wanted)) if found != wanted => {
                Err(Error::Conflict(Conflict::NameTaken { found, wanted }))
            }
            (found, _) => Ok(found),
        }
    }

    /// Every domain; the only proof that one is absent.
    pub(crate) fn list(&self) -> Result<Vec<ListedDomain>, Error> {
        let doing = "listing domains";
        self.virsh()
            .list()
            .map_err(|source| Error::NoAnswer { doing, source })
    }

    /// One domain; `None` only where the listing proves its absence.
    pub(crate) fn dominfo(&self, uuid: Uuid) -> Result<Option<Info>, Error> {
        let doing = "looking at the domain";
        self.virsh()
            .dominfo(uuid)
            .map_err(|source| Error::NoAnswer { doing, source })
    }

    /// The state of a domain; absent only where the listing proves it.
    pub(crate) fn state(&self, uuid: Uuid) -> Result<VmState, Error> {
        let info = self.dominfo(uuid)?;
        Ok(info.map_or(VmState::Absent, |info| info.state))
    }

    /// The domain of this name, locked for a verb.
    pub(crate) fn domain(&self, name: &VmName, spec: &Spec, hint: Hint) -> Result<Domain, Error> {
        let mut locks = Locks::default();
        self.lock_name(name, spec, &mut locks)?;
        let uuid = self.resolve(name)?.ok_or(Error::NoSuchDomain(hint))?;
        let info = self.dominfo(uuid)?.ok_or(Error::NoSuchDomain(hint))?;
        Ok(Domain { uuid, info, locks })
    }

    /// Makes a transient domain persistent, from its own XML: virt-install starts a domain
    /// before it defines it, and may have been killed in between.
    pub(crate) fn make_persistent(&self, uuid: Uuid, locks: &Locks) -> Result<(), Error> {
        let doing = "reading the XML of the transient domain";
        let xml = self.virsh().dumpxml(uuid, true);
        let xml = xml.map_err(|source| Error::NoAnswer { doing, source })?;
        let doing = "making the transient domain persistent";
        let defined = self.virsh().define(&xml, &locks.files());
        defined.map_err(|source| Error::Act { doing, source })?;
        match self.dominfo(uuid)? {
            Some(info) if info.persistent => Ok(()),
            info => {
                let state = info.map_or(VmState::Absent, |info| info.state);
                Err(Error::NotDone { doing, state })
            }
        }
    }

    /// An act of virsh on a domain, as virsh reports it.
    pub(crate) fn act(&self, uuid: Uuid, act: Act, locks: &Locks) -> Result<(), Error> {
        let doing = act.doing();
        let done = self.virsh().act_on(act, uuid, &locks.files());
        done.map_err(|source| Error::Act { doing, source })
    }

    /// An act of virsh on a domain, judged by the state that the verb must reach: virsh may
    /// exit 0 and have done nothing, or fail and have done it.
    pub(crate) fn change(
        &self,
        uuid: Uuid,
        act: Act,
        spec: &Spec,
        locks: &Locks,
    ) -> Result<VmState, Error> {
        let done = self.act(uuid, act, locks);
        let (state, doing) = (self.state(uuid)?, act.doing());
        if spec.reaches.is_some_and(|reaches| reaches(state)) {
            return Ok(state);
        }
        done.and(Err(Error::NotDone { doing, state }))
    }

    /// The XML of a domain as it will start again and as it runs; none where the domain
    /// disappeared meanwhile, which the listing proves.
    pub(crate) fn definitions(
        &self,
        uuid: Uuid,
        doing: &'static str,
    ) -> Result<Vec<String>, Error> {
        let both = [true, false].map(|inactive| self.virsh().dumpxml(uuid, inactive));
        match both.into_iter().collect() {
            Ok(texts) => Ok(texts),
            Err(ExecError::Exited { .. })
                if !self.list()?.iter().any(|listed| listed.uuid == uuid) =>
            {
                Ok(Vec::new())
            }
            Err(source) => Err(Error::NoAnswer { doing, source }),
        }
    }
}
