//! Changes of definitions: define, set, undefine. An id, a name, a UUID and a disk path belong
//! to one VM; for a second VM they are refused.

use hps_core::config::{Firmware, VmConfig};
use hps_core::identity;
use hps_core::names::{DiskNumber, DiskPath, NodeName, Text, VmId, Word};
use rusqlite::{OptionalExtension, Transaction, params};

use super::audit::{self, Author};
use super::{Registry, RegistryError, column, optional};
use crate::model::time::Timestamp;

/// From how many VMs on a larger page cache pays.
const MANY: usize = 100;
/// Page cache of one that defines many VMs at once, in KiB.
const MANY_CACHE_KIB: i32 = 64 * 1024;

impl Registry {
    /// Defines VMs: all of them, or none.
    ///
    /// # Errors
    /// A name, id or disk path is in use; the text names the VM that has it.
    pub fn define(
        &mut self,
        author: &Author,
        vms: &[(VmId, VmConfig)],
    ) -> Result<(), RegistryError> {
        if vms.len() >= MANY {
            self.widen_cache(MANY_CACHE_KIB)?;
        }
        self.write(|tx| {
            for (at, (id, config)) in vms.iter().enumerate() {
                insert(tx, id, config).map_err(|error| placed(error, at))?;
                let detail = format!("name={}", config.name);
                audit::record(tx, author, "define", Some(id), &detail)?;
            }
            Ok(())
        })
    }

    /// Replaces the config of a VM; returns the node that owns it.
    ///
    /// # Errors
    /// What is refused, and why.
    pub fn redefine(
        &mut self,
        author: &Author,
        id: &VmId,
        config: &VmConfig,
        detail: &str,
    ) -> Result<Option<NodeName>, RegistryError> {
        self.write(|tx| {
            let owner = owner(tx, id)?;
            tx.execute("DELETE FROM disk WHERE vm_id = ?1", [id.as_str()])?;
            tx.execute("DELETE FROM network WHERE vm_id = ?1", [id.as_str()])?;
            put(tx, id, config)?;
            audit::record(tx, author, "set", Some(id), detail)?;
            Ok(owner)
        })
    }

    /// Removes the definition of a VM that no node owns.
    ///
    /// # Errors
    /// A node owns it, an operation on it is open, or it is not defined.
    pub fn undefine(&mut self, author: &Author, id: &VmId) -> Result<(), RegistryError> {
        self.write(|tx| {
            if let Some(owner) = owner(tx, id)? {
                return Err(RegistryError::Refused(format!(
                    "{owner} owns {id}, or may own it; `o_vm destroy {id}` first"
                )));
            }
            if let Some(open) = open_operation(tx, id)? {
                return Err(RegistryError::Refused(format!(
                    "operation {open} on {id} is open; `o_vm sweep` settles it"
                )));
            }
            tx.execute("DELETE FROM token WHERE vm_id = ?1", [id.as_str()])?;
            tx.execute("DELETE FROM vm WHERE vm_id = ?1", [id.as_str()])?;
            audit::record(tx, author, "undefine", Some(id), "")
        })
    }

    /// Disk paths that other VMs hold.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn disks_of_others(&self, vm: &VmId) -> Result<Vec<DiskPath>, RegistryError> {
        let sql =
            "SELECT path FROM disk WHERE vm_id <> ?1 AND path NOT LIKE '/dev/%' ORDER BY path";
        self.read(|tx| {
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_and_then([vm.as_str()], |row| column(row, "disk", 0))?;
            rows.collect()
        })
    }
}

/// The same error with the place of its definition among many.
pub(super) fn placed(error: RegistryError, at: usize) -> RegistryError {
    if let RegistryError::InUse { key, reason, .. } = error {
        return RegistryError::InUse { at, key, reason };
    }
    error
}

pub(super) fn in_use(key: &str, reason: String) -> RegistryError {
    RegistryError::InUse {
        at: 0,
        key: key.to_owned(),
        reason,
    }
}

/// The owner of a VM that is defined.
fn owner(tx: &Transaction<'_>, id: &VmId) -> Result<Option<NodeName>, RegistryError> {
    let mut statement = tx.prepare_cached("SELECT vm_id, owner FROM vm WHERE vm_id = ?1")?;
    let mut rows = statement.query([id.as_str()])?;
    match rows.next()? {
        Some(row) => optional(row, "vm", 1),
        None => Err(RegistryError::Refused(format!("VM {id} is not defined"))),
    }
}

fn open_operation(tx: &Transaction<'_>, id: &VmId) -> Result<Option<String>, RegistryError> {
    let sql = "SELECT operation FROM operation WHERE vm_id = ?1 AND ended_at IS NULL";
    Ok(tx
        .query_row(sql, [id.as_str()], |row| row.get(0))
        .optional()?)
}

pub(super) fn insert(
    tx: &Transaction<'_>,
    id: &VmId,
    config: &VmConfig,
) -> Result<(), RegistryError> {
    let mut existing = tx.prepare_cached("SELECT 1 FROM vm WHERE vm_id = ?1")?;
    if existing.exists([id.as_str()])? {
        let reason = format!("vm_id {id} is defined already; `o_vm set {id} key=value` changes it");
        return Err(in_use("vm_id", reason));
    }
    put(tx, id, config)
}

/// Writes a complete config; the rest of an existing row (owner, state) stays as it is.
fn put(tx: &Transaction<'_>, id: &VmId, config: &VmConfig) -> Result<(), RegistryError> {
    check_names(tx, id, config)?;
    let boot: Vec<_> = config.boot.iter().map(|device| device.as_str()).collect();
    let mut statement = tx.prepare_cached(
        "INSERT INTO vm (vm_id, name, uuid, uuid_given, vcpus, memory_mb, title, description, \
         os_variant, firmware, boot, cpu_model, defined_at, changed_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13) \
         ON CONFLICT (vm_id) DO UPDATE SET name = ?2, uuid = ?3, uuid_given = ?4, vcpus = ?5, \
         memory_mb = ?6, title = ?7, description = ?8, os_variant = ?9, firmware = ?10, \
         boot = ?11, cpu_model = ?12, changed_at = ?13",
    )?;
    statement.execute(params![
        id.as_str(),
        config.name.as_str(),
        identity::vm_uuid(id, config).to_string(),
        config.uuid.is_some(),
        config.vcpus.get(),
        config.memory.get(),
        config.title.as_ref().map(Text::as_str),
        config.description.as_ref().map(Text::as_str),
        config.os_variant.as_ref().map(Word::as_str),
        config.firmware.map(Firmware::as_str),
        (!boot.is_empty()).then(|| boot.join(",")),
        config.cpu_model.as_ref().map(Word::as_str),
        Timestamp::now()
    ])?;
    put_parts(tx, id, config)
}

/// A name, and a UUID, belong to one VM. A name that is another VM's id would name two.
fn check_names(tx: &Transaction<'_>, id: &VmId, config: &VmConfig) -> Result<(), RegistryError> {
    let uuid = identity::vm_uuid(id, config).to_string();
    // Each term uses an index of its own; otherwise a large import would be quadratic.
    let mut statement = tx.prepare_cached(
        "SELECT vm_id, uuid = ?2 AND name <> ?1 FROM vm WHERE vm_id <> ?3 \
         AND (name = ?1 OR uuid = ?2 OR vm_id = lower(?1) OR lower(name) = ?3)",
    )?;
    let found: Option<(String, bool)> = statement
        .query_row(params![config.name.as_str(), uuid, id.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((holder, is_uuid)) = found else {
        return Ok(());
    };
    let (key, value) = if is_uuid {
        ("uuid", uuid.as_str())
    } else {
        ("name", config.name.as_str())
    };
    Err(in_use(
        key,
        format!("{key} {value} is taken by VM {holder}"),
    ))
}

fn put_parts(tx: &Transaction<'_>, id: &VmId, config: &VmConfig) -> Result<(), RegistryError> {
    for disk in &config.disks {
        put_disk(tx, id, disk.number, "a", &disk.a)?;
        if let Some(b) = &disk.b {
            put_disk(tx, id, disk.number, "b", b)?;
        }
    }
    let mut statement = tx.prepare_cached(
        "INSERT INTO network (vm_id, position, vni, bridge) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (position, network) in (1_i64..).zip(&config.networks) {
        statement.execute(params![
            id.as_str(),
            position,
            network.vni.get(),
            network.bridge.as_str()
        ])?;
    }
    Ok(())
}

fn put_disk(
    tx: &Transaction<'_>,
    id: &VmId,
    number: DiskNumber,
    side: &str,
    path: &DiskPath,
) -> Result<(), RegistryError> {
    let mut holder = tx.prepare_cached("SELECT vm_id FROM disk WHERE path = ?1")?;
    let other: Option<String> = holder
        .query_row([path.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(holder) = other {
        let key = format!("disk_{number}_{side}");
        let reason = format!("{key}: {path} is a disk of VM {holder} already");
        return Err(in_use(&key, reason));
    }
    let mut statement =
        tx.prepare_cached("INSERT INTO disk (path, vm_id, number, side) VALUES (?1, ?2, ?3, ?4)")?;
    statement.execute(params![path.as_str(), id.as_str(), number.get(), side])?;
    Ok(())
}
