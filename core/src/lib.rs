//! What `n_vm` and `ips-server` share: names and values, the KV text, the VM config, what a
//! node reports, how a child process is run, and the small facts around it (`/proc`, lock
//! files, times, log lines, tables). Nothing here knows HTTP, libvirt, SQLite or OpenSVC.

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
