//! The packaged nginx configuration in a real nginx: which requests go to ips-server, which
//! stay with the old CGI, the limits, TLS with certificates for nodes.

#![expect(
    clippy::unwrap_used,
    reason = "a failed expectation is a test's result"
)]

#[path = "../ips/harness.rs"]
#[expect(dead_code, reason = "shared with the tests of o_vm")]
mod harness;
mod limits;
mod routes;
mod site;
mod tls;
