"""A fault at the n-th call: `set/at` says "MODE N", calls are counted in `count` since then;
"MODE N+" is from the n-th on.

MODE is fail-before (exit 1, nothing done), fail-after (done, exit 1, no answer),
kill-before, kill-after (the caller is killed and nothing or all is done), orphan-before
(the caller is killed and the call goes on), interrupt-before, interrupt-after (the caller
gets SIGINT, as from Ctrl-C; the call itself is as always), MARK:NODE, which marks a node as `om-cluster`
does (stopped, killed, cut) before the call, or wild-before, wild-after: `om` is the shell script
`set/wild` from then on, with nothing or all done. `happened` records it.
"""

import fcntl
import os
import signal
import sys


def reached(cluster, name):
    """The mode, if this is the call that `set/at` names."""
    try:
        with open(cluster.path("set", "at")) as file:
            mode, number = file.read().split()
    except (FileNotFoundError, ValueError):
        return None
    with open(cluster.path("count"), "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        count = int(file.read() or 0) + 1
        file.truncate(0)
        file.write(str(count))
    first = int(number.rstrip("+"))
    if count < first or (count > first and not number.endswith("+")):
        return None
    with open(cluster.path("happened"), "w") as file:
        file.write("%s %d %s\n" % (mode, count, name))
    return mode


def go_wild(cluster):
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv("/bin/sh", ["sh", cluster.path("set", "wild")])


def before(cluster, mode):
    """Runs the fault before the call; True if the call must not run."""
    if mode is None:
        return False
    if mode == "wild-before":
        go_wild(cluster)
    if mode in ("kill-before", "orphan-before"):
        os.kill(os.getppid(), signal.SIGKILL)
    if mode == "interrupt-before":
        os.kill(os.getppid(), signal.SIGINT)
    mark, colon, node = mode.partition(":")
    if colon:
        with open(cluster.path("nodes", node, mark), "w"):
            pass
    if mode == "fail-before":
        sys.stderr.write("Error: fake om: refused for once\n")
    return mode in ("fail-before", "kill-before")


def after(cluster, mode):
    """Runs the fault after the call; True if its answer is lost."""
    if mode == "wild-after":
        go_wild(cluster)
    if mode == "kill-after":
        os.kill(os.getppid(), signal.SIGKILL)
    if mode == "interrupt-after":
        os.kill(os.getppid(), signal.SIGINT)
    return mode in ("kill-after", "fail-after")
