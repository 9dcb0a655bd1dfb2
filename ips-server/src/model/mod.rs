//! Plain types that every layer shares; they import nothing of ours but `hps_core`.

pub mod exit;
