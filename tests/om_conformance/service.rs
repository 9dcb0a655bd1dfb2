//! A service from its creation to its deletion.

use std::thread::sleep;
use std::time::Duration;

use crate::ask::{SOON, sid};
use crate::world::{IPS, OTHER, Out, TCH, Verdict, World, ensure};

fn nodes_of(world: &World, name: &str) -> Result<Vec<String>, String> {
    let out = world.om(IPS, &["svc", "ls", "-s", name, "-o", "json"])?;
    out.exits(0)?;
    let instances = out.json()?["items"][0]["data"]["instances"].clone();
    Ok(instances
        .as_object()
        .map(|map| map.keys().cloned().collect())
        .unwrap_or_default())
}

pub(crate) fn create_with_wait_returns_when_all_of_the_scope_has_it(world: &World) -> Verdict {
    world
        .create(IPS, "waited", "ips tch-001", "command = /bin/true")?
        .exits(0)?;
    let ls = [
        "svc", "instance", "ls", "-s", "waited", "--node", TCH, "-o", "json",
    ];
    world.om(IPS, &ls)?.exits(0)?;
    world.arrives("waited", TCH)?;
    ensure(nodes_of(world, "waited")? == [IPS, TCH], || {
        "on both nodes".to_owned()
    })?;
    world.drop_service("waited")
}

/// A service whose creator did not wait, and one call directly after it.
fn just_made(world: &World, name: &str, args: &[&str]) -> Result<Out, String> {
    let create = [
        name,
        "create",
        "--kw",
        "nodes=ips tch-001",
        "--kw",
        "task#create.command=/bin/true",
    ];
    world.om(IPS, &create)?.exits(0)?;
    world.om(IPS, &[&[name], args].concat())
}

pub(crate) fn a_new_service_is_unknown_and_cannot_be_deleted(world: &World) -> Verdict {
    world.slow_down("propagate")?;
    // This "gone" is false.
    just_made(world, "early-1", &["ls", "-o", "json"])?.exits(2)?;
    just_made(world, "early-2", &["config", "show"])?.exits(0)?;
    let status = ["instance", "ls", "--node", TCH, "-o", "json"];
    just_made(world, "early-3", &status)?.exits(3)?;
    let run = [
        "run",
        "--rid",
        "task#create",
        "--node",
        TCH,
        "--wait",
        "--time",
        "5s",
        "-o",
        "json",
    ];
    let run = just_made(world, "early-4", &run)?;
    run.exits(0)?;
    run.is_silent()?;
    let delete = ["delete", "--wait", "--time", "5s", "-o", "json"];
    let deleted = just_made(world, "early-5", &delete)?;
    deleted.exits(1)?;
    deleted.complains_of("\"error: \"")?;
    for name in ["early-1", "early-2", "early-3", "early-4", "early-5"] {
        world.arrives(name, TCH)?;
        world.drop_service(name)?;
    }
    Ok(())
}

pub(crate) fn a_used_name_is_refused_on_a_node_that_has_it(world: &World) -> Verdict {
    world.made("taken", "/bin/true")?;
    let again = world.create(IPS, "taken", "ips tch-001", "command = /bin/false")?;
    again.exits(1)?;
    again.complains_of("taken already exists")?;
    world.drop_service("taken")
}

pub(crate) fn a_create_from_outside_replaces_the_others_configuration(world: &World) -> Verdict {
    world
        .create(IPS, "replaced", TCH, "command = /bin/true")?
        .exits(0)?;
    world.arrives("replaced", TCH)?;
    let args = [
        "replaced",
        "create",
        "--kw",
        "nodes=tch-001",
        "--kw",
        "task#create.command=/bin/false",
    ];
    world.om(IPS, &args)?.exits(0)?;
    world.until(SOON, "the other configuration", || {
        Ok(world
            .om(IPS, &["replaced", "config", "show"])?
            .out
            .contains("/bin/false"))
    })?;
    // A deletion of a configuration that is still spreading may never end.
    sleep(Duration::from_secs(2));
    world.drop_service("replaced")
}

pub(crate) fn names_are_lower_case_without_underscores(world: &World) -> Verdict {
    for name in ["under_score", "Upper", "42"] {
        let out = world.create(IPS, name, TCH, "command = /bin/true")?;
        out.exits(1)?;
        out.complains_of("invalid path")?;
    }
    let name = "vm-ops-create-0b5e55ed-0000-4000-8000-000000000001";
    world
        .create(IPS, name, "ips tch-001", "command = /bin/true")?
        .exits(0)?;
    world.drop_service(name)
}

pub(crate) fn unknown_nodes_are_dropped_and_an_empty_list_is_the_local_one(
    world: &World,
) -> Verdict {
    world
        .create(IPS, "some", "nosuch ips", "command = /bin/true")?
        .exits(0)?;
    world
        .create(IPS, "none", "nosuch", "command = /bin/true")?
        .exits(0)?;
    for name in ["some", "none"] {
        world.arrives(name, IPS)?;
        ensure(nodes_of(world, name)? == [IPS], || {
            format!("{name}: {:?}", nodes_of(world, name))
        })?;
        world.drop_service(name)?;
    }
    Ok(())
}

pub(crate) fn unknown_keywords_and_bad_durations_are_accepted(world: &World) -> Verdict {
    let (_, code) = world.outcome("sloppy", "command = /bin/true\nnosuch = 1\ntimeout = abc")?;
    ensure(code == 0, || format!("{code}"))
}

pub(crate) fn delete_inside_the_scope_is_done_when_it_returns(world: &World) -> Verdict {
    world.made("inside", "/bin/true")?;
    let out = world.om(
        IPS,
        &["inside", "delete", "--wait", "--time", "20s", "-o", "json"],
    )?;
    out.exits(0)?;
    ensure(out.json()?[0]["status"] == "accepted", || {
        format!("{out:?}")
    })?;
    world
        .om(IPS, &["svc", "ls", "-s", "inside", "-o", "json"])?
        .exits(2)?;
    // Other nodes see it a moment later.
    world.until(SOON, "tch-001 to know", || {
        Ok(world.om(TCH, &["svc", "ls", "-s", "inside"])?.code == 2)
    })
}

pub(crate) fn delete_outside_the_scope_works_with_any_exit_code(world: &World) -> Verdict {
    world
        .create(IPS, "outside", "tch-001 tch-002", "command = /bin/true")?
        .exits(0)?;
    world.arrives("outside", TCH)?;
    world.arrives("outside", OTHER)?;
    let out = world.om(
        IPS,
        &["outside", "delete", "--wait", "--time", "20s", "-o", "json"],
    )?;
    ensure(
        out.code < 2 && out.json()?[0]["status"] == "accepted",
        || format!("{out:?}"),
    )?;
    if out.code == 1 {
        out.complains_of("object is not absent")?;
    }
    world.goes("outside", SOON)
}

pub(crate) fn purge_is_a_delete_by_another_name(world: &World) -> Verdict {
    world.made("purged", "/bin/true")?;
    world.om(IPS, &["purged", "purge", "--wait", "--time", "20s"])?;
    world.goes("purged", SOON)
}

pub(crate) fn a_second_delete_at_the_same_time_is_refused(world: &World) -> Verdict {
    world.made("twice", "/bin/true")?;
    world.slow_down("delete")?;
    world
        .om(IPS, &["twice", "delete", "-o", "json"])?
        .exits(0)?;
    let out = world.om(
        IPS,
        &["twice", "delete", "--wait", "--time", "5s", "-o", "json"],
    )?;
    out.exits(1)?;
    let status = out.json()?[0]["status"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let says =
        status.starts_with("error: orchestration ") && status.ends_with(" already in progress");
    ensure(says, || status)?;
    world.goes("twice", SOON)
}

pub(crate) fn abort_of_nothing_succeeds_and_delete_works_after_it(world: &World) -> Verdict {
    world.made("aborted", "/bin/true")?;
    world
        .om(
            IPS,
            &["aborted", "abort", "--wait", "--time", "10s", "-o", "json"],
        )?
        .exits(0)?;
    world.arrives("aborted", TCH)?;
    world.om(IPS, &["aborted", "delete", "--wait", "--time", "20s"])?;
    world.goes("aborted", SOON)
}

pub(crate) fn delete_erases_results_and_does_not_stop_a_task(world: &World) -> Verdict {
    let mark = world.scratch.join("went-on");
    let gate = world.gate("busy", &format!("touch {}", mark.display()))?;
    let args = [
        "busy",
        "run",
        "--rid",
        "task#create",
        "--node",
        TCH,
        "-o",
        "json",
    ];
    world
        .om_with(IPS, &args, &[("OSVC_SESSION_ID", &sid(1))], "", SOON)?
        .exits(0)?;
    world.begins(&sid(1))?;
    world.om(IPS, &["busy", "delete", "--wait", "--time", "20s"])?;
    world.goes("busy", SOON)?;
    ensure(!mark.exists(), || "the task was over too early".to_owned())?;
    gate.open()?;
    world.until(SOON, "the task to go on", || Ok(mark.exists()))?;
    world.made("busy", "/bin/true")?;
    ensure(world.info("busy")?.is_null(), || {
        "a result of an earlier life".to_owned()
    })?;
    world.drop_service("busy")
}
