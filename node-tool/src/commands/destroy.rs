//! `n_vm destroy`: removes the domain, and what belongs to it alone. virsh's `destroy` only
//! forces a domain off; its `undefine --remove-all-storage` would delete the disks of other
//! domains as well, and is never used.

use argh::FromArgs;
use hps_core::names::VmName;
use hps_core::state::VmState;
use uuid::Uuid;

use super::{Command, Done};
use crate::app::{App, Locks};
use crate::domain_xml::{self, Disk};
use crate::error::Error;
use crate::pools;
use crate::removal::{self, Verdict};
use crate::spec::{Link, Spec};
use crate::virsh::{Act, Info};

/// Remove a VM, and the files that are proved to be its own.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "destroy", help_triggers("--help", "-h"))]
pub(crate) struct Destroy {
    /// remove no file
    #[argh(switch)]
    keep_storage: bool,
    /// show what would be removed and what kept; change nothing
    #[argh(switch)]
    dry_run: bool,
    /// the VM
    #[argh(positional)]
    name: VmName,
}

impl Command for Destroy {
    const SPEC: Spec = Spec {
        reaches: Some(|state| state == VmState::Absent),
        links: &[Link::new("n_vm_destroy")],
        ..Spec::changing("destroy")
    };

    fn vm(&self) -> &str {
        self.name.as_str()
    }

    fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    fn run(&self, app: &App) -> Result<Done, Error> {
        if self.dry_run {
            return dry_run(app, &self.name, self.keep_storage).map(Done::shown);
        }
        destroy(app, &self.name, self.keep_storage)
    }
}

/// Removes a domain; `keep_storage`: no file of it.
fn destroy(app: &App, name: &VmName, keep_storage: bool) -> Result<Done, Error> {
    let mut locks = Locks::default();
    app.lock_name(name, &Destroy::SPEC, &mut locks)?;
    let Some(uuid) = app.resolve(name)? else {
        return gone_already(app, name, keep_storage, &locks);
    };
    let judged = if keep_storage {
        Verdict::default()
    } else {
        judge(app, uuid)?
    };
    removal::forget(app, uuid)?;
    removal::note(app, uuid, name, &judged)?;
    if let Some(info) = app.dominfo(uuid)? {
        undefine(app, uuid, &info, &locks)?;
    }
    let storage = if keep_storage {
        "its storage was kept".to_owned()
    } else {
        let mut done = removal::finish(app, uuid)?;
        done.keep.extend(judged.keep);
        done.text("removed")
    };
    pools::clean(app, &locks);
    Ok(Done::changed(
        format!("removed; {storage}"),
        VmState::Absent,
    ))
}

/// The text of what would be done.
fn dry_run(app: &App, name: &VmName, keep_storage: bool) -> Result<String, Error> {
    let Some(uuid) = app.resolve(name)? else {
        return Ok(format!("{name}: no such domain\n"));
    };
    let storage = if keep_storage {
        "its storage would be kept".to_owned()
    } else {
        judge(app, uuid)?.text("would be removed")
    };
    Ok(format!("{name}: the domain would be removed; {storage}\n"))
}

/// A rerun finishes an earlier, interrupted one.
fn gone_already(
    app: &App,
    name: &VmName,
    keep_storage: bool,
    locks: &Locks,
) -> Result<Done, Error> {
    let message = match removal::unfinished(app, name)? {
        Some(uuid) if keep_storage => {
            removal::forget(app, uuid)?;
            "was removed already; its storage was kept".to_owned()
        }
        Some(uuid) => {
            let verdict = removal::finish(app, uuid)?;
            format!("was removed already; {}", verdict.text("removed"))
        }
        None => "is gone already".to_owned(),
    };
    pools::clean(app, locks);
    Ok(Done::changed(message, VmState::Absent))
}

/// Forces the domain off, then undefines it. An error of virsh does not count where the
/// domain is gone afterwards.
fn undefine(app: &App, uuid: Uuid, info: &Info, locks: &Locks) -> Result<(), Error> {
    if info.state != VmState::ShutOff {
        let forced = app.act(uuid, Act::Destroy, locks);
        let is_off = matches!(app.state(uuid)?, VmState::ShutOff | VmState::Absent);
        if !is_off {
            forced?;
        }
    }
    if app.dominfo(uuid)?.is_none() {
        return Ok(());
    }
    let doing = "undefining the domain";
    let undefined = app.virsh().undefine(uuid, &locks.files());
    if app.dominfo(uuid)?.is_none() {
        return Ok(());
    }
    undefined.map_err(|source| Error::Act { doing, source })?;
    // It was defined again meanwhile, or is active and transient now.
    Err(Error::WrongState {
        state: VmState::Unknown,
        hint: "it is still there after virsh undefine",
    })
}

/// Judges the disks of both definitions: as it would start again, and as it runs.
fn judge(app: &App, uuid: Uuid) -> Result<Verdict, Error> {
    let doing = "reading the disks of the domain";
    let mut disks: Vec<Disk> = Vec::new();
    for xml in app.definitions(uuid, doing)? {
        let found = domain_xml::disks(&xml).map_err(|what| Error::Nonsense { doing, what })?;
        let new: Vec<_> = found
            .into_iter()
            .filter(|disk| !disks.contains(disk))
            .collect();
        disks.extend(new);
    }
    Verdict::of(app, uuid, &disks)
}
