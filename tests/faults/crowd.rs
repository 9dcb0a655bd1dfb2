//! Many operators at once on one registry, some of whom are killed: never two domains of one
//! VM, never two operations on it at a time, and the journal has every outcome.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::harness::Done;
use crate::operators::{Action, Random, Site, action};
use crate::world::Engine;

/// How many operators there are.
const OPERATORS: u64 = 8;

/// One outcome, as the operator's `o_vm` printed it.
pub(crate) struct Seen {
    pub(crate) action: Action,
    pub(crate) done: Done,
}

#[test]
fn a_thousand_operations_of_many_operators_at_once() {
    crowd(Engine::Local, 1000);
}

/// A tenth of that; all of it under `HPS_TORTURE=1`.
#[test]
fn many_operators_at_once_in_a_cluster() {
    let all = std::env::var_os("HPS_TORTURE").is_some();
    crowd(Engine::OpenSvc, if all { 1000 } else { 100 });
}

fn crowd(engine: Engine, actions: u64) {
    let site = Site::new(engine, 6);
    let seed = Random::seed(7);
    let (seen, left, ended) = (
        Mutex::new(Vec::new()),
        AtomicU64::new(actions),
        AtomicBool::new(false),
    );
    std::thread::scope(|threads| {
        let operators: Vec<_> = (0..OPERATORS)
            .map(|number| {
                let (site, seen, left) = (&site, &seen, &left);
                threads.spawn(move || operate(site, seed + number, left, seen))
            })
            .collect();
        threads.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                site.holds("meanwhile");
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let failed = operators
            .into_iter()
            .any(|operator| operator.join().is_err());
        ended.store(true, Ordering::Relaxed);
        assert!(!failed, "an operator met what must not be");
    });
    site.comes_to_rest("at the end");
    let seen = seen.into_inner().unwrap();
    one_at_a_time(&site);
    let counts = all_is_journaled(&site, &seen);
    println!(
        "{engine:?}: {} outcomes seen, by exit code: {counts:?}",
        seen.len()
    );
    assert!(
        counts.contains_key(&0) && counts.contains_key(&10),
        "{counts:?}"
    );
}

fn operate(site: &Site, seed: u64, left: &AtomicU64, seen: &Mutex<Vec<Seen>>) {
    let mut random = Random::of(seed);
    let more = || {
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        taken.is_ok()
    };
    while more() {
        let action = action(&mut random, site);
        if let Some(done) = action.act(site) {
            assert!(matches!(done.code, 0..=11), "{action:?}: {done:?}");
            seen.lock().unwrap().push(Seen { action, done });
        }
    }
}

/// Compares the times in the journal.
pub(crate) fn one_at_a_time(site: &Site) {
    let overlaps = site.ask(
        "select * from (select vm_id, operation, started_at, \
         lag(ended_at) over (partition by vm_id order by started_at, ended_at) as before \
         from operation) where started_at < before",
    );
    assert!(overlaps.is_empty(), "{overlaps:?}");
}

/// Each operation that an operator saw is in the journal with the exit code that the operator
/// got; a refused one left no record. Returns the count of each exit code.
pub(crate) fn all_is_journaled(site: &Site, seen: &[Seen]) -> BTreeMap<i32, usize> {
    let journal: BTreeMap<String, String> = site
        .ask("select operation, exit_code from operation")
        .iter()
        .map(|line| line.split_once('|').unwrap())
        .map(|(operation, code)| (operation.to_owned(), code.to_owned()))
        .collect();
    let mut counts = BTreeMap::<_, usize>::new();
    let mut journaled = 0;
    for Seen { action, done } in seen.iter().filter(|seen| seen.action.is_operation()) {
        *counts.entry(done.code).or_default() += 1;
        let record: Option<serde_json::Value> = serde_json::from_str(&done.out).ok();
        let Some(record) = record else {
            // Refused, or nothing to do: the verb exits without an operation.
            assert!(matches!(done.code, 0 | 1 | 2 | 10), "{action:?}: {done:?}");
            continue;
        };
        journaled += 1;
        let operation = record["operation"].as_str().unwrap();
        let code = journal.get(operation).unwrap_or_else(|| {
            panic!("{action:?} was given {operation}, which is not in the journal: {done:?}")
        });
        // A later command settles an unknown outcome.
        let is_same = *code == done.code.to_string() || done.code == 11;
        assert!(
            is_same,
            "{action:?} ended with {}, journal: {code}",
            done.code
        );
    }
    assert!(journaled > 0, "no operation of {counts:?}");
    counts
}
