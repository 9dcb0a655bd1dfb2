//! Plain types that every layer shares; they import nothing of ours but `hps_core`.

pub mod claim;
pub mod exit;
pub mod node;
pub mod operation;
pub mod options;
pub mod step;
pub mod task;
pub mod time;
pub mod token;
pub mod verb;
pub mod vm;
