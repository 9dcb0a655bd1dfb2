"""Tasks: real child processes on their node, watched by a process of their own.

The watcher is detached from the client: a killed client changes nothing. It holds
the run open until no process has the task's stdout any more, as the real one does.
"""

import os
import signal
import time

from .names import duration, new_uuid

DAEMON_ENV = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


def start(cluster, state, name, node, rid, sid, now, extra_env):
    """Registers a run and returns its key; `watch` must be called outside the lock."""
    service = state["services"][name]
    key = new_uuid()
    busy = any(
        run["id"] == service["id"] and run["node"] == node and run["rid"] == rid and alive(run)
        for run in state["runs"].values()
    )
    task = service["sections"].get(rid)
    state["runs"][key] = {
        "service": name,
        "id": service["id"],
        "node": node,
        "rid": rid,
        "sid": sid,
        "pid": None,
        "started": now,
        "ended": None,
        "code": None,
        "recorded": False,
        "env": extra_env,
        # A run beside another, or of a task that is not there, fails without a trace.
        "refused": busy or task is None,
    }
    return key


def alive(run):
    """Whether the run's watcher still works on it."""
    if run["ended"] is not None or run["pid"] is None:
        return run["ended"] is None
    try:
        with open("/proc/%d/stat" % run["pid"]) as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def running(state, node):
    """The runs `daemon ps` would show for a node."""
    return [
        run
        for run in state["runs"].values()
        if run["node"] == node and alive(run) and run["pid"] and not run["refused"]
    ]


def last_run(cluster, state, name, node, rid, now):
    """The last run whose result the local node has by now."""
    service = state["services"][name]
    lag = 0 if node == cluster.own else cluster.seconds("lag")
    lost = cluster.lost(node)
    best = None
    for run in state["runs"].values():
        if (run["id"], run["node"], run["rid"]) != (service["id"], node, rid):
            continue
        if not run["recorded"] or run["ended"] + lag > now:
            continue
        if node != cluster.own and lost is not None and run["ended"] + lag > lost:
            continue
        if best is None or run["ended"] > best["ended"]:
            best = run
    return best


def watch(cluster, key):
    """Starts a detached process that executes the run."""
    if os.fork():
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        detach()
        carry_out(cluster, key)
    finally:
        os._exit(0)


def detach():
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.closerange(3, 4096)


def carry_out(cluster, key):
    with cluster.locked() as state:
        run = state["runs"][key]
        run["pid"] = os.getpid()
        service = state["services"].get(run["service"])
        task = service["sections"].get(run["rid"]) if service else None
    time.sleep(cluster.seconds("start"))
    if run["refused"] or not task or "command" not in task:
        code, recorded = 0 if task and not run["refused"] else 1, False
    else:
        code, recorded = execute(cluster, key, run, service, task), True
    with cluster.locked() as state:
        run = state["runs"][key]
        run["ended"] = time.time()
        run["code"] = code
        run["recorded"] = recorded and cluster.fault("result-lost") is None


def execute(cluster, key, run, service, task):
    """Runs the task's command; its exit code, -1 if a signal ended it."""
    argv = command_argv(task["command"])
    env = environment(cluster, run, service, task)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        become(argv, env, writer)
    os.close(writer)
    with cluster.locked() as state:
        state["runs"][key]["child"] = child
    limit = duration(task.get("timeout", ""))
    timer = os.fork() if limit else None
    if timer == 0:
        time.sleep(limit)
        os.kill(child, signal.SIGKILL)
        os._exit(0)
    output = drain(reader)
    # The child stays a zombie until here: the timer never hits a reused pid.
    if timer:
        status = wait_then_end(child, timer)
    else:
        status = os.waitpid(child, 0)[1]
    with open(cluster.path("nodes", run["node"], "output"), "ab") as file:
        file.write(output)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1


def wait_then_end(child, timer):
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    os.kill(timer, signal.SIGKILL)
    os.waitpid(timer, 0)
    return os.waitpid(child, 0)[1]


def drain(reader):
    chunks = []
    while True:
        chunk = os.read(reader, 65536)
        if not chunk:
            return b"".join(chunks)[-65536:]
        chunks.append(chunk)


def command_argv(command):
    """A shell only where the command has `|`, `&&` or `;`."""
    import shlex

    if any(sign in command for sign in ("|", "&&", ";")):
        return ["/bin/sh", "-c", command]
    return shlex.split(command)


def environment(cluster, run, service, task):
    import shlex

    env = dict(DAEMON_ENV)
    env.update(cluster.pairs(run["node"], "env"))
    name = run["service"]
    env["PATH"] += ":/etc/opensvc/%s.d" % name
    env.update({
        "FAKE_OM_DIR": cluster.folder,
        "FAKE_OM_NODE": run["node"],
        "OPENSVC_ACTION": "run",
        "OPENSVC_ID": service["id"],
        "OPENSVC_KIND": "svc",
        "OPENSVC_LEADER": "0",
        "OPENSVC_NAME": name,
        "OPENSVC_NAMESPACE": "root",
        "OPENSVC_RID": run["rid"],
        "OPENSVC_SID": run["sid"],
        "OPENSVC_SVCNAME": name,
        "OPENSVC_SVCPATH": name,
        "OSVC_ACTION_ORIGIN": "daemon/api",
        "OSVC_EXEC_ID": new_uuid(),
        "OSVC_REQUEST_ID": new_uuid(),
        "OSVC_SESSION_ID": run["sid"],
    })
    pairs = shlex.split(task.get("environment", "")) + run["env"]
    env.update(pair.split("=", 1) for pair in pairs if "=" in pair)
    return env


def become(argv, env, writer):
    """Turns the forked child into the command; a script without `#!` "succeeds"."""
    import errno

    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.setpgid(0, 0)
        os.chdir("/")
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        os.closerange(3, 4096)
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        os.write(2, ("%s: %s\n" % (argv[0], error)).encode())
        os._exit(0 if error.errno == errno.ENOEXEC else 1)
    finally:
        os._exit(1)
