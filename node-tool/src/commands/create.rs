//! `n_vm create`: fetch, parse, observe, run virt-install, observe again. A second run after
//! any interruption converges, because each step follows from the observed state.

mod converge;

use std::path::Path;

use argh::FromArgs;
use hps_core::config::VmConfig;
use hps_core::exec::{Output, argv_text};
use hps_core::identity;
use hps_core::names::{NameError, Text, VmId};
use hps_core::state::VmState;
use uuid::Uuid;

use super::config::fetch;
use super::{Command, Done};
use crate::app::{App, Locks};
use crate::error::{Conflict, Error};
use crate::lock::Lock;
use crate::spec::{Address, ExitRule, Link, Spec};
use crate::virt_install::{self, Plan};
use crate::{check, pools, removal, sysfs};

/// Create a VM from its IPS config; safe to repeat.
#[derive(Debug, FromArgs)]
#[argh(
    subcommand,
    name = "create",
    help_triggers("--help", "-h"),
    usage = "[--dry-run] [--] <vm_id> [<title> [<description>]]"
)]
pub(crate) struct Create {
    /// print the virt-install command that would run; change nothing
    #[argh(switch)]
    dry_run: bool,
    /// the VM
    #[argh(positional)]
    vm_id: String,
    /// title and description, instead of the config's
    #[argh(positional, arg_name = "title [description]")]
    texts: Vec<String>,
}

impl Command for Create {
    const SPEC: Spec = Spec {
        vm: Address::VmId,
        // Paused: it ran, and was paused since.
        reaches: Some(|state| matches!(state, VmState::Running | VmState::Paused)),
        exit: ExitRule::Kinds,
        links: &[Link::of_text("n_vm_create")],
        ..Spec::changing("create")
    };

    fn vm(&self) -> &str {
        &self.vm_id
    }

    fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    fn run(&self, app: &App) -> Result<Done, Error> {
        let request = self.request()?;
        if self.dry_run {
            let vm = prepare(app, request)?;
            return Ok(Done::shown(argv_text(&vm.argv) + "\n"));
        }
        create(app, request)
    }
}

impl Create {
    /// Parsed here and not by argh, so that a bad `vm_id` is reported like any other failure.
    fn request(&self) -> Result<Request, Error> {
        if let Some(surplus) = self.texts.get(2) {
            return Err(Error::Usage(format!("one word too many: {surplus:?}")));
        }
        Ok(Request {
            id: self.vm_id.parse::<VmId>()?,
            title: text(self.texts.first())?,
            description: text(self.texts.get(1))?,
        })
    }
}

/// A script may pass an empty word for no text.
fn text(given: Option<&String>) -> Result<Option<Text>, NameError> {
    let given = given.filter(|text| !text.is_empty());
    given.map(|text| text.parse()).transpose()
}

/// The command line as types.
struct Request {
    id: VmId,
    /// Instead of the config's.
    title: Option<Text>,
    description: Option<Text>,
}

/// A VM for virt-install to create.
/// Complete: nothing in it is checked again.
struct Vm {
    config: VmConfig,
    uuid: Uuid,
    argv: Vec<String>,
}

/// Creates the VM, or finds that it is there already.
fn create(app: &App, request: Request) -> Result<Done, Error> {
    let mut locks = Locks::default();
    app.lock_id(&request.id, &Create::SPEC, &mut locks)?;
    let vm = prepare(app, request)?;
    app.lock_name(&vm.config.name, &Create::SPEC, &mut locks)?;
    if is_there(app, &vm)? {
        return converge::found(app, &vm, &locks);
    }
    removal::forget(app, vm.uuid)?;
    make(app, &vm, &mut locks)
}

/// Fetches and checks everything before the first change: a failure here needs no clean-up.
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

/// One LUN has one serial on every path; a disk without a WWID has its own, from `vm_id`
/// and key.
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
        let case = match (of("a"), of("b")) {
            (Some((_, Some(a))), Some((_, Some(b)))) if a == b => {
                "two paths of one LUN: one serial"
            }
            (Some((_, Some(_))), Some((_, Some(_)))) => "two LUNs: two serials",
            _ => "not both have a WWID: two serials",
        };
        tracing::info!("disk {}: {case}", disk.number);
    }
    warn_of_twins(config, &wwids);
    let serial = |(key, wwid): &(String, Option<String>)| match wwid {
        Some(wwid) => identity::serial(wwid),
        None => identity::serial(&format!("{id}/{key}")),
    };
    wwids.iter().map(serial).collect()
}

/// One LUN as two disks is a mistake that ends in a broken file system in the guest.
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

/// Doubt counts as unknown: detection is the safe choice.
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

/// Runs virt-install. Its exit code is not the result: the domain is looked at afterwards,
/// since virt-install may fail with the domain running, and exit 0 with it gone.
fn make(app: &App, vm: &Vm, locks: &mut Locks) -> Result<Done, Error> {
    let pools_lock = pools::begin(app, vm.uuid, &vm.config)?;
    let mut files = locks.files();
    files.extend(pools_lock.as_ref().map(Lock::file));
    app.acted.set(true);
    let result = virt_install::run(&vm.argv, app.settings.virt_install_timeout, &files);
    let made = result.and_then(Output::success);
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
                let mistakes = check::surroundings(&vm.config, &app.settings, &app.virsh());
                let seen = mistakes
                    .iter()
                    .map(|mistake| format!("{mistake}; "))
                    .collect();
                Err(Error::NotCreated { seen, source })
            }
        },
    }
}

/// `web was created, running`.
fn created(name: &str, how: &str, state: VmState) -> Done {
    Done::changed(format!("{name} {how}, {state}"), state)
}
