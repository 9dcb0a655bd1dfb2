//! Tokens: whom one is given to, what a shown one opens, and the reports that come with it.

use std::time::Duration;

use hps_core::names::{NodeName, VmId};
use hps_core::report::Report;
use hps_core::state::VmState;
use hps_core::verb::Verb;
use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::audit::{self, Author};
use super::inventory::{self, Asked};
use super::operations::Operation;
use super::{Registry, RegistryError, optional};
use crate::time::Timestamp;

/// How long a node has to report its inventory.
const INVENTORY_LIFE: Duration = Duration::from_secs(600);

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The VM; none for an inventory.
    pub vm: Option<VmId>,
    /// The operation; none for a token made by hand or for an inventory.
    pub operation: Option<Uuid>,
    /// Its verb.
    pub verb: Option<Verb>,
    /// Its node.
    pub node: Option<NodeName>,
    /// The addresses it works from; none: any.
    pub addresses: Option<String>,
    /// When its node was asked, where it is for an inventory.
    pub asked: Option<Asked>,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is recorded, now or already.
    Recorded,
    /// Another report of this operation stands.
    Contradicted,
    /// There is no such open operation.
    Closed,
}

impl Registry {
    /// Lets whoever shows a token with this hash fetch the config and report.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn grant(
        &mut self,
        operation: &Operation,
        hash: [u8; 32],
        addresses: Option<&str>,
    ) -> Result<(), RegistryError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO token (hash, vm_id, operation, verb, node, addresses) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    hash,
                    operation.vm.as_str(),
                    operation.operation.to_string(),
                    operation.verb.as_str(),
                    operation.node.as_str(),
                    addresses
                ],
            )?;
            Ok(())
        })
    }

    /// Lets whoever shows a token with this hash report the inventory of a node, for ten minutes;
    /// it is asked from now on.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn grant_inventory(
        &mut self,
        node: &NodeName,
        hash: [u8; 32],
    ) -> Result<Asked, RegistryError> {
        self.write(|tx| {
            let now = Timestamp::now();
            forget_expired_tokens(tx, now)?;
            let asked = inventory::now(tx)?;
            let sql = "INSERT INTO token (hash, node, expires_at, asked) VALUES (?1, ?2, ?3, ?4)";
            let until = now.plus(INVENTORY_LIFE);
            tx.execute(sql, params![hash, node.as_str(), until, asked])?;
            Ok(asked)
        })
    }

    /// Makes a token worthless.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn revoke(&mut self, hash: [u8; 32]) -> Result<(), RegistryError> {
        self.write(|tx| {
            tx.execute("DELETE FROM token WHERE hash = ?1", [hash])?;
            Ok(())
        })
    }

    /// What the token with this hash opens now; none when it is unknown, expired, or its
    /// operation is closed.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn token(&self, hash: [u8; 32]) -> Result<Option<Grant>, RegistryError> {
        let sql = "SELECT t.vm_id, t.operation, t.verb, t.node, t.addresses, t.asked FROM token t \
                   LEFT JOIN operation o USING (operation) WHERE t.hash = ?1 \
                   AND (t.operation IS NULL OR o.ended_at IS NULL) AND (t.expires_at IS NULL OR t.expires_at > ?2)";
        self.read(|tx| {
            let mut statement = tx.prepare_cached(sql)?;
            let mut rows = statement.query(params![hash, Timestamp::now()])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            Ok(Some(Grant {
                vm: optional(row, "token", 0)?,
                operation: optional(row, "token", 1)?,
                verb: optional(row, "token", 2)?,
                node: optional(row, "token", 3)?,
                addresses: row.get(4)?,
                asked: row.get(5)?,
            }))
        })
    }

    /// Lets whoever shows a token with this hash fetch the config of a VM, for a while.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn grant_config(
        &mut self,
        author: &Author,
        vm: &VmId,
        hash: [u8; 32],
        life: Duration,
    ) -> Result<(), RegistryError> {
        self.write(|tx| {
            let now = Timestamp::now();
            forget_expired_tokens(tx, now)?;
            tx.execute(
                "INSERT INTO token (hash, vm_id, expires_at) VALUES (?1, ?2, ?3)",
                params![hash, vm.as_str(), now.plus(life)],
            )?;
            audit::record(tx, author, "token", Some(vm), "get_config by hand")
        })
    }

    /// Records what a node says of an operation; the first report counts.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn record_report(&mut self, report: &Report) -> Result<Taken, RegistryError> {
        self.write(|tx| {
            let operation = report.operation.to_string();
            match standing(tx, report)? {
                Standing::None => {}
                Standing::Same => return Ok(Taken::Recorded),
                Standing::Other => return Ok(Taken::Contradicted),
                Standing::Closed => return Ok(Taken::Closed),
            }
            let now = Timestamp::now();
            tx.execute(
                "UPDATE operation SET reported_at = ?2, report_exit_code = ?3, report_state = ?4, report_message = ?5 \
                 WHERE operation = ?1",
                params![operation, now, report.exit_code, report.state.as_str(), report.message],
            )?;
            if report.state != VmState::Unknown {
                let sql = "UPDATE vm SET state = ?2, seen_at = ?3 WHERE vm_id = ?1 AND owner = ?4";
                tx.execute(sql, params![report.vm_id.as_str(), report.state.as_str(), now, report.node.as_str()])?;
                inventory::touch(tx, report.vm_id.as_str())?;
            }
            Ok(Taken::Recorded)
        })
    }
}

/// Those of nobody who could have revoked them: made by hand, or of a process that was killed.
fn forget_expired_tokens(tx: &Transaction<'_>, now: Timestamp) -> Result<(), RegistryError> {
    tx.execute("DELETE FROM token WHERE expires_at <= ?1", [now])?;
    Ok(())
}

/// What stands in the journal already, where a report wants to be.
enum Standing {
    None,
    Same,
    Other,
    Closed,
}

fn standing(tx: &Transaction<'_>, report: &Report) -> Result<Standing, RegistryError> {
    let sql = "SELECT ended_at IS NULL, report_exit_code IS NOT NULL, report_exit_code IS ?2 \
               AND report_state IS ?3 AND report_message IS ?4 FROM operation WHERE operation = ?1";
    let values = params![
        report.operation.to_string(),
        report.exit_code,
        report.state.as_str(),
        report.message
    ];
    let found: Option<[bool; 3]> = tx
        .query_row(sql, values, |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?])
        })
        .optional()?;
    Ok(match found {
        Some([_, true, true]) => Standing::Same,
        Some([_, true, false]) => Standing::Other,
        Some([true, false, _]) => Standing::None,
        Some([false, false, _]) | None => Standing::Closed,
    })
}
