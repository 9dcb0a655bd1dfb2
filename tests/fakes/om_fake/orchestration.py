"""Calls that change services: create, delete, purge, abort."""

import os
import time

from . import services
from .arguments import MISSING, NO_DAEMON, Failed
from .names import name_error, new_uuid

NIL = "00000000-0000-0000-0000-000000000000"


def create(call):
    name = call.selector or ""
    wrong = name_error(name)
    if wrong:
        raise Failed(wrong)
    text = call.stdin
    if call.args.get("config") not in (None, "-", "/dev/stdin"):
        with open(call.args.get("config")) as file:
            text = file.read()
    for keyword in call.args.kws:
        text += keyword_lines(text, keyword)
    if call.cluster.fault("create-lost") is not None:
        return ""
    with call.cluster.locked() as state:
        refused = services.create(call.cluster, state, name, text, time.time())
    if refused:
        raise Failed(refused)
    if call.args.get("wait") and call.cluster.daemon_runs(call.cluster.own):
        await_instances(call, name)
    return ""


def keyword_lines(text, keyword):
    option, equals, value = keyword.partition("=")
    if not equals:
        return ""
    section, _, key = option.rpartition(".")
    return "%s[%s]\n%s = %s\n" % ("\n" if text else "", section or "DEFAULT", key, value)


def await_instances(call, name):
    def there(state, now):
        service = state["services"].get(name)
        seen = services.instances(call.cluster, state, name, now)
        return service and all(node in seen and seen[node]["at"] <= now for node in service["scope"])

    if not call.until(there):
        text = "wait instance monitor update failed on object %s after %.9fs: no more events: EOF"
        raise Failed(text % (name, time.time() - call.began))


def orchestrate(call, kind, began):
    """The answer of delete, purge, abort: accepted, or why not."""
    name, status, job = call.selector, "accepted", NIL
    try:
        job = began()
    except Failed as failed:
        status = "error: " + failed.text
    if call.form == "auto":
        out = "OBJECT  ORCHESTRATION_ID                      STATUS\n%s  %s  %s\n" % (name, job, status)
    else:
        out = call.show([{"orchestration_id": job, "path": name, "status": status}])
    if status != "accepted":
        raise Failed("actions rejected: 1", 1, out)
    return job, out


def without_daemon(call):
    """Orchestrated actions without a daemon: --wait hangs, beyond any --time."""
    if call.cluster.daemon_runs(call.cluster.own):
        return
    while call.args.get("wait"):
        time.sleep(60)
    orchestrate(call, "", lambda: no_daemon(call))


def no_daemon(call):
    raise Failed(NO_DAEMON % "object/path/root/svc/" + call.selector)


def need_object(call):
    with call.settled() as state:
        if not services.known_or_file(call.cluster, state, call.selector, time.time()):
            raise Failed(MISSING, 2)


def delete(call, kind="deleted"):
    without_daemon(call)
    need_object(call)
    if call.cluster.fault("delete-ignored") is not None:
        return orchestrate(call, kind, new_uuid)[1]
    job, out = orchestrate(call, kind, lambda: begin_deletion(call, kind))
    if call.args.get("wait"):
        await_deletion(call, kind, job, out)
    return out


def begin_deletion(call, kind):
    cluster, name = call.cluster, call.selector
    busy = cluster.fault("delete-409")
    if busy is not None:
        raise Failed("orchestration %s (>unfrozen) already in progress" % new_uuid())
    if cluster.fault("delete-rejected") is not None:
        raise Failed("")
    with call.settled() as state:
        now = time.time()
        present = services.instances(cluster, state, name, now)
        service = state["services"].get(name)
        if not service or not any(cluster.lost(node) is None for node in present):
            raise Failed("")
        job = service["job"]
        if job:
            job["disturbed"] = True
            raise Failed("orchestration %s (>%s) already in progress" % (job["id"], job["kind"]))
        return services.delete(cluster, service, kind, now)


def await_deletion(call, kind, job, out):
    def over(state, now):
        service = state["services"].get(call.selector)
        if not service or not service["job"] or service["job"]["id"] != job:
            return True
        return service["job"]["disturbed"]

    with call.settled() as state:
        service = state["services"].get(call.selector)
        inside = service is None or call.cluster.own in service["scope"]
    if not call.until(over):
        raise Failed("context deadline exceeded", 1, out)
    with call.settled() as state:
        service = state["services"].get(call.selector)
        disturbed = bool(service and service["job"] and service["job"]["id"] == job)
    wait = "wait expectation %s failed on object %s: " % (kind, call.selector)
    if disturbed:
        raise Failed(wait + "orchestration end aborted (id %s global expect %s)" % (job, kind), 1, out)
    lies = call.cluster.fault("delete-lies") is not None
    if lies or (not inside and call.cluster.fault("delete-honest") is None):
        raise Failed(wait + "object is not absent", 1, out)


def purge(call):
    return delete(call, "purged")


def abort(call):
    without_daemon(call)
    need_object(call)
    if call.cluster.fault("delete-409") == "until-abort":
        os.unlink(call.cluster.path("set", "delete-409"))
    job, out = orchestrate(call, "aborted", lambda: begin_abort(call))
    if call.args.get("wait"):
        call.until(lambda state, _: not (state["services"].get(call.selector) or {}).get("job"))
    return out


def begin_abort(call):
    with call.settled() as state:
        service = state["services"].get(call.selector)
        if not service:
            raise Failed("")
        until = time.time() + call.cluster.seconds("abort")
        service["job"] = services.job("aborted", until, call.cluster.own)
        return service["job"]["id"]
