//! Clocks that differ: the nodes' clocks by a day, and the local clock from its own earlier
//! time. No decision compares two clocks.

use crate::rows::{ROWS, Row};
use crate::world::{Engine, VM, World};

/// Runs each verb with nodes whose clocks differ by this many seconds.
fn nodes_are_off(offset: &str, row: &Row) {
    let mut world = World::new(Engine::OpenSvc);
    world.ips.set("FAKE_OM_CLOCK", offset);
    let case = format!("{:?}, nodes off by {offset} s", row.args(&world));
    row.prepare(&world, &case);
    let first = world.ips.o_vm(&row.args(&world));
    assert_eq!(first.code, 0, "{case}: {first:?}");
    row.ends_right(&world, &first, &case);
}

mod nodes_a_day_behind {
    use super::*;
    crate::rows::test_each_row!(|row| nodes_are_off("-86400", row));
}

#[test]
fn create_works_on_nodes_a_day_ahead() {
    nodes_are_off("86400", &ROWS[0]);
}

#[test]
fn health_does_not_depend_on_the_nodes_clocks() {
    for offset in ["-86400", "86400"] {
        let mut world = World::new(Engine::OpenSvc);
        world.ips.set("FAKE_OM_CLOCK", offset);
        let validate = || world.ips.o_vm(&["validate-node", "tch-001"]).code;
        assert_eq!(validate(), 0, "{offset}");
        world.ips.cluster(&["freeze", "tch-001"]);
        assert_eq!(validate(), 4, "{offset}");
    }
}

/// Sets all times in the registry ahead by a day.
const AHEAD: &str = "
    update vm set seen_at = strftime('%Y-%m-%dT%H:%M:%fZ', seen_at, '+1 day') where seen_at is not null;
    update operation set started_at = strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+1 day'),
        ended_at = strftime('%Y-%m-%dT%H:%M:%fZ', ended_at, '+1 day');
    update task set started_at = strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+1 day'),
        ended_at = strftime('%Y-%m-%dT%H:%M:%fZ', ended_at, '+1 day'),
        reported_at = strftime('%Y-%m-%dT%H:%M:%fZ', reported_at, '+1 day')";

/// The clock is set back by a day: the registry's times are in the future.
fn set_back(world: &World) {
    let done = world.ips.run_sh("sqlite3 registry.db \"$1\"", &[AHEAD]);
    assert_eq!(done.code, 0, "{done:?}");
}

fn our_clock_is_set_back(engine: Engine, row: &Row) {
    let world = World::new(engine);
    let case = format!("{engine:?} {:?}, the clock set back", row.args(&world));
    row.prepare(&world, &case);
    set_back(&world);
    let first = world.ips.o_vm(&row.args(&world));
    assert_eq!(first.code, 0, "{case}: {first:?}");
    if row.is_operation {
        let newest = world.ips.operations().pop().unwrap();
        assert_eq!(newest["verb"], row.last_verb(), "{case}");
    }
    row.ends_right(&world, &first, &case);
}

mod our_clock_a_day_back {
    use super::*;
    crate::rows::test_each_row!(|row| our_clock_is_set_back(Engine::Local, row));
}

#[test]
fn our_clock_a_day_back_in_a_cluster() {
    for row in &ROWS[..2] {
        our_clock_is_set_back(Engine::OpenSvc, row);
    }
}

#[test]
fn a_state_from_the_future_is_unknown() {
    for engine in [Engine::Local, Engine::OpenSvc] {
        let world = World::new(engine);
        world.until_done(&["create", VM, world.node()], "before");
        set_back(&world);
        assert_eq!(world.ips.vm(VM)["state"], "unknown", "seen tomorrow");
        world.lose(world.node());
        world.ips.ok(&["sweep"]);
        assert_eq!(world.ips.vm(VM)["state"], "running", "created again");
    }
}
