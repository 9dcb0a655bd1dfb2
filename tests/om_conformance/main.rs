//! Holds `tests/fakes/om` to the real `om`: one table of cases, run against the fake
//! and, where there is a real one (`HPS_OM`, or `om` on PATH, as root), against a real
//! cluster that `tests/lab/cluster` brings up. `OM_CASE=TEXT` picks cases by name.

mod ask;
mod away;
mod calls;
mod service;
mod task;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use world::{Verdict, World};

macro_rules! cases {
    ($($family:ident { $($case:ident)* })*) => {
        &[$($((stringify!($case), $family::$case)),*),*]
    };
}

type Case = (&'static str, fn(&World) -> Verdict);

/// Fake clusters in use at a time: a case mostly waits.
const AT_ONCE: usize = 16;

/// Every property of `om` that the engine relies on.
const CASES: &[Case] = cases! {
    calls {
        node_ls_names_every_configured_node
        node_ls_of_an_unknown_node_is_empty_and_exits_0
        node_ls_takes_patterns
        node_config_of_an_unknown_node_is_the_local_one
        status_has_every_input_of_health
        status_in_one_line_is_the_same_in_half_the_bytes
        color_no_is_accepted_in_front_and_behind
        run_help_mentions_wait
        a_misspelt_verb_prints_help_and_exits_0
        a_missing_service_is_2_and_a_missing_instance_3
        run_of_a_missing_service_exits_0_without_output
        instances_of_other_nodes_are_absent
        processes_of_an_unknown_node_are_an_empty_list
        a_frozen_node_shows_its_time_and_runs_tasks
    }
    service {
        create_with_wait_returns_when_all_of_the_scope_has_it
        a_new_service_is_unknown_and_cannot_be_deleted
        a_used_name_is_refused_on_a_node_that_has_it
        a_create_from_outside_replaces_the_others_configuration
        names_are_lower_case_without_underscores
        unknown_nodes_are_dropped_and_an_empty_list_is_the_local_one
        unknown_keywords_and_bad_durations_are_accepted
        delete_inside_the_scope_is_done_when_it_returns
        delete_outside_the_scope_works_with_any_exit_code
        purge_is_a_delete_by_another_name
        a_second_delete_at_the_same_time_is_refused
        abort_of_nothing_succeeds_and_delete_works_after_it
        delete_erases_results_and_does_not_stop_a_task
    }
    task {
        the_caller_chooses_the_session
        a_session_that_is_no_uuid_is_replaced
        exit_codes_are_only_in_the_result
        a_script_without_interpreter_succeeds_without_running
        the_result_lags_and_shows_the_run_before
        a_task_sees_its_session_its_environment_and_no_input
        a_command_without_shell_operators_runs_without_a_shell
        the_timeout_kills_with_sigkill_and_counts_as_minus_1
        a_grandchild_survives_the_timeout_and_holds_the_run
        a_first_run_shows_in_daemon_ps_only
        a_second_run_at_the_same_time_fails_without_a_trace
        a_missing_task_fails_without_a_trace
        a_wait_time_out_does_not_stop_the_task
        a_killed_client_changes_nothing
    }
    away {
        a_stopped_node_can_have_services_that_no_call_deletes
        a_returning_node_is_in_rejoin_for_a_moment
        a_stopped_node_is_in_maintenance_then_gone_then_back
        a_deletion_right_after_a_cut_waits_until_the_node_is_gone
        a_cut_node_looks_healthy_then_is_gone_then_back
        a_crashed_daemon_looks_healthy_and_its_task_continues
        without_the_local_daemon_delete_hangs
    }
};

fn wanted() -> Result<Vec<&'static Case>, String> {
    let text = std::env::var("OM_CASE").unwrap_or_default();
    let found: Vec<_> = CASES
        .iter()
        .filter(|(name, _)| name.contains(&text))
        .collect();
    if found.is_empty() {
        return Err(format!("OM_CASE={text}: no case has that in its name"));
    }
    Ok(found)
}

/// Runs one case and prints its result.
fn try_case(world: &World, name: &str, (case, check): &Case) -> Verdict {
    let began = Instant::now();
    let verdict = check(world).map_err(|why| format!("{case}: {why}"));
    let took = began.elapsed().as_secs_f64();
    match &verdict {
        Ok(()) => println!("{name} {took:6.2} s  ok      {case}"),
        Err(why) => println!("{name} {took:6.2} s  FAILED  {why}"),
    }
    verdict
}

fn all_hold(verdicts: Vec<Verdict>) -> Verdict {
    let failed: Vec<String> = verdicts.into_iter().filter_map(Result::err).collect();
    world::ensure(failed.is_empty(), || failed.join("\n"))
}

/// Runs each case with its own fake cluster, a few at a time.
#[test]
fn the_fake_behaves_as_the_table_says() -> Verdict {
    let mut cases = wanted()?;
    // The cases with nodes that go away are the last and longest: they start first.
    cases.reverse();
    let (next, verdicts) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let verdict = World::fake(case.0).and_then(|world| try_case(&world, "fake", case));
            if let Ok(mut all) = verdicts.lock() {
                all.push(verdict);
            }
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let verdicts = verdicts.into_inner().map_err(|_| "a case panicked")?;
    world::ensure(verdicts.len() == cases.len(), || {
        "a case did not end".to_owned()
    })?;
    all_hold(verdicts)
}

/// Runs all cases with one real cluster, one after the other.
#[test]
fn a_real_cluster_behaves_as_the_table_says() -> Verdict {
    let world = match World::real()? {
        Ok(world) => world,
        Err(why) => {
            eprintln!("skipped, the real half of om_conformance: {why}");
            return Ok(());
        }
    };
    let tried = wanted()?.into_iter().map(|case| {
        let verdict = try_case(&world, "real", case);
        if verdict.is_err() {
            world.repair_nodes();
        }
        verdict
    });
    all_hold(tried.collect())
}
