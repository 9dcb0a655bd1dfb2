//! Ctrl-C in each phase of an operation: before it starts, while the task service is prepared,
//! while the task runs, while its result is read, and while it is cleaned up. The call of `om`
//! at which it comes selects the phase.

use std::collections::BTreeSet;

use crate::rows::{Row, named};
use crate::steps::{Steps, met_at_or_before};
use crate::world::{Engine, World};

/// One case; false if the verb ended before that call.
fn case(row: &Row, world: &World, mode: &str, number: u32, codes: &mut BTreeSet<i32>) -> bool {
    let verb = row.args(world);
    let case = format!("{verb:?}: {mode} {number}");
    row.prepare(world, &case);
    let steps = Steps::Om;
    let (done, happened) =
        steps.with_fault(world, mode, &number.to_string(), || world.ips.o_vm(&verb));
    let case = format!("{case} ({happened})");
    if !happened.is_empty() {
        codes.insert(done.code);
    }
    // Done anyway, not sent and cleaned up, or still running on the node.
    assert!([0, 6, 130].contains(&done.code), "{case}: {done:?}");
    assert!(!done.err.contains("purge"), "{case}: {done:?}");
    let open = world
        .ips
        .operations()
        .iter()
        .filter(|operation| operation["ended_at"].is_null())
        .count();
    if done.code == 6 {
        assert!(done.err.contains("interrupted"), "{case}: {done:?}");
        assert!(world.ips.services().is_empty(), "{case}: it left a service");
        assert_eq!(open, 0, "{case}: it ended");
    }
    if done.code == 130 && done.err.contains("nothing was started") {
        assert_eq!(open, 0, "{case}: no operation is open");
    }
    row.ends_right(world, &done, &case);
    !happened.is_empty()
}

fn in_each_phase(row: &Row) {
    let world = World::new(Engine::OpenSvc);
    let mut codes = BTreeSet::new();
    for number in 1..=Steps::Om.count(&world, row) {
        for mode in ["interrupt-before", "interrupt-after"] {
            let what = format!("{mode} {number}");
            met_at_or_before(number, &what, |number| {
                case(row, &world, mode, number, &mut codes)
            });
        }
    }
    // Some came before the task, some during it.
    assert!(codes.contains(&6) && codes.contains(&130), "{codes:?}");
}

#[test]
fn an_interrupted_create_is_cleaned_up_or_continues() {
    in_each_phase(named("create"));
}

#[test]
fn an_interrupted_destroy_is_cleaned_up_or_continues() {
    in_each_phase(named("destroy"));
}
