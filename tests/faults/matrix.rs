//! The failure matrix. A verb is a list of steps: the calls of `om` by `o_vm`, and the acts of
//! the task on the node. At each step: it fails, its answer is lost, it is done twice, and its
//! caller is killed before it, in it and after it. (System calls are in calls.rs.)

use crate::rows::Row;
use crate::sample::Sample;
use crate::steps::{Steps, met_at_or_before};
use crate::world::{Engine, World};

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

/// One case; false if the verb ended before that step.
fn case(row: &Row, world: &World, steps: Steps, mode: &str, number: u32) -> bool {
    let verb = row.args(world);
    let case = format!("{:?} {verb:?}: {mode} {steps:?} {number}", world.engine);
    row.prepare(world, &case);
    let when = number.to_string();
    let (first, happened) = steps.with_fault(world, mode, &when, || world.ips.o_vm(&verb));
    row.ends_right(world, &first, &format!("{case} ({happened})"));
    !happened.is_empty()
}

/// One of `every` of the possible cases.
fn cases(row: &Row, world: &World, steps: Steps, modes: &[&str], every: u64) {
    let name = format!("{:?}{:?}{steps:?}", world.engine, row.args(world));
    let numbers = 1..=steps.count(world, row);
    let all: Vec<_> = numbers
        .flat_map(|number| modes.iter().map(move |mode| (number, *mode)))
        .collect();
    let there = all.len();
    let chosen = Sample::one_of(every, &name).of(all);
    for (number, mode) in &chosen {
        let what = format!("{name}: {mode} {number}");
        met_at_or_before(*number, &what, |number| {
            case(row, world, steps, mode, number)
        });
    }
    println!("{name}: {} of {there} cases, all met", chosen.len());
}

/// Every step of a verb.
fn matrix(engine: Engine, row: &Row, every: u64) {
    let world = World::new(engine);
    if engine == Engine::OpenSvc {
        cases(row, &world, Steps::Om, &OM, every);
    }
    cases(row, &world, Steps::Libvirt, &ON_NODE, every);
}

mod local {
    use super::*;
    crate::rows::test_each_row!(|row| matrix(Engine::Local, row, 5));
}

mod opensvc {
    use super::*;
    crate::rows::test_each_row!(|row| matrix(Engine::OpenSvc, row, 45));
}
