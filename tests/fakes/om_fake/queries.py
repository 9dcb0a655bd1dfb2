"""Read-only calls, and `node freeze`."""

import os
import sys
import time

from . import answers, services
from .arguments import MISSING, Failed
from .call import unreachable


def node_ls(call):
    nodes = call.cluster.select(call.args.get("node"))
    if call.form == "auto":
        return "".join(node + "\n" for node in nodes)
    return call.show(nodes)


def node_config(call):
    # The answer for an unknown node is that of the local one.
    nodes = call.cluster.select(call.args.get("node", call.cluster.own)) or [call.cluster.own]
    labels = call.cluster.pairs(nodes[0], "labels")
    lines = "".join("%s = %s\n" % pair for pair in labels.items())
    number = call.cluster.names.index(nodes[0])
    text = "[DEFAULT]\nid = ed2d9e00-f744-42d5-b7ec-%012x\n" % number
    text += "\n[node]\nprkey = 0xeac3e473bd46%04x\n" % number
    return text + ("\n[labels]\n" + lines if lines else "")


def node_freeze(call):
    for node in call.cluster.select(call.args.get("node", call.cluster.own)):
        mark(call.cluster, node, "frozen", "freeze" in call.args.words)
    return ""


def mark(cluster, node, name, there):
    path = cluster.path("nodes", node, name)
    if there:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "w").close()
    elif os.path.exists(path):
        os.unlink(path)


def daemon_status(call):
    call.need_daemon("cluster/status?selector=%2A%2A")
    with call.settled() as state:
        return call.show(answers.daemon_status(call.cluster, state, time.time()))


def daemon_running(call):
    if not call.cluster.daemon_runs(call.cluster.own):
        sys.exit(1)
    return ""


def daemon_ps(call):
    now = time.time()
    shown = []
    for node in call.cluster.select(call.args.get("node", call.cluster.own)):
        path = "node/name/%s/daemon/process?sub=&selector=&rid=" % node
        try:
            call.need_daemon(path)
            unreachable(call, node, path, "Get")
        except Failed as failed:
            raise Failed("action failed on node %s: %s" % (node, failed.text))
        shown += answers.processes(call.cluster.read(), node, now)
    return call.show(shown)


def svc_ls(call):
    selector = call.selector
    call.need_daemon("object?path=%s" % (selector or "%2A%2Fsvc%2F%2A"))
    with call.settled() as state:
        now = time.time()
        names = services.by_name(call.cluster, state, selector, now)
        if not names and not call.args.get("ignore-not-found"):
            raise Failed("%s: object not found" % (selector or "*/svc/*"), 2)
        if not names:
            return ""
        if call.form == "auto":
            return "".join(name + "\n" for name in names)
        return call.show(answers.service_list(call.cluster, state, names, now))


def instance_ls(call):
    node = call.args.get("node")
    call.need_daemon("instance?path=%s&node=%s" % (call.selector, node))
    with call.settled() as state:
        now = time.time()
        names = services.by_name(call.cluster, state, call.selector, now)
        found = answers.instance_list(call.cluster, state, names, call.cluster.select(node), now)
        if found is None:
            raise Failed("%s: instance not found" % call.selector, 3)
        return call.show(found)


def instance_status(call):
    with call.settled() as state:
        now = time.time()
        if not call.cluster.daemon_runs(call.cluster.own):
            return call.show([])
        names = services.by_name(call.cluster, state, call.selector, now)
        if not names:
            raise Failed("expand object selection: " + MISSING, 2)
        nodes = call.cluster.select(call.args.get("node", call.cluster.own))
        return call.show(answers.instance_statuses(call.cluster, state, names, nodes, now))


def config_show(call):
    with call.settled() as state:
        if not services.known_or_file(call.cluster, state, call.selector, time.time()):
            raise Failed(MISSING, 2)
        return state["services"][call.selector]["text"]
