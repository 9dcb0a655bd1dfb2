//! Fault injection: the real `o_vm`, `ips-server` and `n_vm` together, over a fake `om` and a
//! fake libvirt for each node. Every verb, both engines, a fault at every step; then the same
//! command again and a sweep, and the states of registry, libvirt and OpenSVC are correct.
//!
//! `HPS_TORTURE=1` tries all cases; the default is a fixed sample of them (see `sample`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a test's result"
)]

mod calls;
mod changes;
mod clocks;
mod cluster;
mod crowd;
mod disk;
#[path = "../ips/harness.rs"]
#[expect(dead_code, reason = "shared with the tests of o_vm")]
mod harness;
#[path = "../attack/honest.rs"]
#[expect(dead_code, reason = "shared with the tests of the server under attack")]
mod honest;
mod hostile;
mod inject;
mod interrupts;
mod matrix;
#[path = "../ips/open_operation.rs"]
#[expect(dead_code, reason = "shared with the tests of the server under attack")]
mod open_operation;
mod operators;
mod power;
mod rows;
mod sample;
mod soak;
mod steps;
mod world;
