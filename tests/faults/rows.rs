//! The verbs that are tried under fault: how to come to each, what it leaves. A new verb is
//! a new row of [`ROWS`], and is tried by all of this folder's tables.

use crate::harness::Done;
use crate::world::{VM, World};

/// One verb.
pub(crate) struct Row {
    pub(crate) verb: &'static [&'static str],
    /// Commands that make the state it starts from, out of any state.
    before: &'static [&'static [&'static str]],
    /// State of the domain and registry afterwards; `None`: gone, and owned by nobody.
    after: Option<&'static str>,
    /// Whether it says 0 only once it is done; a sweep says 0 and tells what it left.
    tells: bool,
}

/// Every verb that changes a VM.
pub(crate) const ROWS: [Row; 10] = [
    row(&["create", VM, NODE], &[&["destroy", VM]], Some("running")),
    row(
        &["start", VM],
        &[CREATE, &["stop", VM, "force"]],
        Some("running"),
    ),
    row(
        &["stop", VM, "--wait", "--timeout", "5"],
        &[CREATE],
        Some("shut off"),
    ),
    row(&["stop", VM, "force"], &[CREATE], Some("shut off")),
    row(&["pause", VM], &[CREATE], Some("paused")),
    row(&["unpause", VM], &[CREATE, &["pause", VM]], Some("running")),
    row(&["destroy", VM], &[CREATE], None),
    row(&["destroy", VM, "--keep-storage"], &[CREATE], None),
    // The node was rebooted: its libvirt knows nothing.
    row(&["start", VM], &[CREATE, LOSE], Some("running")),
    Row {
        tells: false,
        ..row(&["sweep"], &[CREATE, LOSE], Some("running"))
    },
];

/// Makes a test of each row, by the name of its verb; `$test` takes the row.
macro_rules! test_each_row {
    ($test:expr) => {
        crate::rows::test_each_row! { $test;
            create 0, start 1, stop_and_wait 2, stop_force 3, pause 4, unpause 5, destroy 6,
            destroy_and_keep_storage 7, start_after_a_reboot 8, sweep_after_a_reboot 9
        }
    };
    ($test:expr; $($name:ident $index:literal),*) => {
        $(#[test] fn $name() { ($test)(&crate::rows::ROWS[$index]); })*
        const _: () = assert!([$($index),*].len() == crate::rows::ROWS.len());
    };
}
pub(crate) use test_each_row;

const CREATE: &[&str] = &["create", VM, NODE];
/// Stands for the first node of the world.
const NODE: &str = "NODE";
/// Stands for a reboot of that node.
const LOSE: &[&str] = &["LOSE"];

const fn row(
    verb: &'static [&'static str],
    before: &'static [&'static [&'static str]],
    after: Option<&'static str>,
) -> Row {
    Row {
        verb,
        before,
        after,
        tells: true,
    }
}

impl Row {
    /// Its command line in a world.
    pub(crate) fn args(&self, world: &World) -> Vec<&'static str> {
        words(self.verb, world)
    }

    /// Makes the state the verb starts from, whatever the case before left.
    pub(crate) fn prepare(&self, world: &World, case: &str) {
        world.make_disk();
        for args in self.before {
            if *args == LOSE {
                world.lose(world.node());
            } else {
                world.until_done(&words(args, world), case);
            }
        }
    }

    /// After the verb met a fault: what it said must be true, and the same command again
    /// and a sweep must end right.
    pub(crate) fn ends_right(&self, world: &World, first: &Done, case: &str) {
        world.holds(case);
        if first.code == 0 && self.tells {
            self.is_done(world, &format!("{case}: said 0"));
        }
        world.until_done(&self.args(world), case);
        world.until_swept(case);
        self.is_done(world, case);
        world.is_tidy(case);
    }

    /// The state that must be there once the command has said 0.
    fn is_done(&self, world: &World, case: &str) {
        let found = world.domain(world.node());
        let want = self.after.map(|state| format!("{state} yes"));
        assert_eq!(found, want, "{case}: the domain");
        let vm = world.ips.vm(VM);
        assert_eq!(
            vm["node"].as_str(),
            self.after.map(|_| world.node()),
            "{case}: {vm}"
        );
        assert_eq!(
            vm["state"].as_str(),
            Some(self.after.unwrap_or("absent").replace(' ', "-").as_str()),
            "{case}: {vm}"
        );
    }
}

fn words(args: &[&'static str], world: &World) -> Vec<&'static str> {
    args.iter()
        .map(|word| if *word == NODE { world.node() } else { *word })
        .collect()
}
