//! One file per verb. A verb's words are ours (`stop`); those of virsh (`shutdown`,
//! `destroy`) are in `virsh.rs`, and the translation is here and nowhere else.

pub(crate) mod config;
pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod ips_command;
pub(crate) mod list;
pub(crate) mod pause;
pub(crate) mod remote_log;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod unpause;
