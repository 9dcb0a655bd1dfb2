//! `n_vm destroy`: the domain goes, with what belongs to it alone. virsh's `destroy`
//! only pulls the plug; its `undefine --remove-all-storage` would take the disks of
//! other domains with it, and is never used.

use hps_core::names::VmName;
use hps_core::state::VmState;
use hps_core::verb::Verb;
use uuid::Uuid;

use crate::app::{App, Locks, Outcome};
use crate::domain_xml::{self, Disk};
use crate::error::Error;
use crate::removal::{self, Verdict};
use crate::{pools, virsh::Info};

/// Removes a domain; `keep_storage`: no file of it.
pub(crate) fn destroy(app: &App, name: &VmName, keep_storage: bool) -> Result<Outcome, Error> {
    let mut locks = Locks::default();
    app.lock_name(name, Verb::Destroy.as_str(), &mut locks)?;
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
        forget(app, uuid, &info, &locks)?;
    }
    let storage = if keep_storage {
        "its storage was kept".to_owned()
    } else {
        let mut done = removal::finish(app, uuid)?;
        done.keep.extend(judged.keep);
        done.text("removed")
    };
    pools::clean(app, &locks);
    Ok(Outcome::new(format!("removed; {storage}"), VmState::Absent))
}

/// What `destroy` would do.
pub(crate) fn dry_run(app: &App, name: &VmName, keep_storage: bool) -> Result<String, Error> {
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

/// A rerun finishes what an earlier one began.
fn gone_already(
    app: &App,
    name: &VmName,
    keep_storage: bool,
    locks: &Locks,
) -> Result<Outcome, Error> {
    let begun = removal::unfinished(app, name)?;
    let message = match begun {
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
    Ok(Outcome::new(message, VmState::Absent))
}

/// Pulls the plug, then undefines; what libvirt refused does not count where the domain is gone.
fn forget(app: &App, uuid: Uuid, info: &Info, locks: &Locks) -> Result<(), Error> {
    let (virsh, files) = (app.virsh(), locks.files());
    if info.state != VmState::ShutOff {
        let pulled = app.act("pulling the plug", virsh.destroy(uuid, &files));
        let off = app
            .dominfo(uuid)?
            .is_none_or(|info| info.state == VmState::ShutOff);
        if !off {
            pulled?;
        }
    }
    if app.dominfo(uuid)?.is_none() {
        return Ok(());
    }
    let undefined = app.act("undefining the domain", virsh.undefine(uuid, &files));
    if app.dominfo(uuid)?.is_none() {
        return Ok(());
    }
    undefined?;
    // It came back, or is active and transient now.
    Err(Error::WrongState {
        state: VmState::Unknown,
        hint: "it is still there after virsh undefine",
    })
}

/// Of both its definitions: as it would start again, and as it runs.
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
