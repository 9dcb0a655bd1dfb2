//! A black-box harness: one world a test, with its own folder, the checked-in fakes first on
//! PATH, and a stub of the IPS. Used as `#[path = "../harness/mod.rs"] mod harness;`.

pub(crate) mod ips;
pub(crate) mod run;
pub(crate) mod world;
