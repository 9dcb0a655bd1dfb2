//! The failure matrix. A verb is a list of steps: what `o_vm` asks of `om`, what it
//! commits, what the task does on the node. At each one: it fails, its answer is lost, it
//! is done twice, and whoever asked for it is killed before it, in it and after it.
//! A new verb is a new row of [`ROWS`].

use std::fs;

use crate::harness::Done;
use crate::sample::Sample;
use crate::world::{Engine, VM, World};

/// One verb: how to come to it, what it leaves.
struct Row {
    verb: &'static [&'static str],
    /// Commands that make the state it starts from, out of any state.
    before: &'static [&'static [&'static str]],
    /// State of the domain and registry afterwards; `None`: gone, and owned by nobody.
    after: Option<&'static str>,
}

const ROWS: [Row; 7] = [
    Row {
        verb: &["create", VM, NODE],
        before: &[&["destroy", VM]],
        after: Some("running"),
    },
    Row {
        verb: &["start", VM],
        before: &[CREATE, &["stop", VM, "force"]],
        after: Some("running"),
    },
    Row {
        verb: &["stop", VM, "--wait", "--timeout", "5"],
        before: &[CREATE],
        after: Some("shut off"),
    },
    Row {
        verb: &["stop", VM, "force"],
        before: &[CREATE],
        after: Some("shut off"),
    },
    Row {
        verb: &["pause", VM],
        before: &[CREATE],
        after: Some("paused"),
    },
    Row {
        verb: &["unpause", VM],
        before: &[CREATE, &["pause", VM]],
        after: Some("running"),
    },
    Row {
        verb: &["destroy", VM],
        before: &[CREATE],
        after: None,
    },
];

const CREATE: &[&str] = &["create", VM, NODE];
/// Stands for the first node of the world.
const NODE: &str = "NODE";

/// Where a fault sits.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// The n-th call of `om`.
    Om,
    /// The n-th act of virsh or virt-install.
    Node,
    /// The n-th system call of this kind in `o_vm` itself.
    Own(&'static str),
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
const OWN: [&str; 3] = ["fsync,fdatasync", "pwrite64", "clone,clone3,vfork"];

impl Row {
    fn args<'a>(&self, args: &[&'a str], world: &World) -> Vec<&'a str>
    where
        'static: 'a,
    {
        args.iter()
            .map(|word| if *word == NODE { world.node() } else { *word })
            .collect()
    }

    /// Makes the state the verb starts from, whatever the case before left.
    fn prepare(&self, world: &World, case: &str) {
        world.make_disk();
        for args in self.before {
            let args = self.args(args, world);
            world.until_done(&args, case);
        }
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

    /// One case; false once there is no such step any more.
    fn case(&self, world: &World, place: Place, mode: &str, number: u32) -> bool {
        let verb = self.args(self.verb, world);
        let case = format!("{:?} {verb:?}: {mode} {place:?} {number}", world.engine);
        self.prepare(world, &case);
        let (first, happened) = with_fault(world, place, mode, number, &verb);
        let case = format!("{case} ({happened})");
        world.holds(&case);
        if first.code == 0 {
            self.is_done(world, &format!("{case}: said 0"));
        }
        if happened.is_empty() {
            assert_eq!(first.code, 0, "{case}: without a fault: {first:?}");
            return false;
        }
        world.until_done(&verb, &case);
        world.ips.o_vm(&["sweep"]);
        self.is_done(world, &case);
        world.is_tidy(&case);
        true
    }

    fn cases(&self, world: &World, place: Place, modes: &[&str], every: u64) -> u32 {
        let mut sample = Sample::one_of(
            every,
            &format!("{:?}{:?}{place:?}", world.engine, self.verb),
        );
        let mut tried = 0;
        for number in 1.. {
            let mut is_there = true;
            for mode in modes {
                // Whether there still is such a step has to be looked at in any case.
                if sample.takes() {
                    is_there = self.case(world, place, mode, number);
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
        Place::Own(calls) => return killed_at(world, calls, number, verb),
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

fn killed_at(world: &World, calls: &str, number: u32, verb: &[&str]) -> (Done, String) {
    let link = world.ips.dir.join("bin/sh");
    if !link.exists() {
        std::os::unix::fs::symlink("/bin/sh", link).unwrap();
    }
    let script = format!(
        "exec strace -qq -o /dev/null -e trace={calls} -e inject={calls}:signal=KILL:when={number} o_vm {}",
        verb.join(" ")
    );
    let done = world.ips.run("sh", &["-c", &script]);
    let happened = if matches!(done.code, 137 | -1) {
        format!("killed at {calls} {number}")
    } else {
        String::new()
    };
    (done, happened)
}

/// Every step of a verb, each `every`-th case of them.
fn matrix(engine: Engine, row: &Row, every: u64) {
    let world = World::new(engine);
    let mut tried = 0;
    if engine == Engine::OpenSvc {
        tried += row.cases(&world, Place::Om, &OM, every);
    }
    tried += row.cases(&world, Place::Node, &ON_NODE, every);
    for calls in OWN {
        let more = if calls == "pwrite64" { 7 } else { 1 };
        tried += row.cases(
            &world,
            Place::Own(calls),
            &["killed"],
            (every / 2).max(1) * more,
        );
    }
    println!("{engine:?} {:?}: {tried} cases", row.verb);
    assert!(tried >= 1, "{tried}");
}

macro_rules! rows {
    ($($name:ident: $index:expr;)*) => {
        mod local {
            $(#[test] fn $name() { super::matrix(super::Engine::Local, &super::ROWS[$index], 5); })*
        }
        mod opensvc {
            $(#[test] fn $name() { super::matrix(super::Engine::OpenSvc, &super::ROWS[$index], 30); })*
        }
    };
}

rows! {
    create: 0;
    start: 1;
    stop_and_wait: 2;
    stop_force: 3;
    pause: 4;
    unpause: 5;
    destroy: 6;
}
