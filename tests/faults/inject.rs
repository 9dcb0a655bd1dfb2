//! Makes system calls of the three real programs fail, block or take long: strace does it to
//! `o_vm` as it starts, to the `n_vm` that it starts, or to the running server.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use crate::harness::{Done, Ips, kill, wait_for};
use crate::world::World;

/// The program whose system calls are traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    OVm,
    NVm,
    Server,
}

/// The fault, and the calls it applies to.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// Their names: `fsync,fdatasync`.
    pub(crate) calls: &'static str,
    /// `KILL`, `slow`, `none`, or an error: `ENOSPC`.
    pub(crate) how: &'static str,
    /// `3`: the third; `3+`: from then on.
    pub(crate) when: String,
    /// Only calls that name this file, in children too: then each process has its own count.
    pub(crate) path: Option<String>,
}

impl Fault {
    fn words(&self) -> String {
        let (calls, when) = (self.calls, &self.when);
        let which = self.path.as_ref().map(|path| format!("-f -P {path} "));
        let which = which.unwrap_or_default();
        let how = match self.how {
            "none" => return format!("-e trace={calls}"),
            "KILL" => "signal=KILL".to_owned(),
            "slow" => "delay_enter=20000".to_owned(),
            error => format!("error={error}"),
        };
        format!("{which}-e trace={calls} -e inject={calls}:{how}:when={when}")
    }
}

impl Fault {
    /// The fault itself, and then at the half of its number, down to the first call.
    pub(crate) fn earlier(&self) -> impl Iterator<Item = Self> {
        let number: u32 = self.when.trim_end_matches('+').parse().unwrap();
        let more = if self.when.ends_with('+') { "+" } else { "" };
        let numbers =
            std::iter::successors(Some(number), |number| (*number > 1).then_some(*number / 2));
        numbers.map(move |number| Self {
            when: format!("{number}{more}"),
            ..self.clone()
        })
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {} {}", self.how, self.calls, self.when)
    }
}

/// What strace wrote down.
pub(crate) struct Trace(String);

impl Trace {
    fn read(path: &Path) -> Self {
        let read = fs::read_to_string(path);
        Self(read.unwrap_or_else(|error| panic!("strace did not run: {path:?}: {error}")))
    }

    /// Whether the fault was reached.
    pub(crate) fn is_met(&self) -> bool {
        ["(INJECTED)", "(DELAYED)", "killed by SIGKILL"]
            .iter()
            .any(|mark| self.0.contains(mark))
    }

    /// The number of these calls in the thread that made most of them: strace counts per
    /// thread.
    pub(crate) fn count(&self, calls: &str) -> u32 {
        let mut counts = HashMap::<&str, u32>::new();
        for line in self.0.lines() {
            // `openat(…`, or `1234 openat(…` of a thread.
            let (head, _) = line.split_once('(').unwrap_or_default();
            let (thread, call) = head.rsplit_once(' ').unwrap_or(("", head));
            if calls.split(',').any(|name| name == call) {
                *counts.entry(thread).or_default() += 1;
            }
        }
        counts.into_values().max().unwrap_or(0)
    }
}

/// Runs `o_vm` with a fault in one of the programs.
pub(crate) fn run(
    world: &mut World,
    program: Program,
    fault: &Fault,
    args: &[&str],
) -> (Done, Trace) {
    match program {
        Program::OVm => run_o_vm(&world.ips, fault, args),
        Program::NVm => {
            let node = world.of(world.node(), "");
            let _ = fs::remove_file(node.join("fired"));
            fs::write(node.join("inject"), fault.words() + "\n").unwrap();
            let done = world.ips.o_vm(args);
            (done, Trace::read(&node.join("fired")))
        }
        Program::Server => run_at_server(world, fault, args),
    }
}

/// As [`run`], without nodes.
pub(crate) fn run_o_vm(ips: &Ips, fault: &Fault, args: &[&str]) -> (Done, Trace) {
    let script = "words=$1; shift; exec strace -qq -o fired $words o_vm \"$@\"";
    let fired = ips.dir.join("fired");
    let _ = fs::remove_file(&fired);
    let done = ips.run_sh(script, &[&[fault.words().as_str()], args].concat());
    (done, Trace::read(&fired))
}

fn run_at_server(world: &mut World, fault: &Fault, args: &[&str]) -> (Done, Trace) {
    let (fired, said) = (world.ips.dir.join("fired"), world.ips.dir.join("strace"));
    let _ = fs::remove_file(&fired);
    let script = "words=$1; exec strace -f -p $2 -o fired $words";
    let (words, pid) = (fault.words(), world.ips.server_pid().to_string());
    let mut strace = world
        .ips
        .sh(script, &[&words, &pid])
        .stdout(Stdio::null())
        .stderr(File::create(&said).unwrap())
        .spawn()
        .unwrap();
    wait_for("strace to be attached", || {
        let text = fs::read_to_string(&said).unwrap();
        text.contains("attached").then_some(())
    });
    let done = world.ips.o_vm(args);
    // strace ends together with its tracee.
    if strace.try_wait().unwrap().is_none() {
        kill(strace.id(), "INT");
    }
    strace.wait().unwrap();
    world.ips.revive();
    (done, Trace::read(&fired))
}
