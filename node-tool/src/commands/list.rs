//! `n_vm list`: every domain by two children, however many there are.

use std::fs;

use hps_core::exec::ExecError;
use hps_core::identity;
use hps_core::names::VmId;
use hps_core::report::{Definition, DomainReport, Inventory};
use hps_core::state::VmState;
use uuid::Uuid;

use crate::app::App;
use crate::error::Error;
use crate::lock;
use crate::notify;
use crate::show::Row;
use crate::virsh::{Listed, Stats};

/// Every domain of this host.
pub(crate) fn list(app: &App) -> Result<Vec<Row>, Error> {
    let doing = "listing domains";
    let all = app.virsh().domstats();
    let all = all.map_err(|source| Error::NoAnswer { doing, source })?;
    let states: Vec<_> = all
        .iter()
        .map(|(listed, stats)| (listed.uuid, stats.state))
        .collect();
    let screens = screens(app, &states)?;
    let row = |(listed, stats): (Listed, Stats)| Row {
        vnc: screens
            .iter()
            .find(|(uuid, _)| *uuid == listed.uuid)
            .map(|(_, at)| at.clone()),
        name: listed.name,
        uuid: listed.uuid,
        state: stats.state,
        vcpus: stats.vcpus,
        memory_mb: stats.memory_mb,
    };
    Ok(all.into_iter().map(row).collect())
}

/// The screens of those domains that may have one, by one more child at most.
pub(crate) fn screens(
    app: &App,
    domains: &[(Uuid, VmState)],
) -> Result<Vec<(Uuid, String)>, Error> {
    let active = domains
        .iter()
        .filter(|(_, state)| *state != VmState::ShutOff);
    let active: Vec<_> = active.map(|(uuid, _)| *uuid).collect();
    if active.is_empty() {
        return Ok(Vec::new());
    }
    let doing = "asking for VNC displays";
    app.virsh()
        .vncdisplay(&active)
        .map_err(|source| Error::NoAnswer { doing, source })
}

/// Sends every domain and the node itself to the IPS; returns how many there are.
pub(crate) fn report(app: &App, definitions: bool) -> Result<String, Error> {
    let all = everything(app, definitions)?;
    notify::send(app, "inventory", &all.to_text())?;
    Ok(format!(
        "{} domains reported to the IPS\n",
        all.domains.len()
    ))
}

/// The text that would be sent.
pub(crate) fn definitions(app: &App) -> Result<String, Error> {
    Ok(everything(app, true)?.to_text())
}

fn everything(app: &App, definitions: bool) -> Result<Inventory, Error> {
    // Before the listing: a create that ends in between is listed then.
    let made = lock::held(&app.settings.state_dir, "id-")?;
    let mut inventory = inventory(app, list(app)?)?;
    if definitions {
        define(app, &mut inventory.domains)?;
    }
    inventory
        .domains
        .extend(unfinished(&made, &inventory.domains));
    Ok(inventory)
}

/// Adds what each domain is made of. One that goes away meanwhile is listed without.
fn define(app: &App, domains: &mut [DomainReport]) -> Result<(), Error> {
    let doing = "reading the domains' XML";
    let ids: Vec<VmId> = lock::known(&app.settings.state_dir, "id-")?
        .iter()
        .filter_map(|id| id.parse().ok())
        .collect();
    for domain in domains {
        let xml = match app.virsh().definition(domain.uuid) {
            Ok(xml) => xml,
            Err(ExecError::Exited { .. }) => continue,
            Err(source) => return Err(Error::NoAnswer { doing, source }),
        };
        let made_as = |id: &&VmId| identity::uuid_of_id(id) == domain.uuid;
        let vm_id = ids.iter().find(made_as).cloned();
        let xml = xml.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        domain.definition = Some(Definition { vm_id, xml });
    }
    Ok(())
}

/// VMs that a create is still at work on, and be it an orphaned virt-install, and that are
/// not there yet: nobody may take them for absent.
fn unfinished(ids: &[String], listed: &[DomainReport]) -> Vec<DomainReport> {
    let report = |id: &String| {
        let uuid = identity::uuid_of_id(&id.parse().ok()?);
        let is_listed = listed.iter().any(|domain| domain.uuid == uuid);
        (!is_listed).then(|| DomainReport {
            name: id.clone(),
            uuid,
            state: VmState::Unknown,
            vcpus: 0,
            memory_mb: 0,
            vnc: None,
            definition: None,
        })
    };
    ids.iter().filter_map(report).collect()
}

fn inventory(app: &App, rows: Vec<Row>) -> Result<Inventory, Error> {
    let domain = |row: Row| DomainReport {
        name: row.name,
        uuid: row.uuid,
        state: row.state,
        vcpus: row.vcpus,
        memory_mb: row.memory_mb,
        vnc: row.vnc,
        definition: None,
    };
    Ok(Inventory {
        node: app.task.node.clone().ok_or(Error::NoNodeName)?,
        boot_id: boot_id()?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cpus: cpus(),
        memory_mb: memory_mb(),
        domains: rows.into_iter().map(domain).collect(),
    })
}

fn boot_id() -> Result<Uuid, Error> {
    let path = "/proc/sys/kernel/random/boot_id";
    let read = fs::read_to_string(path).and_then(|text| {
        identity::hyphenated(text.trim()).ok_or_else(|| std::io::Error::other("no UUID in it"))
    });
    read.map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

/// CPUs of the node, not those this process may use.
fn cpus() -> u32 {
    // cpu0 1 2 3 …, after the sum of all
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let count = stat
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with("cpu"))
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn memory_mb() -> u64 {
    // MemTotal:        8123456 kB
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024)
}
