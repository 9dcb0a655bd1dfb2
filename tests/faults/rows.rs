//! The verbs that run under faults: the initial state and the final state of each. A new verb
//! is a new row here; all tables of this folder then run it.

use crate::harness::Done;
use crate::world::{VM, World};

/// One verb.
pub(crate) struct Row {
    verb: &'static [&'static str],
    /// Commands that make the initial state from any state.
    before: &'static [&'static [&'static str]],
    /// State of the domain and the registry afterwards; `None`: absent, and without an owner.
    after: Option<&'static str>,
    /// Whether it is a verb on one VM, which exits 0 only once it is done; a sweep exits 0 and
    /// prints the open issues.
    pub(crate) is_operation: bool,
}

/// Makes [`ROWS`] of a list of named rows, and `test_each_row!`, which makes a test of each row
/// by its name; its argument takes the row. (`$d` is a `$` of the inner macro.)
macro_rules! rows {
    (($d:tt) $($name:ident: $row:expr,)*) => {
        /// Every verb that changes a VM.
        pub(crate) const ROWS: &[Row] = &[$($row),*];

        const NAMES: &[&str] = &[$(stringify!($name)),*];

        macro_rules! test_each_row {
            ($d test:expr) => {
                $(#[test] fn $name() { ($d test)(crate::rows::named(stringify!($name))); })*
            };
        }
        pub(crate) use test_each_row;
    };
}

rows! { ($)
    create: row(&["create", VM, NODE], &[&["destroy", VM]], Some("running")),
    start: row(&["start", VM], &[CREATE, &["stop", VM, "force"]], Some("running")),
    stop_and_wait: row(&["stop", VM, "--wait", "--timeout", "5"], &[CREATE], Some("shut off")),
    stop_force: row(&["stop", VM, "force"], &[CREATE], Some("shut off")),
    reboot: row(&["reboot", VM], &[CREATE], Some("running")),
    reboot_and_wait: row(&["reboot", VM, "--wait", "--timeout", "5"], &[CREATE], Some("running")),
    reboot_force: row(&["reboot", VM, "force"], &[CREATE], Some("running")),
    pause: row(&["pause", VM], &[CREATE], Some("paused")),
    unpause: row(&["unpause", VM], &[CREATE, &["pause", VM]], Some("running")),
    destroy: row(&["destroy", VM], &[CREATE], None),
    destroy_and_keep_storage: row(&["destroy", VM, "--keep-storage"], &[CREATE], None),
    // The node was rebooted: its libvirt has no domain.
    start_after_a_reboot: row(&["start", VM], &[CREATE, LOSE], Some("running")),
    sweep_after_a_reboot: Row {
        is_operation: false,
        ..row(&["sweep"], &[CREATE, LOSE], Some("running"))
    },
}
/// The row of a test.
pub(crate) fn named(name: &str) -> &'static Row {
    let number = NAMES.iter().position(|one| *one == name).unwrap();
    &ROWS[number]
}

const CREATE: &[&str] = &["create", VM, NODE];
/// Placeholder for the first node of the world.
const NODE: &str = "NODE";
/// Placeholder for a reboot of that node.
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
        is_operation: true,
    }
}

impl Row {
    /// The verb's name.
    pub(crate) fn name(&self) -> &'static str {
        self.verb[0]
    }

    /// The verb of its last operation: what the node has lost is created again.
    pub(crate) fn last_verb(&self) -> &'static str {
        if self.before.contains(&LOSE) {
            "create"
        } else {
            self.verb[0]
        }
    }

    /// Its command line for another VM, whose disk is kept and which has a short time-out.
    pub(crate) fn on<'a>(&self, vm: &'a str, node: &'a str) -> Vec<&'a str> {
        let words = self.verb.iter().map(|word| match *word {
            VM => vm,
            NODE => node,
            "5" => "2",
            word => word,
        });
        let mut words: Vec<_> = words.collect();
        if words == ["destroy", vm] {
            words.push("--keep-storage");
        }
        words
    }

    /// Its command line in a world.
    pub(crate) fn args(&self, world: &World) -> Vec<&'static str> {
        words(self.verb, world)
    }

    /// Makes the initial state of the verb, from any state that the last case left.
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

    /// After a fault the report of the verb is true, and the same command and a sweep succeed.
    pub(crate) fn ends_right(&self, world: &World, first: &Done, case: &str) {
        world.holds(case);
        if first.code == 0 && self.is_operation {
            self.is_done(world, &format!("{case}: exit 0"));
        }
        world.until_done(&self.args(world), case);
        world.until_swept(case);
        self.is_done(world, case);
        world.is_tidy(case);
    }

    /// Checks the state after exit code 0.
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
