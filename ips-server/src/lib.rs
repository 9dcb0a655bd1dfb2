//! The IPS side: the registry of VMs, the server that answers nodes, and the operations
//! that carry verbs to them. `ips-server` and `o_vm` are one program under two names.

pub mod adoption;
pub mod cli;
pub mod engine;
pub mod error;
pub mod http;
pub mod json;
#[cfg(test)]
mod layers;
pub mod links;
pub mod logging;
pub mod model;
pub mod nginx;
pub mod om;
pub mod operation;
pub mod program;
#[cfg(any(test, fuzzing))]
#[path = "../../tests/properties/ips.rs"]
pub mod properties;
pub mod registry;

pub mod settings;
pub mod syslog;
pub mod verbs;
