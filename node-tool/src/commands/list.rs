//! `n_vm list`: every domain, by two children however many there are.

use argh::FromArgs;
use hps_core::exec::ExecError;
use hps_core::names::VmId;
use hps_core::report::{Definition, DomainReport, Inventory};
use hps_core::state::VmState;
use hps_core::{identity, proc};
use uuid::Uuid;

use super::{Command, Done};
use crate::app::App;
use crate::error::Error;
use crate::show::{self, Row};
use crate::spec::Spec;
use crate::virsh::{ListedDomain, Stats};
use crate::{lock, notify};

/// Show every domain of this node.
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "list", help_triggers("--help", "-h"))]
pub(crate) struct List {
    /// one JSON array
    #[argh(switch)]
    json: bool,
    /// send them to the IPS instead
    #[argh(switch)]
    report: bool,
    /// with the XML of each, in the form that is sent
    #[argh(switch)]
    definitions: bool,
}

impl Command for List {
    const SPEC: Spec = Spec::new("list");

    fn run(&self, app: &App) -> Result<Done, Error> {
        let text = match self {
            Self { report: true, .. } => report(app, self.definitions),
            Self {
                definitions: true, ..
            } => definitions(app),
            Self { json: true, .. } => rows(app).map(|rows| show::json_array(&rows)),
            _ => rows(app).map(|rows| show::table(&rows)),
        };
        text.map(Done::shown)
    }
}

/// Every domain of this host.
fn rows(app: &App) -> Result<Vec<Row>, Error> {
    let doing = "listing domains";
    let all = app.virsh().domstats();
    let all = all.map_err(|source| Error::NoAnswer { doing, source })?;
    let states: Vec<_> = all
        .iter()
        .map(|(listed, stats)| (listed.uuid, stats.state))
        .collect();
    let consoles = consoles(app, &states)?;
    let row = |(listed, stats): (ListedDomain, Stats)| Row {
        vnc: consoles
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

/// The VNC consoles of those domains that may have one, by one more child at most.
pub(super) fn consoles(
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
fn report(app: &App, definitions: bool) -> Result<String, Error> {
    let all = everything(app, definitions)?;
    notify::send(app, "inventory", &all.to_text())?;
    Ok(format!(
        "{} domains reported to the IPS\n",
        all.domains.len()
    ))
}

/// The text that would be sent.
fn definitions(app: &App) -> Result<String, Error> {
    Ok(everything(app, true)?.to_text())
}

/// The inventory of this node, with creates that are still in progress.
fn everything(app: &App, definitions: bool) -> Result<Inventory, Error> {
    // Before the listing: a create that ends in between is listed.
    let made = lock::held(&app.settings.state_dir, "id-")?;
    let mut inventory = inventory(app, rows(app)?)?;
    if definitions {
        define(app, &mut inventory.domains)?;
    }
    inventory
        .domains
        .extend(unfinished(&made, &inventory.domains));
    Ok(inventory)
}

/// Adds the XML of each domain. One that disappears meanwhile is listed without.
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

/// VMs that a create is still at work on, if only as an orphaned virt-install, and that are
/// not listed yet: the IPS must not take them for absent.
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

/// The node itself, and its domains.
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
        boot_id: proc::boot_id().map_err(|source| Error::File {
            path: "boot id".to_owned(),
            source,
        })?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cpus: proc::cpus().unwrap_or(0),
        memory_mb: proc::memory_mb().unwrap_or(0),
        domains: rows.into_iter().map(domain).collect(),
    })
}
