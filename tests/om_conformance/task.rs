//! A task on a node: how it starts, its environment, and where its result is.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::ask::{SOON, sid, write_script};
use crate::world::{IPS, Out, TCH, Verdict, World, ensure};

/// The session id of an answer that says "started": one item of that node, with an id.
fn started(out: &Out) -> Result<String, String> {
    let answer = out.json()?;
    let one = answer.as_array().is_some_and(|items| items.len() == 1);
    ensure(one && answer[0]["nodename"] == TCH, || format!("{out:?}"))?;
    Ok(answer[0]["data"]["session_id"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

pub(crate) fn the_caller_chooses_the_session(world: &World) -> Verdict {
    world.made("chosen", "/bin/true")?;
    let tail = [
        "--rid",
        "task#create",
        "--node",
        TCH,
        "--wait",
        "--time",
        "20s",
        "-o",
        "json",
    ];
    let forms: [&[&str]; 3] = [
        &["chosen", "run"],
        &["svc", "run", "-s", "chosen"],
        &["svc", "instance", "run", "-s", "chosen"],
    ];
    for (number, form) in (1..).zip(forms) {
        let sid = sid(number);
        let args = [form, &tail[..]].concat();
        let out = world.om_with(IPS, &args, &[("OSVC_SESSION_ID", &sid)], "", SOON)?;
        out.exits(0)?;
        ensure(started(&out)? == sid, || format!("{out:?}"))?;
        ensure(world.result("chosen", &sid, SOON)? == 0, || {
            "its result".to_owned()
        })?;
    }
    world.drop_service("chosen")
}

pub(crate) fn a_session_that_is_no_uuid_is_replaced(world: &World) -> Verdict {
    world.made("banana", "/bin/true")?;
    let out = world.run("banana", "banana", "20s")?;
    out.exits(0)?;
    let sid = started(&out)?;
    ensure(sid.len() == 36, || sid.clone())?;
    world.result("banana", &sid, SOON)?;
    world.drop_service("banana")
}

pub(crate) fn exit_codes_are_only_in_the_result(world: &World) -> Verdict {
    for (name, task, code) in [
        ("exit-0", "command = /bin/true", 0),
        ("exit-3", "command = /bin/sh -c \"exit 3\"", 3),
        ("exit-255", "command = /bin/sh -c \"exit 255\"", 255),
        ("exit-signal", "command = /bin/sh -c \"kill -TERM $$\"", -1),
        // The same as for a command that exits 1.
        ("exit-missing", "command = nosuch_command vm-7", 1),
        ("exit-no-program", "command = /etc/passwd", 1),
    ] {
        let (out, got) = world.outcome(name, task)?;
        ensure(got == code, || format!("{name}: {got}: {out:?}"))?;
        out.exits(i32::from(code != 0))?;
    }
    Ok(())
}

pub(crate) fn a_script_without_interpreter_succeeds_without_running(world: &World) -> Verdict {
    use std::os::unix::fs::PermissionsExt;
    let (script, mark) = (
        world.scratch.join("no-interpreter"),
        world.scratch.join("it-ran"),
    );
    fs::write(&script, format!("touch {}\nexit 7\n", mark.display()))
        .map_err(|error| error.to_string())?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
        .map_err(|error| error.to_string())?;
    let (out, code) = world.outcome("noshebang", &format!("command = {}", script.display()))?;
    ensure(code == 0 && !mark.exists(), || format!("{code} {out:?}"))
}

pub(crate) fn the_result_lags_and_shows_the_run_before(world: &World) -> Verdict {
    world.made("lagging", "/bin/true")?;
    ensure(world.info("lagging")?.is_null(), || {
        "never run: no info".to_owned()
    })?;
    world.run("lagging", &sid(1), "20s")?.exits(0)?;
    world.result("lagging", &sid(1), SOON)?;
    world.run("lagging", &sid(2), "20s")?.exits(0)?;
    let seen = world.info("lagging")?["last_run_session_id"].clone();
    ensure(seen == sid(1) || seen == sid(2), || format!("{seen}"))?;
    world.result("lagging", &sid(2), Duration::from_secs(2))?;
    let at = world.info("lagging")?["last_run_at"].clone();
    ensure(
        at.as_str()
            .is_some_and(|at| at.starts_with("20") && at.ends_with('Z')),
        || at.to_string(),
    )?;
    world.drop_service("lagging")
}

pub(crate) fn a_task_sees_its_session_its_environment_and_no_input(world: &World) -> Verdict {
    let file = world.scratch.join("environment");
    let script = format!("(env; pwd; readlink /proc/self/fd/0) >{}", file.display());
    let task =
        format!("command = /bin/sh -c \"{script}\"\nenvironment = A=1 B=\"x y\" TOKEN=aB.9_-");
    let (_, code) = world.outcome("seeing", &task)?;
    ensure(code == 0, || format!("exit {code}"))?;
    let seen = fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let sid = sid(1);
    for line in [
        "A=1",
        "B=x y",
        "TOKEN=aB.9_-",
        &format!("OPENSVC_SID={sid}"),
        &format!("OSVC_SESSION_ID={sid}"),
        "OPENSVC_SVCNAME=seeing",
        "OPENSVC_RID=task#create",
        "OPENSVC_NAMESPACE=root",
        "HOME=/root",
        "/",
        "/dev/null",
    ] {
        ensure(seen.lines().any(|one| one == line), || {
            format!("{line}: {seen}")
        })?;
    }
    Ok(())
}

pub(crate) fn a_command_without_shell_operators_runs_without_a_shell(world: &World) -> Verdict {
    let file = world.scratch.join("shell");
    let (_, code) = world.outcome("plain", "command = test $HOME = /root")?;
    ensure(code == 1, || format!("expanded without a shell: {code}"))?;
    let task = format!("command = echo $HOME >{} && exit 5", file.display());
    let (_, code) = world.outcome("shell", &task)?;
    let wrote = fs::read_to_string(&file).unwrap_or_default();
    ensure(code == 5 && wrote == "/root\n", || {
        format!("{code} {wrote:?}")
    })
}

pub(crate) fn the_timeout_kills_with_sigkill_and_counts_as_minus_1(world: &World) -> Verdict {
    let mark = world.scratch.join("trapped");
    let script = format!(
        "trap 'touch {}' TERM INT; while :; do :; done",
        mark.display()
    );
    let path = world.scratch.join("endless");
    write_script(&path, &script)?;
    let (out, code) = world.outcome(
        "limited",
        &format!("command = {}\ntimeout = 1s", path.display()),
    )?;
    ensure(code == -1 && !mark.exists(), || format!("{code} {out:?}"))?;
    out.exits(1)?;
    let took = out.took;
    // It never ends by itself.
    ensure((1.0..60.0).contains(&took.as_secs_f64()), || {
        format!("{took:?}")
    })
}

pub(crate) fn a_grandchild_survives_the_timeout_and_holds_the_run(world: &World) -> Verdict {
    let path = world.scratch.join("grandchild");
    write_script(&path, "sleep 3; true")?;
    let (out, code) = world.outcome(
        "grand",
        &format!("command = {}\ntimeout = 1s", path.display()),
    )?;
    ensure(code == -1, || format!("{code} {out:?}"))?;
    ensure(out.took > Duration::from_millis(2800), || {
        format!("{:?}", out.took)
    })
}

pub(crate) fn a_first_run_shows_in_daemon_ps_only(world: &World) -> Verdict {
    let gate = world.gate("first", "exit 0")?;
    let args = [
        "first",
        "run",
        "--rid",
        "task#create",
        "--node",
        TCH,
        "-o",
        "json",
    ];
    let sid = sid(1);
    let out = world.om_with(IPS, &args, &[("OSVC_SESSION_ID", &sid)], "", SOON)?;
    out.exits(0)?;
    ensure(started(&out)? == sid, || format!("{out:?}"))?;
    world.begins(&sid)?;
    let process = world
        .processes()?
        .into_iter()
        .find(|process| process["sid"] == sid)
        .unwrap_or_default();
    let right =
        process["node"] == TCH && process["object"] == "first" && process["pid"].is_number();
    ensure(right, || format!("{process}"))?;
    let status = [
        "svc", "instance", "status", "-s", "first", "--node", TCH, "-o", "json",
    ];
    let running = world.om(IPS, &status)?.json()?[0]["status"]["running"].clone();
    ensure(running.is_null() && world.info("first")?.is_null(), || {
        format!("{running}")
    })?;
    gate.open()?;
    world.result("first", &sid, SOON)?;
    ensure(!world.runs_now(&sid)?, || "still a process".to_owned())?;
    world.drop_service("first")
}

pub(crate) fn a_second_run_at_the_same_time_fails_without_a_trace(world: &World) -> Verdict {
    let gate = world.gate("second", "exit 0")?;
    let args = [
        "second",
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
    let out = world.run("second", &sid(2), "20s")?;
    out.exits(1)?;
    ensure(started(&out)? == sid(2), || {
        format!("answered as if started: {out:?}")
    })?;
    gate.open()?;
    world.result("second", &sid(1), SOON)?;
    sleep(Duration::from_millis(500));
    world.result("second", &sid(1), Duration::ZERO)?;
    world.drop_service("second")
}

pub(crate) fn a_missing_task_fails_without_a_trace(world: &World) -> Verdict {
    world.made("norid", "/bin/true")?;
    let args = [
        "norid",
        "run",
        "--rid",
        "task#nosuch",
        "--node",
        TCH,
        "--wait",
        "--time",
        "10s",
        "-o",
        "json",
    ];
    let out = world.om(IPS, &args)?;
    out.exits(1)?;
    ensure(started(&out)?.len() == 36, || {
        format!("answered as if started: {out:?}")
    })?;
    ensure(world.info("norid")?.is_null(), || "a trace".to_owned())?;
    world.drop_service("norid")
}

pub(crate) fn a_wait_time_out_does_not_stop_the_task(world: &World) -> Verdict {
    let gate = world.gate("patient", "exit 4")?;
    let out = world.run("patient", &sid(1), "500ms")?;
    out.exits(1)?;
    out.complains_of("context deadline exceeded")?;
    ensure(started(&out)? == sid(1), || format!("{out:?}"))?;
    gate.open()?;
    ensure(world.result("patient", &sid(1), SOON)? == 4, || {
        "its exit code".to_owned()
    })?;
    world.drop_service("patient")
}

pub(crate) fn a_killed_client_changes_nothing(world: &World) -> Verdict {
    let gate = world.gate("killed", "exit 4")?;
    let args = [
        "killed",
        "run",
        "--rid",
        "task#create",
        "--node",
        TCH,
        "--wait",
        "--time",
        "20s",
    ];
    let mut client = world.om_started(IPS, &args)?;
    world.until(SOON, "the task", || Ok(!world.processes()?.is_empty()))?;
    client
        .kill()
        .and_then(|()| client.wait())
        .map_err(|error| error.to_string())?;
    ensure(world.info("killed")?.is_null(), || {
        "it was over too early".to_owned()
    })?;
    gate.open()?;
    world.until(SOON, "its result", || {
        Ok(world.info("killed")?["last_run_exitcode"] == 4)
    })?;
    world.drop_service("killed")
}
