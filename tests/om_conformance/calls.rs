//! The answers of single calls: lists of nodes, the daemon's status, help, unusual arguments.

use crate::ask::{SOON, sid};
use crate::world::{IPS, OTHER, TCH, Verdict, World, ensure};

pub(crate) fn node_ls_names_every_configured_node(world: &World) -> Verdict {
    let out = world.om(IPS, &["node", "ls", "-o", "json"])?;
    ensure(out.json()? == serde_json::json!([IPS, TCH, OTHER]), || {
        format!("{out:?}")
    })
}

pub(crate) fn node_ls_of_an_unknown_node_is_empty_and_exits_0(world: &World) -> Verdict {
    let out = world.om(IPS, &["node", "ls", "--node", "tch-00", "-o", "json"])?;
    out.exits(0)?;
    ensure(out.json()? == serde_json::json!([]), || format!("{out:?}"))
}

pub(crate) fn node_ls_takes_patterns(world: &World) -> Verdict {
    let out = world.om(IPS, &["node", "ls", "--node", "tch*", "-o", "json"])?;
    ensure(out.json()? == serde_json::json!([TCH, OTHER]), || {
        format!("{out:?}")
    })
}

pub(crate) fn node_config_of_an_unknown_node_is_the_local_one(world: &World) -> Verdict {
    let unknown = world.om(IPS, &["node", "config", "show", "--node", "nosuch"])?;
    let own = world.om(IPS, &["node", "config", "show"])?;
    let tch = world.om(IPS, &["node", "config", "show", "--node", TCH])?;
    unknown.exits(0)?;
    ensure(unknown.out == own.out && own.out != tch.out, || {
        format!("{unknown:?} {own:?}")
    })
}

pub(crate) fn status_has_every_input_of_health(world: &World) -> Verdict {
    let out = world.om(IPS, &["daemon", "status", "-o", "json"])?;
    let status = out.json()?;
    ensure(status["daemon"]["nodename"] == IPS, || {
        "daemon.nodename is the local node".to_owned()
    })?;
    let nodes = &status["cluster"]["config"]["nodes"];
    ensure(*nodes == serde_json::json!([IPS, TCH, OTHER]), || {
        format!("{nodes}")
    })?;
    let node = &status["cluster"]["node"][TCH];
    ensure(node["monitor"]["state"] == "idle", || {
        format!("{}", node["monitor"])
    })?;
    let gens = node["status"]["gen"]
        .as_object()
        .map_or(0, serde_json::Map::len);
    ensure(gens == 3, || format!("gen: {}", node["status"]))?;
    ensure(
        node["status"]["frozen_at"] == "0001-01-01T00:00:00Z",
        || format!("{}", node["status"]),
    )?;
    ensure(node["status"]["is_overloaded"].is_boolean(), || {
        format!("{}", node["status"])
    })?;
    ensure(node["config"]["labels"].is_object(), || {
        format!("{}", node["config"])
    })?;
    let stats = &node["stats"];
    let numbers = ["mem_total", "mem_avail", "load_15m"]
        .iter()
        .all(|key| stats[key].is_number());
    ensure(numbers, || format!("{stats}"))
}

pub(crate) fn status_in_one_line_is_the_same_in_half_the_bytes(world: &World) -> Verdict {
    let long = world.om(IPS, &["daemon", "status", "-o", "json"])?;
    let short = world.om(IPS, &["daemon", "status", "-o", "jsonline"])?;
    ensure(short.out.lines().count() == 1, || "not one line".to_owned())?;
    ensure(short.out.len() * 2 < long.out.len(), || {
        format!("{} of {}", short.out.len(), long.out.len())
    })?;
    let nodes = |out: &crate::world::Out| out.json().map(|json| json["cluster"]["config"].clone());
    ensure(nodes(&long)? == nodes(&short)?, || {
        "not the same".to_owned()
    })
}

pub(crate) fn color_no_is_accepted_in_front_and_behind(world: &World) -> Verdict {
    for args in [
        ["--color", "no", "node", "ls"],
        ["node", "ls", "--color", "no"],
    ] {
        let out = world.om(IPS, &args)?;
        out.exits(0)?;
        ensure(out.out == "ips\ntch-001\ntch-002\n", || format!("{out:?}"))?;
    }
    Ok(())
}

pub(crate) fn run_help_mentions_wait(world: &World) -> Verdict {
    let out = world.om(IPS, &["svc", "instance", "run", "--help"])?;
    out.exits(0)?;
    out.complains_of("--wait")
}

pub(crate) fn a_misspelt_verb_prints_help_and_exits_0(world: &World) -> Verdict {
    for args in [
        &["svc", "instance", "lst"][..],
        &["svc", "nosuch"],
        &["vm-x", "nosuch"],
    ] {
        let out = world.om(IPS, args)?;
        out.exits(0)?;
        out.complains_of("Usage:")?;
    }
    world.om(IPS, &["svc", "ls", "--nosuch"])?.exits(1)
}

pub(crate) fn a_missing_service_is_2_and_a_missing_instance_3(world: &World) -> Verdict {
    for args in [
        &["svc", "ls", "-s", "nosuch", "-o", "json"][..],
        &[
            "svc", "instance", "status", "-s", "nosuch", "--node", TCH, "-o", "json",
        ],
        &["nosuch", "config", "show"],
        &["nosuch", "delete", "--wait", "--time", "5s"],
        &["nosuch", "purge", "--wait", "--time", "5s"],
        &["nosuch", "abort", "--wait", "--time", "5s"],
    ] {
        let out = world.om(IPS, args)?;
        out.exits(2)?;
        out.is_silent()?;
        out.complains_of("not found")?;
    }
    let out = world.om(
        IPS,
        &[
            "svc", "instance", "ls", "-s", "nosuch", "--node", TCH, "-o", "json",
        ],
    )?;
    out.exits(3)?;
    out.is_silent()
}

pub(crate) fn run_of_a_missing_service_exits_0_without_output(world: &World) -> Verdict {
    let out = world.run("nosuch", &sid(1), "5s")?;
    out.exits(0)?;
    out.is_silent()
}

pub(crate) fn instances_of_other_nodes_are_absent(world: &World) -> Verdict {
    world.made("elsewhere", "/bin/true")?;
    for node in [OTHER, "nosuch"] {
        let ls = [
            "svc",
            "instance",
            "ls",
            "-s",
            "elsewhere",
            "--node",
            node,
            "-o",
            "json",
        ];
        world.om(IPS, &ls)?.exits(3)?;
        let status = [
            "svc",
            "instance",
            "status",
            "-s",
            "elsewhere",
            "--node",
            node,
            "-o",
            "json",
        ];
        let out = world.om(IPS, &status)?;
        out.exits(0)?;
        ensure(out.json()? == serde_json::json!([]), || format!("{out:?}"))?;
    }
    let run = |node| {
        [
            "elsewhere",
            "run",
            "--rid",
            "task#create",
            "--node",
            node,
            "--wait",
            "--time",
            "5s",
            "-o",
            "json",
        ]
    };
    let outside = world.om(IPS, &run(OTHER))?;
    outside.exits(0)?;
    outside.is_silent()?;
    let unknown = world.om(IPS, &run("nosuch"))?;
    unknown.exits(1)?;
    unknown.complains_of("no node matching nosuch")?;
    world.drop_service("elsewhere")
}

pub(crate) fn processes_of_an_unknown_node_are_an_empty_list(world: &World) -> Verdict {
    let out = world.om(IPS, &["daemon", "ps", "--node", "nosuch", "-o", "json"])?;
    out.exits(0)?;
    ensure(out.json()? == serde_json::json!([]), || format!("{out:?}"))
}

pub(crate) fn a_frozen_node_shows_its_time_and_runs_tasks(world: &World) -> Verdict {
    world
        .om(IPS, &["node", "freeze", "--node", TCH])?
        .exits(0)?;
    world.until(SOON, "frozen_at", || {
        let at = world.node(IPS, TCH)?["status"]["frozen_at"].clone();
        Ok(at.as_str().is_some_and(|at| at.starts_with("20")))
    })?;
    ensure(world.state(TCH)? == "idle", || {
        "a frozen node is idle".to_owned()
    })?;
    let (out, code) = world.outcome("frozen", "command = /bin/true")?;
    world
        .om(IPS, &["node", "unfreeze", "--node", TCH])?
        .exits(0)?;
    ensure(code == 0, || format!("{out:?}"))?;
    world.until(SOON, "no frozen_at", || {
        Ok(world.node(IPS, TCH)?["status"]["frozen_at"] == "0001-01-01T00:00:00Z")
    })
}
