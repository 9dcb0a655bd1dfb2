//! Black-box tests of `ips-server` and `o_vm`: the real binary, a registry of its own, a
//! real server on loopback, and tests/fakes/n_vm in place of the node's program.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a test's result"
)]

mod backup;
mod cli;
mod connections;
mod damage;
mod edges;
mod harness;
mod kills;
#[expect(dead_code, reason = "shared with the tests under fault and attack")]
mod open_operation;
mod operations;
mod privilege;
mod readme;
mod registry;
mod server;
mod supervised;

/// Not in `make check`: each of them has a fake cluster.
#[path = "."]
mod slow {
    mod adopt;
    mod opensvc;
}
