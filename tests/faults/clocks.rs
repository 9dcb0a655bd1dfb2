//! Clocks that differ: those of the nodes from ours by a day, and ours from what it was a
//! moment ago. Nothing is decided by comparing two clocks.

use crate::rows::ROWS;
use crate::world::{Engine, VM, World};

#[test]
fn nodes_whose_clocks_are_a_day_off_are_as_good_as_others() {
    for (offset, rows) in [("-86400", &ROWS[..7]), ("86400", &ROWS[..1])] {
        let mut world = World::new(Engine::OpenSvc);
        world.ips.set("FAKE_OM_CLOCK", offset);
        assert_eq!(world.ips.o_vm(&["validate-node", "tch-001"]).code, 0);
        for row in rows {
            let case = format!("{:?}, nodes off by {offset} s", row.args(&world));
            row.prepare(&world, &case);
            let first = world.ips.o_vm(&row.args(&world));
            assert_eq!(first.code, 0, "{case}: {first:?}");
            row.ends_right(&world, &first, &case);
        }
        world.ips.cluster(&["freeze", "tch-001"]);
        assert_eq!(world.ips.o_vm(&["validate-node", "tch-001"]).code, 4);
    }
}

/// As if all that is recorded had been recorded by a clock that ran a day ahead.
const AHEAD: &str = "
    update vm set seen_at = strftime('%Y-%m-%dT%H:%M:%fZ', seen_at, '+1 day') where seen_at is not null;
    update operation set started_at = strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+1 day'),
        ended_at = strftime('%Y-%m-%dT%H:%M:%fZ', ended_at, '+1 day')";

#[test]
fn a_clock_that_is_set_back_a_day_stops_nothing_and_old_sights_are_not_believed() {
    for (engine, rows) in [(Engine::Local, &ROWS[..7]), (Engine::OpenSvc, &ROWS[..2])] {
        let world = World::new(engine);
        world.until_done(&["create", VM, world.node()], "before");
        let set_back = || {
            let done = world.ips.run_sh("sqlite3 registry.db \"$1\"", &[AHEAD]);
            assert_eq!(done.code, 0, "{done:?}");
        };
        set_back();
        assert_eq!(world.ips.vm(VM)["state"], "unknown", "seen tomorrow");
        // The node is asked, and its word is newer whatever the clock says.
        world.lose(world.node());
        world.ips.ok(&["sweep"]);
        assert_eq!(world.ips.vm(VM)["state"], "running", "made again");
        for row in rows {
            let case = format!("{engine:?} {:?}, the clock set back", row.args(&world));
            row.prepare(&world, &case);
            set_back();
            let first = world.ips.o_vm(&row.args(&world));
            assert_eq!(first.code, 0, "{case}: {first:?}");
            let newest = world.ips.operations().pop().unwrap();
            assert_eq!(newest["verb"], row.args(&world)[0], "{case}");
            row.ends_right(&world, &first, &case);
        }
    }
}
