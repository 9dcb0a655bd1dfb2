//! The common part of `n_vm` and `ips-server`: names and values, the KV text, the VM config,
//! the reports of a node, child processes, lock files, facts from `/proc`, times, log lines and
//! tables. Nothing here knows HTTP, libvirt, SQLite or OpenSVC.

pub mod config;
pub mod duration;
pub mod exec;
pub mod identity;
pub mod kv;
pub mod lock;
pub mod log;
pub mod names;
pub mod percent;
pub mod proc;
#[cfg(any(test, fuzzing))]
#[path = "../../tests/properties/core.rs"]
pub mod properties;
pub mod report;
pub mod state;
pub mod table;
pub mod verb;
