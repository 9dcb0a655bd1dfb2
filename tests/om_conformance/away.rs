//! Nodes that go away and return, and the local daemon down.

use std::time::Duration;

use crate::ask::{SOON, sid};
use crate::world::{IPS, OTHER, Out, TCH, Verdict, World, ensure};

const BOTH: &str = "ips tch-001";
const TRUE: &str = "command = /bin/true";

/// A service for a node that does not answer: its creation fails after `--time`, the service
/// exists on the IPS, its task cannot be run, and no answer shows that.
fn services_can_be_made_and_not_run(world: &World, name: &str) -> Verdict {
    let ini = format!("[DEFAULT]\nnodes = {BOTH}\n\n[task#create]\n{TRUE}\n");
    let args = [
        name,
        "create",
        "--config",
        "-",
        "--wait",
        "--time",
        world.pace.short,
    ];
    let out = world.om_with(IPS, &args, &[], &ini, Duration::from_secs(40))?;
    out.exits(1)?;
    out.complains_of("wait instance monitor update failed")?;
    ensure(world.is_there(name)?, || format!("{name} is not there"))?;
    let ls = [
        "svc", "instance", "ls", "-s", name, "--node", TCH, "-o", "json",
    ];
    world.om(IPS, &ls)?.exits(3)?;
    let run = world.run(name, &sid(1), "5s")?;
    run.exits(0)?;
    run.is_silent()
}

/// A run on a node that is still listed but does not answer: reported at once or late, it
/// returns when `--time` is over.
fn a_run_gets_no_answer(world: &World, name: &str) -> Verdict {
    let out = world.run(name, &sid(1), world.pace.short)?;
    has_no_answer(&out)?;
    out.complains_of("context deadline exceeded")
}

fn has_no_answer(out: &Out) -> Verdict {
    out.exits(1)?;
    let answer = out.json()?;
    let one = answer.as_array().is_some_and(|items| items.len() == 1);
    let null = answer[0]["nodename"] == TCH && answer[0]["data"].is_null();
    ensure(one && null, || format!("{out:?}"))
}

/// While the node is still listed a deletion is accepted, and not executed.
fn a_deletion_waits_for_the_node(world: &World, name: &str) -> Verdict {
    let out = world.om(
        IPS,
        &[
            name,
            "delete",
            "--wait",
            "--time",
            world.pace.short,
            "-o",
            "json",
        ],
    )?;
    out.exits(1)?;
    ensure(out.json()?[0]["status"] == "accepted", || {
        format!("{out:?}")
    })?;
    out.complains_of("context deadline exceeded")?;
    ensure(world.is_there(name)?, || format!("{name} is gone"))
}

fn is_back(world: &World, name: &str) -> Verdict {
    world.until(SOON, &format!("{name} to be back"), || world.is_there(name))?;
    world.arrives(name, TCH)?;
    world.arrives(name, IPS)?;
    world.drop_service(name)
}

pub(crate) fn a_stopped_node_is_in_maintenance_then_gone_then_back(world: &World) -> Verdict {
    for name in ["stop-1", "stop-2", "stop-3"] {
        world.made(name, "/bin/true")?;
    }
    world.lab(&["stop", TCH])?;
    // `shutting` may be observed in between.
    world.becomes(TCH, "maintenance", SOON)?;
    let node = world.node(IPS, TCH)?;
    ensure(node["monitor"]["state"] == "maintenance", || {
        node["monitor"].to_string()
    })?;
    ensure(node["status"]["gen"][TCH].is_number(), || {
        "keeps its gen".to_owned()
    })?;
    // In one of three stops the node's instances are forgotten at once: then the run exits 0
    // without output, and a deletion does not wait.
    let forgotten = world.run("stop-1", &sid(1), world.pace.short)?;
    if forgotten.code == 0 {
        forgotten.is_silent()?;
    } else {
        has_no_answer(&forgotten)?;
    }
    let ps = world.om(IPS, &["daemon", "ps", "--node", TCH, "-o", "json"])?;
    ps.exits(1)?;
    if forgotten.code == 0 {
        world.om(IPS, &["stop-1", "delete", "--wait", "--time", "10s"])?;
    } else {
        a_deletion_waits_for_the_node(world, "stop-1")?;
    }
    services_can_be_made_and_not_run(world, "stop-4")?;
    world.passes("maintenance")?;
    world.becomes(TCH, "", world.pace.maintenance + SOON)?;
    let listed = world.om(IPS, &["node", "ls", "--node", TCH, "-o", "json"])?;
    ensure(listed.json()? == serde_json::json!([TCH]), || {
        format!("{listed:?}")
    })?;
    // A waiting deletion is executed now; a new one is executed at once.
    world.goes("stop-1", SOON)?;
    world.om(IPS, &["stop-2", "delete", "--wait", "--time", "10s"])?;
    world.goes("stop-2", SOON)?;
    world.lab(&["start", TCH])?;
    world.becomes(TCH, "idle", SOON)?;
    for name in ["stop-1", "stop-2", "stop-3", "stop-4"] {
        is_back(world, name)?;
    }
    Ok(())
}

pub(crate) fn a_stopped_node_can_have_services_that_no_call_deletes(world: &World) -> Verdict {
    world.lab(&["stop", TCH])?;
    let args = [
        "waiting",
        "create",
        "--kw",
        "nodes=tch-001",
        "--kw",
        "task#create.command=/bin/true",
    ];
    world.om(IPS, &args)?.exits(0)?;
    std::thread::sleep(Duration::from_millis(1500));
    // It is not listed, and still exists: its file waits on the node that created it.
    ensure(!world.is_there("waiting")?, || "it is listed".to_owned())?;
    world.om(IPS, &["waiting", "config", "show"])?.exits(0)?;
    let out = world.om(
        IPS,
        &["waiting", "delete", "--wait", "--time", "10s", "-o", "json"],
    )?;
    out.exits(1)?;
    ensure(out.json()?[0]["status"] == "error: ", || format!("{out:?}"))?;
    world.lab(&["start", TCH])?;
    world.becomes(TCH, "idle", SOON)?;
    world.arrives("waiting", TCH)?;
    world.drop_service("waiting")
}

pub(crate) fn a_returning_node_is_in_rejoin_for_a_moment(world: &World) -> Verdict {
    world.held_back("rejoin")?;
    world.lab(&["stop", TCH])?;
    world.lab(&["start", TCH])?;
    let mut seen = Vec::new();
    world.until(SOON, "idle", || {
        let state = world.state(TCH)?;
        if state == "rejoin" {
            world.passes("rejoin")?;
        }
        seen.push(state);
        Ok(seen.last().is_some_and(|state| state == "idle"))
    })?;
    let known = seen
        .iter()
        .all(|state| ["", "maintenance", "rejoin", "idle"].contains(&state.as_str()));
    ensure(known && seen.iter().any(|state| state == "rejoin"), || {
        format!("{seen:?}")
    })
}

pub(crate) fn a_cut_node_looks_healthy_then_is_gone_then_back(world: &World) -> Verdict {
    for name in ["cut-1", "cut-2"] {
        world.made(name, "/bin/true")?;
    }
    let gate = world.gate("cut-3", "exit 6")?;
    let run = [
        "cut-3",
        "run",
        "--rid",
        "task#create",
        "--node",
        TCH,
        "-o",
        "json",
    ];
    world
        .om_with(IPS, &run, &[("OSVC_SESSION_ID", &sid(3))], "", SOON)?
        .exits(0)?;
    world.begins(&sid(3))?;
    world.lab(&["cut", TCH])?;
    ensure(world.state(TCH)? == "idle", || {
        "it looks healthy".to_owned()
    })?;
    a_run_gets_no_answer(world, "cut-1")?;
    let args = [
        "cut-1",
        "run",
        "--rid",
        "task#create",
        "--node",
        TCH,
        "-o",
        "json",
    ];
    let blocked = world.om(IPS, &args)?;
    has_no_answer(&blocked)?;
    ensure(blocked.took >= world.pace.peer.mul_f64(0.9), || {
        format!("{blocked:?}")
    })?;
    world.passes("dead")?;
    world.becomes(TCH, "", world.pace.dead + SOON)?;
    let inside = world.node(TCH, TCH)?["monitor"]["state"].clone();
    let others = world.node(TCH, IPS)?;
    ensure(inside == "idle" && others.is_null(), || {
        format!("inside: {inside} {others}")
    })?;
    gate.open()?;
    services_can_be_made_and_not_run(world, "cut-4")?;
    world.om(IPS, &["cut-2", "delete", "--wait", "--time", "10s"])?;
    world.goes("cut-2", SOON)?;
    world.lab(&["heal", TCH])?;
    world.becomes(TCH, "idle", SOON)?;
    is_back(world, "cut-2")?;
    // The result of a task that ended while the node was away is known now.
    ensure(world.result("cut-3", &sid(3), SOON)? == 6, || {
        "the result".to_owned()
    })?;
    for name in ["cut-1", "cut-3", "cut-4"] {
        world.drop_service(name)?;
    }
    Ok(())
}

pub(crate) fn a_deletion_right_after_a_cut_waits_until_the_node_is_gone(world: &World) -> Verdict {
    world.made("cut-5", "/bin/true")?;
    world.lab(&["cut", TCH])?;
    a_deletion_waits_for_the_node(world, "cut-5")?;
    world.passes("dead")?;
    world.goes("cut-5", world.pace.dead + SOON)?;
    world.lab(&["heal", TCH])?;
    world.becomes(TCH, "idle", SOON)?;
    is_back(world, "cut-5")
}

pub(crate) fn a_crashed_daemon_looks_healthy_and_its_task_continues(world: &World) -> Verdict {
    let gate = world.gate("crash-1", "exit 6")?;
    world.made("crash-2", "/bin/true")?;
    let run = [
        "crash-1",
        "run",
        "--rid",
        "task#create",
        "--node",
        TCH,
        "-o",
        "json",
    ];
    world
        .om_with(IPS, &run, &[("OSVC_SESSION_ID", &sid(3))], "", SOON)?
        .exits(0)?;
    world.begins(&sid(3))?;
    world.lab(&["kill", TCH])?;
    ensure(world.state(TCH)? == "idle", || {
        "it looks healthy".to_owned()
    })?;
    a_run_gets_no_answer(world, "crash-2")?;
    world.passes("dead")?;
    world.becomes(TCH, "", world.pace.dead + SOON)?;
    gate.open()?;
    world.lab(&["start", TCH])?;
    world.becomes(TCH, "idle", SOON)?;
    ensure(world.result("crash-1", &sid(3), SOON)? == 6, || {
        "the result".to_owned()
    })?;
    world.drop_service("crash-1")?;
    world.drop_service("crash-2")
}

pub(crate) fn without_the_local_daemon_delete_hangs(world: &World) -> Verdict {
    world.made("down-1", "/bin/true")?;
    world.lab(&["stop", IPS])?;
    world.om(IPS, &["node", "ls", "-o", "json"])?.exits(0)?;
    world.om(IPS, &["daemon", "running"])?.exits(1)?;
    for args in [
        &["daemon", "status", "-o", "json"][..],
        &["svc", "ls", "-s", "down-1", "-o", "json"],
        &[
            "svc", "instance", "ls", "-s", "down-1", "--node", TCH, "-o", "json",
        ],
        &[
            "svc", "instance", "ls", "-s", "nosuch", "--node", TCH, "-o", "json",
        ],
        &["daemon", "ps", "--node", TCH, "-o", "json"],
        &[
            "down-1",
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
        ],
    ] {
        let out = world.om(IPS, args)?;
        out.exits(1)?;
        out.is_silent()?;
        out.complains_of("connect: no such file or directory")?;
    }
    let status = [
        "svc", "instance", "status", "-s", "down-1", "--node", TCH, "-o", "json",
    ];
    let out = world.om(IPS, &status)?;
    out.exits(0)?;
    ensure(out.json()? == serde_json::json!([]), || format!("{out:?}"))?;
    let delete = ["down-1", "delete", "--wait", "--time", "1s"];
    let hangs = world.om_with(IPS, &delete, &[], "", Duration::from_secs(4))?;
    ensure(hangs.code == -1, || format!("it does not hang: {hangs:?}"))?;
    world.create(IPS, "down-2", BOTH, TRUE)?.exits(0)?;
    world.lab(&["start", IPS])?;
    world.until(SOON, "the local daemon", || {
        Ok(world.om(IPS, &["daemon", "status", "-o", "json"])?.code == 0)
    })?;
    world.becomes(OTHER, "idle", SOON)?;
    world.becomes(TCH, "idle", SOON)?;
    // A service that was created meanwhile spreads now.
    for name in ["down-1", "down-2"] {
        world.arrives(name, TCH)?;
        world.drop_service(name)?;
    }
    Ok(())
}
