//! The IPS side: the registry of VMs, the server that answers nodes, and the operations
//! that carry verbs to them. `ips-server` and `o_vm` are one program under two names.

pub mod access;
pub mod adoption;
pub mod args;
pub mod commands;
pub mod engine;
pub mod error;
pub mod exit;
pub mod links;
pub mod logging;
pub mod nginx;
pub mod om;
pub mod operation;
#[cfg(any(test, fuzzing))]
#[path = "../../tests/properties/ips.rs"]
pub mod properties;
pub mod registry;
pub mod server;
pub mod settings;
pub mod show;
pub mod syslog;
pub mod time;
