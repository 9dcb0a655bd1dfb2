//! `n_vm create`: fetch, parse, look, run virt-install, look again. Run again after any
//! interruption it ends right, because what it does follows from what it sees.

mod converge;

use std::path::Path;

use hps_core::config::VmConfig;
use hps_core::exec::argv_text;
use hps_core::identity;
use hps_core::names::{Text, VmId};
use hps_core::state::VmState;
use hps_core::verb::Verb;
use uuid::Uuid;

use super::config::fetch;
use crate::app::{App, Locks, Outcome};
use crate::error::{Conflict, Error};
use crate::virt_install::{self, Plan};
use crate::{check, pools, removal, sysfs};

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Request {
    pub id: VmId,
    /// These win over the config's.
    pub title: Option<Text>,
    pub description: Option<Text>,
}

/// What virt-install is to make.
struct Vm {
    config: VmConfig,
    uuid: Uuid,
    argv: Vec<String>,
}

/// Makes the VM, or finds that it is there already.
pub(crate) fn create(app: &App, request: Request) -> Result<Outcome, Error> {
    let (verb, mut locks) = (Verb::Create.as_str(), Locks::default());
    app.lock_id(&request.id, verb, &mut locks)?;
    let vm = prepare(app, request)?;
    app.lock_name(&vm.config.name, verb, &mut locks)?;
    if is_there(app, &vm)? {
        return converge::found(app, &vm, &locks);
    }
    removal::forget(app, vm.uuid)?;
    make(app, &vm, &mut locks)
}

/// The argv that `create` would run, for a shell.
pub(crate) fn dry_run(app: &App, request: Request) -> Result<String, Error> {
    Ok(argv_text(&prepare(app, request)?.argv) + "\n")
}

fn prepare(app: &App, request: Request) -> Result<Vm, Error> {
    let mut config = fetch(app, &request.id)?.config;
    config.title = request.title.or(config.title);
    config.description = request.description.or(config.description);
    let uuid = identity::vm_uuid(&request.id, &config);
    if let Some(wanted) = app.task.uuid.filter(|wanted| *wanted != uuid) {
        let found = uuid;
        return Err(Error::Conflict(Conflict::Reconfigured { found, wanted }));
    }
    let plan = Plan {
        connect: &app.settings.connect,
        virt_type: app.settings.virt_type.as_ref(),
        vnc_listen: app.settings.vnc_listen,
        uuid,
        config: &config,
        serials: &serials(&request.id, &config),
        os_known: os_known(app, &config),
    };
    let argv = plan.argv()?;
    Ok(Vm { config, uuid, argv })
}

/// One LUN gets one serial whichever way it is reached; a disk without a WWID has its
/// own, from vm_id and key.
fn serials(id: &VmId, config: &VmConfig) -> Vec<String> {
    let wwids: Vec<_> = config
        .disk_paths()
        .map(|(key, path)| (key, sysfs::wwid(Path::new(path.as_str()))))
        .collect();
    for disk in config.disks.iter().filter(|disk| disk.b.is_some()) {
        let of = |path| {
            wwids
                .iter()
                .find(|(key, _)| *key == format!("disk_{}_{path}", disk.number))
        };
        let said = match (of("a"), of("b")) {
            (Some((_, Some(a))), Some((_, Some(b)))) if a == b => {
                "two paths of one LUN: one serial"
            }
            (Some((_, Some(_))), Some((_, Some(_)))) => "two LUNs: two serials",
            _ => "not both have a WWID: two serials",
        };
        tracing::info!("disk {}: {said}", disk.number);
    }
    warn_of_twins(config, &wwids);
    let serial = |(key, wwid): &(String, Option<String>)| match wwid {
        Some(wwid) => identity::serial(wwid),
        None => identity::serial(&format!("{id}/{key}")),
    };
    wwids.iter().map(serial).collect()
}

/// One LUN as two disks is a mistake that a guest turns into a broken file system.
fn warn_of_twins(config: &VmConfig, wwids: &[(String, Option<String>)]) {
    let first_paths = &wwids[..config.disks.len()];
    for (i, (key, wwid)) in first_paths.iter().enumerate() {
        let twin = first_paths[..i]
            .iter()
            .find(|(_, other)| wwid.is_some() && other == wwid);
        if let Some((twin, _)) = twin {
            tracing::warn!("{twin} and {key} are one LUN, and will be two disks of the VM");
        }
    }
}

fn os_known(app: &App, config: &VmConfig) -> bool {
    let Some(variant) = &config.os_variant else {
        return false;
    };
    match virt_install::knows_os(variant, app.settings.virsh_timeout) {
        Ok(true) => true,
        Ok(false) => {
            tracing::warn!("os_variant {variant} is not known on this host: left to detection");
            false
        }
        Err(error) => {
            tracing::warn!("os_variant {variant} could not be checked, left to detection: {error}");
            false
        }
    }
}

/// Whether the listing has this VM; anything else of its name or UUID is a conflict.
fn is_there(app: &App, vm: &Vm) -> Result<bool, Error> {
    let (name, wanted) = (vm.config.name.as_str(), vm.uuid);
    let all = app.list()?;
    if let Some(found) = all
        .iter()
        .find(|listed| listed.name == name && listed.uuid != wanted)
    {
        let found = found.uuid;
        return Err(Error::Conflict(Conflict::NameTaken { found, wanted }));
    }
    match all.into_iter().find(|listed| listed.uuid == wanted) {
        None => Ok(false),
        Some(found) if found.name == name => Ok(true),
        Some(found) => Err(Error::Conflict(Conflict::Renamed { name: found.name })),
    }
}

fn make(app: &App, vm: &Vm, locks: &mut Locks) -> Result<Outcome, Error> {
    let pools_lock = pools::begin(app, vm.uuid, &vm.config)?;
    let mut files = locks.files();
    files.extend(pools_lock.as_ref().map(crate::lock::Lock::file));
    app.begun.set(true);
    let ended = virt_install::run(&vm.argv, app.settings.virt_install_timeout, &files);
    let made = ended.and_then(hps_core::exec::Output::success);
    pools::finish(app, vm.uuid);
    drop(pools_lock);
    match made {
        Ok(_) => converge::made(app, vm, locks),
        Err(source) => match app.dominfo(vm.uuid)? {
            Some(info) => {
                tracing::warn!("virt-install failed, but the domain is here: {source}");
                converge::after_failure(app, vm, &info, locks)
            }
            None => {
                pools::clean(app, locks);
                let wrong = check::surroundings(&vm.config, &app.settings, &app.virsh());
                let seen = wrong.iter().map(|wrong| format!("{wrong}; ")).collect();
                Err(Error::NotMade { seen, source })
            }
        },
    }
}

/// A domain that is here and runs, or was paused by somebody.
fn here(name: &str, how: &str, state: VmState) -> Outcome {
    Outcome::new(format!("{name} {how}, {state}"), state)
}
