//! What every verb needs: settings, the operation around it, signals, virsh, locks.

use std::cell::Cell;
use std::fs::File;
use std::time::{Duration, Instant};

use hps_core::exec::ExecError;
use hps_core::names::{VmId, VmName};
use hps_core::state::VmState;
use hps_core::verb::Verb;
use uuid::Uuid;

use crate::error::{Conflict, Error, Hint};
use crate::ips::{Ips, IpsError};
use crate::lock::{Lock, LockError, Mode};
use crate::settings::Settings;
use crate::signals::Signals;
use crate::task::Task;
use crate::virsh::{Info, Listed, Virsh};

/// The surroundings of a verb.
#[derive(Debug)]
pub(crate) struct App {
    pub settings: Settings,
    pub task: Task,
    pub signals: Signals,
    /// Whether something was changed already: from then on reading is not interrupted
    /// either, so that the verb comes to its end and knows its outcome.
    pub begun: Cell<bool>,
    /// When this verb began: all its waiting for locks together has one time limit.
    pub since: Instant,
}

/// A verb that did what it was asked for.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What was done, for people.
    pub message: String,
    /// The state the domain is in now.
    pub state: VmState,
}

impl Outcome {
    pub(crate) fn new(message: impl Into<String>, state: VmState) -> Self {
        let message = message.into();
        Self { message, state }
    }
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
    pub(crate) fn virsh(&self) -> Virsh<'_> {
        let (uri, deadline) = (&self.settings.connect, self.settings.virsh_timeout);
        Virsh::new(uri, deadline, self.signals.told(), &self.begun)
    }

    pub(crate) fn ips(&self) -> Result<Ips, IpsError> {
        Ips::find(&self.settings, &self.task)
    }

    /// Waits for every other verb on this VM.
    pub(crate) fn lock_name(
        &self,
        name: &VmName,
        verb: &str,
        locks: &mut Locks,
    ) -> Result<(), Error> {
        self.lock(&format!("name-{name}"), verb, locks)
    }

    /// Waits for every other create of this vm_id.
    pub(crate) fn lock_id(&self, id: &VmId, verb: &str, locks: &mut Locks) -> Result<(), Error> {
        self.lock(&format!("id-{id}"), verb, locks)
    }

    fn lock(&self, key: &str, verb: &str, locks: &mut Locks) -> Result<(), Error> {
        locks.add(self.take_lock(key, Mode::Alone, verb)?);
        Ok(())
    }

    /// Waits for a lock for what is left of `lock_timeout`.
    pub(crate) fn take_lock(&self, key: &str, mode: Mode, verb: &str) -> Result<Lock, LockError> {
        let left = self
            .settings
            .lock_timeout
            .saturating_sub(self.since.elapsed());
        let (dir, patience) = (&self.settings.state_dir, left.max(Duration::from_millis(1)));
        Lock::take(dir, key, mode, verb, patience, self.signals.told())
    }

    /// The domain of exactly this name; `None`: the listing proves that there is none.
    pub(crate) fn resolve(&self, name: &VmName) -> Result<Option<Uuid>, Error> {
        let all = self.list()?;
        let wanted = self.task.uuid;
        let renamed =
            |listed: &&Listed| Some(listed.uuid) == wanted && listed.name != name.as_str();
        if let Some(Listed { name, .. }) = all.iter().find(renamed).cloned() {
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

    pub(crate) fn list(&self) -> Result<Vec<Listed>, Error> {
        let doing = "listing domains";
        self.virsh()
            .list()
            .map_err(|source| Error::NoAnswer { doing, source })
    }

    pub(crate) fn dominfo(&self, uuid: Uuid) -> Result<Option<Info>, Error> {
        let doing = "looking at the domain";
        self.virsh()
            .dominfo(uuid)
            .map_err(|source| Error::NoAnswer { doing, source })
    }

    /// The domain a verb is about, and what it is doing, with every other verb kept out.
    pub(crate) fn domain(
        &self,
        name: &VmName,
        verb: Verb,
        hint: Hint,
    ) -> Result<(Uuid, Info, Locks), Error> {
        let mut locks = Locks::default();
        self.lock_name(name, verb.as_str(), &mut locks)?;
        let uuid = self.resolve(name)?.ok_or(Error::NoSuchDomain(hint))?;
        let info = self.dominfo(uuid)?.ok_or(Error::NoSuchDomain(hint))?;
        Ok((uuid, info, locks))
    }

    /// Makes a transient domain persistent, from its own XML: virt-install starts a domain
    /// before it defines it, and may have been killed in between.
    pub(crate) fn make_persistent(&self, uuid: Uuid, locks: &Locks) -> Result<(), Error> {
        let doing = "reading the XML of the transient domain";
        let xml = self.virsh().dumpxml(uuid, true);
        let xml = xml.map_err(|source| Error::NoAnswer { doing, source })?;
        let doing = "making the transient domain persistent";
        self.act(doing, self.virsh().define(&xml, &locks.files()))?;
        match self.dominfo(uuid)? {
            Some(info) if info.persistent => Ok(()),
            info => {
                let state = info.map_or(VmState::Absent, |info| info.state);
                Err(Error::NotDone { doing, state })
            }
        }
    }

    /// What virsh made of an act, with what it was for.
    pub(crate) fn act(
        &self,
        doing: &'static str,
        done: Result<(), ExecError>,
    ) -> Result<(), Error> {
        done.map_err(|source| Error::Act { doing, source })
    }

    /// An act, believed by what the domain is afterwards: virsh may say 0 and have done nothing,
    /// or fail and have done it.
    pub(crate) fn reached(
        &self,
        uuid: Uuid,
        is_so: fn(VmState) -> bool,
        doing: &'static str,
        done: Result<(), ExecError>,
    ) -> Result<VmState, Error> {
        let state = self
            .dominfo(uuid)?
            .map_or(VmState::Absent, |info| info.state);
        match done {
            _ if is_so(state) => Ok(state),
            Ok(()) => Err(Error::NotDone { doing, state }),
            Err(source) => Err(Error::Act { doing, source }),
        }
    }

    /// The XML of a domain as it will start again and as it runs; none where it went away
    /// meanwhile, which is no doubt but proof.
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
