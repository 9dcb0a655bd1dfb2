"""`om NAME run`: the started tasks with their nodes, and with --wait their results."""

import os
import sys
import time

from . import services, tasks
from .arguments import Failed
from .call import unreachable
from .names import is_uuid, new_uuid


def run(call):
    cluster, name, node = call.cluster, call.selector, call.args.get("node")
    call.need_daemon("object?path=%s" % name)
    nodes = cluster.select(node)
    if not nodes:
        raise Failed("no node matching %s" % node)
    with call.settled() as state:
        present = services.instances(cluster, state, name, time.time())
    nodes = [node for node in nodes if node in present]
    if not nodes or cluster.fault("run-empty") is not None:
        return ""
    sid = os.environ.get("OSVC_SESSION_ID", "")
    if not is_uuid(sid) or cluster.fault("session-replaced") is not None:
        sid = new_uuid()
    items, keys, errors = [], [], []
    for node in nodes:
        run_on(call, node, sid, items, keys, errors)
    return after_run(call, items, keys, errors)


def run_on(call, node, sid, items, keys, errors):
    cluster, name, rid = call.cluster, call.selector, call.args.get("rid", "")
    item = {"nodename": node, "path": name, "data": None}
    items.append(item)
    path = "node/name/%s/instance/path/root/svc/%s/action/run?session_id=%s&rid=%s"
    try:
        unreachable(call, node, path % (node, name, sid, rid.replace("#", "%23")), "Post")
    except Failed as failed:
        errors.append("%s: node %s: %s" % (name, node, failed.text))
        return
    null = cluster.fault("run-null")
    if null is not None:
        errors.append("%s: node %s: [500] Request peer: %s: EOF" % (name, node, node))
        if null != "started":
            return
    else:
        item["data"] = {"session_id": sid}
    with call.settled() as state:
        key = tasks.start(cluster, state, name, node, rid, sid, time.time(), call.args.envs)
    tasks.watch(cluster, key)
    keys.append(key)


def after_run(call, items, keys, errors):
    """The answer; with --wait after the started tasks have ended."""
    if call.form == "auto":
        out = "OBJECT  NODE     SID\n"
        out += "".join("%(path)s %(nodename)s " % item + str(item["data"]) + "\n" for item in items)
    else:
        out = call.show(items)
    for error in errors:
        sys.stderr.write(error + "\n")
    if call.args.get("wait"):
        over = not errors and call.until(
            lambda state, _: all(not tasks.alive(state["runs"][key]) for key in keys)
        )
        if errors:
            sys.stderr.write("Error: remote action error\n")
            time.sleep(max(0, call.limit - time.time()))
        if not over:
            raise Failed("context deadline exceeded", 1, out)
        runs = call.cluster.read()["runs"]
        if any(runs[key]["code"] != 0 for key in keys):
            text = "wait requester session end failed on object %s: /usr/bin/om exit code 1"
            raise Failed(text % call.selector + " not in success codes: [0]", 1, out)
    elif errors:
        raise Failed("remote action error", 1, out)
    return out
