//! Reads VMs. Changes of definitions are in definitions.rs.

use std::cmp::Ordering;
use std::time::Duration;

use hps_core::config::{BootDevice, Disk, Network, VmConfig};
use hps_core::names::VmId;
use hps_core::state::VmState;
use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::{Connection, Params, Row, Rows};
use uuid::Uuid;

use super::{Registry, RegistryError, bad, column, number, optional, optional_line};
use crate::model::time::Timestamp;
use crate::model::vm::Vm;

const COLUMNS: &str = "vm_id, name, uuid, uuid_given, vcpus, memory_mb, title, description, os_variant, firmware, \
     boot, cpu_model, owner, desired, state, seen_at, vnc";

impl Registry {
    /// One VM by its id.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn vm(&self, id: &VmId) -> Result<Option<Vm>, RegistryError> {
        self.read(|tx| one(tx, "WHERE vm_id = ?1", [id.as_str()]))
    }

    /// One VM by its id or its name; the id wins.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn find(&self, text: &str) -> Result<Option<Vm>, RegistryError> {
        let by_id = match text.parse() {
            Ok(id) => self.vm(&id)?,
            Err(_) => None,
        };
        match by_id {
            Some(vm) => Ok(Some(vm)),
            None => self.read(|tx| one(tx, "WHERE name = ?1", [text])),
        }
    }

    /// Every VM, by name.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn vms(&self) -> Result<Vec<Vm>, RegistryError> {
        let mut vms = Vec::new();
        self.each_vm(|vm| vms.push(vm))?;
        vms.sort_unstable_by(|one, other| one.config.name.cmp(&other.config.name));
        Ok(vms)
    }

    /// Every VM, by vm_id, one at a time: three queries for any number of VMs.
    ///
    /// # Errors
    /// The registry cannot be read; some VMs may have been handed out by then.
    pub fn each_vm(&self, take: impl FnMut(Vm)) -> Result<(), RegistryError> {
        self.read(|tx| each(tx, take))
    }

    /// How many VMs are in each state; what was seen too long ago is unknown.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn count_by_state(
        &self,
        stale_after: Duration,
    ) -> Result<Vec<(VmState, u32)>, RegistryError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT CASE WHEN owner IS NOT NULL AND coalesce(seen_at, '') NOT BETWEEN ?1 AND ?2 \
                 THEN 'unknown' ELSE state END AS state, count(*) FROM vm GROUP BY 1 ORDER BY 1",
            )?;
            let fresh = [Timestamp::now().minus(stale_after), Timestamp::latest()];
            let rows = statement.query_and_then(fresh, |row| {
                Ok((column(row, "vm", 0)?, row.get(1)?))
            })?;
            rows.collect()
        })
    }
}

const DISKS: &str = "SELECT vm_id, number, side, path FROM disk";
const NETWORKS: &str = "SELECT vm_id, vni, bridge FROM network";

pub(super) fn one(
    tx: &Connection,
    clause: &str,
    params: impl Params,
) -> Result<Option<Vm>, RegistryError> {
    let mut statement = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM vm {clause}"))?;
    let mut rows = statement.query(params)?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let mut vm = vm(row)?;
    let id = vm.id.as_str();
    let mut disks =
        tx.prepare_cached(&format!("{DISKS} WHERE vm_id = ?1 ORDER BY number, side"))?;
    let mut rows = disks.query([id])?;
    while let Some(row) = rows.next()? {
        add_disk(&mut vm.config.disks, row)?;
    }
    let mut networks =
        tx.prepare_cached(&format!("{NETWORKS} WHERE vm_id = ?1 ORDER BY position"))?;
    let mut rows = networks.query([id])?;
    while let Some(row) = rows.next()? {
        vm.config.networks.push(network(row)?);
    }
    Ok(Some(vm))
}

/// All VMs in the order of the rows, so each table is read front to back.
fn each(tx: &Connection, mut take: impl FnMut(Vm)) -> Result<(), RegistryError> {
    let mut vms = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM vm ORDER BY vm_id"))?;
    let mut disks = tx.prepare_cached(&format!("{DISKS} ORDER BY vm_id, number, side"))?;
    let mut networks = tx.prepare_cached(&format!("{NETWORKS} ORDER BY vm_id, position"))?;
    let (mut vms, mut disks, mut networks) =
        (vms.query([])?, disks.query([])?, networks.query([])?);
    disks.advance()?;
    networks.advance()?;
    while let Some(row) = vms.next()? {
        let mut vm = vm(row)?;
        of_vm(&mut disks, row, |disk| add_disk(&mut vm.config.disks, disk))?;
        of_vm(&mut networks, row, |row| {
            vm.config.networks.push(network(row)?);
            Ok(())
        })?;
        take(vm);
    }
    Ok(())
}

/// Takes the rows that belong to a VM; all are in the order of vm_id.
fn of_vm(
    rows: &mut Rows<'_>,
    vm: &Row<'_>,
    mut take: impl FnMut(&Row<'_>) -> Result<(), RegistryError>,
) -> Result<(), RegistryError> {
    while let Some(row) = rows.get() {
        match row
            .get_ref(0)?
            .as_str()
            .ok()
            .cmp(&vm.get_ref(0)?.as_str().ok())
        {
            Ordering::Less => {}
            Ordering::Equal => take(row)?,
            Ordering::Greater => break,
        }
        rows.advance()?;
    }
    Ok(())
}

fn vm(row: &Row<'_>) -> Result<Vm, RegistryError> {
    let uuid: Uuid = column(row, "vm", 2)?;
    let given: bool = row.get(3)?;
    Ok(Vm {
        id: column(row, "vm", 0)?,
        uuid,
        config: VmConfig {
            name: column(row, "vm", 1)?,
            vcpus: number(row, "vm", 4)?,
            memory: number(row, "vm", 5)?,
            disks: Vec::new(),
            networks: Vec::new(),
            title: optional(row, "vm", 6)?,
            description: optional(row, "vm", 7)?,
            uuid: given.then_some(uuid),
            os_variant: optional(row, "vm", 8)?,
            firmware: optional(row, "vm", 9)?,
            boot: boot(row)?,
            cpu_model: optional(row, "vm", 11)?,
        },
        owner: optional(row, "vm", 12)?,
        desired: column(row, "vm", 13)?,
        state: column(row, "vm", 14)?,
        seen_at: optional(row, "vm", 15)?,
        vnc: optional_line(row, 16)?,
    })
}

fn boot(row: &Row<'_>) -> Result<Vec<BootDevice>, RegistryError> {
    let text: Option<String> = row.get(10)?;
    let text = text.unwrap_or_default();
    text.split(',')
        .filter(|word| !word.is_empty())
        .map(|word| word.parse().map_err(|error| bad(row, "vm", 10, &error)))
        .collect()
}

/// Sides come in order, so that `b` always finds its `a`.
fn add_disk(disks: &mut Vec<Disk>, row: &Row<'_>) -> Result<(), RegistryError> {
    let number = number(row, "disk", 1)?;
    let path = column(row, "disk", 3)?;
    match (row.get_ref(2)?.as_str(), disks.last_mut()) {
        (Ok("a"), _) => disks.push(Disk {
            number,
            a: path,
            b: None,
        }),
        (Ok("b"), Some(disk)) if disk.number == number => disk.b = Some(path),
        _ => {
            let reason = format!("disk {number} has a second path and no first");
            return Err(bad(row, "disk", 2, &reason));
        }
    }
    Ok(())
}

fn network(row: &Row<'_>) -> Result<Network, RegistryError> {
    Ok(Network {
        vni: number(row, "network", 1)?,
        bridge: column(row, "network", 2)?,
    })
}
