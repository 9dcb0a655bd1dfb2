//! Steps outside our own programs, and how to reach one: the n-th call of `om`, or the n-th act
//! of virsh and virt-install on the first node.

use std::fs;
use std::path::PathBuf;

use crate::rows::Row;
use crate::world::World;

/// The program of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steps {
    Om,
    /// virsh and virt-install.
    Libvirt,
}

impl Steps {
    /// Where they are counted, and where faults are set.
    fn folders(self, world: &World) -> (PathBuf, PathBuf) {
        let cluster = world.ips.dir.join("cluster");
        let node = world.of(world.node(), "");
        match self {
            Self::Om => (cluster.clone(), cluster.join("set")),
            Self::Libvirt => (node.clone(), node),
        }
    }

    /// Runs something with a fault at its n-th step (`6`, or `6+`: from then on); returns what
    /// happened, empty if the step was never reached.
    pub(crate) fn with_fault<T>(
        self,
        world: &World,
        mode: &str,
        when: &str,
        act: impl FnOnce() -> T,
    ) -> (T, String) {
        let (folder, set) = self.folders(world);
        for left in ["count", "acts", "happened"] {
            let _ = fs::remove_file(folder.join(left));
        }
        fs::write(set.join("at"), format!("{mode} {when}\n")).unwrap();
        let done = act();
        fs::remove_file(set.join("at")).unwrap();
        let happened = fs::read_to_string(folder.join("happened")).unwrap_or_default();
        (done, happened.trim().to_owned())
    }

    /// The shell script of a misbehaving program.
    pub(crate) fn go_wild(self, world: &World, script: &str) {
        let (_, set) = self.folders(world);
        fs::write(set.join("wild"), script).unwrap();
    }

    /// The number of steps of a verb without a fault.
    pub(crate) fn count(self, world: &World, row: &Row) -> u32 {
        let args = row.args(world);
        row.prepare(world, "to be counted");
        let (first, _) = self.with_fault(world, "none", "1000", || world.ips.o_vm(&args));
        assert_eq!(first.code, 0, "{args:?} without a fault: {first:?}");
        let (folder, _) = self.folders(world);
        let file = match self {
            Self::Om => "count",
            Self::Libvirt => "acts",
        };
        let count = fs::read_to_string(folder.join(file)).unwrap_or_default();
        let count = count.trim().parse().unwrap_or(0);
        assert!(count > 0, "{args:?} has no step of {self:?}");
        count
    }
}

/// Runs a case at a step; if the verb ended before that step, at the step before it: the number
/// of polls depends on the time. A case whose fault never happens fails.
pub(crate) fn met_at_or_before(number: u32, what: &str, mut case: impl FnMut(u32) -> bool) {
    let met = (1..=number).rev().any(&mut case);
    assert!(met, "{what}: the fault never happened");
}
