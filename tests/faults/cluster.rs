//! A cluster that fails during an operation: before each call of `om` the node's daemon is
//! stopped, crashes or is cut off, or the local daemon is down; or a task exceeds its deadline.
//! After the repair the same command and a sweep succeed.

use std::fs;
use std::process::Child;

use crate::harness::{Done, kill, wait_for};
use crate::sample::Sample;
use crate::world::{Engine, VM, World};

/// Reverts the faults that the case set on the nodes.
fn repair_nodes(world: &World) {
    for (mark, verb) in [
        ("stopped", "start"),
        ("killed", "start"),
        ("cut", "heal"),
        ("frozen", "unfreeze"),
    ] {
        for node in ["ips", "tch-001", "tch-002"] {
            if world
                .ips
                .dir
                .join("cluster/nodes")
                .join(node)
                .join(mark)
                .exists()
            {
                world.ips.cluster(&[verb, node]);
            }
        }
    }
    for node in ["tch-001", "tch-002"] {
        wait_for("the nodes to be back", || {
            (world.ips.o_vm(&["validate-node", "-q", node]).code == 0).then_some(())
        });
    }
}

/// One fault before the n-th call of `om`; false if there is no such call.
fn case(world: &World, fault: &str, number: u32) -> bool {
    let case = format!("{fault} before call {number}");
    let cluster = world.ips.dir.join("cluster");
    for left in ["count", "happened"] {
        let _ = fs::remove_file(cluster.join(left));
    }
    world.make_disk();
    fs::write(cluster.join("set/at"), format!("{fault} {number}\n")).unwrap();
    let first = world.ips.o_vm(&["create", VM, "tch-001"]);
    fs::remove_file(cluster.join("set/at")).unwrap();
    let happened = fs::read_to_string(cluster.join("happened")).unwrap_or_default();
    world.holds(&case);
    let owned = !world.ips.vm(VM)["node"].is_null();
    let elsewhere = world.ips.o_vm(&["create", VM, "tch-002"]);
    world.holds(&format!("{case}, then elsewhere"));
    if owned {
        assert!(
            elsewhere.code != 0,
            "{case} ({happened}): {first:?}, then {elsewhere:?}"
        );
    }
    repair_nodes(world);
    if elsewhere.code == 0 {
        // The first attempt left no domain, so the second one was right to create it.
        assert_eq!(world.places(), ["tch-002"], "{case}: {first:?}");
    } else {
        world.until_done(&["create", VM, "tch-001"], &case);
        assert_eq!(world.places(), ["tch-001"], "{case}");
    }
    wait_for("the services to stay gone", || {
        world.ips.o_vm(&["sweep"]);
        world.ips.services().is_empty().then_some(())
    });
    world.is_tidy(&case);
    world.until_done(&["destroy", VM], &case);
    !happened.is_empty()
}

fn at_each_call(fault: &str) {
    let world = World::new(Engine::OpenSvc);
    let mut sample = Sample::one_of(9, fault);
    let mut met = 0;
    for number in (1..60).filter(|_| sample.takes()) {
        if case(&world, fault, number) {
            met += 1;
        } else {
            assert!(
                met > 0,
                "{fault}: no call {number}, and none before it was tried"
            );
            return;
        }
    }
    panic!("no end");
}

#[test]
fn the_nodes_daemon_is_stopped_before_each_call() {
    at_each_call("stopped:tch-001");
}

#[test]
fn the_nodes_daemon_crashes_before_each_call() {
    at_each_call("killed:tch-001");
}

#[test]
fn the_node_is_cut_off_before_each_call() {
    at_each_call("cut:tch-001");
}

#[test]
fn the_node_is_frozen_before_each_call() {
    at_each_call("frozen:tch-001");
}

#[test]
fn the_local_daemon_stops_before_each_call() {
    at_each_call("stopped:ips");
}

/// OpenSVC kills the task (exit -1): the outcome is unknown, no second VM is created, and the
/// next attempt converges.
#[test]
fn the_next_try_settles_a_task_that_ran_out_of_time() {
    let mut world = World::new(Engine::OpenSvc);
    world
        .ips
        .set("IPS_VERB_TIMEOUT", "1")
        .set("IPS_TASK_MARGIN", "0.5")
        .set("IPS_WAIT_MARGIN", "2");
    let hang = world.of("tch-001", "answers/virt-install.hang");
    fs::write(&hang, "").unwrap();
    let done = world.ips.o_vm(&["create", VM, "tch-001"]);
    assert_eq!(done.code, 11, "{done:?}");
    let elsewhere = world.ips.o_vm(&["create", VM, "tch-002"]);
    assert_eq!(elsewhere.code, 10, "{elsewhere:?}, after {done:?}");
    fs::remove_file(hang).unwrap();
    world.until_done(&["create", VM, "tch-001"], "after the deadline");
    assert_eq!(world.places(), ["tch-001"]);
    world.is_tidy("after the deadline");
}

/// A create whose virt-install waits before it starts the domain.
fn held_create(world: &World) -> Child {
    // That is the act after the listing and the two acts on pools.
    fs::write(world.of("tch-001", "hold"), "before 4\n").unwrap();
    assert_eq!(world.ips.shell("mkfifo nodes/tch-001/fifo").code, 0);
    let create = world.ips.spawn(&["create", VM, "tch-001"]);
    wait_for("virt-install", || {
        world.of("tch-001", "held").exists().then_some(())
    });
    create
}

/// Releases the held virt-install.
fn go_on(world: &World) {
    let go = world
        .ips
        .shell("timeout 180 sh -c 'echo go >nodes/tch-001/fifo'");
    assert_eq!(go.code, 0, "{go:?}");
}

#[test]
fn a_daemon_restart_during_the_task_loses_nothing() {
    let world = World::new(Engine::OpenSvc);
    let create = held_create(&world);
    world.ips.cluster(&["stop", "ips"]);
    world.ips.cluster(&["start", "ips"]);
    go_on(&world);
    let done = Done::of(create);
    assert!(matches!(done.code, 0 | 8 | 11), "{done:?}");
    fs::remove_file(world.of("tch-001", "hold")).unwrap();
    repair_nodes(&world);
    world.until_done(&["create", VM, "tch-001"], "afterwards");
    wait_for("a tidy end", || {
        world.ips.o_vm(&["sweep"]);
        world.ips.services().is_empty().then_some(())
    });
    world.is_tidy("afterwards");
}

/// Ctrl-C, then kill -9, then the same command again.
#[test]
fn the_next_o_vm_continues_an_interrupted_and_killed_one() {
    let world = World::new(Engine::OpenSvc);
    let create = held_create(&world);
    kill(create.id(), "INT");
    let done = Done::of(create);
    assert_eq!(done.code, 130, "{done:?}");
    let said = world.ips.dir.join("said");
    let again = world
        .ips
        .command("o_vm")
        .args(["create", VM, "tch-001"])
        .stderr(fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    // The second one waits for the lock, which the `om` of the first may still hold, or for the
    // task.
    wait_for("the second create to wait for the first one's task", || {
        let text = fs::read_to_string(&said).unwrap();
        let waits = ["step=waiting", "step=attached"];
        waits.iter().any(|step| text.contains(step)).then_some(())
    });
    kill(again.id(), "KILL");
    assert_eq!(Done::of(again).code, -1, "it waited until it was killed");
    go_on(&world);
    fs::remove_file(world.of("tch-001", "hold")).unwrap();
    world.until_done(&["create", VM, "tch-001"], "the third");
    world.ips.ok(&["sweep"]);
    assert_eq!(world.places(), ["tch-001"]);
    world.is_tidy("the third");
}
