//! Inventories: the states of a node's VMs are refreshed, and a domain on a node that does
//! not own its VM is recorded as a conflict for people.

use std::collections::HashMap;

use hps_core::names::NodeName;
use hps_core::report::{DomainReport, Inventory};
use hps_core::state::VmState;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Transaction, params};

use super::{Registry, RegistryError, bad, column, optional};
use crate::model::claim::Conflict;
use crate::model::time::Timestamp;

/// A value of the registry's counter of step starts and step ends. Unlike a clock it cannot be
/// set back: a node's answer to a question of one epoch is older than every step that began or
/// ended in a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Epoch(i64);

impl FromSql for Epoch {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

impl ToSql for Epoch {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

/// The current epoch.
pub(super) fn epoch(tx: &Connection) -> rusqlite::Result<Epoch> {
    tx.prepare_cached("SELECT now FROM epoch")?
        .query_row([], |row| row.get(0))
}

/// Counts the start or end of a step on a VM: answers to earlier questions no longer count for
/// it.
pub(super) fn bump_epoch(tx: &Connection, vm: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE epoch SET now = now + 1")?
        .execute([])?;
    tx.prepare_cached("UPDATE vm SET epoch = (SELECT now FROM epoch) WHERE vm_id = ?1")?
        .execute([vm])?;
    Ok(())
}

impl Registry {
    /// Records the domains of a node in one transaction, except those of VMs on which a step
    /// began or ended since the node was asked.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn record_inventory(
        &mut self,
        inventory: &Inventory,
        epoch: Epoch,
    ) -> Result<(), RegistryError> {
        self.write(|tx| {
            let now = Timestamp::now();
            record_node(tx, inventory, now)?;
            let domains: HashMap<String, &DomainReport> = inventory
                .domains
                .iter()
                .map(|domain| (domain.uuid.to_string(), domain))
                .collect();
            record_owned(tx, &inventory.node, &domains, epoch, now)?;
            record_conflicts(tx, &inventory.node, &domains, epoch, now)
        })
    }

    /// Stores an inventory with its token, for the process that requested it.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn keep_inventory(
        &mut self,
        hash: [u8; 32],
        inventory: &Inventory,
    ) -> Result<(), RegistryError> {
        self.write(|tx| {
            let sql = "UPDATE token SET inventory = ?2 WHERE hash = ?1";
            tx.execute(sql, params![hash, inventory.to_text()])?;
            Ok(())
        })
    }

    /// The inventory that a node reported with this token; `None` where it has not yet.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn kept_inventory(&self, hash: [u8; 32]) -> Result<Option<Inventory>, RegistryError> {
        self.read(|tx| {
            let sql = "SELECT node, inventory FROM token WHERE hash = ?1";
            let mut statement = tx.prepare_cached(sql)?;
            let mut rows = statement.query([hash])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            let kept: Option<String> = row.get(1)?;
            let parsed = kept.map(|text| Inventory::parse(text.as_bytes()));
            parsed
                .transpose()
                .map_err(|error| bad(row, "token", 1, &error))
        })
    }

    /// The nodes that own VMs.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn owners(&self) -> Result<Vec<NodeName>, RegistryError> {
        let sql = "SELECT DISTINCT owner FROM vm WHERE owner IS NOT NULL ORDER BY owner";
        self.read(|tx| {
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_and_then([], |row| column(row, "vm", 0))?;
            rows.collect()
        })
    }

    /// Domains on nodes that do not own their VM.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn conflicts(&self) -> Result<Vec<Conflict>, RegistryError> {
        let sql = "SELECT c.vm_id, c.node, v.owner, c.seen_at, c.state FROM conflict c JOIN vm v USING (vm_id) \
                   WHERE v.owner IS NOT c.node ORDER BY c.vm_id, c.node";
        self.read(|tx| {
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_and_then([], |row| {
                Ok(Conflict {
                    vm: column(row, "conflict", 0)?,
                    node: column(row, "conflict", 1)?,
                    owner: optional(row, "vm", 2)?,
                    seen_at: row.get(3)?,
                    state: column(row, "conflict", 4)?,
                })
            })?;
            rows.collect()
        })
    }
}

fn record_node(
    tx: &Transaction<'_>,
    inventory: &Inventory,
    now: Timestamp,
) -> Result<(), RegistryError> {
    tx.execute(
        "INSERT INTO node (name, boot_id, version, cpus, memory_mb, seen_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (name) DO UPDATE SET boot_id = ?2, version = ?3, cpus = ?4, memory_mb = ?5, seen_at = ?6",
        params![
            inventory.node.as_str(),
            inventory.boot_id.to_string(),
            inventory.version,
            inventory.cpus,
            u32::try_from(inventory.memory_mb).unwrap_or(u32::MAX),
            now
        ],
    )?;
    Ok(())
}

/// The VMs this node owns: as listed, or absent, since the node answered.
fn record_owned(
    tx: &Transaction<'_>,
    node: &NodeName,
    domains: &HashMap<String, &DomainReport>,
    epoch: Epoch,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let sql = "SELECT vm_id, uuid FROM vm WHERE owner = ?1 AND epoch <= ?2";
    let mut owned = tx.prepare_cached(sql)?;
    let mut update =
        tx.prepare_cached("UPDATE vm SET state = ?2, vnc = ?3, seen_at = ?4 WHERE vm_id = ?1")?;
    let rows = owned.query_map(params![node.as_str(), epoch], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    for row in rows.collect::<Result<Vec<_>, _>>()? {
        let domain = domains.get(&row.1);
        let state = domain.map_or(VmState::Absent, |domain| domain.state);
        let vnc = domain.and_then(|domain| domain.vnc.as_deref());
        update.execute(params![row.0, state.as_str(), vnc, now])?;
    }
    Ok(())
}

fn record_conflicts(
    tx: &Transaction<'_>,
    node: &NodeName,
    domains: &HashMap<String, &DomainReport>,
    epoch: Epoch,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let forget = "DELETE FROM conflict WHERE node = ?1 \
         AND vm_id IN (SELECT vm_id FROM vm WHERE epoch <= ?2)";
    tx.execute(forget, params![node.as_str(), epoch])?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO conflict (vm_id, node, seen_at, state) SELECT vm_id, ?2, ?3, ?4 FROM vm \
         WHERE uuid = ?1 AND owner IS NOT ?2 AND epoch <= ?5",
    )?;
    for (uuid, domain) in domains {
        insert.execute(params![
            uuid,
            node.as_str(),
            now,
            domain.state.as_str(),
            epoch
        ])?;
    }
    Ok(())
}
