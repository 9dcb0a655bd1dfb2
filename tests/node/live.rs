//! `n_vm` with the real virt-install and the real libvirt: `test:///default`, which needs no
//! daemon, and `qemu:///system` with qemu without KVM. Each test has its own domains and
//! folders, and removes them.

#![expect(
    clippy::unwrap_used,
    reason = "a failed expectation is a test's result"
)]

#[expect(dead_code, reason = "shared with the tests over fakes")]
#[path = "../harness/mod.rs"]
mod harness;

#[path = "live/escaping.rs"]
mod escaping;
#[path = "live/lifecycle.rs"]
mod lifecycle;
#[path = "live/reboot.rs"]
mod reboot;
#[path = "live/removal.rs"]
mod removal;
#[path = "live/system.rs"]
mod system;
