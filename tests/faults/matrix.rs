//! The failure matrix. A verb is a list of steps: what `o_vm` asks of `om`, what the task
//! does on the node. At each one: it fails, its answer is lost, it is done twice, and whoever
//! asked for it is killed before it, in it and after it. (System calls are in calls.rs.)

use std::fs;

use crate::harness::Done;
use crate::rows::Row;
use crate::sample::Sample;
use crate::world::{Engine, World};

/// Where a fault sits.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// The n-th call of `om`.
    Om,
    /// The n-th act of virsh or virt-install.
    Node,
}

const OM: [&str; 5] = [
    "fail-before",
    "fail-after",
    "kill-before",
    "kill-after",
    "orphan-before",
];
const ON_NODE: [&str; 6] = [
    "fail-before",
    "fail-after",
    "kill-before",
    "kill-after",
    "orphan-before",
    "twice",
];
/// One case; false once there is no such step any more.
fn case(row: &Row, world: &World, place: Place, mode: &str, number: u32) -> bool {
    let verb = row.args(world);
    let case = format!("{:?} {verb:?}: {mode} {place:?} {number}", world.engine);
    row.prepare(world, &case);
    let (first, happened) = with_fault(world, place, mode, number, &verb);
    let case = format!("{case} ({happened})");
    if happened.is_empty() {
        assert_eq!(first.code, 0, "{case}: without a fault: {first:?}");
        world.holds(&case);
        return false;
    }
    row.ends_right(world, &first, &case);
    true
}

fn cases(row: &Row, world: &World, place: Place, modes: &[&str], every: u64) -> u32 {
    let name = format!("{:?}{:?}{place:?}", world.engine, row.verb);
    let mut sample = Sample::one_of(every, &name);
    let mut tried = 0;
    for number in 1.. {
        let mut is_there = true;
        for mode in modes {
            // Whether there still is such a step has to be looked at in any case.
            if sample.takes() {
                is_there = case(row, world, place, mode, number);
                tried += u32::from(is_there);
            }
            if !is_there {
                return tried;
            }
        }
        assert!(number < 400, "{place:?}: no end");
    }
    tried
}

/// Runs the command with a fault; what happened is empty where it was never reached.
fn with_fault(
    world: &World,
    place: Place,
    mode: &str,
    number: u32,
    verb: &[&str],
) -> (Done, String) {
    let cluster = world.ips.dir.join("cluster");
    let node = world.of(world.node(), "");
    let (folder, at) = match place {
        Place::Om => (cluster.clone(), cluster.join("set/at")),
        Place::Node => (node.clone(), node.join("at")),
    };
    for left in ["count", "acts", "happened"] {
        let _ = fs::remove_file(folder.join(left));
    }
    fs::write(&at, format!("{mode} {number}\n")).unwrap();
    let done = world.ips.o_vm(verb);
    let _ = fs::remove_file(at);
    let happened = fs::read_to_string(folder.join("happened")).unwrap_or_default();
    (done, happened.trim().to_owned())
}

/// Every step of a verb, each `every`-th case of them.
fn matrix(engine: Engine, row: &Row, every: u64) {
    let world = World::new(engine);
    let mut tried = 0;
    if engine == Engine::OpenSvc {
        tried += cases(row, &world, Place::Om, &OM, every);
    }
    tried += cases(row, &world, Place::Node, &ON_NODE, every);
    println!("{engine:?} {:?}: {tried} cases", row.verb);
    assert!(tried >= 1, "{tried}");
}

mod local {
    use super::*;
    crate::rows::test_each_row!(|row| matrix(Engine::Local, row, 5));
}

mod opensvc {
    use super::*;
    crate::rows::test_each_row!(|row| matrix(Engine::OpenSvc, row, 30));
}
