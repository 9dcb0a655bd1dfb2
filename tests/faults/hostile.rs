//! `om`, virsh and virt-install misbehave at each of their calls in every verb: they hang,
//! ignore TERM and keep stdout open through a grandchild, print 50 MB, answer in another
//! language, or die by a signal. `o_vm` returns in time, in bounded memory, with the right
//! code; the reason is in the journal, no process is left, and the same command succeeds
//! afterwards.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Done, Ips};
use crate::rows::Row;
use crate::sample::Sample;
use crate::steps::{Steps, met_at_or_before};
use crate::world::{Engine, VM, World};

/// Seconds, as in [`World`] and in [`with_short_timeouts`]. The longest time that a verb may take by its
/// settings: with OpenSVC the time-outs of the instance, of the verb with its two margins and
/// of the deletion, and up to four queries in sequence.
const LOCAL_DEADLINE: f64 = VERB + 1.0;
const OPENSVC_DEADLINE: f64 = 2.0 + (VERB + 1.0 + 2.0) + 2.0 + 4.0 * OM;
const VERB: f64 = 6.0;
const OM: f64 = 1.0;
/// The time allowed beyond that.
const MARGIN: f64 = 5.0;
/// Peak memory of the largest process, in KiB.
const MEMORY: u64 = 64 * 1024;

/// Ways to misbehave, as shell; `$MARK` identifies the grandchildren of this test.
const WAYS: [(&str, &str); 10] = [
    ("hangs", "exec sleep $MARK"),
    (
        "ignores TERM and keeps stdout",
        "trap '' TERM; (trap '' TERM; sleep $MARK) & sleep $MARK",
    ),
    (
        "ends, and its grandchild keeps stdout",
        "setsid sleep $MARK & exit 0",
    ),
    ("prints 50 MB", "yes x | head -c 50000000"),
    (
        "prints 50 MB of errors",
        "yes x | head -c 50000000 >&2; exit 1",
    ),
    (
        "prints an error and exits 0",
        "echo 'Error: no daemon'; echo 'error: no connection' >&2; exit 0",
    ),
    (
        "speaks German",
        "echo 'Der Dienst wurde ausgeführt: ja'; exit 0",
    ),
    (
        "stops in mid-JSON",
        "printf '[{\"cluster\":{\"node\":{\"tch-001\":{\"sta'; exit 0",
    ),
    ("dies by a signal", "kill -SEGV $$"),
    (
        "writes to the terminal",
        "printf '\\033]0;x\\007\\033[2J\\r\\n' >&2; printf '\\033[31m\\000\\n'; exit 1",
    ),
];

/// A world with short time-outs.
fn with_short_timeouts(engine: Engine) -> World {
    let mut world = World::with(
        engine,
        &[
            ("N_VM_VIRSH_TIMEOUT", "0.5"),
            ("N_VM_VIRT_INSTALL_TIMEOUT", "1"),
        ],
    );
    let (om, verb) = (OM.to_string(), VERB.to_string());
    world
        .ips
        .set("IPS_OM_TIMEOUT", &om)
        .set("IPS_VERB_TIMEOUT", &verb)
        .set("IPS_TASK_MARGIN", "1");
    world
}

/// The outcome of a command, as the operator sees it.
struct Seen {
    done: Done,
    took: Duration,
    peak_kib: u64,
}

/// Runs `o_vm`, and measures it.
fn measured(ips: &Ips, args: &[&str]) -> Seen {
    let _ = std::os::unix::fs::symlink("/usr/bin/python3", ips.dir.join("bin/python3"));
    let script = "import resource, subprocess, sys\n\
                  code = subprocess.run(sys.argv[1:]).returncode\n\
                  print('\\n%d' % resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, flush=True)\n\
                  sys.exit(code if code >= 0 else 128 - code)";
    let began = Instant::now();
    let done = ips.run("python3", &[&["-c", script, "o_vm"], args].concat());
    let peak_kib = done.out.lines().last().unwrap().parse().unwrap();
    let took = began.elapsed();
    Seen {
        done,
        took,
        peak_kib,
    }
}

/// One misbehaving program, at its n-th call; `6+`: from that call on.
struct Wildness {
    program: Steps,
    way: &'static str,
    script: &'static str,
    mode: &'static str,
    when: String,
}

impl Wildness {
    /// Runs the command with it; `happened` is empty if that call was never made.
    fn run(&self, world: &World, args: &[&str], mark: &str) -> (Seen, String) {
        let script = format!("MARK={mark}\n{}\n", self.script);
        self.program.go_wild(world, &script);
        self.program
            .with_fault(world, self.mode, &self.when, || measured(&world.ips, args))
    }
}

fn check_outcome(world: &World, seen: &Seen, case: &str) {
    let deadline = match world.engine {
        Engine::Local => LOCAL_DEADLINE,
        Engine::OpenSvc => OPENSVC_DEADLINE,
    };
    let case = format!(
        "{case}: {:?} after {:?}, {} KiB",
        seen.done, seen.took, seen.peak_kib
    );
    assert!(seen.took.as_secs_f64() < deadline + MARGIN, "{case}");
    assert!(seen.peak_kib < MEMORY, "{case}");
    let is_short = |line: &str| line.len() < 2000 && !line.chars().any(char::is_control);
    assert!(seen.done.err.lines().all(is_short), "{case}");
    // The journal has a reason for each operation that was started and did not succeed.
    let journal = world.ips.operations();
    for operation in journal.iter().filter(|one| one["exit_code"] != 0) {
        let steps = operation["steps"].as_array().unwrap();
        let last = steps
            .last()
            .map_or("", |step| step["result"].as_str().unwrap());
        let why = operation["reason"].as_str().unwrap_or(last);
        assert!(is_short(why) && why.len() > 8, "{case}: {operation}");
    }
}

/// A sleep time that no other process uses.
fn new_mark() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!(
        "47{:05}{:05}",
        std::process::id() % 100_000,
        number % 100_000
    )
}

/// Returns the processes that a misbehaving program left running, then kills them.
fn left_behind(world: &World, mark: &str) -> String {
    let find = format!("pgrep -xa sleep | grep ' {mark}$'");
    let left = world.ips.shell(&find).out;
    world
        .ips
        .shell(&format!("{find} | cut -d' ' -f1 | xargs -r kill -9"));
    left
}

/// One case; false if the call was not made.
fn case(world: &World, row: &Row, wildness: &Wildness) -> bool {
    let args = row.args(world);
    let Wildness {
        program,
        way,
        mode,
        when,
        script,
    } = wildness;
    let case = format!(
        "{:?} {args:?}: {program:?} {way}, {mode} {when}",
        world.engine
    );
    row.prepare(world, &case);
    let mark = new_mark();
    let (seen, happened) = wildness.run(world, &args, &mark);
    let case = format!("{case} ({happened})");
    check_outcome(world, &seen, &case);
    let left = left_behind(world, &mark);
    // A process in its own session is out of reach; a task of OpenSVC that exceeds its time
    // loses its own process, not its children.
    let is_ours = !script.contains("setsid") && world.engine == Engine::Local;
    assert!(left.is_empty() || !is_ours, "{case}: left {left}");
    row.ends_right(world, &seen.done, &case);
    !happened.is_empty()
}

/// Every way at every call of a verb, once and from then on: one of `every` of them.
fn verb(engine: Engine, program: Steps, row: &Row, every: u64) {
    let world = with_short_timeouts(engine);
    let name = format!("{engine:?} {:?} {program:?}", row.args(&world));
    let mut all = Vec::new();
    for number in 1..=program.count(&world, row) {
        for (way, script) in WAYS {
            for mode in ["wild-before", "wild-after"] {
                all.extend(["", "+"].map(|more| (number, way, script, mode, more)));
            }
        }
    }
    let there = all.len();
    let chosen = Sample::one_of(every, &name).of(all);
    for (number, way, script, mode, more) in &chosen {
        let what = format!("{name}: {way}, {mode} {number}{more}");
        met_at_or_before(*number, &what, |number| {
            let wildness = Wildness {
                program,
                way,
                script,
                mode,
                when: format!("{number}{more}"),
            };
            case(&world, row, &wildness)
        });
    }
    println!("{name}: {} of {there} cases, all met", chosen.len());
}

/// Queries to an `om` that misbehaves from the first call on: the state is unknown, and no
/// operation is started.
#[test]
fn queries_end_in_time_with_any_fault_of_om() {
    let verbs: [(&[&str], &[i32]); 6] = [
        (&["validate-node", "tch-001"], &[3]),
        (&["healthy-nodes", "tch-001 tch-002"], &[1, 3, 11]),
        (&["nodes"], &[1, 3, 11]),
        (&["status", "--all"], &[1, 3, 11]),
        (&["sweep"], &[0, 1]),
        (&["create", VM, "tch-001"], &[3]),
    ];
    let world = with_short_timeouts(Engine::OpenSvc);
    for (way, script) in WAYS {
        for (args, codes) in verbs {
            let wildness = Wildness {
                program: Steps::Om,
                way,
                script,
                mode: "wild-before",
                when: "1+".to_owned(),
            };
            let mark = new_mark();
            let (seen, happened) = wildness.run(&world, args, &mark);
            let case = format!("o_vm {args:?}: om {way}: {:?}", seen.done);
            assert!(!happened.is_empty(), "{case}: om was never called");
            assert!(codes.contains(&seen.done.code), "{case}");
            check_outcome(&world, &seen, &case);
            let left = left_behind(&world, &mark);
            assert!(
                left.is_empty() || script.contains("setsid"),
                "{case}: left {left}"
            );
        }
        assert!(
            world.ips.operations().is_empty(),
            "om {way}: no operation was started"
        );
    }
}

mod libvirt {
    use super::*;
    crate::rows::test_each_row!(|row| verb(Engine::Local, Steps::Libvirt, row, 60));
}

mod om {
    use super::*;
    crate::rows::test_each_row!(|row| verb(Engine::OpenSvc, Steps::Om, row, 400));
}
