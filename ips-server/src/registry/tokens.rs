//! Tokens: issued for a task, checked when presented, and the reports made with them.

use std::time::Duration;

use hps_core::names::{NodeName, VmId};
use hps_core::report::Report;
use hps_core::state::VmState;
use hps_core::verb::VerbName;
use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::audit::{self, Author};
use super::inventory::{self, Epoch};
use super::{Registry, RegistryError, optional};
use crate::model::step::NewStep;
use crate::model::time::Timestamp;

/// How long a node has to report its inventory.
const INVENTORY_LIFE: Duration = Duration::from_secs(600);

/// What a token admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The VM; none for an inventory.
    pub vm: Option<VmId>,
    /// The session id of its task; none for a token made by hand or for an inventory.
    pub session: Option<Uuid>,
    /// Its verb.
    pub verb: Option<VerbName>,
    /// Its node.
    pub node: Option<NodeName>,
    /// The addresses it works from; none: any.
    pub addresses: Option<String>,
    /// For an inventory: the epoch of the question.
    pub epoch: Option<Epoch>,
}

/// The result of recording a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportOutcome {
    /// It is recorded, now or already.
    Recorded,
    /// A different report of this task was recorded before.
    Contradicted,
    /// There is no such open task.
    Closed,
}

impl Registry {
    /// Admits a token for one task: with it the node fetches the VM's config and reports.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn grant(
        &mut self,
        vm: &VmId,
        step: &NewStep,
        hash: [u8; 32],
        addresses: Option<&str>,
    ) -> Result<(), RegistryError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO token (hash, vm_id, session, verb, node, addresses) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    hash,
                    vm.as_str(),
                    step.session.to_string(),
                    step.verb.as_str(),
                    step.node.as_str(),
                    addresses
                ],
            )?;
            Ok(())
        })
    }

    /// Admits a token for one inventory of a node, for ten minutes; returns the epoch of
    /// the question.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn grant_inventory(
        &mut self,
        node: &NodeName,
        hash: [u8; 32],
    ) -> Result<Epoch, RegistryError> {
        self.write(|tx| {
            let now = Timestamp::now();
            forget_expired_tokens(tx, now)?;
            let epoch = inventory::epoch(tx)?;
            let sql = "INSERT INTO token (hash, node, expires_at, epoch) VALUES (?1, ?2, ?3, ?4)";
            let until = now.plus(INVENTORY_LIFE);
            tx.execute(sql, params![hash, node.as_str(), until, epoch])?;
            Ok(epoch)
        })
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn revoke(&mut self, hash: [u8; 32]) -> Result<(), RegistryError> {
        self.write(|tx| {
            tx.execute("DELETE FROM token WHERE hash = ?1", [hash])?;
            Ok(())
        })
    }

    /// What the token with this hash admits now; `None` when it is unknown or expired, or its
    /// task has ended.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn token(&self, hash: [u8; 32]) -> Result<Option<Grant>, RegistryError> {
        let sql = "SELECT t.vm_id, t.session, t.verb, t.node, t.addresses, t.epoch FROM token t \
                   LEFT JOIN task k USING (session) WHERE t.hash = ?1 \
                   AND (t.session IS NULL OR k.ended_at IS NULL) AND (t.expires_at IS NULL OR t.expires_at > ?2)";
        self.read(|tx| {
            let mut statement = tx.prepare_cached(sql)?;
            let mut rows = statement.query(params![hash, Timestamp::now()])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            Ok(Some(Grant {
                vm: optional(row, "token", 0)?,
                session: optional(row, "token", 1)?,
                verb: optional(row, "token", 2)?,
                node: optional(row, "token", 3)?,
                addresses: row.get(4)?,
                epoch: row.get(5)?,
            }))
        })
    }

    /// Admits a token for the config of a VM, for a while.
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

    /// Records a node's report on a task; the first report counts.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn record_report(&mut self, report: &Report) -> Result<ReportOutcome, RegistryError> {
        self.write(|tx| {
            let session = report.operation.to_string();
            match existing(tx, report)? {
                Existing::None => {}
                Existing::Same => return Ok(ReportOutcome::Recorded),
                Existing::Other => return Ok(ReportOutcome::Contradicted),
                Existing::Closed => return Ok(ReportOutcome::Closed),
            }
            let now = Timestamp::now();
            tx.execute(
                "UPDATE task SET reported_at = ?2, report_exit_code = ?3, report_state = ?4, report_message = ?5 \
                 WHERE session = ?1",
                params![session, now, report.exit_code, report.state.as_str(), report.message],
            )?;
            if report.state != VmState::Unknown {
                let sql = "UPDATE vm SET state = ?2, seen_at = ?3 WHERE vm_id = ?1 AND owner = ?4";
                tx.execute(sql, params![report.vm_id.as_str(), report.state.as_str(), now, report.node.as_str()])?;
                inventory::bump_epoch(tx, report.vm_id.as_str())?;
            }
            Ok(ReportOutcome::Recorded)
        })
    }
}

/// Deletes what no process revokes: tokens made by hand, or by a process that was killed.
fn forget_expired_tokens(tx: &Transaction<'_>, now: Timestamp) -> Result<(), RegistryError> {
    tx.execute("DELETE FROM token WHERE expires_at <= ?1", [now])?;
    Ok(())
}

/// What the journal has already, where a report is to be recorded.
enum Existing {
    None,
    Same,
    Other,
    Closed,
}

fn existing(tx: &Transaction<'_>, report: &Report) -> Result<Existing, RegistryError> {
    let sql = "SELECT ended_at IS NULL, report_exit_code IS NOT NULL, report_exit_code IS ?2 \
               AND report_state IS ?3 AND report_message IS ?4 FROM task WHERE session = ?1";
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
        Some([_, true, true]) => Existing::Same,
        Some([_, true, false]) => Existing::Other,
        Some([true, false, _]) => Existing::None,
        Some([false, false, _]) | None => Existing::Closed,
    })
}
