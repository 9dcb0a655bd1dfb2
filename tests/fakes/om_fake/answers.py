"""Answers in the shape of the recordings: each is a recording with its values replaced."""

import json
import os

from . import services, tasks
from .cluster import ZERO_TIME, stamp

RECORDINGS = os.path.join(os.path.dirname(__file__), "..", "..", "fixtures", "om3")


def recording(name):
    with open(os.path.join(RECORDINGS, name)) as file:
        return json.load(file)


def show(value, form):
    if form == "jsonline":
        return json.dumps(value, separators=(",", ":")) + "\n"
    return json.dumps(value, indent=4) + "\n"


def resources(service):
    return [name for name in service["sections"] if "#" in name]


def instance_config(config, service):
    rids = resources(service)
    config["scope"] = service["scope"]
    config["csum"] = service["id"].replace("-", "")
    config["updated_at"] = stamp(service["made"])
    config["orchestrate"] = service["sections"]["DEFAULT"].get("orchestrate", "no")
    some = next(iter(config["resources"].values()))
    config["resources"] = {rid: some for rid in rids}
    schedule = next(item for item in config["schedules"] if item["action"] == "run")
    config["schedules"] = [item for item in config["schedules"] if item["action"] != "run"]
    config["schedules"] += [dict(schedule, key=rid + ".schedule") for rid in rids]
    return config


def instance_status(cluster, state, status, name, node, copy, now):
    some = next(iter(status["resources"].values()))
    some.pop("info", None)
    status["resources"] = {}
    status["updated_at"] = stamp(copy["at"])
    status.pop("running", None)
    first = True
    for rid in resources(state["services"][name]):
        status["resources"][rid] = dict(some)
        last = tasks.last_run(cluster, state, name, node, rid, now)
        if last:
            first = False
            status["updated_at"] = stamp(last["ended"])
            status["resources"][rid]["info"] = {
                "last_run_at": stamp(last["ended"]),
                "last_run_exitcode": last["code"],
                "last_run_session_id": last["sid"],
            }
    # The first run of an instance does not appear here while it lasts.
    busy = [run for run in tasks.running(state, node) if run["service"] == name]
    if busy and not first:
        status["running"] = [
            {"pid": run["pid"], "rid": run["rid"], "session_id": run["sid"], "at": ZERO_TIME}
            for run in busy
        ]
    return status


def instance_monitor(monitor, service, copy):
    job = service["job"]
    monitor["state"] = "idle"
    monitor["updated_at"] = monitor["state_updated_at"] = stamp(copy["at"])
    if job:
        monitor["global_expect"] = job["kind"]
        monitor["orchestration_id"] = job["id"]
    return monitor


def instance_data(cluster, state, data, name, node, copy, now):
    service = state["services"][name]
    data["config"] = instance_config(data["config"], service)
    if copy["at"] > now:  # For a moment there is a configuration and nothing else.
        data.pop("monitor", None)
        data.pop("status", None)
        return data
    data["monitor"] = instance_monitor(data["monitor"], service, copy)
    data["status"] = instance_status(cluster, state, data["status"], name, node, copy, now)
    return data


def instance_list(cluster, state, names, nodes, now):
    """`om svc instance ls`: None where no instance matches."""
    items = []
    for name in names:
        for node, copy in services.instances(cluster, state, name, now).items():
            if node in nodes:
                item = recording("instance-ls.out")["items"][0]
                item["meta"] = {"node": node, "object": name}
                instance_data(cluster, state, item["data"], name, node, copy, now)
                items.append(item)
    return {"items": items, "kind": "InstanceList"} if items else None


def instance_statuses(cluster, state, names, nodes, now):
    """`om svc instance status`: [] where no instance matches."""
    items = []
    for name in names:
        for node, copy in services.instances(cluster, state, name, now).items():
            if node in nodes:
                item = recording("instance-status-ok.out")[0]
                item["path"] = name
                item["node"]["name"] = node
                instance_data(cluster, state, item, name, node, copy, now)
                items.append(item)
    return items


def service_list(cluster, state, names, now):
    """`om svc ls`."""
    items = []
    for name in names:
        service = state["services"][name]
        item = recording("svc-ls-one.out")["items"][0]
        data = item["data"]
        template = json.dumps(next(iter(data["instances"].values())))
        item["meta"]["object"] = name
        data["scope"] = service["scope"]
        data["updated_at"] = stamp(service["made"])
        data["orchestrate"] = service["sections"]["DEFAULT"].get("orchestrate", "no")
        data["instances"] = {
            node: instance_data(cluster, state, json.loads(template), name, node, copy, now)
            for node, copy in services.instances(cluster, state, name, now).items()
        }
        items.append(item)
    return {"items": items, "kind": "ObjectList"}


def node_entry(cluster, template, node, state, now):
    """One node of `daemon status`, as the recording's but for what changes."""
    entry = json.loads(template)
    entry["monitor"]["state"] = state
    generation = int(now) % 1000
    listed = [name for name in cluster.names if cluster.state(name, now) is not None]
    entry["status"]["gen"] = {name: generation for name in listed}
    no_generation = cluster.fault("gen-empty")
    if no_generation is not None and node in no_generation.split():
        entry["status"]["gen"] = {}
    frozen = cluster.since(node, "frozen")
    entry["status"]["frozen_at"] = stamp(frozen) if frozen else ZERO_TIME
    entry["config"]["labels"] = cluster.pairs(node, "labels")
    stats = cluster.pairs(node, "stats")
    if "is_overloaded" in stats:
        entry["status"]["is_overloaded"] = stats.pop("is_overloaded") == "true"
    entry["stats"].update((key, json.loads(value)) for key, value in stats.items())
    return entry


def daemon_status(cluster, state, now):
    status = recording("daemon-status-jsonline.out")
    inner = status["cluster"]
    template = json.dumps(inner["node"]["tch-001"])
    status["daemon"]["nodename"] = cluster.own
    inner["config"]["nodes"] = cluster.names
    inner["node"] = {}
    for node in cluster.names:
        shown = cluster.state(node, now)
        if shown is not None:
            inner["node"][node] = node_entry(cluster, template, node, shown, now)
    for name, service in state["services"].items():
        if not services.known(cluster, state, name, now):
            continue
        inner["object"][name] = service_list(cluster, state, [name], now)["items"][0]["data"]
        del inner["object"][name]["instances"]
        for node, copy in services.instances(cluster, state, name, now).items():
            if node in inner["node"]:
                data = recording("instance-ls.out")["items"][0]["data"]
                instance_data(cluster, state, data, name, node, copy, now)
                inner["node"][node]["instance"][name] = data
    return status


def processes(state, node, now):
    """`om daemon ps`."""
    return [
        {
            "cmd": "/usr/bin/om %s instance run --rid %s" % (run["service"], run["rid"]),
            "elapsed": "%.6fs" % max(0, now - run["started"]),
            "global_except": "",
            "node": node,
            "object": run["service"],
            "pid": run["pid"],
            "rid": "",
            "sid": run["sid"],
            "started_at": stamp(run["started"]),
            "sub": "api",
        }
        for run in tasks.running(state, node)
    ]
