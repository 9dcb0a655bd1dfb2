//! Reads the nodes that have reported, with their own facts.

use super::{Registry, RegistryError, column, optional, optional_line};
use crate::model::node::NodeRecord;

impl Registry {
    /// Every node that has reported, by name.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn nodes(&self) -> Result<Vec<NodeRecord>, RegistryError> {
        let sql = "SELECT name, boot_id, version, cpus, memory_mb, seen_at FROM node ORDER BY name";
        self.read(|tx| {
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_and_then([], |row| {
                Ok(NodeRecord {
                    name: column(row, "node", 0)?,
                    boot_id: optional(row, "node", 1)?,
                    version: optional_line(row, 2)?,
                    cpus: row.get(3)?,
                    memory_mb: row.get::<_, Option<u32>>(4)?.map(u64::from),
                    seen_at: row.get(5)?,
                })
            })?;
            rows.collect()
        })
    }
}
