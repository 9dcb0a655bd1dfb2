//! What `n_vm` and `ips-server` must agree on, once: names and values, the KV
//! text, the VM config, what a node reports, and how a child process is run.
//! Nothing here knows HTTP, libvirt, SQLite or OpenSVC.

pub mod config;
pub mod exec;
pub mod identity;
pub mod kv;
pub mod names;
#[cfg(any(test, fuzzing))]
#[path = "../../tests/properties/core.rs"]
pub mod properties;
pub mod report;
pub mod state;
pub mod verb;
