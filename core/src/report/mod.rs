//! The reports of a node to the IPS (design: contract 2): the result of a verb, and the
//! inventory. Both sides use these functions, so the wire format exists once.

mod error;
mod inventory;
#[cfg(test)]
mod tests;

use uuid::Uuid;

use crate::kv;
use crate::names::{NodeName, VmId};
use crate::state::VmState;
use crate::verb::VerbName;

pub use error::ReportError;
use error::{find, get, uuid};
pub use inventory::{Definition, DomainReport, Inventory};

/// Longest message on the wire, in bytes. A destroy names every file that it removed, and a
/// body above `kv::MAX_BYTES` is refused as a whole.
const MAX_MESSAGE: usize = 8 * 1024;

/// The result of one verb of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The operation that the verb belongs to.
    pub operation: Uuid,
    /// Its VM.
    pub vm_id: VmId,
    /// The verb.
    pub verb: VerbName,
    /// The node that ran it.
    pub node: NodeName,
    /// The exit code of `n_vm`.
    pub exit_code: u8,
    /// The state of the domain at the end.
    pub state: VmState,
    /// The result or the reason of the failure, for people.
    pub message: String,
}

impl Report {
    /// The body that reports it; a message that is too long loses its end.
    #[must_use]
    pub fn to_text(&self) -> String {
        [
            kv::line("operation", &self.operation.to_string()),
            kv::line("vm_id", self.vm_id.as_str()),
            kv::line("verb", self.verb.as_str()),
            kv::line("node", self.node.as_str()),
            kv::line("exit_code", &self.exit_code.to_string()),
            kv::line("state", self.state.as_str()),
            kv::line("message", beginning(&self.message)),
        ]
        .concat()
    }

    /// Parses the body of a report.
    ///
    /// # Errors
    /// The line or key that is wrong or missing.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        let pairs = kv::parse(bytes)?;
        Ok(Self {
            operation: uuid(&pairs, "operation")?,
            vm_id: get(&pairs, "vm_id")?,
            verb: get(&pairs, "verb")?,
            node: get(&pairs, "node")?,
            exit_code: get(&pairs, "exit_code")?,
            state: get(&pairs, "state")?,
            message: find(&pairs, "message")?.value.to_owned(),
        })
    }
}

/// The beginning of a message, cut between two characters.
fn beginning(message: &str) -> &str {
    let mut end = message.len().min(MAX_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}
