"""The command line: selects the call, prints its answer, exits with its code."""

import json
import os
import sys
import time

from . import faults, moments
from .arguments import Args, Failed
from .call import Call
from .cluster import Cluster
from .orchestration import abort, create, delete, purge
from .queries import (
    config_show,
    daemon_ps,
    daemon_running,
    daemon_status,
    instance_ls,
    instance_status,
    node_config,
    node_freeze,
    node_ls,
    svc_ls,
)
from .running import run

ROOTS = ("node", "daemon", "cluster", "svc", "all", "array", "ccfg", "cfg", "sec", "usr", "vol", "pool")


def call_of(words, flags):
    """The call's name and the object it is about; None where `om` would print help."""
    words = [{"list": "ls", "inst": "instance", "process": "ps"}.get(word, word) for word in words]
    selector = flags.get("selector")
    if words and words[0] not in ROOTS:
        selector = words[0]
        words = ["svc"] + words[1:]
    name = "-".join(words)
    known = {
        "cluster-status": "daemon-status",
        "svc-instance-ls": "instance-ls",
        "svc-instance-status": "instance-status",
        "svc-instance-run": "run",
    }
    name = known.get(name, name)
    if words[:1] == ["svc"] and len(words) == 2 and words[1] in ("create", "run", "delete", "purge", "abort"):
        name = words[1]
    return (name if name in CALLS else None), selector


def main(folder, argv):
    cluster = Cluster(folder, os.environ.get("FAKE_OM_NODE"))
    try:
        args = Args(argv)
        name, selector = call_of(args.words, args.flags)
    except Failed as failed:
        log(cluster, argv, "")
        return fail(failed)
    stdin = sys.stdin.read() if args.get("config") in ("-", "/dev/stdin") else ""
    log(cluster, argv, stdin)
    if name is None or args.get("help"):
        return show_help(cluster, name)
    mode = moments.reached(cluster, name)
    if moments.before(cluster, mode):
        return 1
    delay = cluster.fault("delay." + name)
    if delay is not None:
        time.sleep(float(delay))
    call = Call(cluster, args, selector, stdin)
    try:
        out, code = CALLS[name](call), 0
    except Failed as failed:
        out, code = failed.out, failed.code
        sys.stderr.write("Error: %s\n" % failed.text)
    if moments.after(cluster, mode):
        return 1
    return faults.answer(cluster, name, out, code)


def fail(failed):
    sys.stderr.write("Error: %s\n" % failed.text)
    return failed.code


def log(cluster, argv, stdin):
    osvc = {key: os.environ[key] for key in os.environ if key.startswith(("OSVC_", "OPENSVC_"))}
    line = json.dumps({"argv": argv, "node": cluster.own, "stdin": stdin, "osvc": osvc}) + "\n"
    with open(cluster.path("calls"), "ab", buffering=0) as file:
        file.write(line.encode())


def show_help(cluster, name):
    sys.stdout.write("usage and flags of the call\n\nUsage:\n  om [flags]\n\nFlags:\n")
    sys.stdout.write("      --color string   output colorization\n  -o, --output string  output format\n")
    if name in ("create", "run", "delete", "purge", "abort") and cluster.fault("old-om") is None:
        sys.stdout.write("      --time duration  stop waiting after a duration\n")
        sys.stdout.write("      --wait           wait for the object to reach the target state\n")
    return 0


CALLS = {
    "node-ls": node_ls,
    "node-config-show": node_config,
    "node-freeze": node_freeze,
    "node-unfreeze": node_freeze,
    "daemon-status": daemon_status,
    "daemon-running": daemon_running,
    "daemon-ps": daemon_ps,
    "svc-ls": svc_ls,
    "svc-config-show": config_show,
    "instance-ls": instance_ls,
    "instance-status": instance_status,
    "create": create,
    "run": run,
    "delete": delete,
    "purge": purge,
    "abort": abort,
}
