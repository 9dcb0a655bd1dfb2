//! `n_vm` from the outside, over the fakes in tests/fakes and a stub of the IPS.

#![expect(
    clippy::unwrap_used,
    reason = "a failed expectation is a test's result"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod cli;
mod create;
mod destroy;
mod kills;
mod lifecycle;
mod links;
mod pools;
mod reboot;
mod robust;
mod wire;

use harness::world::World;

/// UUID of the VM `vm-1`: v5 of `hps:vm:vm-1` in the URL namespace.
const UUID: &str = "7b56cd66-d14e-58e5-bbd2-f2f86059bae7";
/// UUID of another VM.
const OTHER: &str = "6ba7b811-9dad-11d1-80b4-00c04fd430c8";
/// The minimal VM config.
const LEAST: &str = "name=web\ncpu_count=2\nram_mb=64\nprovision_method=virt-install\n";

/// A world in which the IPS has the minimal VM as `vm-1`.
fn world() -> World {
    World::new(env!("CARGO_BIN_EXE_n_vm")).vm("vm-1", LEAST)
}
