//! `ips-server` under attack, alone on loopback and behind the packaged nginx: honest nodes are
//! answered all the time, nothing grows without bound, and no attack succeeds.

#![expect(
    clippy::unwrap_used,
    reason = "a failed expectation is a test's result"
)]

mod doors;
mod flood;
#[path = "../ips/harness.rs"]
#[expect(dead_code, reason = "shared with the tests of o_vm")]
mod harness;
mod honest;
mod listings;
#[path = "../ips/open_operation.rs"]
mod open_operation;
#[path = "../nginx/site.rs"]
#[expect(dead_code, reason = "shared with the tests of nginx")]
mod site;
mod storms;
