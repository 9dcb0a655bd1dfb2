//! VM definitions with their disks and networks, and where each VM is.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use hps_core::config::{Disk, Network, VmConfig};
use hps_core::identity;
use hps_core::names::{DiskNumber, DiskPath, NodeName, VmId};
use hps_core::state::VmState;
use rusqlite::{OptionalExtension, Params, Row, Transaction, params};
use uuid::Uuid;

use super::audit::{self, Author};
use super::{Registry, RegistryError, column, optional};
use crate::time::Timestamp;

/// A VM of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// What the IPS issued.
    pub id: VmId,
    /// What it is made from.
    pub config: VmConfig,
    /// What its domain has, given or derived.
    pub uuid: Uuid,
    /// The node that has, or may have, the domain.
    pub owner: Option<NodeName>,
    /// What it should be.
    pub desired: Desired,
    /// What it was when it was seen last; see [`Vm::shown_state`].
    pub state: VmState,
    /// When a node said so.
    pub seen_at: Option<Timestamp>,
    /// Address and port of its screen on the owner.
    pub vnc: Option<String>,
}

/// What a VM should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum Desired {
    Running,
    Off,
}

impl Desired {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Off => "off",
        }
    }
}

impl FromStr for Desired {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "running" => Ok(Self::Running),
            "off" => Ok(Self::Off),
            _ => Err(format!("{text:?}: want running or off")),
        }
    }
}

impl Vm {
    /// The state to be shown: what was seen too long ago is unknown.
    #[must_use]
    pub fn shown_state(&self, stale_after: Duration) -> VmState {
        let stale = self.seen_at.is_none_or(|at| at.age() > stale_after);
        if self.owner.is_some() && stale {
            VmState::Unknown
        } else {
            self.state
        }
    }

    /// The same VM when nobody could say how it is.
    #[must_use]
    pub fn doubted(self) -> Self {
        Self {
            state: VmState::Unknown,
            ..self
        }
    }
}

const COLUMNS: &str = "vm_id, name, uuid, uuid_given, vcpus, memory_mb, title, description, os_variant, firmware, \
     boot, cpu_model, owner, desired, state, seen_at, vnc";

impl Registry {
    /// One VM by its id.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn vm(&self, id: &VmId) -> Result<Option<Vm>, RegistryError> {
        self.one("WHERE vm_id = ?1", [id.as_str()])
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
            None => self.one("WHERE name = ?1", [text]),
        }
    }

    fn one(&self, clause: &str, params: impl Params) -> Result<Option<Vm>, RegistryError> {
        let mut statement = self
            .connection()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM vm {clause}"))?;
        let mut rows = statement.query(params)?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let mut vm = vm(row)?;
        let id = vm.id.as_str();
        let mut disks = self.connection().prepare_cached(
            "SELECT path, number, side FROM disk WHERE vm_id = ?1 ORDER BY number, side",
        )?;
        let mut rows = disks.query([id])?;
        while let Some(row) = rows.next()? {
            add_disk(&mut vm.config.disks, row)?;
        }
        let mut networks = self
            .connection()
            .prepare_cached("SELECT vni, bridge FROM network WHERE vm_id = ?1 ORDER BY position")?;
        let mut rows = networks.query([id])?;
        while let Some(row) = rows.next()? {
            vm.config.networks.push(network(row)?);
        }
        Ok(Some(vm))
    }

    /// Every VM, by name: three queries, whatever their number.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn vms(&self) -> Result<Vec<Vm>, RegistryError> {
        // One transaction, so that the three answers belong together.
        let tx = self.connection().unchecked_transaction()?;
        let mut statement =
            tx.prepare_cached(&format!("SELECT {COLUMNS} FROM vm ORDER BY name"))?;
        let mut vms = statement
            .query_and_then([], vm)?
            .collect::<Result<Vec<_>, _>>()?;
        let index: HashMap<String, usize> = vms
            .iter()
            .enumerate()
            .map(|(at, vm)| (vm.id.as_str().to_owned(), at))
            .collect();
        let mut disks = tx.prepare_cached(
            "SELECT path, number, side, vm_id FROM disk ORDER BY vm_id, number, side",
        )?;
        let mut rows = disks.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(at) = index.get(row.get_ref(3)?.as_str().unwrap_or_default()) {
                add_disk(&mut vms[*at].config.disks, row)?;
            }
        }
        let mut networks =
            tx.prepare_cached("SELECT vni, bridge, vm_id FROM network ORDER BY vm_id, position")?;
        let mut rows = networks.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(at) = index.get(row.get_ref(2)?.as_str().unwrap_or_default()) {
                vms[*at].config.networks.push(network(row)?);
            }
        }
        Ok(vms)
    }

    /// Defines VMs: all of them, or none.
    ///
    /// # Errors
    /// A name, id or disk path is in use; the text says by whom.
    pub fn define(
        &mut self,
        author: &Author,
        vms: &[(VmId, VmConfig)],
    ) -> Result<(), RegistryError> {
        self.write(|tx| {
            for (id, config) in vms {
                insert(tx, id, config)?;
                audit::record(
                    tx,
                    author,
                    "define",
                    Some(id),
                    &format!("name={}", config.name),
                )?;
            }
            Ok(())
        })
    }

    /// Replaces the config of a VM; says whether a node owns it.
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
            let owner: Option<String> = tx
                .query_row(
                    "SELECT owner FROM vm WHERE vm_id = ?1",
                    [id.as_str()],
                    |row| row.get(0),
                )
                .optional()?
                .ok_or_else(|| RegistryError::Refused(format!("no VM {id} is defined")))?;
            tx.execute("DELETE FROM disk WHERE vm_id = ?1", [id.as_str()])?;
            tx.execute("DELETE FROM network WHERE vm_id = ?1", [id.as_str()])?;
            update(tx, id, config)?;
            insert_parts(tx, id, config)?;
            audit::record(tx, author, "set", Some(id), detail)?;
            owner
                .map(|owner| {
                    owner
                        .parse()
                        .map_err(|error: hps_core::names::NameError| bad_owner(&error.to_string()))
                })
                .transpose()
        })
    }

    /// Removes the definition of a VM that no node owns.
    ///
    /// # Errors
    /// A node owns it, an operation on it is open, or it is not defined.
    pub fn undefine(&mut self, author: &Author, id: &VmId) -> Result<(), RegistryError> {
        self.write(|tx| {
            let refused = |why: String| Err(RegistryError::Refused(why));
            let owner: Option<Option<String>> = tx
                .query_row(
                    "SELECT owner FROM vm WHERE vm_id = ?1",
                    [id.as_str()],
                    |row| row.get(0),
                )
                .optional()?;
            match owner {
                None => return refused(format!("no VM {id} is defined")),
                Some(Some(owner)) => {
                    return refused(format!(
                        "{owner} owns {id}, or may own it; `o_vm destroy {id}` first"
                    ));
                }
                Some(None) => {}
            }
            let sql = "SELECT operation FROM operation WHERE vm_id = ?1 AND ended_at IS NULL";
            let open: Option<String> = tx
                .query_row(sql, [id.as_str()], |row| row.get(0))
                .optional()?;
            if let Some(open) = open {
                return refused(format!(
                    "operation {open} on {id} is open; `o_vm sweep` settles it"
                ));
            }
            tx.execute("DELETE FROM token WHERE vm_id = ?1", [id.as_str()])?;
            tx.execute("DELETE FROM vm WHERE vm_id = ?1", [id.as_str()])?;
            audit::record(tx, author, "undefine", Some(id), "")
        })
    }

    /// How many VMs are in each state, as they were seen last.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn count_by_state(&self) -> Result<Vec<(String, u32)>, RegistryError> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT state, count(*) FROM vm GROUP BY state ORDER BY state")?;
        let rows = statement.query_and_then([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }
}

fn bad_owner(reason: &str) -> RegistryError {
    RegistryError::BadRow {
        table: "vm",
        column: "owner".to_owned(),
        reason: reason.to_owned(),
    }
}

fn vm(row: &Row<'_>) -> Result<Vm, RegistryError> {
    let uuid: Uuid = column(row, "vm", 2)?;
    let given: bool = row.get(3)?;
    let number = |index: usize| Ok::<_, RegistryError>(row.get::<_, i64>(index)?.to_string());
    Ok(Vm {
        id: column(row, "vm", 0)?,
        uuid,
        config: VmConfig {
            name: column(row, "vm", 1)?,
            vcpus: typed("vcpus", &number(4)?)?,
            memory: typed("memory_mb", &number(5)?)?,
            disks: Vec::new(),
            networks: Vec::new(),
            title: optional(row, "vm", 6)?,
            description: optional(row, "vm", 7)?,
            uuid: given.then_some(uuid),
            os_variant: optional(row, "vm", 8)?,
            firmware: optional(row, "vm", 9)?,
            boot: boot(row.get(10)?)?,
            cpu_model: optional(row, "vm", 11)?,
        },
        owner: optional(row, "vm", 12)?,
        desired: column(row, "vm", 13)?,
        state: column(row, "vm", 14)?,
        seen_at: optional(row, "vm", 15)?,
        vnc: row.get(16)?,
    })
}

fn typed<T: FromStr<Err: ToString>>(name: &str, text: &str) -> Result<T, RegistryError> {
    text.parse().map_err(|error: T::Err| RegistryError::BadRow {
        table: "vm",
        column: name.to_owned(),
        reason: error.to_string(),
    })
}

fn boot(text: Option<String>) -> Result<Vec<hps_core::config::BootDevice>, RegistryError> {
    let text = text.unwrap_or_default();
    text.split(',')
        .filter(|word| !word.is_empty())
        .map(|word| typed("boot", word))
        .collect()
}

/// Sides come in order, so that `b` always finds its `a`.
fn add_disk(disks: &mut Vec<Disk>, row: &Row<'_>) -> Result<(), RegistryError> {
    let path: DiskPath = column(row, "disk", 0)?;
    let number: DiskNumber = typed("number", &row.get::<_, i64>(1)?.to_string())?;
    match (
        row.get_ref(2)?.as_str().unwrap_or_default(),
        disks.last_mut(),
    ) {
        ("b", Some(disk)) if disk.number == number => disk.b = Some(path),
        ("a", _) => disks.push(Disk {
            number,
            a: path,
            b: None,
        }),
        _ => {
            let reason = format!("disk {number} has a second path and no first");
            return Err(RegistryError::BadRow {
                table: "disk",
                column: "side".to_owned(),
                reason,
            });
        }
    }
    Ok(())
}

fn network(row: &Row<'_>) -> Result<Network, RegistryError> {
    Ok(Network {
        vni: typed("vni", &row.get::<_, i64>(0)?.to_string())?,
        bridge: column(row, "network", 1)?,
    })
}

fn insert(tx: &Transaction<'_>, id: &VmId, config: &VmConfig) -> Result<(), RegistryError> {
    let mut taken = tx.prepare_cached("SELECT 1 FROM vm WHERE vm_id = ?1")?;
    if taken.exists([id.as_str()])? {
        return Err(RegistryError::Refused(format!(
            "vm_id {id} is defined already; `o_vm set {id} key=value` changes it"
        )));
    }
    check_name(tx, id, config)?;
    let now = Timestamp::now();
    let mut statement = tx.prepare_cached(
        "INSERT INTO vm (vm_id, name, uuid, uuid_given, vcpus, memory_mb, defined_at, changed_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
    )?;
    statement.execute(params![
        id.as_str(),
        config.name.as_str(),
        identity::vm_uuid(id, config).to_string(),
        config.uuid.is_some(),
        config.vcpus.get(),
        config.memory.get(),
        now
    ])?;
    update(tx, id, config)?;
    insert_parts(tx, id, config)
}

/// A name, and a UUID, belong to one VM. A name that is another VM's id would name two.
fn check_name(tx: &Transaction<'_>, id: &VmId, config: &VmConfig) -> Result<(), RegistryError> {
    let uuid = identity::vm_uuid(id, config).to_string();
    let sql = "SELECT vm_id, CASE WHEN name = ?1 THEN 'name ' || ?1 WHEN uuid = ?2 THEN 'uuid ' || ?2 \
               ELSE 'name ' || ?1 END \
               FROM vm WHERE vm_id <> ?3 AND (name = ?1 OR uuid = ?2 OR vm_id = lower(?1) OR lower(name) = ?3)";
    let mut statement = tx.prepare_cached(sql)?;
    let holder = statement
        .query_row(params![config.name.as_str(), uuid, id.as_str()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    match holder {
        None => Ok(()),
        Some((holder, what)) => Err(RegistryError::Refused(format!(
            "{what} is taken by VM {holder}"
        ))),
    }
}

fn update(tx: &Transaction<'_>, id: &VmId, config: &VmConfig) -> Result<(), RegistryError> {
    check_name(tx, id, config)?;
    let boot: Vec<_> = config.boot.iter().map(|device| device.as_str()).collect();
    let mut statement = tx.prepare_cached(
        "UPDATE vm SET name = ?2, uuid = ?3, uuid_given = ?4, vcpus = ?5, memory_mb = ?6, title = ?7, \
         description = ?8, os_variant = ?9, firmware = ?10, boot = ?11, cpu_model = ?12, changed_at = ?13 \
         WHERE vm_id = ?1",
    )?;
    statement.execute(params![
        id.as_str(),
        config.name.as_str(),
        identity::vm_uuid(id, config).to_string(),
        config.uuid.is_some(),
        config.vcpus.get(),
        config.memory.get(),
        config.title.as_ref().map(hps_core::names::Text::as_str),
        config
            .description
            .as_ref()
            .map(hps_core::names::Text::as_str),
        config
            .os_variant
            .as_ref()
            .map(hps_core::names::Word::as_str),
        config.firmware.map(hps_core::config::Firmware::as_str),
        (!boot.is_empty()).then(|| boot.join(",")),
        config.cpu_model.as_ref().map(hps_core::names::Word::as_str),
        Timestamp::now()
    ])?;
    Ok(())
}

fn insert_parts(tx: &Transaction<'_>, id: &VmId, config: &VmConfig) -> Result<(), RegistryError> {
    for disk in &config.disks {
        insert_disk(tx, id, disk.number, "a", &disk.a)?;
        if let Some(b) = &disk.b {
            insert_disk(tx, id, disk.number, "b", b)?;
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

fn insert_disk(
    tx: &Transaction<'_>,
    id: &VmId,
    number: DiskNumber,
    side: &str,
    path: &DiskPath,
) -> Result<(), RegistryError> {
    let mut holder = tx.prepare_cached("SELECT vm_id FROM disk WHERE path = ?1")?;
    let taken: Option<String> = holder
        .query_row([path.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(holder) = taken {
        return Err(RegistryError::Refused(format!(
            "disk_{number}_{side}: {path} is a disk of VM {holder} already"
        )));
    }
    let mut statement =
        tx.prepare_cached("INSERT INTO disk (path, vm_id, number, side) VALUES (?1, ?2, ?3, ?4)")?;
    statement.execute(params![path.as_str(), id.as_str(), number.get(), side])?;
    Ok(())
}
